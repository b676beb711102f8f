import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.test import Client as Browser
from django.test import RequestFactory

from config import logs


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What an installation would write, of every level."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    formatters: Any = settings.LOGGING["formatters"]
    told = {name: value for name, value in formatters["json"].items() if name != "()"}
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(**told))
    root = logging.getLogger()
    root.addHandler(handler)
    with caplog.at_level(logging.DEBUG):
        yield written
    root.removeHandler(handler)


def test_a_request_is_logged_without_what_people_searched_for(rf: RequestFactory) -> None:
    request = rf.get("/health/live", {"phone": "13800138000"})

    assert logs.RequestLog.format_request(request) == "GET /health/live"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/coupons/ABCD-EFGH/redeem/",
        "/api/v1/coupons/ABCD-EFGH/redeem",
        "/api/v1/coupons/ABCD-EFGH/redem/",
        "/api/v1/coupons/ABCD-EFGH/",
        "/api/v1/coupons/ABCD-EFGH",
        "/api/v1/coupons//ABCD-EFGH/redeem/",
        "/api/v1/coupons/ABCD%20ABCD-EFGH/redeem/",
        "/api/v1/coupon/ABCD-EFGH/redeem/",
        "/api/V1/Coupons/ABCD-EFGH/redeem/",
        "/coupons/ABCD-EFGH/",
    ],
)
def test_a_code_is_in_no_line_however_its_address_is_written(client: Browser, lines: io.StringIO, path: str) -> None:
    assert client.post(path, {}, content_type="application/json").status_code in (401, 404)

    written = lines.getvalue()
    assert "request_started" in written
    assert "request_finished" in written
    assert "EFGH" not in written


def test_a_code_is_hidden_in_a_trace_and_in_the_line_of_a_server(lines: io.StringIO) -> None:
    try:
        raise LookupError("/coupons/ABCD-EFGH/redeem/")
    except LookupError:
        logging.getLogger("django.request").exception("Internal Server Error: %s", "/api/v1/coupons/ABCD-EFGH/redeem/")
    structlog.get_logger("x").info("asked", line="POST /api/v1/coupons/ABCD-EFGH HTTP/1.1")

    written = lines.getvalue().replace("\\u2026", "…")  # as JSON writes it
    assert "Internal Server Error: /api/v1/coupons/…/redeem/" in written
    assert "EFGH" not in written


@pytest.mark.django_db
def test_an_unknown_address_is_logged_as_it_is(client: Browser, lines: io.StringIO) -> None:
    client.post("/no/such/page")

    assert "POST /no/such/page" in lines.getvalue()
    assert "Not Found: /no/such/page" in lines.getvalue()


def test_secret_and_personal_values_are_hidden() -> None:
    event = {"event": "sent", "phone": "13800138000", "password": "p", "points": 5}

    assert logs.redact(None, "info", event) == {"event": "sent", "phone": "…", "password": "…", "points": 5}


def test_the_status_of_an_answer_stays_readable() -> None:
    assert logs.redact(None, "info", {"event": "request_finished", "code": 201}) == {
        "event": "request_finished",
        "code": 201,
    }
