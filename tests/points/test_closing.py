"""What one bad row, a day left out or a late booking may not do to the nights after it."""

from datetime import date, timedelta

import pytest
from django.core.management import CommandError, call_command
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
    history,
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


# ---- days that cannot be closed ----


def test_one_broken_chain_holds_up_nobody_elses_points_and_is_told_every_night() -> None:
    victim, other = new_member(), new_member()
    RuleFactory.create(pending_days=3, channels=["shop"])
    give(victim, 100)
    buy(other, 100, channel="shop")
    expiring_lot(other, 5, date(2026, 3, 12))
    _tamper(f"UPDATE points_entry SET reason = 'forged' WHERE member_id = {victim.pk}")

    for day in range(11, 16):
        with pytest.raises(closing.BooksBroken, match=rf"2026-03-10: chain_broken: member {victim.pk}"):
            closing.close_due(at=local(2026, 3, day, 2))

    assert dict(JobRun.objects.values_list("business_date", "state")) == {
        TUESDAY: "failed",
        **{date(2026, 3, day): "done" for day in range(11, 15)},
    }
    assert "chain_broken" in JobRun.objects.get(business_date=TUESDAY).error
    assert accounts(other) == {"issued": 105, "available": 100, "expired": 5}
    assert [kind for kind, *_rest in history(other)] == ["accrual", "accrual", "maturity", "expiry"]


def test_a_day_whose_books_agree_again_is_closed_without_its_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    member = new_member()
    expiring_lot(member, 5, TUESDAY)
    _tamper("UPDATE points_entry SET reason = 'forged' WHERE seq = 1")
    with pytest.raises(closing.BooksBroken):
        closing.close_due(at=local(2026, 3, 11, 2))
    counts = JobRun.objects.get().counts
    _tamper("UPDATE points_entry SET reason = '' WHERE seq = 1")
    monkeypatch.setattr(batches, "expire", None)

    assert closing.close_due(at=local(2026, 3, 11, 3)) == [TUESDAY]

    run = JobRun.objects.get()
    assert (run.state, run.error) == ("done", "")
    assert run.counts == counts | {"check_books": {"members": 1, "breaks": 0, "stale_holds": 0}}
    assert accounts(member) == {"issued": 5, "expired": 5}


def test_a_day_that_broke_off_before_its_check_is_taken_whole_and_stops_the_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    member = new_member()
    expiring_lot(member, 5, TUESDAY)
    night(date(2026, 3, 9))
    with monkeypatch.context() as patch:
        patch.setattr(batches, "expire", None)
        with pytest.raises(TypeError):
            closing.close_due(at=local(2026, 3, 12, 2))
    assert JobRun.objects.get(business_date=TUESDAY).state == "failed"

    assert closing.close_due(at=local(2026, 3, 12, 3)) == [TUESDAY, date(2026, 3, 11)]
    assert accounts(member) == {"issued": 5, "expired": 5}


def test_a_late_booking_into_a_day_of_broken_books_is_counted() -> None:
    RuleFactory.create()
    member = new_member()
    buy(member, 10)
    _tamper("UPDATE points_entry SET reason = 'forged'")
    with pytest.raises(closing.BooksBroken):
        closing.close_due(at=local(2026, 3, 11, 2))
    take(event(member, 20), at=local(2026, 3, 10, 23, 59))

    night(date(2026, 3, 11))

    assert [(row.entries, row.points) for row in DailyStatistic.objects.filter(day=TUESDAY)] == [(2, 30)]


def _tamper(statement: str) -> None:
    """Change the books as a superuser can who turns the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = origin")


@pytest.mark.parametrize("day", [date.min, date(1989, 12, 31)])
def test_a_day_before_any_event_can_be_is_refused_and_leaves_no_run(day: date) -> None:
    buy(new_member(), 10)

    with pytest.raises(closing.DayBeforeProgramme, match="1990-01-01"):
        closing.close(business_date=day, at=local(2026, 3, 12, 2))

    assert not JobRun.objects.exists()
    assert closing.close_due(at=local(2026, 3, 12, 2)) == [date(2026, 3, 11)]


def test_a_day_before_the_first_booking_is_closed_by_whoever_asks_for_it() -> None:
    buy(new_member(), 10)

    assert night(date(2026, 3, 9), at=local(2026, 3, 12, 2))


def test_the_command_says_why_it_does_not_close_a_day() -> None:
    with pytest.raises(
        CommandError, match=r"Nothing was booked before .+: 1989-12-31 has nothing to close\."
    ) as refused:
        call_command("close", "--date", "1989-12-31")

    assert refused.value.returncode == 1
    assert not JobRun.objects.exists()


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
