"""Who may call what: one table of every call and its scopes, so that a new call without its line fails."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver
from django.utils import timezone

from config import api
from members.actions import clients
from members.models import Client, ClientKey, Scope
from tests.api.conftest import Caller
from tests.members.factories import TESTER, client_key

ANY_KEY = UUID(int=0)
CALLS = [
    ("GET", "members/", {"members:read"}),
    ("POST", "members/", {"members:write"}),
    ("GET", "members/1/", {"members:read"}),
    ("PATCH", "members/1/", {"members:write"}),
    ("GET", "members/1/balance/", {"points:read"}),
    ("GET", "members/1/entries/", {"points:read"}),
    ("GET", "members/1/lots/", {"points:read"}),
    ("GET", "members/1/statistics/", {"points:read"}),
    ("POST", "events/", {"events:write"}),
    ("POST", "events/preview/", {"events:write"}),
    ("GET", "events/x/explanation/", {"points:read", "events:write"}),
    ("POST", "events/x/refunds/", {"events:write"}),
    ("POST", "holds/", {"points:spend"}),
    ("POST", f"holds/{ANY_KEY}/capture/", {"points:spend"}),
    ("POST", f"holds/{ANY_KEY}/void/", {"points:spend"}),
    ("GET", "rewards/", {"rewards:read"}),
    ("POST", "redemptions/", {"rewards:redeem"}),
    ("GET", f"redemptions/{ANY_KEY}/", {"rewards:read", "rewards:redeem"}),
    ("POST", f"redemptions/{ANY_KEY}/cancel/", {"rewards:redeem"}),
    ("POST", f"redemptions/{ANY_KEY}/reschedule/", {"rewards:redeem"}),
    ("POST", f"redemptions/{ANY_KEY}/payment/", {"rewards:redeem"}),
    ("POST", "redemptions/write-off/", {"rewards:redeem"}),
    ("POST", "coupons/X/validate/", {"rewards:redeem"}),
    ("POST", "coupons/X/redeem/", {"rewards:redeem"}),
    ("POST", "coupons/X/rollback/", {"rewards:redeem"}),
    ("POST", "coupons/X/reserve/", {"rewards:redeem"}),
    ("POST", "coupons/X/release/", {"rewards:redeem"}),
    ("GET", "statistics/daily/", {"statistics:read"}),
]


def test_every_call_is_in_the_table() -> None:
    patterns = list(_patterns(api.urlpatterns))

    views = {pattern.name: pattern.callback.cls for pattern in patterns if hasattr(pattern.callback, "cls")}
    offered = {
        (method, name)
        for name, view in views.items()
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
        if hasattr(view, method.lower()) and hasattr(view, "scopes")
    }
    listed = {(method, pattern.name) for method, path, _ in CALLS for pattern in patterns if pattern.resolve(path)}
    assert offered == listed


@pytest.mark.parametrize(("method", "path", "scopes"), CALLS)
def test_without_a_key_nothing_opens(stranger: Caller, method: str, path: str, scopes: set[str]) -> None:
    answer = stranger.call(method, path, {} if method != "GET" else None)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="laurel"'


@pytest.mark.parametrize(("method", "path", "scopes"), CALLS)
def test_all_other_scopes_together_do_not_open_it(programme: None, method: str, path: str, scopes: set[str]) -> None:
    caller = Caller(*client_key("wrong", *(set(Scope.values) - scopes)))

    answer = caller.call(method, path, {} if method != "GET" else None)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (403, "permission_denied")
    assert min(scopes) in answer.body["detail"] or max(scopes) in answer.body["detail"]


@pytest.mark.parametrize(("method", "path", "scopes"), CALLS)
def test_each_of_its_scopes_opens_it(programme: None, method: str, path: str, scopes: set[str]) -> None:
    for scope in scopes:
        answer = Caller(*client_key(scope.replace(":", "-"), scope)).call(
            method, path, {} if method != "GET" else None
        )

        assert answer.status not in (401, 403, 500)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer  ",
        "Bearer lk_",
        "Bearer lk_abc",
        "Bearer lk_abc.",
        "Bearer lk_0123456789ab.wrong",
        "Bearer wrong",
        "Basic dGlsbDp0aWxs",
        "Token x",
        "Bearer " + "x" * 5_000,
        "Bearer ключ",
        "Bearer a\x00b",
    ],
)
def test_a_key_nobody_gave_out_opens_nothing(stranger: Caller, header: str) -> None:
    answer = stranger.get("members/", Authorization=header)

    assert answer.is_problem
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_or_withdrawn_key_opens_nothing(till: Caller) -> None:
    assert till.get("members/").status == 200

    ClientKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    clients.forget()
    expired = till.get("members/")
    ClientKey.objects.update(expires_at=None)
    clients.forget()
    assert till.get("members/").status == 200
    Client.objects.update(is_active=False)
    clients.forget()
    stopped = till.get("members/")
    Client.objects.update(is_active=True)
    ClientKey.objects.update(state="ended", ended_at=timezone.now())
    clients.forget()
    withdrawn = till.get("members/")

    assert (expired.status, stopped.status, withdrawn.status) == (401, 401, 401)


def test_a_key_is_replaced_without_a_moment_of_refusal(till: Caller) -> None:
    assert till.client
    new = clients.rotate_key(client=till.client, grace=timedelta(hours=1), actor=TESTER, at=timezone.now())
    successor = Caller(new.client, new.key)

    assert (till.get("members/").status, successor.get("members/").status) == (200, 200)

    old = ClientKey.objects.get(state="retiring")
    clients.withdraw_key(key=old, reason="", actor=TESTER, at=timezone.now())
    assert (till.get("members/").status, successor.get("members/").status) == (401, 200)


def test_the_scheme_s_name_is_read_in_any_case(till: Caller) -> None:
    assert till.get("members/", Authorization=f"bearer {till.key}").status == 200


def test_no_key_is_ever_logged(till: Caller, caplog: pytest.LogCaptureFixture) -> None:
    assert till.key
    with caplog.at_level(logging.DEBUG):
        till.get("members/?phone=13800138000")
        till.get("members/", Authorization=f"Bearer {till.key}x")
        for step in ("validate", "redeem", "rollback", "reserve", "release"):
            till.post(f"coupons/ABCD-EFGH/{step}/", {"reference": "x", "money": {"amount": "1.00", "currency": "CNY"}})
            till.post(f"coupons/ABCD-EFGH/{step}/", {}, Authorization="Bearer lk_x.y")

    logged = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "api/v1/members" in logged
    assert till.key.partition(".")[2] not in logged
    assert "13800138000" not in logged
    assert "ABCD-EFGH" not in logged


def _patterns(patterns: list[Any]) -> list[URLPattern]:
    found: list[URLPattern] = []
    for pattern in patterns:
        found += _patterns(pattern.url_patterns) if isinstance(pattern, URLResolver) else [pattern]
    return found
