"""A referral is rewarded on both sides when the friend does what the programme asks, and once."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from members.models import Member
from points import reports, tasks
from points.actions import referring, refunding
from points.models import Event, Referral, ReferralProgramme

from .factories import AT, SOURCE, TESTER, accounts, buy, event, fixed_rule, local, new_member, night, take

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 3, 10)


def convert(at: datetime = AT) -> dict[str, int]:
    return referring.convert_referrals(actor=TESTER, at=at)


def programme(**terms: Any) -> ReferralProgramme:
    return ReferralProgramme.objects.create(**{"name": "Spring", "valid_from": local(2020, 1, 1)} | terms)


def friend_of(member: Member, **given: Any) -> Member:
    """Somebody who joined by a member's code."""
    return new_member(referral_code=member.referral_code, **given)


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
            refunding.refund(
                event=bought,
                source=SOURCE,
                reference=f"{member.pk}-{amount}",
                occurred_at=AT,
                actor=TESTER,
                at=AT,
                amount_minor=amount,
            )

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


def test_those_who_joined_lately_can_be_asked_for_alone(referrer: Member) -> None:
    programme(converts_on="enrolment")
    friend_of(referrer, at=AT - timedelta(days=3))
    friend_of(referrer, at=AT)

    found = referring.convert_referrals(actor=TESTER, at=AT, joined_since=AT - timedelta(days=2))

    assert found == {"referrals": 1}


def test_how_invitations_stand_is_told_without_naming_the_friend(referrer: Member) -> None:
    friend_of(referrer, at=AT)
    buy(friend_of(referrer, at=AT + timedelta(days=1)), 10)
    convert()

    found = reports.invitations(member=referrer, newest=10)

    assert (found.joined, found.rewarded) == (2, 1)
    assert [one.status for one in found.newest] == ["rewarded", ""]
    assert reports.invitations(member=new_member(), newest=10).newest == []


def test_those_who_join_are_looked_at_every_few_minutes(referrer: Member, settings: Settings) -> None:
    programme(converts_on="enrolment")
    now = timezone.now()
    friend_of(referrer, at=now - timedelta(hours=1))
    friend_of(referrer, at=now - timedelta(days=3))

    assert tasks.convert_referrals() == {"referrals": 1}
    assert tasks.convert_referrals() == {"referrals": 0}

    beat = settings.CELERY_BEAT_SCHEDULE["convert_referrals"]
    assert beat["task"] == tasks.convert_referrals.name
