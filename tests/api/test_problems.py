"""Whatever is sent, the answer is a problem document with the right status: no page, no trace, no 500."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client as Browser
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from members.api import pages
from members.models import Member
from points.actions import awarding, claiming
from points.models import Hold
from tests.api.conftest import Caller, purchase
from tests.api.test_access import CALLS

DEEP = "[" * 100_000
HUGE_NUMBER = "9" * 5_000
WRITES = [
    "members/",
    "events/",
    "events/preview/",
    "events/x/refunds/",
    "holds/",
    "redemptions/",
    "coupons/X/validate/",
    "coupons/X/redeem/",
    "coupons/X/rollback/",
    "coupons/X/reserve/",
    "coupons/X/release/",
]
EVENT_FIELDS = ["reference", "member", "type", "occurred_at", "money", "gross", "channel", "attributes", "items"]
FIELDS = ["reference", "member", "type", "name", "money", "points", "items", "reward", "occurred_at", "attributes"]
NASTY: dict[str, bytes] = {
    "nothing": b"",
    "not json": b"reference=1",
    "half": b'{"reference": ',
    "wrong quotes": b"{'reference': 1}",
    "two documents": b"{}{}",
    "not a number": b'{"reference": NaN}',
    "infinity": b'{"points": -Infinity}',
    "a float beyond floats": b'{"points": 1e999, "quantity": 1e999, "money": 1e999}',
    "a number beyond reading": b'{"points": ' + HUGE_NUMBER.encode() + b"}",
    "a big number": b'{"reference": 1, "points": 99999999999999999999999999, "quantity": 1e300}',
    "nested lists": DEEP.encode(),
    "nested objects": b'{"a":' * 100_000,
    "nested and closed": b'{"attributes":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "nested values": b'{"a":' * 500 + b"1" + b"}" * 500,
    "null bytes": b"\x00\x00\x00",
    "null byte in text": b'{"reference": "a\\u0000b", "member": "\\u0000", "name": "\\u0000", "type": "\\u0000"}',
    "half a surrogate pair": b'{"reference": "\\ud800", "member": "1", "type": "purchase", "name": "\\udfff"}',
    "half a pair as a name": b'{"\\ud800": 1}',
    "GBK": '{"reference": "1", "name": "王小明"}'.encode("gbk"),
    "UTF-16": '{"reference": "1"}'.encode("utf-16"),
    "latin-1": b'{"name": "Ren\xe9"}',
    "a null": b"null",
    "true": b"true",
    "a number": b"7",
    "a text": b'"events"',
    "a list of nulls": b"[null, 1, [], {}, true]",
    "lists everywhere": json.dumps({field: [] for field in FIELDS}).encode(),
    "objects everywhere": json.dumps({field: {} for field in FIELDS}).encode(),
    "booleans everywhere": json.dumps(dict.fromkeys(FIELDS, True)).encode(),
    "long texts everywhere": json.dumps(dict.fromkeys(FIELDS, "x" * 100_000)).encode(),
    "a long name": json.dumps({"x" * 1_000_000: 1}).encode(),
    "the same name twice": b'{"reference": "1", "reference": "2"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
}  # fmt: skip


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**25,
    "",
    " ",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "x" * 10_000,
    "2026-03-01T12:00:00",
    "9999-12-31T23:59:59-14:00",
    "2026-03-01T12:00:00+23:59",
    "'; DROP TABLE points_entry; --",
    "{{ 7 * 7 }}",
    "%s%n%(x)s",
    [],
    [[]],
    {},
    {"amount": "1", "currency": "CNY"},
    {"amount": "1" * 400, "currency": "CNY"},
    {"amount": "1", "currency": "\x00\x00\x00"},
    {"amount": {}, "currency": []},
]


@pytest.mark.parametrize("path", WRITES)
def test_no_body_breaks_anything(till: Caller, path: str) -> None:
    for name, body in NASTY.items():
        answer = till.call("POST", path, raw=body)

        if answer.status == 200:  # a list of events is answered row by row, and a coupon's check by its result
            assert path == "events/", name
            assert all(row["status"] == "rejected" for row in answer.body), name
        else:
            assert answer.is_problem, f"{name}: {answer.text[:500]}"
            assert answer.status in (400, 404, 422), name
            assert len(answer.text) < 5_000, name


@pytest.mark.parametrize("field", EVENT_FIELDS)
def test_no_value_of_an_event_breaks_anything(till: Caller, alice: Member, field: str) -> None:
    for number, value in enumerate(VALUES):
        body = {**purchase(alice, f"bad-{number}"), field: value}

        alone = till.post("events/", body)
        preview = till.post("events/preview/", body)
        listed = till.post("events/", [body, purchase(alice, f"good-{number}")])

        for answer in (alone, preview):
            assert answer.status in (200, 201) or (answer.is_problem and answer.status < 500), (
                f"{value}: {answer.text}"
            )
        assert listed.status == 200
        assert listed.body[1]["status"] == "accepted", value


@pytest.mark.parametrize(
    "path",
    [
        "nothing/",
        "members",
        "members/12x/",
        "members/%00/",
        "members/1/secrets/",
        "events/%00/explanation/",
        "holds/1/capture/",
        "coupons/%00/validate/",
        "%ff%fe/",
    ],
)
def test_an_unknown_address_is_a_problem_document(till: Caller, path: str) -> None:
    for answer in (till.get(path), till.post(path, {})):
        assert answer.is_problem, answer.text
        assert (answer.status, answer.body["code"]) == (404, "not_found")


def test_an_unknown_address_outside_the_api_is_not_the_api_s(till: Caller) -> None:
    response = Browser().get("/nowhere/")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    "query", ["tier=%00", "status=%00", "page_size=%00", "cursor=%00", "cursor=%ff", "phone=%00", "number=%ff"]
)
def test_no_query_breaks_a_list(till: Caller, alice: Member, query: str) -> None:
    assert till.get(f"members/?{query}").status in (200, 400)


CURSORS = {
    "a number too many": pages.write_cursor(100, 100),
    "of another list": pages.write_cursor(date(2026, 1, 1)),
    "backwards": pages.write_cursor(1, backwards=True),
    "before all time": base64.b64encode(b'["0001-01-01T00:00+14:00",1]').decode(),
    "before all time by far": base64.b64encode(b'["0001-01-01T00:00+23:59",1]').decode(),
    "far from Greenwich": base64.b64encode(b'["2026-03-01T12:00+16:00",1]').decode(),
    "a fraction": base64.b64encode(b"[1e100]").decode(),
    "empty": base64.b64encode(b"[]").decode(),
    "nested": base64.b64encode(b"[" * 3_000).decode(),
}


@pytest.mark.parametrize(
    "list_of",
    ["members/", "members/{}/entries/", "members/{}/lots/", "members/{}/statistics/", "rewards/", "statistics/daily/"],
)
def test_no_cursor_breaks_a_list(till: Caller, alice: Member, list_of: str) -> None:
    for name, cursor in CURSORS.items():
        answer = till.get(f"{list_of.format(alice.number)}?cursor={cursor}")

        assert answer.status == 200 or (answer.is_problem and answer.status == 400), name


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_a_method_that_does_not_exist_is_named(till: Caller, method: str) -> None:
    answer = till.call(method, "events/", {})

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "nonsense",
    ],
)
def test_only_json_is_read(till: Caller, kind: str) -> None:
    answer = till.call("POST", "events/", raw="a=b", Content_Type=kind)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")


def test_only_json_is_written(till: Caller) -> None:
    answer = till.get("members/", Accept="text/html")

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (406, "not_acceptable")
    assert till.get("members/", Accept="text/html,*/*;q=0.8").status == 200


def test_a_body_beyond_the_limit_is_refused(till: Caller, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000

    answer = till.post("events/", [{"reference": "x" * 1_000}])

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(("path", "limit"), [("events/", 20 * 2**20), ("holds/", 2**20), ("members/", 2**20)])
def test_a_body_that_says_it_is_too_long_is_refused_unread(till: Caller, path: str, limit: int) -> None:
    class Untouchable(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("the body was read")

    defaults: dict[str, Any] = till._browser.defaults
    defaults["wsgi.input"] = Untouchable()
    answer = till.call("POST", path, raw=b"{}", CONTENT_LENGTH=str(limit + 1))

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (413, "body_too_large")


@pytest.mark.django_db(transaction=True)
def test_fifty_megabytes_are_refused_before_they_are_sent(till: Caller, live_server: LiveServer) -> None:
    host, port = live_server.url.removeprefix("http://").split(":")
    head = (
        f"POST /api/v1/events/ HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {till.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {50 * 2**20}\r\nConnection: close\r\n\r\n["
    )

    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(head.encode())
        answer = b""
        while b"body_too_large" not in answer:
            answer += line.recv(4_000)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer


def test_a_body_without_a_length_is_asked_for_one(till: Caller) -> None:
    answer = till.call("POST", "events/", raw=b"", Transfer_Encoding="chunked")

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (411, "length_required")


def test_a_wrong_encoding_is_named(till: Caller) -> None:
    answer = till.call("POST", "members/", raw=NASTY["GBK"])

    assert answer.body["code"] == "not_utf8"
    assert "UTF-8" in answer.body["detail"]


def test_messages_are_in_the_language_asked_for(till: Caller) -> None:
    english = till.get("members/7/", Accept_Language="en")
    chinese = till.get("members/7/", Accept_Language="zh-CN,zh;q=0.9")

    assert (english.headers["Content-Language"], chinese.headers["Content-Language"]) == ("en", "zh-hans")
    assert english.body["code"] == chinese.body["code"] == "not_found"


@pytest.mark.parametrize("error", [OperationalError("secret host name"), InterfaceError("secret host name")])
def test_a_database_that_is_away_asks_to_come_again(
    till: Caller, alice: Member, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _fail(monkeypatch, error)

    answer = till.post("events/", purchase(alice, "x"))

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "secret" not in answer.text


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _scopes in CALLS])
def test_every_call_says_so_when_the_database_is_away(
    till: Caller, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    with _database_away(monkeypatch):
        answer = till.call(method, path, {} if method != "GET" else None)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "secret" not in answer.text


def test_a_browser_s_session_that_cannot_be_read_is_told_the_same(
    till: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("GET", "POST"):
        with _database_away(monkeypatch):
            answer = Caller(None, None).call(method, "rewards/", Cookie=f"sessionid={'x' * 32}")

        assert answer.is_problem, answer.text
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_breaks_half_way_leaves_nothing_behind(
    till: Caller, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = claiming.claim

    def break_after(*arguments: Any, **more: Any) -> Any:
        claimed = whole(*arguments, **more)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return claimed

    till.post("events/", purchase(alice, "first", "1000.00"))
    monkeypatch.setattr(claiming, "claim", break_after)
    body = {"reference": "h", "member": alice.number, "points": 100}

    answer = till.post("holds/", body)
    connection.close()
    monkeypatch.setattr(claiming, "claim", whole)

    assert (answer.status, answer.body["code"]) == (503, "temporarily_unavailable")
    assert not Hold.objects.exists()
    assert till.post("holds/", body).status == 201


def test_a_standby_that_only_reads_asks_to_come_again(
    till: Caller, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.get("members/")

    with connection.cursor() as cursor:
        cursor.execute("SET transaction_read_only = on")
    answer = till.post("events/", purchase(alice, "x"))

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


def test_a_mistake_of_ours_is_logged_and_told_without_a_trace(
    till: Caller, alice: Member, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _fail(monkeypatch, RuntimeError("secret of the house"))

    answer = till.post("events/", purchase(alice, "x"))

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "secret of the house" in caplog.text


def test_a_host_that_is_not_ours_is_refused_as_a_problem(till: Caller, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["laurel.example"]

    answer = till.get("members/")

    assert answer.is_problem
    assert answer.status == 400


def test_a_refusal_carries_its_facts(till: Caller, alice: Member) -> None:
    answer = till.post("holds/", {"reference": "h", "member": alice.number, "points": 500})

    assert answer.body == {
        "type": "urn:laurel:problem:insufficient_points",
        "title": "A rule of the programme refuses this.",
        "status": 422,
        "detail": "500 points are needed and 0 are available.",
        "code": "insufficient_points",
        "needed": 500,
        "available": 0,
    }


@contextmanager
def _database_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OperationalError("connection to server at secret-host failed")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", refuse)
        yield


def _fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_arguments: object) -> None:
        raise error

    monkeypatch.setattr(awarding, "award", fail)
