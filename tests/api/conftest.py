"""A small programme, a member with points, and client systems that call the API the way outsiders do."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client as Browser

from members.actions import clients
from members.models import Client, Member
from points.actions import catalogue
from points.api import answers
from points.models import EarningRule, PointType
from tests.members.factories import MemberFactory, client_key

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOON = "2026-03-01T12:00:00+08:00"


@dataclass(frozen=True)
class Answer:
    """An answer as a client system sees it."""

    status: int
    type: str
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def is_problem(self) -> bool:
        """Whether it is a problem document, whole and consistent with the status."""
        if self.type != "application/problem+json":
            return False
        wanted = {"type", "title", "status", "detail", "code"}
        return wanted <= self.body.keys() and self.body["status"] == self.status and "Traceback" not in self.text


class Caller:
    """A client system with its key."""

    def __init__(self, client: Client | None, key: str | None) -> None:
        self.client, self.key = client, key
        self._browser = Browser(raise_request_exception=False)

    @property
    def source(self) -> str:
        assert self.client
        return self.client.code

    def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | str | None = None, **headers: str
    ) -> Answer:
        """Call an address below /api/v1/; header names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        data = raw if raw is not None else "" if body is None else json.dumps(body)
        response = self._browser.generic(
            method, f"/api/v1/{path}", data, content_type=sent.pop("Content-Type", "application/json"), headers=sent
        )
        kind = response.headers.get("Content-Type", "").split(";")[0]
        return Answer(response.status_code, kind, response.headers, b"".join(response).decode())

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.call("PATCH", path, body, **headers)


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    """Nothing a process remembers outlives a test, whose rows do not either."""
    yield
    clients.forget()
    catalogue.forget()
    answers._rule_codes.clear()


@pytest.fixture
def programme(db: None) -> None:
    """Points that are spent, growth that is not, and 1 yuan = 1 of each."""
    for code, redeemable in (("points", True), ("growth", False)):
        point_type = PointType.objects.create(
            code=code, name_en=code.title(), is_redeemable=redeemable, is_qualifying=not redeemable
        )
        EarningRule.objects.create(
            code=f"purchase-{code}",
            name_en=f"One yuan gives one {code}",
            name_zh_hans="消费 1 元得 1 分",
            status="active",
            valid_from=LONG_AGO,
            event_types=["purchase"],
            point_type=point_type,
            points=1,
            per_minor=100,
        )


@pytest.fixture
def till(programme: None) -> Caller:
    """A client system with every scope."""
    return Caller(*client_key("till"))


@pytest.fixture
def shop(programme: None) -> Caller:
    """Another client system with every scope."""
    return Caller(*client_key("shop"))


@pytest.fixture
def stranger(db: None) -> Caller:
    """Somebody without a key."""
    return Caller(None, None)


@pytest.fixture
def alice(programme: None) -> Member:
    """A member."""
    return MemberFactory.create(name="Alice", phone="13800138000", email="alice@example.com")


@pytest.fixture
def rich(till: Caller, alice: Member) -> Member:
    """Alice after a purchase of 1,000 yuan: 1,000 points."""
    answer = till.post("events/", purchase(alice, "first", "1000.00"))
    assert answer.status == 201, answer.text
    return alice


def purchase(member: Member, reference: str, amount: str = "196.00", **more: Any) -> dict[str, Any]:
    """A purchase as a till sends it."""
    return {
        "reference": reference,
        "member": member.number,
        "type": "purchase",
        "occurred_at": NOON,
        "money": {"amount": amount, "currency": "CNY"},
        **more,
    }
