"""What one bad row, a day left out or a late booking may not do to the nights after it."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from members.models import Member
from points import batches, closing
from points.actions import holding
from points.models import DailyStatistic, Hold, JobRun, MemberMonth

from .factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    accounts,
    buy,
    event,
    expiring_lot,
    give,
    local,
    new_member,
    night,
    take,
)

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 3, 10)


def test_a_hold_that_cannot_be_voided_stops_neither_the_others_nor_the_night() -> None:
    member, other = new_member(), new_member()
    give(member, 10)
    give(other, 10)
    expiring_lot(other, 5, TUESDAY)
    stuck = _hold(member, 10, "a")
    _hold(other, 10, "b")
    passing = _hold(other, 5, "c")
    # Somebody took the reference that the night would use.
    holding.void(hold=passing, source="close", reference=f"hold-{stuck.pk}", actor=TESTER, at=AT)

    steps = {report.name: report.counts for report in night(TUESDAY)}

    assert steps["void_stale_holds"] == {"holds": 1, "failed": 1}
    assert steps["check_books"]["stale_holds"] == 1
    assert accounts(member) == {"issued": 10, "held": 10}
    assert accounts(other) == {"issued": 15, "available": 10, "expired": 5}
    assert JobRun.objects.get().state == "done"


def _hold(member: Member, points: int, reference: str) -> Hold:
    return holding.hold(member=member, points=points, source=SOURCE, reference=reference, actor=TESTER, at=AT).hold


# ---- days ----


def test_days_left_out_between_closed_ones_are_closed_too() -> None:
    for day in (7, 11):
        night(date(2026, 3, day))

    closed = closing.close_due(at=local(2026, 3, 13, 2))

    assert closed == [date(2026, 3, day) for day in (8, 9, 10, 12)]
    assert closing.close_due(at=local(2026, 3, 13, 3)) == []


def test_a_first_night_that_failed_is_taken_up_again() -> None:
    JobRun.objects.create(job="close", business_date=date(2026, 3, 9), state="failed", started_at=AT)

    assert closing.close_due(at=local(2026, 3, 11, 2)) == [date(2026, 3, 9), TUESDAY]


def test_no_more_than_a_year_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    JobRun.objects.create(job="close", business_date=date(2020, 1, 1), state="done", started_at=AT, finished_at=AT)
    days: list[date] = []
    monkeypatch.setattr(closing, "close", lambda *, business_date, at, progress: days.append(business_date))

    closing.close_due(at=local(2026, 3, 11, 2))

    assert (days[0], days[-1], len(days)) == (TUESDAY - timedelta(days=365), TUESDAY, 366)


def test_a_booking_into_a_closed_day_is_counted_by_the_next_night() -> None:
    RuleFactory.create()
    member = new_member()
    buy(member, 10)
    night(TUESDAY)
    night(date(2026, 3, 11))
    take(event(member, 20), at=local(2026, 3, 10, 23, 59))

    (rolled,) = [report.counts for report in night(date(2026, 3, 12)) if report.name == "roll_up"]

    assert rolled["earlier_days"] == 1
    assert [(row.entries, row.points) for row in DailyStatistic.objects.filter(day=TUESDAY)] == [(2, 30)]
    assert MemberMonth.objects.get(member=member).amount_minor == 3_000
    assert batches.roll_up_earlier(business_date=date(2026, 3, 12)) == {"earlier_days": 0}


def test_only_the_last_seven_closed_days_are_looked_at_again() -> None:
    RuleFactory.create()
    member = new_member()
    for day in range(1, 10):
        night(date(2026, 3, day))
    for day in (1, 3, 9):
        moment = local(2026, 3, day, 12)
        take(event(member, 20, occurred_at=moment), at=moment)

    night(TUESDAY)

    assert set(DailyStatistic.objects.values_list("day", flat=True)) == {date(2026, 3, 3), date(2026, 3, 9)}


# ---- what a night writes down ----


def test_two_runs_of_a_night_note_the_larger_count_whichever_comes_last() -> None:
    run = JobRun.objects.create(job="close", business_date=TUESDAY, started_at=AT)
    other = JobRun.objects.get()

    with CaptureQueriesContext(connection) as queries:
        closing._note(run, "expire", {"points": 5}, AT)
    assert any("FOR UPDATE" in query["sql"] for query in queries)
    closing._note(other, "mature", {"points": 7}, AT)
    closing._note(run, "expire", {"points": 0}, AT)

    assert JobRun.objects.get().counts == {"expire": {"points": 5}, "mature": {"points": 7}}
