"""A referral is rewarded on both sides when the friend does what the programme asks, and once."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from members.models import Member
from points import reports, tasks
from points.actions import referring, refunding, suspecting
from points.models import Event, Referral, ReferralProgramme

from .factories import (
    AT,
    SOURCE,
    TESTER,
    accounts,
    buy,
    event,
    fixed_rule,
    kept,
    local,
    new_member,
    new_reference,
    night,
    take,
)

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 3, 10)


def convert(at: datetime = AT) -> dict[str, int]:
    return referring.convert_referrals(actor=TESTER, at=at)


def programme(**terms: Any) -> ReferralProgramme:
    return ReferralProgramme.objects.create(**{"name": "Spring", "valid_from": local(2020, 1, 1)} | terms)


def friend_of(member: Member, **given: Any) -> Member:
    """Somebody who joined by a member's code."""
    return new_member(referral_code=member.referral_code, **given)


def give_back(bought: Event, amount_minor: int | None = None) -> None:
    """Refund it, in full unless told otherwise."""
    refunding.refund(
        event=bought,
        source=SOURCE,
        reference=new_reference("refund"),
        occurred_at=AT,
        actor=TESTER,
        at=AT,
        amount_minor=amount_minor,
    )


def verdicts(member: Member) -> list[str]:
    return list(Referral.objects.filter(member=member).order_by("id").values_list("status", flat=True))


@pytest.fixture
def referrer() -> Member:
    fixed_rule(100, code="referrer", event_types=["referral"])
    return new_member()


def test_a_purchase_of_nothing_is_no_referral(referrer: Member) -> None:
    friend = friend_of(referrer)
    buy(friend, 0)

    night(TUESDAY)
    assert accounts(referrer) == {}

    buy(friend, 1, occurred_at=local(2026, 3, 11, 12))
    night(date(2026, 3, 11))
    assert accounts(referrer) == {"issued": 100, "available": 100}


def test_a_purchase_refunded_in_full_is_no_referral_and_one_refunded_in_part_is(referrer: Member) -> None:
    nothing, something = referrer, new_member()
    for member, amounts in ((nothing, (600, 400)), (something, (600, 399))):
        bought = buy(friend_of(member), 10)
        for amount in amounts:
            give_back(bought, amount)

    steps = {report.name: report.counts for report in night(TUESDAY)}

    assert steps["referrals"] == {"referrals": 1}
    assert accounts(nothing) == {}
    assert accounts(something) == {"issued": 100, "available": 100}
    assert Event.objects.filter(type="referral").count() == 1


def test_both_sides_are_rewarded_as_the_rules_for_their_events_say(referrer: Member) -> None:
    fixed_rule(50, code="friend", event_types=["custom"], attributes_contain={"referral": True, "role": "friend"})
    friend = friend_of(referrer)
    buy(friend, 10)

    assert (convert(), convert()) == ({"referrals": 1}, {"referrals": 0})

    assert accounts(referrer) == {"issued": 100, "available": 100}
    assert accounts(friend) == {"issued": 50, "available": 50}
    told = Event.objects.exclude(type="purchase").values_list("type", "member_id", "attributes", "occurred_at")
    assert sorted(told) == [
        ("custom", friend.pk, {"referral": True, "role": "friend"}, AT),
        ("referral", referrer.pk, {"role": "referrer"}, AT),
    ]
    assert verdicts(referrer) == ["rewarded"]
    assert not reports.check_books()


def test_a_referral_that_was_paid_before_there_were_verdicts_is_not_paid_again(referrer: Member) -> None:
    friend = friend_of(referrer)
    bought = buy(friend, 10)
    earlier = event(referrer, reference=f"friend-{friend.number}", type="referral", occurred_at=bought.occurred_at)
    take(earlier, source=referring.SOURCE)

    convert()

    assert accounts(referrer) == {"issued": 100, "available": 100}
    assert verdicts(referrer) == ["rewarded"]


# ---- the terms ----


def test_a_programme_may_ask_for_a_larger_purchase_within_some_days(referrer: Member) -> None:
    programme(amount_from_minor=10_000, currency="CNY", within_days=30)
    small, late, dollars, right = (friend_of(referrer, at=AT) for _ in range(4))
    buy(small, "99.99")
    buy(late, 100, occurred_at=AT + timedelta(days=30))
    buy(dollars, 100, currency="USD")
    buy(right, 5)
    buy(right, 100, occurred_at=AT + timedelta(days=29))

    assert convert(AT + timedelta(days=31)) == {"referrals": 1}

    (rewarded,) = Referral.objects.all()
    assert (rewarded.friend, rewarded.happened_at) == (right, AT + timedelta(days=29))


@pytest.mark.parametrize(
    ("condition", "types", "expected"),
    [
        ("enrolment", [], 1),
        ("attendance", ["purchase", "sign_in"], 0),
        ("attendance", ["event_attendance"], 1),
        ("purchase", ["event_attendance"], 0),
    ],
)
def test_a_programme_may_ask_for_joining_or_for_taking_part(
    referrer: Member, condition: str, types: list[str], expected: int
) -> None:
    programme(converts_on=condition)
    friend = friend_of(referrer, at=AT)
    for type_ in types:
        take(event(friend, 10, type=type_))

    assert convert() == {"referrals": expected}
    assert accounts(referrer).get("issued", 0) == expected * 100


def test_what_a_friend_bought_before_the_day_of_joining_decides_nothing(referrer: Member) -> None:
    friend = friend_of(referrer, at=AT)
    buy(friend, 10, occurred_at=AT - timedelta(days=270))
    buy(friend, 10, occurred_at=local(2026, 3, 9, 23, 59, 59))

    assert convert() == {"referrals": 0}

    buy(friend, 10, occurred_at=local(2026, 3, 10))  # an hour of that day before he was taken in

    assert convert() == {"referrals": 1}
    assert Referral.objects.get().happened_at == local(2026, 3, 10)


@pytest.mark.parametrize(("paid", "returned", "expected"), [(None, [None], 0), (10, [None], 0), (10, [999], 1)])
def test_taking_part_in_an_event_counts_unless_it_was_cancelled(
    referrer: Member, paid: int | None, returned: list[int | None], expected: int
) -> None:
    programme(converts_on="attendance")
    friend = friend_of(referrer, at=AT)
    (result,) = take(event(friend, paid, type="event_attendance"))
    for amount in returned:
        give_back(kept(friend, result), amount)

    assert convert() == {"referrals": expected}


def test_a_programme_may_wait_until_a_purchase_can_no_longer_be_returned(referrer: Member) -> None:
    programme(wait_days=14)
    returned, stayed = friend_of(referrer, at=AT), friend_of(referrer, at=AT)
    first = buy(returned, 10)
    buy(stayed, 10, occurred_at=AT + timedelta(hours=1))
    later = AT + timedelta(days=14)

    assert convert(later - timedelta(seconds=1)) == {"referrals": 0}
    give_back(first)
    assert convert(later) == {"referrals": 0}
    assert convert(later + timedelta(hours=1)) == {"referrals": 1}

    assert Referral.objects.get().friend == stayed


def test_the_built_in_terms_hold_for_those_who_joined_before_the_first_programme(referrer: Member) -> None:
    early, late = friend_of(referrer, at=AT - timedelta(days=10)), friend_of(referrer, at=AT)
    programme(valid_from=AT, amount_from_minor=10_000)
    for friend in (early, late):
        buy(friend, 10)

    assert convert() == {"referrals": 1}
    assert Referral.objects.get().friend == early
    told = [reports.invitations(member=referrer, newest=1, at=at).terms for at in (AT - timedelta(days=1), AT)]
    assert [terms and terms.amount_from_minor for terms in told] == [1, 10_000]


def test_the_terms_are_those_of_the_day_the_friend_joined(referrer: Member) -> None:
    programme(converts_on="enrolment", valid_until=AT)
    before, after = friend_of(referrer, at=AT - timedelta(days=1)), friend_of(referrer, at=AT)
    for friend in (before, after):
        buy(friend, 10)

    assert convert() == {"referrals": 1}
    assert Referral.objects.get().friend == before


def test_of_one_referrer_no_more_friends_are_rewarded_in_a_period_than_the_programme_allows(referrer: Member) -> None:
    programme(cap=2, cap_period="month")
    for days in (0, 1, 2, 22):  # three in March, one in April
        buy(friend_of(referrer), 10, occurred_at=AT + timedelta(days=days))

    later = AT + timedelta(days=40)
    first = referring.convert_referrals(actor=TESTER, at=later, limit=1)
    again = convert(later)

    assert (first, again) == ({"referrals": 3, "capped": 1}, {"referrals": 0})
    assert verdicts(referrer) == ["rewarded", "rewarded", "capped", "rewarded"]
    assert accounts(referrer)["issued"] == 300


def test_an_invitation_for_which_the_rules_give_nothing_is_not_called_rewarded() -> None:
    fixed_rule(100, event_types=["referral"], cap_day=100)
    programme(cap=2, cap_period="month")
    referrer = new_member()
    for hours in (0, 1, 2, 48):  # three on one day, one on another
        buy(friend_of(referrer), 10, occurred_at=AT + timedelta(hours=hours))

    found = convert(AT + timedelta(days=3))

    assert found == {"referrals": 2, "unpaid": 2}
    assert verdicts(referrer) == ["rewarded", "unpaid", "unpaid", "rewarded"]
    assert accounts(referrer)["issued"] == 200
    buy(friend_of(referrer), 10, occurred_at=AT + timedelta(days=4))
    assert convert(AT + timedelta(days=5)) == {"referrals": 0, "capped": 1}


def test_neither_a_suspended_referrer_nor_a_suspended_friend_converts(referrer: Member) -> None:
    idle, friend = friend_of(referrer), new_member()
    other = friend_of(friend)
    for member in (idle, other):
        buy(member, 10)
    Member.objects.filter(pk__in=[idle.pk, friend.pk]).update(status="suspended")

    assert convert() == {"referrals": 0}
    assert not Referral.objects.exists()


def test_any_number_of_friends_is_gone_through_a_chunk_at_a_time(referrer: Member) -> None:
    for _ in range(5):
        buy(friend_of(referrer), 1)

    assert referring.convert_referrals(actor=TESTER, at=AT, limit=2) == {"referrals": 5}


def test_a_referral_that_fails_stops_neither_the_others_nor_the_night(
    referrer: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    friends = [friend_of(referrer) for _ in range(3)]
    for friend in friends:
        buy(friend, 10)
    sound = suspecting.evidence

    def fail(suspects: list[suspecting.Suspect]) -> dict[int, list[suspecting.Evidence]]:
        if friends[1].pk in [one.friend_id for one in suspects]:
            raise ValueError("his telephone is no number")
        return sound(suspects)

    monkeypatch.setattr(suspecting, "evidence", fail)
    steps = {report.name: report.counts for report in night(TUESDAY)}

    assert steps["referrals"] == {"referrals": 2, "failed": 1}
    assert "check_books" in steps
    assert sorted(Referral.objects.values_list("friend", flat=True)) == [friends[0].pk, friends[2].pk]
    monkeypatch.undo()
    assert convert() == {"referrals": 1}


def test_those_who_joined_lately_can_be_asked_for_alone(referrer: Member) -> None:
    programme(converts_on="enrolment")
    friend_of(referrer, at=AT - timedelta(days=3))
    friend_of(referrer, at=AT)

    found = referring.convert_referrals(actor=TESTER, at=AT, joined_since=AT - timedelta(days=2))

    assert found == {"referrals": 1}


def test_how_invitations_stand_is_told_without_naming_the_friend(referrer: Member) -> None:
    friend_of(referrer, at=AT - timedelta(days=1))
    buy(friend_of(referrer, at=AT), 10)
    convert()

    found = reports.invitations(member=referrer, newest=10, at=AT)

    assert (found.joined, found.rewarded) == (2, 1)
    assert [one.status for one in found.newest] == ["rewarded", ""]
    assert reports.invitations(member=new_member(), newest=10, at=AT).newest == []


@pytest.mark.parametrize(
    ("terms", "days", "expected"),
    [
        ({}, 1_000, ""),
        ({"within_days": 30}, 29, ""),
        ({"within_days": 30}, 31, "missed"),
        ({"within_days": 30, "wait_days": 14}, 44, ""),
        ({"within_days": 30, "wait_days": 14}, 45, "missed"),
        ({"valid_until": AT}, 0, "missed"),
        ({"valid_from": AT + timedelta(days=1)}, 1_000, ""),
    ],
)
def test_an_invitation_is_open_as_long_as_a_friend_can_meet_the_condition(
    referrer: Member, terms: dict[str, Any], days: int, expected: str
) -> None:
    programme(**terms)
    friend_of(referrer, at=AT)

    found = reports.invitations(member=referrer, newest=10, at=AT + timedelta(days=days))

    assert [one.status for one in found.newest] == [expected]


def test_those_who_join_are_looked_at_every_few_minutes(referrer: Member, settings: Settings) -> None:
    programme(converts_on="enrolment")
    now = timezone.now()
    friend_of(referrer, at=now - timedelta(hours=1))
    friend_of(referrer, at=now - timedelta(days=3))

    assert tasks.convert_referrals() == {"referrals": 1}
    assert tasks.convert_referrals() == {"referrals": 0}

    beat = settings.CELERY_BEAT_SCHEDULE["convert_referrals"]
    assert beat["task"] == tasks.convert_referrals.name
