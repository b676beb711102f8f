"""Referrals as client systems meet them: joined with a code and a device, and rewarded by the purchase itself."""

from typing import Any

import pytest
from django.db import DatabaseError

from members.models import Member
from points.actions import referring
from points.models import Event, Referral
from tests.api.conftest import Caller, purchase
from tests.points.factories import AT, TESTER, fixed_rule


@pytest.fixture(autouse=True)
def _a_hundred_for_a_friend(programme: None) -> None:
    fixed_rule(100, event_types=["referral"])


def join(till: Caller, member: Member, **more: Any) -> Member:
    body = {"reference": "join", "name": "Bob", "referral_code": member.referral_code, **more}
    answer = till.post("members/", body)
    assert answer.status == 201, answer.text
    return Member.objects.get(number=answer.body["number"])


def bill(friend: Member, reference: str) -> dict[str, Any]:
    """A purchase on the way out, of somebody who has just joined."""
    return purchase(friend, reference, occurred_at=friend.joined_at.isoformat())


def referrals() -> int:
    return Event.objects.filter(type="referral").count()


def test_the_purchase_that_decides_rewards_the_referrer_at_once(till: Caller, alice: Member) -> None:
    bob = join(till, alice, attributes={"device": "phone-1"})

    till.post("events/", {**bill(bob, "visit"), "type": "review", "money": None})
    assert referrals() == 0
    answer = till.post("events/", bill(bob, "bill"))

    assert answer.status == 201
    assert answer.body["points"] == {"points": 196, "growth": 196}  # the event's own, as ever
    assert till.get(f"members/{alice.number}/balance/").body[0]["available"] == 100
    assert Referral.objects.get().status == "rewarded"


def test_a_list_of_purchases_rewards_each_referrer_once(till: Caller, alice: Member) -> None:
    bob = join(till, alice)
    batch = [bill(bob, f"bill-{number}") for number in range(3)]

    till.post("events/", batch)
    till.post("events/", batch)
    referring.convert_referrals(actor=TESTER, at=AT)

    assert referrals() == 1


def test_a_friend_from_the_referrer_s_device_waits_in_quarantine(till: Caller, alice: Member) -> None:
    till.patch(f"members/{alice.number}/", {"attributes": {"device": "phone-1"}})
    bob = join(till, alice, attributes={"device": "phone-1"})

    answer = till.post("events/", bill(bob, "bill"))

    assert answer.status == 201
    assert referrals() == 0
    assert Referral.objects.get().evidence == [{"kind": "same_device", "members": [alice.number]}]


def test_a_referral_that_fails_does_not_fail_the_purchase(
    till: Caller, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = join(till, alice)

    def fail(*args: object, **given: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(referring, "convert_referrals", fail)

    assert till.post("events/", bill(bob, "bill")).status == 201
    assert Event.objects.count() == 1
