"""The night of a business date: what is due matures, times out, expires and is counted, once."""

from datetime import date, timedelta

import pytest

from members.models import TierChange
from points import batches, closing, reports
from points.actions import holding, refunding, spending
from points.closing import DayNotOver
from points.models import DailyStatistic, Entry, Event, JobRun, MemberMonth
from tests.members.factories import TierFactory

from .factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    accounts,
    buy,
    event,
    expiring_lot,
    fixed_rule,
    give,
    growth,
    history,
    local,
    new_member,
    night,
    nothing_changes,
    take,
)

pytestmark = pytest.mark.django_db

TUESDAY = date(2026, 3, 10)


def test_the_steps_come_in_their_published_order_and_tell_what_they_did() -> None:
    fixed_rule(10, channels=["later"], pending_days=1)
    member = new_member()
    buy(member, 1, channel="later")
    expiring_lot(member, 20, TUESDAY)
    give(member, 5)
    holding.hold(member=member, points=25, source=SOURCE, reference="h", actor=TESTER, at=AT)

    steps = {report.name: report.counts for report in night(TUESDAY)}

    assert list(steps) == [
        "mature",
        "void_stale_holds",
        "expire",
        "referrals",
        "tiers",
        "roll_up",
        "check_books",
    ]
    assert steps["mature"] == {"members": 1, "points": 10}
    assert steps["void_stale_holds"] == {"holds": 1, "failed": 0}
    assert steps["expire"] == {"members": 1, "points": 20}
    assert [kind for kind, *_rest in history(member)[-3:]] == ["maturity", "release", "expiry"]
    assert accounts(member) == {"issued": 35, "available": 15, "expired": 20}


def test_a_day_is_closed_when_it_is_over_here() -> None:
    with nothing_changes(), pytest.raises(DayNotOver):
        night(TUESDAY, at=local(2026, 3, 10, 23, 59, 59))
    assert not JobRun.objects.exists()

    night(TUESDAY, at=local(2026, 3, 11))

    assert JobRun.objects.get().state == "done"


def test_a_night_closed_again_changes_nothing() -> None:
    member = new_member()
    buy(member, 30)
    expiring_lot(member, 20, TUESDAY)
    night(TUESDAY)
    told = list(DailyStatistic.objects.values().order_by("day", "kind"))
    counts = JobRun.objects.get().counts

    with nothing_changes():
        night(TUESDAY, at=local(2026, 3, 11, 9))

    again = list(DailyStatistic.objects.values().order_by("day", "kind"))
    assert [{**row, "id": 0} for row in again] == [{**row, "id": 0} for row in told]
    assert JobRun.objects.get().counts == counts


def test_one_entry_expires_all_lots_of_a_member_and_type_and_names_each() -> None:
    member, other = new_member(), new_member()
    for points, ends in ((5, date(2026, 3, 9)), (6, TUESDAY), (7, date(2026, 3, 11))):
        expiring_lot(member, points, ends)
    expiring_lot(other, 8, TUESDAY)
    spending.spend(member=member, points=7, source=SOURCE, reference="s", actor=TESTER, at=local(2026, 3, 9, 12))

    night(TUESDAY)

    (expiry,) = Entry.objects.filter(member=member, kind="expiry")
    assert expiry.points == 4
    assert [(one.points, one.expires_on) for one in reports.entry_lots([expiry])[expiry.pk]] == [(4, TUESDAY)]
    assert accounts(member) == {"issued": 18, "available": 7, "redeemed": 7, "expired": 4}
    assert accounts(other) == {"issued": 8, "expired": 8}
    assert expiry.occurred_at < local(2026, 3, 11) <= expiry.recorded_at


def test_what_falls_due_after_its_night_is_taken_by_the_next() -> None:
    member = new_member()
    expiring_lot(member, 10, TUESDAY)
    held = holding.hold(
        member=member, points=4, source=SOURCE, reference="h", actor=TESTER, at=AT, expires_in=timedelta(days=2)
    ).hold
    night(TUESDAY)
    assert accounts(member) == {"issued": 10, "held": 4, "expired": 6}

    holding.void(hold=held, source=SOURCE, reference="v", actor=TESTER, at=local(2026, 3, 11, 9))
    night(TUESDAY, at=local(2026, 3, 11, 10))
    assert accounts(member) == {"issued": 10, "available": 4, "expired": 6}
    night(date(2026, 3, 11))
    assert accounts(member) == {"issued": 10, "expired": 10}


def test_members_are_swept_in_chunks_and_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 3)
    members = [new_member() for _ in range(10)]
    for member in members:
        expiring_lot(member, 10, TUESDAY)
    seen: list[int] = []

    counts = batches.expire(business_date=TUESDAY, at=local(2026, 3, 11, 2), progress=seen.append)

    assert counts == {"members": 10, "points": 100}
    assert seen == [3, 3, 3, 1]
    assert {str(accounts(member)) for member in members} == {str({"issued": 10, "expired": 10})}


def test_days_left_open_are_closed_oldest_first() -> None:
    member = new_member()
    expiring_lot(member, 10, TUESDAY)
    night(date(2026, 3, 8))

    closed = closing.close_due(at=local(2026, 3, 12, 2))

    assert closed == [date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 11)]
    assert closing.close_due(at=local(2026, 3, 12, 3)) == []
    assert Entry.objects.get(kind="expiry").reference == "2026-03-10"


# ---- figures ----


def test_a_day_of_figures_is_the_entries_recorded_that_local_day() -> None:
    RuleFactory.create()
    member = new_member()
    take(event(member, 10, channel="app", occurred_at=local(2026, 3, 10, 0, 0, 0)), at=local(2026, 3, 10))
    take(event(member, 20, channel="app", occurred_at=local(2026, 2, 1)), at=local(2026, 3, 10, 23, 59, 59))
    take(event(member, 40, occurred_at=local(2026, 3, 10)), at=local(2026, 3, 11))
    spending.spend(member=member, points=5, source=SOURCE, reference="s", actor=TESTER, at=AT)

    night(TUESDAY)

    rows = DailyStatistic.objects.filter(day=TUESDAY).order_by("kind", "channel")
    assert [(row.kind, row.channel, row.tier, row.entries, row.points) for row in rows] == [
        ("accrual", "app", "base", 2, 30),
        ("redemption", "", "", 1, 5),
    ]
    assert sum(row.points for row in rows if row.kind == "accrual") == sum(
        Entry.objects.filter(kind="accrual", recorded_at__lt=local(2026, 3, 11)).values_list("points", flat=True)
    )


def test_a_members_month_is_what_was_spent_less_what_came_back_by_category() -> None:
    RuleFactory.create()
    member = new_member()
    items = [
        {"sku": "1", "category": "FOOD", "quantity": 1, "amount_minor": 6_000},
        {"sku": "2", "category": "TOYS", "quantity": 1, "amount_minor": 4_000},
    ]
    bought = buy(member, 100, items=items)
    buy(member, 50, occurred_at=local(2026, 2, 28, 23, 59, 59))
    refunding.refund(
        event=bought,
        source=SOURCE,
        reference="r",
        occurred_at=AT,
        actor=TESTER,
        at=AT,
        items=[{"sku": "2", "category": "TOYS", "amount_minor": 1_000}],
    )
    spending.spend(member=member, points=30, source=SOURCE, reference="s", actor=TESTER, at=AT)

    night(TUESDAY)

    months = {(row.month, row.category): row for row in MemberMonth.objects.filter(member=member)}
    march, february = date(2026, 3, 1), date(2026, 2, 1)
    assert {key: row.amount_minor for key, row in months.items()} == {
        (march, ""): 9_000,
        (march, "FOOD"): 6_000,
        (march, "TOYS"): 3_000,
        (february, ""): 5_000,
    }
    assert (months[march, ""].earned, months[march, ""].redeemed, months[march, ""].events) == (90, 30, 1)
    assert (months[february, ""].earned, months[february, ""].events) == (50, 1)


def test_growth_lifts_a_member_and_the_next_event_knows_the_new_tier() -> None:
    RuleFactory.create(point_type=growth())
    fixed_rule(7, tiers=["gold"])
    member = new_member()
    TierFactory.create(code="gold", rank=1, threshold=100)
    buy(member, 100)
    assert accounts(member) == {}

    night(TUESDAY)
    buy(member, 1, occurred_at=local(2026, 3, 11, 12), recorded_at=local(2026, 3, 11, 12))

    member.refresh_from_db()
    assert member.tier.code == "gold"
    assert accounts(member) == {"issued": 7, "available": 7}
    change = TierChange.objects.get(member=member, tier__code="gold")
    assert (change.since, change.actor) == (local(2026, 3, 11, 2), "system:close")


def test_a_bill_told_after_the_night_is_judged_by_the_tier_before_it() -> None:
    RuleFactory.create(point_type=growth())
    fixed_rule(7, tiers=["gold"])
    member = new_member()
    TierFactory.create(code="gold", rank=1, threshold=100)
    buy(member, 100)
    night(TUESDAY)

    buy(member, 1, occurred_at=AT, recorded_at=local(2026, 3, 12, 12))

    assert accounts(member) == {}
    assert Event.objects.get(member=member, amount_minor=100).tier == "base"


def test_the_night_again_writes_no_second_change() -> None:
    RuleFactory.create(point_type=growth())
    TierFactory.create(code="gold", rank=1, threshold=100)
    member = new_member()
    buy(member, 100)
    for _again in range(2):
        night(TUESDAY)

    codes = TierChange.objects.filter(member=member).order_by("id").values_list("tier__code", flat=True)
    assert list(codes) == ["base", "gold"]


def test_redeeming_never_lowers_a_tier() -> None:
    RuleFactory.create(point_type=growth())
    TierFactory.create(code="gold", rank=1, threshold=100)
    member = new_member()
    bought = buy(member, 100)
    night(TUESDAY)

    refunding.refund(event=bought, source=SOURCE, reference="r", occurred_at=AT, actor=TESTER, at=AT)
    night(date(2026, 3, 11))

    member.refresh_from_db()
    assert member.tier.code == "gold"
