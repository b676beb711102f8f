"""The demo's people: how they sign in, and what the demo member went through."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.utils import timezone

from config import demo, demo_story, folders
from config.journey.loading import Load
from members.actions import clients
from members.models import Member, User
from points import reports
from points.actions import catalogue
from points.models import Entry, Event, Hold, JobRun, Referral
from rewards.models import Coupon, Redemption
from tests.points.factories import nothing_changes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LAUREL_VAR", str(tmp_path))
    catalogue.forget()
    clients.forget()
    yield
    clients.forget()


def shorten(monkeypatch: pytest.MonkeyPatch, *, households: int = 2, **changes: Any) -> None:
    """Make the demo's year as short as a test."""
    monkeypatch.setattr(demo, "HOUSEHOLDS", {"small": households})
    year = demo._year

    def shortened(size: str, at: Any) -> Load:
        return replace(year(size, at), **changes)

    monkeypatch.setattr(demo, "_year", shortened)


def test_the_sign_ins_that_are_told_are_the_ones_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, last_day=date(2017, 1, 10))

    told = demo.seed(size="small")

    staff = authenticate(None, **told["staff"])
    member = authenticate(None, username=told["member"]["login"], password=told["member"]["password"])
    assert isinstance(staff, User)
    assert isinstance(member, User)
    assert (staff.username, staff.is_superuser) == ("admin", True)
    assert member.member is not None
    assert member.member.number == told["member"]["number"]
    client = clients.authenticate(told["client_key"], timezone.now())
    assert client is not None
    assert "events:write" in client.scopes
    clerk = User.objects.get(username="clerk")
    assert (clerk.is_superuser, [group.name for group in clerk.groups.all()]) == (False, ["clerk"])


def test_the_second_start_tells_the_same_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, last_day=date(2017, 1, 10))
    first = demo.seed(size="small")
    users = list(User.objects.order_by("pk").values())

    with nothing_changes():
        assert demo.seed(size="small") == first

    assert list(User.objects.order_by("pk").values()) == users


def test_a_key_or_password_that_was_lost_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, last_day=date(2017, 1, 2))
    first = demo.seed(size="small")
    for secret in (folders.data_folder() / "secrets").iterdir():
        secret.unlink()

    second = demo.seed(size="small")

    assert second != first
    assert clients.authenticate(second["client_key"], timezone.now()) is not None
    assert authenticate(None, **second["staff"]) is not None


def test_the_progress_of_the_year_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, last_day=date(2017, 1, 2))
    told: list[tuple[str, int, int]] = []

    demo.seed(size="small", progress=lambda *step: told.append(step))

    assert ("households", 2, 2) in told
    assert told[-1] == ("days", 2, 2)


def test_the_story_of_the_demo_member_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, households=12, nights=False)

    told = demo.seed(size="small")

    hero = Member.objects.by_number(told["member"]["number"]).get()
    orders = dict(Redemption.objects.filter(member=hero, source="demo").values_list("reward__code", "state"))
    assert (
        orders.items()
        >= {
            "gift-mug": "completed",
            "coupon-20": "completed",
            "gift-tote": "cancelled",
            "coupon-1": "completed",
            "gift-teapot": "placed",
        }.items()
    )
    assert Coupon.objects.filter(member=hero, state="redeemed").count() == 1
    assert Redemption.objects.filter(reward__code="gift-mug", state="shipped").count() == 1
    assert Redemption.objects.filter(reward__code="gift-mug", state="approved").count() == 1
    kinds = set(Entry.objects.filter(member=hero).values_list("kind", flat=True))
    assert kinds >= {"accrual", "redemption", "restoration", "clawback", "adjustment"}
    assert Event.objects.filter(member=hero, channel="app", currency="CNY").count() == 2
    assert Member.objects.get(reference="friend-1").referred_by == hero
    assert Hold.objects.filter(status="held").count() == 1
    (points, _growth) = reports.balances(member=hero, at=timezone.now())
    assert points.available > 100 + 1_000 + 10_000
    soonest = points.expiring[0]
    assert 0 <= (soonest.on - timezone.localdate()).days <= 31
    assert reports.check_books() == []


@pytest.mark.slow
def test_a_small_demo_shows_a_whole_year(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, households=3)

    demo.seed(size="small")

    closed = JobRun.objects.filter(job="close", state="done").order_by("business_date")
    assert closed.count() == 365
    assert (timezone.localdate() - closed[364].business_date).days == 1
    assert set(Entry.objects.values_list("kind", flat=True)) >= {"maturity", "expiry"}
    assert Event.objects.filter(type="referral").count() == 1
    assert set(Referral.objects.values_list("status", flat=True)) == {"rewarded", "open"}
    assert demo_story.HERO in [household.id for household in demo._households(1)]
    assert reports.check_books() == []
