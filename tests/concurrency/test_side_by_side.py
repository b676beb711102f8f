"""Batches, nights and single writes side by side: nobody waits for ever, and the books are those of some order."""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from threading import Event as Signal
from threading import Thread
from time import sleep
from typing import Any

import pytest
from django.db import connection, transaction

from members.models import Member
from points import reports
from points.actions import adjusting, holding, refunding, spending
from points.actions.awarding import EventResult
from points.explanations import explain
from points.models import DailyStatistic, Entry, Event, Hold, JobRun
from tests.members.factories import base_tier
from tests.points.factories import (
    AT,
    SOURCE,
    TESTER,
    PointTypeFactory,
    RuleFactory,
    accounts,
    balance,
    buy,
    event,
    expiring_lot,
    give,
    growth,
    multiplier,
    new_member,
    new_reference,
    night,
    take,
)

from .racing import at_once, codes, winners


def wait_for_a_waiting_writer() -> None:
    """Until somebody on this database waits for another transaction to end."""
    for _ in range(1_000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event IN ('transactionid', 'tuple')"
            )
            if cursor.fetchone()[0]:
                return
        sleep(0.01)
    raise AssertionError("nobody waits")


pytestmark = pytest.mark.django_db(transaction=True)


def test_overlapping_batches_in_opposite_order_do_not_deadlock_and_count_each_event_once() -> None:
    RuleFactory.create(code="base", cap_day=10_000)
    RuleFactory.create(code="scarce", budget=100_000, is_base=False)
    members = [new_member() for _ in range(8)]
    events = [event(members[n % 8], n % 13 + 1) for n in range(240)]

    results = at_once(
        [
            lambda: take(events),
            lambda: take(events[::-1]),
            lambda: take(events[120:]),
            lambda: take(events[:120][::-1]),
        ]
    )

    answers: list[EventResult] = [one for batch in winners(results) for one in batch]
    assert len(answers) == 720
    by_status = {status: sum(one.status == status for one in answers) for status in ("accepted", "replayed")}
    assert by_status == {"accepted": 240, "replayed": 480}
    for place, member in enumerate(members):
        assert balance(member).available == 2 * sum(n % 13 + 1 for n in range(240) if n % 8 == place)
    assert not reports.check_books()


def test_refunds_and_awards_that_share_budgets_do_not_deadlock() -> None:
    RuleFactory.create(code="a", budget=10**6)
    RuleFactory.create(code="b", budget=10**6, is_base=False)
    multiplier("2", code="c", budget=10**6)
    members = [new_member() for _ in range(4)]
    bought = [[buy(member, 10) for _ in range(6)] for member in members]

    def refund_all(purchases: list[Event]) -> None:
        for one in purchases:
            refunding.refund(event=one, source=SOURCE, reference=f"b-{one.pk}", occurred_at=AT, actor=TESTER, at=AT)

    def buy_some(member: Member) -> None:
        for _ in range(6):
            take(event(member, 10))

    works: list[Callable[[], None]] = [lambda one=one: refund_all(one) for one in bought]  # type: ignore[misc]
    works += [lambda one=one: buy_some(one) for one in members]  # type: ignore[misc]
    results = at_once(works)

    assert codes(results) == []
    assert [balance(one).available for one in members] == [180] * 4
    assert not reports.check_books()


def test_one_night_twice_at_once_is_one_night() -> None:
    members = [new_member() for _ in range(40)]
    for member in members:
        give(member, 5)
        expiring_lot(member, 10, date(2026, 3, 10))
    holding.hold(member=members[0], points=3, source=SOURCE, reference="h", actor=TESTER, at=AT)

    at_once([lambda: night(date(2026, 3, 10))] * 3)

    assert Entry.objects.filter(kind="expiry").count() == 40
    assert {str(accounts(one)) for one in members} == {"{'available': 5, 'issued': 15, 'expired': 10}"}
    assert JobRun.objects.get().state == "done"
    told = DailyStatistic.objects.filter(day=date(2026, 3, 10), kind="accrual")
    assert [(one.entries, one.points) for one in told] == [(40, 400)]
    assert not reports.check_books()


def test_the_night_and_the_day_side_by_side() -> None:
    """Spending what is about to expire while the night takes it: one of them gets each point."""
    members = [new_member() for _ in range(12)]
    for member in members:
        expiring_lot(member, 10, date(2026, 3, 10))

    def spend_all() -> list[bool]:
        done = []
        for member in members:
            try:
                spending.spend(member=member, points=10, source=SOURCE, reference="s", actor=TESTER, at=AT)
                done.append(True)
            except spending.InsufficientPoints:
                done.append(False)
        return done

    spent, _closed = at_once([spend_all, lambda: [bool(night(date(2026, 3, 10)))]])

    assert isinstance(spent, list)
    for member, was_spent in zip(members, spent, strict=True):
        assert accounts(member) == {"issued": 10, "redeemed" if was_spent else "expired": 10}
    assert not reports.check_books()


def test_a_random_day_of_many_tills_leaves_the_books_in_order() -> None:
    RuleFactory.create(code="base", cap_day=400, budget=5_000)
    RuleFactory.create(code="later", pending_days=1, is_base=False)
    members = [new_member() for _ in range(3)]
    for member in members:
        give(member, 50)

    def till(seed: int) -> int:
        dice, refused = Random(seed), 0
        bought: list[Event] = []
        held: list[Hold] = []
        for _ in range(30):
            member = dice.choice(members)
            points = dice.randint(1, 30)
            common: dict[str, Any] = {
                "source": f"till-{seed}",
                "reference": new_reference(f"t{seed}"),
                "actor": TESTER,
                "at": AT,
            }
            try:
                match dice.randrange(6):
                    case 0 | 1:
                        batch = [event(dice.choice(members), dice.randint(1, 40)) for _ in range(dice.randint(1, 20))]
                        ids = [result.event_id or 0 for result in take(batch, source=f"till-{seed}")]
                        bought += list(Event.objects.filter(id__in=ids))
                    case 2:
                        spending.spend(member=member, points=points, **common)
                    case 3:
                        held.append(holding.hold(member=member, points=points, **common).hold)
                    case 4 if held:
                        if dice.random() < 0.5:
                            holding.capture(hold=held.pop(), **common)
                        else:
                            holding.void(hold=held.pop(), **common)
                    case 5 if bought:
                        refunding.refund(event=bought.pop(), occurred_at=AT, **common)
                    case _:
                        adjusting.adjust(member=member, points=points, credit=False, reason="r", **common)
            except spending.InsufficientPoints:
                refused += 1
        return refused

    results = at_once([lambda seed=seed: till(seed) for seed in range(4)])  # type: ignore[misc]

    assert codes(results) == []
    assert not reports.check_books()
    assert all(line.total == 0 for line in reports.trial_balance())


def test_a_member_who_closes_while_a_batch_waits_spoils_nobody_elses_events() -> None:
    RuleFactory.create()
    leaving, staying = new_member(), new_member()
    batch = [event(staying, 10), event(leaving, 10)]
    results: list[EventResult] = []

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM points_balance WHERE member_id = %s FOR UPDATE", [leaving.pk])
        thread = Thread(target=lambda: results.extend(*winners(at_once([lambda: take(batch)]))))
        thread.start()
        wait_for_a_waiting_writer()
        Member.objects.filter(pk=leaving.pk).update(status="closed")
    thread.join(20)

    assert [(one.status, one.code) for one in results] == [("accepted", None), ("rejected", "member_not_active")]
    assert (balance(staying).available, balance(leaving).available) == (10, 0)
    assert Event.objects.count() == 1


def test_a_member_enrolled_while_a_point_type_is_made_has_a_balance_of_it() -> None:
    """Neither sees the other before it commits: without a lock the member could never be awarded such points."""
    PointTypeFactory.create()
    base_tier()
    made: list[object] = []

    with transaction.atomic():
        member = new_member()
        thread = Thread(target=lambda: made.extend(at_once([growth])))
        thread.start()
        thread.join(1)
    thread.join(20)

    assert len(made) == 1
    assert accounts(member, "growth") == {}
    RuleFactory.create(point_type=growth())
    assert take(event(member, 10))[0].points == {"growth": 10}


def test_an_event_that_waited_for_its_reference_is_explained_as_it_was_awarded() -> None:
    RuleFactory.create(cap_lifetime=100)
    member = new_member()
    slow, fast = event(member, 70), event(member, 80)

    with transaction.atomic():
        with connection.cursor() as cursor:  # somebody takes the slow one's reference and thinks again
            cursor.execute(
                "SELECT points_claim(%s, 'event', %s, %s, %s, 0)", [SOURCE, slow.reference, member.pk, b"another"]
            )

        def rival() -> EventResult:
            wait_for_a_waiting_writer()
            (result,) = take(fast, at=AT + timedelta(seconds=1))
            release.set()
            return result

        release = Signal()
        results: list[object] = []
        thread = Thread(target=lambda: results.extend(at_once([lambda: take(slow)[0], rival])))
        thread.start()
        release.wait(20)
        transaction.set_rollback(True)
    thread.join(20)

    assert balance(member).available == 100
    for kept in Event.objects.all():
        given = sum(Entry.objects.of_event(kept).values_list("points", flat=True))
        assert sum(one.points for one in explain(event=kept)) == given


def test_a_day_closed_by_two_hands_with_work_between_is_the_same_day() -> None:
    member = new_member()
    expiring_lot(member, 10, date(2026, 3, 10))
    night(date(2026, 3, 10))
    give(member, 7, at=AT + timedelta(days=1))

    at_once([lambda: night(date(2026, 3, 10)), lambda: night(date(2026, 3, 11))])

    assert accounts(member) == {"issued": 17, "available": 7, "expired": 10}
    assert sorted(JobRun.objects.values_list("state", flat=True)) == ["done", "done"]


def test_a_balance_and_what_expires_of_it_are_of_one_moment() -> None:
    member = new_member()
    expiring_lot(member, 100, date(2026, 3, 31))
    spent: list[object] = []

    def spend() -> object:
        return spending.spend(member=member, points=60, source=SOURCE, reference="s", actor=TESTER, at=AT)

    def somebody_spends_after_the_first(execute: Callable[..., Any], *statement: Any) -> Any:
        answer = execute(*statement)
        if not spent:
            spent.extend(winners(at_once([spend])))
        return answer

    with connection.execute_wrapper(somebody_spends_after_the_first):
        (told,) = reports.balances(member=member, at=AT)

    assert (len(spent), balance(member).available) == (1, 40)
    assert [one.points for one in told.expiring] == [told.available]
