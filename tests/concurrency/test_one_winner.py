"""Real connections that commit: of those who want the last of something exactly one gets it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from config.lib.actor import Actor
from members.models import Member
from points import batches, reports
from points.actions import adjusting, awarding, holding, referring, refunding, spending
from points.models import Entry, Event, Hold, HoldStatus, Referral, ReferralProgramme
from tests.points.factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    accounts,
    balance,
    buy,
    event,
    fixed_rule,
    give,
    new_member,
    take,
)

from .racing import at_once, codes, winners

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 6


def spend(member: Member, points: int, reference: str) -> spending.Posted:
    return spending.spend(member=member, points=points, source=SOURCE, reference=reference, actor=TESTER, at=AT)


def test_the_last_point_goes_to_one() -> None:
    member = new_member()
    for round_ in range(3):
        give(member, 1)

        results = at_once([lambda n=n, r=round_: spend(member, 1, f"s-{r}-{n}") for n in range(MANY)])  # type: ignore[misc]

        assert len(winners(results)) == 1
        assert codes(results) == ["insufficient_points"] * (MANY - 1)
        assert balance(member).available == 0
    assert not reports.check_books()


def test_many_small_spends_never_take_more_than_there_is() -> None:
    member = new_member()
    give(member, 10)
    give(member, 10)

    results = at_once([lambda n=n: spend(member, 7, f"s-{n}") for n in range(MANY)])  # type: ignore[misc]

    assert len(winners(results)) == 2
    assert accounts(member) == {"issued": 20, "available": 6, "redeemed": 14}
    assert not reports.check_books()


def test_one_event_sent_many_times_at_once_counts_once() -> None:
    RuleFactory.create()
    member = new_member()
    incoming = event(member, 10)

    (results) = at_once([lambda: take(incoming)[0]] * MANY)

    answers = winners(results)
    assert sorted(one.status for one in answers) == ["accepted"] + ["replayed"] * (MANY - 1)
    assert len({one.event_id for one in answers}) == 1
    assert all(one.points == {"points": 10} for one in answers)
    assert balance(member).available == 10


def test_one_reference_with_many_contents_goes_to_one() -> None:
    RuleFactory.create()
    members = [new_member() for _ in range(MANY)]
    incoming = event(members[0], 10)

    results = at_once(
        [lambda one=one: take(replace(incoming, member_id=one.pk))[0] for one in members]  # type: ignore[misc]
    )

    answers = winners(results)
    assert sorted(one.status for one in answers) == ["accepted"] + ["rejected"] * (MANY - 1)
    assert {one.code for one in answers if one.status == "rejected"} == {"reference_conflict"}
    assert sum(balance(one).available for one in members) == 10


def _spend(member: Member, bought: Event) -> object:
    return spend(member, 10, "x").entry_id


def _hold(member: Member, bought: Event) -> object:
    return holding.hold(member=member, points=10, source=SOURCE, reference="x", actor=TESTER, at=AT).hold.pk


def _adjust(member: Member, bought: Event) -> object:
    return adjusting.adjust(
        member=member, points=10, credit=False, reason="r", reference="x", actor=TESTER, at=AT
    ).entry_id


def _refund(member: Member, bought: Event) -> object:
    return refunding.refund(
        event=bought, amount_minor=1_000, source=SOURCE, reference="x", occurred_at=AT, actor=TESTER, at=AT
    ).event_id


@pytest.mark.parametrize("write", [_spend, _hold, _adjust, _refund])
def test_one_write_sent_many_times_at_once_is_done_once(write: Callable[[Member, Event], object]) -> None:
    RuleFactory.create()
    member = new_member()
    bought = buy(member, 100)

    results = at_once([lambda: write(member, bought)] * MANY)

    assert len(set(results)) == 1, results
    assert balance(member).available == 90
    assert Entry.objects.filter(member=member).count() == 2
    assert not reports.check_books()


def test_a_hold_is_captured_or_voided_or_timed_out_but_only_one_of_them() -> None:
    member = new_member()
    give(member, 300)
    for round_ in range(4):
        held = holding.hold(member=member, points=40, source=SOURCE, reference=f"h-{round_}", actor=TESTER, at=AT).hold
        given: dict[str, Any] = {"hold": held, "source": SOURCE, "actor": TESTER, "at": AT}
        late = AT + timedelta(hours=2)
        ways: list[Callable[[], object]] = [
            lambda: holding.capture(reference=f"c-{round_}", **given),  # noqa: B023
            lambda: holding.capture(reference=f"d-{round_}", points=15, **given),  # noqa: B023
            lambda: holding.void(reference=f"v-{round_}", **given),  # noqa: B023
            lambda: batches.void_stale_holds(at=late, actor=TESTER)["holds"] or held.pk,  # noqa: B023
        ]

        results = at_once(ways)

        held = Hold.objects.get(pk=held.pk)
        captured = [one for one in results if isinstance(one, holding.Held)]
        assert codes(results).count("hold_closed") == 3 - len(captured)
        assert len(captured) + (held.status == HoldStatus.EXPIRED) == 1
        assert held.status != HoldStatus.HELD
        assert not reports.check_books()
    assert balance(member).held == 0


def test_two_refunds_at_once_take_back_no_more_than_was_bought() -> None:
    RuleFactory.create()
    member = new_member()
    bought = buy(member, 100)

    results = at_once(
        [
            lambda n=n: refunding.refund(  # type: ignore[misc]
                event=bought,
                amount_minor=4_000,
                source=SOURCE,
                reference=f"b-{n}",
                occurred_at=AT,
                actor=TESTER,
                at=AT,
            )
            for n in range(MANY)
        ]
    )

    assert len(winners(results)) == 2
    assert codes(results) == ["refund_exceeds_event"] * (MANY - 2)
    assert accounts(member) == {"issued": 20, "available": 20}


def test_a_refund_and_spends_at_once_end_in_debt_or_in_a_refusal_but_never_below_nought() -> None:
    RuleFactory.create()
    members = [new_member() for _ in range(4)]
    bought = [buy(member, 100) for member in members]

    works: list[Callable[[], object]] = []
    for member, purchase in zip(members, bought, strict=True):
        works += [
            lambda m=member: spend(m, 80, "s"),  # type: ignore[misc]
            lambda p=purchase, m=member: refunding.refund(  # type: ignore[misc]
                event=p, source=SOURCE, reference=f"b-{m.pk}", occurred_at=AT, actor=TESTER, at=AT
            ),
        ]
    at_once(works)

    for member in members:
        assert accounts(member) in ({}, {"owed": 80, "redeemed": 80})
    assert not reports.check_books()


def test_the_first_purchase_is_first_once() -> None:
    fixed_rule(50, first_ever=True)
    member = new_member()

    at_once([lambda n=n: take(event(member, n + 1)) for n in range(MANY)])  # type: ignore[misc]

    assert balance(member).available == 50
    assert Event.objects.filter(is_first=True).count() == 1


def test_caps_are_strict_in_the_race() -> None:
    rule = RuleFactory.create(cap_day=100)
    member = new_member()

    results = at_once([lambda n=n: take(event(member, 30 + n))[0] for n in range(MANY)])  # type: ignore[misc]

    assert balance(member).available == 100
    given = [one.points.get("points", 0) for one in winners(results)]
    assert sum(given) == 100
    assert awarding.preview(event=event(member, 10), at=AT)[0].limits["day"] == {"limit": 100, "used": 100}
    assert rule.pk


def test_budgets_are_strict_in_the_race_of_many_members() -> None:
    RuleFactory.create(code="one", budget=100)
    RuleFactory.create(code="two", budget=150)
    members = [new_member() for _ in range(MANY)]

    at_once(
        [
            lambda m=member: take([event(m, 20), event(m, 25)])  # type: ignore[misc]
            for member in members
        ]
    )

    by_rule = dict.fromkeys(("one", "two"), 0)
    for entry in Entry.objects.select_related("rule"):
        assert entry.rule is not None
        by_rule[entry.rule.code] += entry.points
    assert by_rule == {"one": 100, "two": 150}
    assert not reports.check_books()


def test_a_friend_is_one_referral_however_many_look_at_once() -> None:
    fixed_rule(100, event_types=["referral"])
    referrer = new_member()
    friends = [new_member(referral_code=referrer.referral_code) for _ in range(3)]
    for friend in friends:
        buy(friend, 10)

    def soon() -> dict[str, int]:
        referring.convert_soon(friends=[friend.pk for friend in friends], actor=TESTER, at=AT)
        return {}

    at_once([lambda: referring.convert_referrals(actor=TESTER, at=AT), soon] * 3)

    assert accounts(referrer) == {"issued": 300, "available": 300}
    assert Referral.objects.filter(member=referrer, status="rewarded").count() == 3
    assert not reports.check_books()


def test_the_last_place_under_a_limit_goes_to_one_friend() -> None:
    fixed_rule(100, event_types=["referral"])
    ReferralProgramme.objects.create(name="One", valid_from=AT - timedelta(days=365 * 9), cap=1)
    referrer = new_member()
    friends = [new_member(referral_code=referrer.referral_code) for _ in range(MANY)]
    for friend in friends:
        buy(friend, 10)

    at_once(
        [
            lambda n=friend.pk: referring.convert_soon(friends=[n], actor=TESTER, at=AT)  # type: ignore[misc]
            for friend in friends
        ]
    )

    verdicts = Referral.objects.filter(member=referrer).values_list("status", flat=True)
    assert sorted(verdicts) == ["capped"] * (MANY - 1) + ["rewarded"]
    assert accounts(referrer) == {"issued": 100, "available": 100}


def test_a_referral_in_quarantine_is_released_or_rejected_by_one_person() -> None:
    fixed_rule(100, event_types=["referral"])
    referrer = new_member(attributes={"device": "d"})
    buy(new_member(referral_code=referrer.referral_code, attributes={"device": "d"}), 10)
    referring.convert_referrals(actor=TESTER, at=AT)
    held = Referral.objects.get()
    given: dict[str, Any] = {"referral": held, "reason": "seen", "at": AT}

    results = at_once(
        [lambda n=n: referring.release(actor=Actor(f"staff:{n}"), **given) for n in range(3)]
        + [lambda n=n: referring.reject(actor=Actor(f"staff:{n}"), **given) for n in range(3)]
    )

    (won,) = winners(results)
    assert codes(results) == ["referral_decided"] * 5
    assert accounts(referrer) == ({"issued": 100, "available": 100} if won.status == "released" else {})
