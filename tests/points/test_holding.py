"""Points set aside: captured, voided or timed out, each exactly once."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction

from members.models import Member
from points import batches, reports, tasks
from points.actions import holding, refunding, spending
from points.actions.holding import Held, HoldClosed, HoldExceeded, HoldTooLong
from points.actions.posting import (
    InsufficientPoints,
    MemberNotActive,
    NothingToReturn,
    PointsNotRedeemable,
    PointsOutOfRange,
    Posting,
    ReferenceConflict,
    post,
)
from points.models import ClawbackPolicy, Entry, Event, Hold, HoldStatus, PointType

from .factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    accounts,
    buy,
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

    assert refusal.value.facts == {"state": HoldStatus.EXPIRED}
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


# ---- what is held is in no lot, and comes back ----


def restore(member: Member, spent: spending.Posted, points: int) -> None:
    spending.restore(
        member=member,
        entry_id=spent.entry_id,
        points=points,
        source=SOURCE,
        reference=new_reference("back"),
        actor=TESTER,
        at=AT,
    )


def spend(member: Member, points: int) -> spending.Posted:
    return spending.spend(
        member=member, points=points, source=SOURCE, reference=new_reference("spend"), actor=TESTER, at=AT
    )


def refund(bought: Event, **given: Any) -> None:
    refunding.refund(
        **{
            "event": bought,
            "source": SOURCE,
            "reference": new_reference("refund"),
            "occurred_at": AT,
            "actor": TESTER,
            "at": AT,
            **given,
        }
    )


def test_redeeming_and_cancelling_one_point_does_not_prolong_those_that_are_held() -> None:
    member = new_member()
    expiring_lot(member, 1_000, date(2026, 3, 10))
    held = hold(member, 999).hold

    restore(member, spend(member, 1), 1)
    void(held)

    assert lots(member) == [(999, in_utc(local(2026, 3, 11))), (1, in_utc(local(2026, 4, 10)))]
    night(date(2026, 3, 10))
    assert accounts(member) == {"issued": 1_000, "available": 1, "expired": 999}
    assert not reports.check_books()


@pytest.mark.parametrize("close", [capture, void], ids=["capture", "void"])
def test_a_lot_lives_on_for_what_comes_back_once_no_hold_has_points_of_it(close: Any) -> None:
    member = new_member()
    expiring_lot(member, 10, date(2026, 3, 10))
    close(hold(member, 5).hold)
    spent = spend(member, 5 if close is capture else 10)

    restore(member, spent, 5)

    assert lots(member) == [(5, in_utc(local(2026, 4, 10)))]
    assert "transfer" not in [kind for kind, *_rest in history(member)]


@pytest.mark.parametrize("first", ["refund", "night"])
def test_whoever_kept_nothing_owes_nothing_whether_the_refund_or_the_night_comes_first(first: str) -> None:
    member = new_member()
    bought = expiring_lot(member, 100, date(2026, 3, 10))
    hold(member, 100, expires_in=timedelta(hours=13))

    if first == "refund":
        refund(bought)
        night(date(2026, 3, 10))
    else:
        night(date(2026, 3, 10))
        refund(bought, at=AT + timedelta(days=1))

    assert accounts(member) == ({} if first == "refund" else {"issued": 100, "expired": 100})
    assert not reports.check_books()


def test_points_that_end_while_they_are_pending_pay_what_is_owed_before_they_expire() -> None:
    member = new_member()
    RuleFactory.create(channels=["waits"], pending_days=2, expiry_policy="days", expiry_value=0)
    RuleFactory.create(channels=["shop"])
    buy(member, 100, channel="waits")
    bought = buy(member, 50, channel="shop")
    spend(member, 50)
    refund(bought)

    night(date(2026, 3, 10))
    night(date(2026, 3, 11))

    assert accounts(member) == {"issued": 100, "redeemed": 50, "expired": 50}
    assert not reports.check_books()


def test_a_release_pays_no_more_than_it_gives_of_what_has_ended() -> None:
    member = new_member()
    RuleFactory.create(channels=["shop"])
    expiring_lot(member, 40, date(2026, 3, 10))
    held = hold(member, 10).hold
    bought = buy(member, 50, channel="shop")
    spend(member, 80)
    expiring_lot(member, 20, date(2026, 3, 10))
    later = local(2026, 3, 11, 1)
    refund(bought, at=later)
    assert accounts(member) == {"issued": 60, "available": 20, "held": 10, "owed": 50, "redeemed": 80}

    void(held, at=later)

    assert accounts(member) == {"issued": 60, "available": 20, "owed": 40, "redeemed": 80}
    assert not reports.check_books()


def test_under_the_clamp_a_hold_shields_no_points_from_a_refund() -> None:
    member = new_member()
    RuleFactory.create()
    PointType.objects.update(clawback_policy=ClawbackPolicy.CLAMP)
    bought = buy(member, 100)
    spend(member, 30)
    held = hold(member, 70).hold

    refund(bought)
    assert accounts(member) == {"issued": 30, "held": 70, "owed": 70, "redeemed": 30}
    void(held)

    assert accounts(member) == {"issued": 30, "redeemed": 30}
    assert not reports.check_books()


def test_under_the_clamp_two_refunds_ask_for_what_is_held_once() -> None:
    member = new_member()
    RuleFactory.create()
    PointType.objects.update(clawback_policy=ClawbackPolicy.CLAMP)
    first, second = buy(member, 60), buy(member, 60)
    spend(member, 50)
    held = hold(member, 70).hold

    refund(first)
    refund(second)
    assert accounts(member) == {"issued": 50, "held": 70, "owed": 70, "redeemed": 50}
    void(held)

    assert accounts(member) == {"issued": 50, "redeemed": 50}


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


@pytest.mark.parametrize(("kind", "to_account"), [("redemption", "redeemed"), ("release", "available")])
def test_a_hold_gives_its_own_points_and_not_those_of_another(member: Member, kind: str, to_account: str) -> None:
    closed, partly, other = hold(member, 20).hold, hold(member, 20).hold, hold(member, 50).hold
    capture(closed)

    def take(points: int, corrects: int | None) -> None:
        post(
            Posting(
                member_id=member.pk,
                point_type_id=partly.point_type_id,
                kind=kind,
                from_account="held",
                to_account=to_account,
                points=points,
                source=SOURCE,
                reference=new_reference("take"),
                corrects=corrects,
                actor=TESTER,
                occurred_at=AT,
                recorded_at=AT,
            )
        )

    take(15, partly.entry_id)
    captured = Entry.objects.get(member=member, corrects=closed.entry_id).pk
    for points, entry_id in [
        (1, closed.entry_id),
        (6, partly.entry_id),
        (1, None),
        (1, captured),
        (51, other.entry_id),
    ]:
        with nothing_changes(), pytest.raises(InsufficientPoints):
            take(points, entry_id)
    take(5, partly.entry_id)
    take(50, other.entry_id)
    assert "held" not in accounts(member)


# ---- which lots a capture spent ----


def test_a_capture_names_the_lots_of_its_hold_as_far_as_it_was_captured(member: Member) -> None:
    whole, part = hold(member, 10).hold, hold(member, 40).hold  # of the 30 that end in June, then 20 of the endless
    capture(whole)
    capture(part, 25)

    entries = list(Entry.objects.filter(member=member, kind="redemption").order_by("seq"))
    spent = reports.entry_lots(entries)

    june = date(2026, 6, 30)
    assert [[(lot.points, lot.expires_on) for lot in spent[entry.pk]] for entry in entries] == [
        [(10, june)],
        [(20, june), (5, None)],
    ]
