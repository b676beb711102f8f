"""Spending takes the soonest-ending points first and no more than there are; a return goes back to its lots."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from config.lib.errors import DomainError
from members.models import Member
from points import reports
from points.actions import spending
from points.actions.catalogue import UnknownPointType
from points.actions.posting import (
    InsufficientPoints,
    MemberNotActive,
    NothingToReturn,
    PointsNotRedeemable,
    PointsOutOfRange,
    Posted,
    ReferenceConflict,
)
from points.calendar import end_of, end_of_day
from points.models import Draw, Entry, Lot

from .factories import (
    AT,
    SOURCE,
    TESTER,
    accounts,
    balance,
    buy,
    expiring_lot,
    fixed_rule,
    give,
    growth,
    in_utc,
    local,
    lots,
    new_member,
    new_reference,
    night,
    nothing_changes,
)

pytestmark = pytest.mark.django_db


def spend(member: Member, points: int, **given: Any) -> Posted:
    return spending.spend(
        **{
            "member": member,
            "points": points,
            "source": SOURCE,
            "reference": new_reference("spend"),
            "actor": TESTER,
            "at": AT,
            **given,
        }
    )


def restore(member: Member, entry_id: int, points: int, **given: Any) -> Posted:
    return spending.restore(
        **{
            "member": member,
            "entry_id": entry_id,
            "points": points,
            "source": SOURCE,
            "reference": new_reference("restore"),
            "actor": TESTER,
            "at": AT,
            **given,
        }
    )


def draws(entry_id: int) -> list[tuple[int, int, bool]]:
    """What an entry took from which lot, named by the lot's size."""
    return list(
        Draw.objects.filter(entry_id=entry_id).order_by("lot_id").values_list("lot__points", "points", "is_return")
    )


def test_points_leave_the_soonest_ending_lots_first_then_the_oldest_the_endless_last() -> None:
    member = new_member()
    give(member, 1)  # for ever, and the oldest
    expiring_lot(member, 20, date(2026, 6, 30))
    expiring_lot(member, 30, date(2026, 4, 30))
    expiring_lot(member, 31, date(2026, 4, 30))  # the same end, younger

    posted = spend(member, 70)

    assert draws(posted.entry_id) == [(20, 9, False), (30, 30, False), (31, 31, False)]
    assert lots(member) == [(11, in_utc(local(2026, 7, 1))), (1, None)]
    assert accounts(member) == {"issued": 82, "available": 12, "redeemed": 70}
    assert (posted.points, posted.available, posted.replayed) == (70, 12, False)


def test_the_last_point_can_be_spent_and_not_one_more() -> None:
    member = new_member()
    give(member, 100)

    with nothing_changes(), pytest.raises(InsufficientPoints) as refused:
        spend(member, 101)
    assert refused.value.facts == {"needed": 101, "available": 100}

    assert spend(member, 100).available == 0
    with nothing_changes(), pytest.raises(InsufficientPoints):
        spend(member, 1)


def test_points_past_their_end_cannot_be_spent_even_before_the_night_takes_them() -> None:
    member = new_member()
    expiring_lot(member, 30, date(2026, 3, 10))
    give(member, 5)

    assert spend(member, 10, at=local(2026, 3, 10, 23, 59, 59)).available == 25
    with nothing_changes(), pytest.raises(InsufficientPoints) as refused:
        spend(member, 6, at=local(2026, 3, 11))
    assert refused.value.facts["available"] == 5
    posted = spend(member, 5, at=local(2026, 3, 11))
    assert draws(posted.entry_id) == [(5, 5, False)]


def test_pending_and_held_points_cannot_be_spent() -> None:
    from points.actions import holding

    fixed_rule(50, pending_days=3, channels=["later"])
    member = new_member()
    buy(member, 1, channel="later")
    give(member, 20)
    holding.hold(member=member, points=15, source=SOURCE, reference="h", actor=TESTER, at=AT)

    with nothing_changes(), pytest.raises(InsufficientPoints) as refused:
        spend(member, 6)
    assert refused.value.facts["available"] == 5


@pytest.mark.parametrize("points", [0, -1, 10**12 + 1])
def test_a_number_that_is_none_is_refused(points: int) -> None:
    member = new_member()
    give(member, 100)

    with nothing_changes(), pytest.raises(PointsOutOfRange):
        spend(member, points)


@pytest.mark.parametrize("status", ["suspended", "closed", "merged"])
def test_only_an_active_member_spends(status: str) -> None:
    member = new_member()
    give(member, 100)
    Member.objects.filter(pk=member.pk).update(status=status)

    with nothing_changes(), pytest.raises(MemberNotActive):
        spend(member, 10)


def test_growth_is_never_spent_and_what_is_no_point_type_neither() -> None:
    growth()
    member = new_member()
    give(member, 100, point_type="growth")

    with nothing_changes(), pytest.raises(PointsNotRedeemable):
        spend(member, 10, point_type="growth")
    with nothing_changes(), pytest.raises(UnknownPointType):
        spend(member, 10, point_type="gold")


def test_the_same_spend_again_is_the_first_one() -> None:
    member = new_member()
    give(member, 100)
    first = spend(member, 60, reference="s-1")

    with nothing_changes():
        again = spend(member, 60, reference="s-1", at=AT + timedelta(days=9))

    assert (again.entry_id, again.points, again.replayed) == (first.entry_id, 60, True)


def test_another_spend_under_a_known_reference_is_a_conflict() -> None:
    growth()
    member = new_member()
    give(member, 100)
    spend(member, 60, reference="s-1")

    with nothing_changes(), pytest.raises(ReferenceConflict):
        spend(member, 30, reference="s-1")


def test_giving_one_point_back_does_not_let_the_others_of_its_lot_live_longer() -> None:
    member = new_member()
    soon = AT.date() + timedelta(days=3)
    expiring_lot(member, 1_000, soon)

    for turn in range(3):
        spent = spend(member, 1, reference=f"s-{turn}")
        spending.restore(
            member=member, entry_id=spent.entry_id, points=1, source=SOURCE, reference=f"b-{turn}", actor=TESTER, at=AT
        )

    assert lots(member) == [(997, end_of(soon)), *[(1, end_of_day(AT + spending.RESTORATION_GRACE))] * 3]
    assert reports.check_books() == []


def test_a_refused_spend_leaves_its_reference_free() -> None:
    member = new_member()
    with nothing_changes(), pytest.raises(InsufficientPoints):
        spend(member, 60, reference="s-1")

    give(member, 60)

    assert spend(member, 60, reference="s-1").available == 0


# ---- restoring ----


def test_restored_points_return_to_the_lots_they_left_latest_ending_first() -> None:
    member = new_member()
    expiring_lot(member, 30, date(2026, 6, 30))
    expiring_lot(member, 20, date(2026, 9, 30))
    give(member, 10)
    posted = spend(member, 55)

    back = restore(member, posted.entry_id, 12)

    assert draws(back.entry_id) == [(20, 7, True), (10, 5, True)]
    assert lots(member) == [(7, in_utc(local(2026, 10, 1))), (10, None)]
    assert accounts(member) == {"issued": 60, "available": 17, "redeemed": 43}


def test_no_more_comes_back_than_was_spent_however_often_it_is_asked() -> None:
    member = new_member()
    give(member, 100)
    posted = spend(member, 60)
    restore(member, posted.entry_id, 25)
    restore(member, posted.entry_id, 25)

    with nothing_changes(), pytest.raises(NothingToReturn) as refused:
        restore(member, posted.entry_id, 11)

    assert refused.value.facts == {"available": 10}
    assert restore(member, posted.entry_id, 10).available == 100
    with nothing_changes(), pytest.raises(NothingToReturn):
        restore(member, posted.entry_id, 1)


def test_restored_points_live_thirty_days_at_least() -> None:
    member = new_member()
    expiring_lot(member, 30, date(2026, 3, 12))
    expiring_lot(member, 30, date(2026, 12, 31))
    posted = spend(member, 60)

    restore(member, posted.entry_id, 60, at=local(2026, 3, 20, 12))

    assert lots(member) == [(30, in_utc(local(2026, 4, 20))), (30, in_utc(local(2027, 1, 1)))]
    night(date(2026, 3, 20))
    assert balance(member).available == 60


def test_the_same_restoration_again_is_the_first_one_and_another_is_a_conflict() -> None:
    member = new_member()
    give(member, 100)
    posted = spend(member, 60)
    first = restore(member, posted.entry_id, 20, reference="back")

    with nothing_changes():
        assert restore(member, posted.entry_id, 20, reference="back").entry_id == first.entry_id
    with nothing_changes(), pytest.raises(ReferenceConflict):
        restore(member, posted.entry_id, 30, reference="back")


def _hold(member: Member) -> int:
    from points.actions import holding

    held = holding.hold(member=member, points=50, source=SOURCE, reference="h", actor=TESTER, at=AT)
    return int(held.hold.entry_id)


def _debit(member: Member) -> int:
    from points.actions import adjusting

    return adjusting.adjust(
        member=member, points=50, credit=False, reason="error", reference="d", actor=TESTER, at=AT
    ).entry_id


def _expiry(member: Member) -> int:
    expiring_lot(member, 50, date(2026, 3, 10))
    night(date(2026, 3, 10))
    return int(Entry.objects.get(member=member, kind="expiry").pk)


def _accrual(member: Member) -> int:
    return int(Entry.objects.get(member=member).pk)


@pytest.mark.parametrize("other", [_hold, _debit, _expiry, _accrual])
def test_only_what_was_spent_can_be_restored(other: Callable[[Member], int]) -> None:
    """Anything else would make points out of nothing: they are still held, or expired, or never were the member's."""
    member = new_member()
    give(member, 100)
    entry_id = other(member)

    with nothing_changes(), pytest.raises(DomainError) as refused:
        restore(member, entry_id, 50, at=AT + timedelta(days=1))
    assert refused.value.code == "nothing_to_return"


def test_an_entry_of_somebody_else_is_not_there_to_be_restored() -> None:
    alice, bob = new_member(), new_member()
    give(alice, 100)
    posted = spend(alice, 60)

    with nothing_changes(), pytest.raises(Entry.DoesNotExist):
        restore(bob, posted.entry_id, 60)


def test_balances_tell_what_expires_when() -> None:
    member = new_member()
    expiring_lot(member, 30, date(2026, 6, 30))
    expiring_lot(member, 20, date(2026, 4, 30))
    give(member, 10)
    spend(member, 5)

    (line,) = reports.balances(member=member, at=AT)

    assert [(one.on, one.points) for one in line.expiring] == [(date(2026, 4, 30), 15), (date(2026, 6, 30), 30)]
    assert (line.available, line.pending, line.held, line.owed) == (55, 0, 0, 0)
    assert Lot.objects.filter(member=member).count() == 3
