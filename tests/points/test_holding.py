"""Points set aside: captured, voided or timed out, each exactly once."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction

from members.models import Member
from points import batches, reports, tasks
from points.actions import holding, spending
from points.actions.holding import Held, HoldClosed, HoldExceeded, HoldTooLong
from points.actions.posting import (
    InsufficientPoints,
    MemberNotActive,
    NothingToReturn,
    PointsNotRedeemable,
    PointsOutOfRange,
    ReferenceConflict,
)
from points.models import Entry, Hold, HoldStatus

from .factories import (
    AT,
    SOURCE,
    TESTER,
    accounts,
    expiring_lot,
    give,
    growth,
    history,
    in_utc,
    local,
    lots,
    new_member,
    new_reference,
    night,
    nothing_changes,
)

pytestmark = pytest.mark.django_db


def hold(member: Member, points: int, **given: Any) -> Held:
    return holding.hold(
        **{
            "member": member,
            "points": points,
            "source": SOURCE,
            "reference": new_reference("hold"),
            "actor": TESTER,
            "at": AT,
            **given,
        }
    )


def capture(held: Hold, points: int | None = None, **given: Any) -> Held:
    return holding.capture(
        **{
            "hold": held,
            "points": points,
            "source": SOURCE,
            "reference": new_reference("capture"),
            "actor": TESTER,
            "at": AT,
            **given,
        }
    )


def void(held: Hold, **given: Any) -> Held:
    return holding.void(
        **{"hold": held, "source": SOURCE, "reference": new_reference("void"), "actor": TESTER, "at": AT, **given}
    )


@pytest.fixture
def member() -> Member:
    """Somebody with a hundred points, thirty of which end in June."""
    somebody = new_member()
    give(somebody, 70)
    expiring_lot(somebody, 30, date(2026, 6, 30))
    return somebody


def test_held_points_are_neither_spendable_nor_gone(member: Member) -> None:
    held = hold(member, 40, expires_in=timedelta(minutes=10))

    assert accounts(member) == {"issued": 100, "available": 60, "held": 40}
    assert lots(member) == [(60, None)]
    assert (held.hold.points, held.hold.status, held.replayed) == (40, HoldStatus.HELD, False)
    assert held.hold.expires_at == AT + timedelta(minutes=10)
    with nothing_changes(), pytest.raises(InsufficientPoints):
        hold(member, 61)
    assert not reports.check_books()


def test_a_capture_spends_what_is_held(member: Member) -> None:
    held = hold(member, 40).hold

    captured = capture(held)

    assert (captured.hold.status, captured.hold.captured, captured.hold.closed_at) == (HoldStatus.CAPTURED, 40, AT)
    assert accounts(member) == {"issued": 100, "available": 60, "redeemed": 40}
    assert history(member)[-2:] == [("hold", "available", "held", 40), ("redemption", "held", "redeemed", 40)]
    assert not reports.check_books()


def test_a_partial_capture_gives_the_rest_back_to_its_lots(member: Member) -> None:
    held = hold(member, 40).hold

    captured = capture(held, 15)

    assert captured.hold.captured == 15
    assert accounts(member) == {"issued": 100, "available": 85, "redeemed": 15}
    # Latest-ending first: ten of the endless lot and fifteen of the one that ends in June came back.
    assert lots(member) == [(15, in_utc(local(2026, 7, 1))), (70, None)]
    assert not reports.check_books()


def test_a_void_gives_everything_back_to_its_lots(member: Member) -> None:
    before = lots(member)
    held = hold(member, 40).hold

    voided = void(held)

    assert voided.hold.status == HoldStatus.VOIDED
    assert lots(member) == before
    assert accounts(member) == {"issued": 100, "available": 100}
    assert not reports.check_books()


@pytest.mark.parametrize("points", [0, -1, 10**12 + 1])
def test_a_number_that_is_none_is_refused(member: Member, points: int) -> None:
    held = hold(member, 40).hold

    with nothing_changes(), pytest.raises(PointsOutOfRange):
        hold(member, points)
    with nothing_changes(), pytest.raises((PointsOutOfRange, HoldExceeded)):
        capture(held, points)


def test_no_more_is_captured_than_is_held(member: Member) -> None:
    held = hold(member, 40).hold
    hold(member, 40)

    with nothing_changes(), pytest.raises(HoldExceeded) as refused:
        capture(held, 41)
    assert refused.value.facts == {"held": 40, "needed": 41}


@pytest.mark.parametrize("seconds", [0, -1, 31 * 24 * 3600])
def test_a_deadline_without_reason_is_refused(member: Member, seconds: int) -> None:
    with nothing_changes(), pytest.raises(HoldTooLong):
        hold(member, 10, expires_in=timedelta(seconds=seconds))


def test_growth_is_not_held_and_only_active_members_hold(member: Member) -> None:
    growth()
    give(member, 10, point_type="growth")
    with nothing_changes(), pytest.raises(PointsNotRedeemable):
        hold(member, 10, point_type="growth")

    Member.objects.filter(pk=member.pk).update(status="suspended")
    with nothing_changes(), pytest.raises(MemberNotActive):
        hold(member, 10)


@pytest.mark.parametrize("close", [capture, void], ids=["capture", "void"])
@pytest.mark.parametrize("again", [capture, void], ids=["capture", "void"])
def test_a_closed_hold_is_closed(member: Member, close: Any, again: Any) -> None:
    held = hold(member, 40).hold
    hold(member, 40)  # there is more in `held` than this hold's own
    close(held)

    with nothing_changes(), pytest.raises(HoldClosed):
        again(held)


def test_a_suspended_member_gets_held_points_back_or_spends_them(member: Member) -> None:
    first, second = hold(member, 40).hold, hold(member, 40).hold
    Member.objects.filter(pk=member.pk).update(status="suspended")

    capture(first)
    void(second)

    assert accounts(member) == {"issued": 100, "available": 60, "redeemed": 40}


def test_each_call_again_gives_the_first_answer(member: Member) -> None:
    held = hold(member, 40, reference="h")
    captured = capture(held.hold, 15, reference="c")
    other = hold(member, 20, reference="h-2")
    voided = void(other.hold, reference="v")

    with nothing_changes():
        again = hold(member, 40, reference="h", at=AT + timedelta(days=1))
        assert (again.hold.pk, again.replayed) == (held.hold.pk, True)
        again = capture(held.hold, 15, reference="c", at=AT + timedelta(days=1))
        assert (again.hold.captured, again.replayed) == (captured.hold.captured, True)
        again = void(other.hold, reference="v", at=AT + timedelta(days=1))
        assert (again.hold.status, again.replayed) == (voided.hold.status, True)


def test_other_content_under_a_known_reference_is_a_conflict(member: Member) -> None:
    first = hold(member, 40, reference="h").hold
    second = hold(member, 20, reference="h-2").hold
    capture(first, 15, reference="c")
    somebody = new_member()
    give(somebody, 100)

    calls: list[Callable[[], object]] = [
        lambda: hold(member, 41, reference="h"),
        lambda: hold(member, 40, reference="h", expires_in=timedelta(minutes=1)),
        lambda: hold(somebody, 40, reference="h"),
        lambda: capture(second, 15, reference="c"),
        lambda: capture(first, 16, reference="c"),
    ]
    for call in calls:
        with nothing_changes(), pytest.raises(ReferenceConflict):
            call()


def test_a_refused_hold_leaves_its_reference_free(member: Member) -> None:
    with nothing_changes(), pytest.raises(InsufficientPoints):
        hold(member, 101, reference="h")

    assert hold(member, 100, reference="h").replayed is False


def test_held_points_do_not_expire_and_released_ones_do_the_next_night() -> None:
    member = new_member()
    expiring_lot(member, 30, date(2026, 3, 10))
    held = hold(member, 30, expires_in=timedelta(days=3)).hold

    night(date(2026, 3, 10))
    assert accounts(member) == {"issued": 30, "held": 30}

    void(held, at=local(2026, 3, 11, 9))
    assert reports.balances(member=member, at=local(2026, 3, 11, 9))[0].available == 0
    night(date(2026, 3, 11))
    assert accounts(member) == {"issued": 30, "expired": 30}


def test_captured_points_that_ended_meanwhile_are_spent_all_the_same() -> None:
    member = new_member()
    expiring_lot(member, 30, date(2026, 3, 10))
    held = hold(member, 30, expires_in=timedelta(days=3)).hold

    capture(held, at=local(2026, 3, 11, 9))

    assert accounts(member) == {"issued": 30, "redeemed": 30}


def test_the_night_voids_holds_whose_time_is_over_and_only_those(member: Member) -> None:
    stale = hold(member, 40, expires_in=timedelta(hours=1)).hold
    fresh = hold(member, 10, expires_in=timedelta(days=2)).hold

    assert batches.void_stale_holds(at=AT + timedelta(minutes=59), actor=TESTER) == {"holds": 0, "failed": 0}
    assert batches.void_stale_holds(at=AT + timedelta(hours=1), actor=TESTER) == {"holds": 1, "failed": 0}
    assert batches.void_stale_holds(at=AT + timedelta(hours=1), actor=TESTER) == {"holds": 0, "failed": 0}

    stale.refresh_from_db()
    fresh.refresh_from_db()
    assert (stale.status, fresh.status) == (HoldStatus.EXPIRED, HoldStatus.HELD)
    assert accounts(member) == {"issued": 100, "available": 90, "held": 10}
    with nothing_changes(), pytest.raises(HoldClosed):
        capture(stale, at=AT + timedelta(hours=2))


def test_a_captured_hold_can_be_returned_up_to_what_was_captured(member: Member) -> None:
    held = hold(member, 40).hold
    capture(held, 25)
    captured = Entry.objects.get(member=member, kind="redemption")

    def back(points: int) -> spending.Posted:
        return spending.restore(
            member=member,
            entry_id=captured.pk,
            points=points,
            source=SOURCE,
            reference=new_reference("back"),
            actor=TESTER,
            at=AT,
        )

    back(10)
    with nothing_changes(), pytest.raises(NothingToReturn) as refused:
        back(16)
    assert refused.value.facts == {"available": 15}
    back(15)
    assert accounts(member) == {"issued": 100, "available": 100}
    assert not reports.check_books()


def test_a_hold_is_not_captured_once_its_time_is_over(member: Member) -> None:
    late = hold(member, 40, expires_in=timedelta(seconds=1)).hold
    kept = hold(member, 10, expires_in=timedelta(seconds=2)).hold

    with nothing_changes(), pytest.raises(HoldClosed) as refusal:
        capture(late, at=AT + timedelta(seconds=1))

    assert refusal.value.facts == {"status": "Timed out"}
    first = capture(kept, reference="c", at=AT + timedelta(seconds=1))
    again = capture(kept, reference="c", at=AT + timedelta(hours=6))
    assert (first.replayed, again.replayed, again.hold.captured) == (False, True, 10)


def test_the_beat_releases_what_timed_out(member: Member) -> None:
    stale = hold(member, 40, expires_in=timedelta(hours=1)).hold  # long ago by the task's clock

    assert tasks.void_stale_holds() == {"holds": 1, "failed": 0}

    stale.refresh_from_db()
    assert stale.status == HoldStatus.EXPIRED
    beat = settings.CELERY_BEAT_SCHEDULE["void_stale_holds"]
    assert beat["task"] == tasks.void_stale_holds.name


# ---- round the back of Python ----


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.mark.parametrize(
    "change",
    [
        "captured = 5",
        "status = 'captured', captured = 0, closed_at = now()",
        "status = 'voided', captured = 5, closed_at = now()",
        "status = 'voided', points = 41, closed_at = now()",
        "status = 'voided', entry_id = entry_id - 1, closed_at = now()",
        "status = 'voided', reference = 'other', closed_at = now()",
        "status = 'voided', expires_at = expires_at + interval '1 day', closed_at = now()",
    ],
)
def test_an_open_hold_is_closed_and_nothing_else(member: Member, change: str) -> None:
    hold(member, 40)

    with nothing_changes(), pytest.raises(DatabaseError, match=r"hold_c|Cannot update"), transaction.atomic():
        execute(f"UPDATE points_hold SET {change}")


@pytest.mark.parametrize("close", [capture, void], ids=["capture", "void"])
@pytest.mark.parametrize(
    "change",
    [
        "status = 'held', closed_at = NULL, captured = 0",
        "status = 'expired', captured = 0",
        "captured = 1",
        "closed_at = now()",
    ],
)
def test_a_closed_hold_is_never_opened_or_rewritten(member: Member, close: Any, change: str) -> None:
    close(hold(member, 40).hold)

    with nothing_changes(), pytest.raises(IntegrityError, match="hold_closes_once"), transaction.atomic():
        execute(f"UPDATE points_hold SET {change}")


def test_no_hold_begins_closed(member: Member) -> None:
    hold(member, 40)

    with nothing_changes(), pytest.raises(IntegrityError, match="hold_begins"), transaction.atomic():
        execute(
            "INSERT INTO points_hold (member_id, point_type_id, entry_id, points, captured, status, closed_at, key,"
            " source, reference, expires_at) SELECT member_id, point_type_id, entry_id, points, 40, 'captured', now(),"
            " gen_random_uuid(), source, 'other', expires_at FROM points_hold"
        )
