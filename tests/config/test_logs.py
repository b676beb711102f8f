from django.test import RequestFactory
from django.urls import resolve

from config import logs


def test_a_request_is_logged_without_what_people_searched_for(rf: RequestFactory) -> None:
    request = rf.get("/health/live", {"phone": "13800138000"})

    assert logs.RequestLog.format_request(request) == "GET /health/live"


def test_a_code_is_hidden_before_its_address_is_looked_up_and_after(rf: RequestFactory) -> None:
    request = rf.post("/api/v1/coupons/ABCD-EFGH/redeem/")
    begun = logs.RequestLog.format_request(request)

    request.resolver_match = resolve(request.path_info)

    assert begun == logs.RequestLog.format_request(request) == "POST /api/v1/coupons/…/redeem/"


def test_an_unknown_address_is_logged_as_it_is(rf: RequestFactory) -> None:
    assert logs.RequestLog.format_request(rf.post("/no/such/page")) == "POST /no/such/page"


def test_secret_and_personal_values_are_hidden() -> None:
    event = {"event": "sent", "phone": "13800138000", "password": "p", "points": 5}

    assert logs.redact(None, "info", event) == {"event": "sent", "phone": "…", "password": "…", "points": 5}


def test_the_status_of_an_answer_stays_readable() -> None:
    assert logs.redact(None, "info", {"event": "request_finished", "code": 201}) == {
        "event": "request_finished",
        "code": 201,
    }
