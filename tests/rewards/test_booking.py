"""A service has a time and a place: given, moved while it is still to come, kept in its history, and missed."""

from datetime import timedelta
from typing import Any

import pytest

from config.lib.errors import DomainError
from points.actions.posting import ReferenceConflict
from points.models import Entry
from points.reports import check_books
from rewards.actions import booking, fulfilling, redeeming
from rewards.actions.booking import Booking, Rescheduled
from rewards.models import Redemption
from tests.members.factories import AT, TESTER

from .factories import RewardFactory, ServiceRewardFactory, available, member_with, order, stock

pytestmark = pytest.mark.django_db

SOON, LATER = AT + timedelta(days=1), AT + timedelta(days=2)
NORTH, SOUTH = Booking(SOON, "North hall"), Booking(LATER, "South hall")


def service(**given: Any) -> Redemption:
    reward = ServiceRewardFactory.create(booking_places=["North hall", "South hall"])
    return order(member_with(10_000), reward, **given)


def move(redemption: Redemption, to: Booking, reference: str = "b-1", **given: Any) -> Rescheduled:
    asked: dict[str, Any] = {"source": "shop", "reference": reference, "actor": TESTER, "at": AT} | given
    return booking.reschedule(redemption=redemption, booking=to, **asked)


def cancel(redemption: Redemption, **given: Any) -> None:
    asked: dict[str, Any] = {"source": "shop", "reference": "x", "actor": TESTER, "at": AT} | given
    redeeming.cancel(redemption=redemption, **asked)


def booked(redemption: Redemption) -> tuple[Any, str]:
    redemption.refresh_from_db()
    return redemption.booked_for, redemption.booked_place


def test_a_service_is_booked_when_it_is_redeemed() -> None:
    redemption = service(booking=NORTH)

    assert booked(redemption) == (SOON, "North hall")
    assert redemption.state == "ready"


def test_a_service_is_booked_later_and_moved_and_its_history_tells() -> None:
    redemption = service()

    move(redemption, NORTH, "b-1")
    move(redemption, SOUTH, "b-2", reason="called us")

    assert booked(redemption) == (LATER, "South hall")
    steps = redemption.changes.order_by("id").values_list("topic", "to_state", "booked_place", "reason")
    assert list(steps) == [
        ("state", "ready", "", ""),
        ("booking", "ready", "North hall", ""),
        ("booking", "ready", "South hall", "called us"),
    ]


def test_a_booking_does_not_send_the_order_to_the_end_of_the_queue() -> None:
    redemption = service()

    move(redemption, NORTH, at=AT + timedelta(hours=1))

    redemption.refresh_from_db()
    assert redemption.changed_at == AT


def test_the_same_reference_moves_it_once_whatever_was_booked_since() -> None:
    redemption = service()
    move(redemption, NORTH, "b-1")
    move(redemption, SOUTH, "b-2")

    again = move(redemption, NORTH, "b-1")

    assert (again.replayed, again.redemption.booked_place) == (True, "South hall")
    with pytest.raises(ReferenceConflict):
        move(redemption, SOUTH, "b-1")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Booking(AT, "North hall"), "booking_in_past"),
        (Booking(AT + timedelta(days=367), "North hall"), "booking_too_far"),
        (Booking(SOON, "Moon"), "place_unknown"),
        (Booking(SOON, ""), "place_unknown"),
    ],
)
def test_a_booking_that_cannot_be_is_refused_and_changes_nothing(wanted: Booking, code: str) -> None:
    redemption = service(booking=SOUTH)
    member = member_with(10_000)

    for attempt in (lambda: move(redemption, wanted), lambda: order(member, redemption.reward, booking=wanted)):
        with pytest.raises(DomainError) as refused:
            attempt()
        assert refused.value.code == code

    assert booked(redemption) == (LATER, "South hall")
    assert available(member) == 10_000


def test_where_a_reward_names_no_places_any_place_is_taken_but_none_is_not() -> None:
    redemption = order(member_with(10_000), ServiceRewardFactory.create())

    with pytest.raises(booking.PlaceUnknown):
        move(redemption, Booking(SOON, ""))
    move(redemption, Booking(SOON, "Gate 12"))

    assert booked(redemption) == (SOON, "Gate 12")


def test_the_booking_it_has_already_is_told_and_keeps_no_reference() -> None:
    redemption = service(booking=NORTH)

    with pytest.raises(booking.BookingUnchanged):
        move(redemption, NORTH)

    assert not move(redemption, SOUTH).replayed


def test_a_gift_is_not_booked() -> None:
    member = member_with(1_000)

    with pytest.raises(booking.NotBookable):
        order(member, RewardFactory.create(), booking=NORTH)

    assert available(member) == 1_000


@pytest.mark.parametrize("end", ["completed", "cancelled", "no_show"])
def test_what_is_over_is_not_moved(end: str) -> None:
    redemption = service(booking=NORTH)
    if end == "completed":
        fulfilling.write_off(code=redemption.pickup_code, actor=TESTER, at=AT)
    elif end == "cancelled":
        redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)
    else:
        fulfilling.no_show(redemption=redemption, actor=TESTER, at=SOON)

    with pytest.raises(booking.CannotReschedule):
        move(redemption, SOUTH)

    assert booked(redemption) == (SOON, "North hall")


@pytest.mark.parametrize("money_minor", [None, 500])
def test_once_its_time_has_come_a_visit_is_neither_cancelled_nor_moved(money_minor: int | None) -> None:
    reward = ServiceRewardFactory.create(money_minor=money_minor)
    redemption = order(member_with(10_000), reward, booking=NORTH)

    for refused, step in (
        (redeeming.CannotCancel, lambda: cancel(redemption, at=SOON)),
        (booking.CannotReschedule, lambda: move(redemption, SOUTH, at=SOON)),
    ):
        with pytest.raises(refused) as error:
            step()
        assert "The time it was booked for has come" in str(error.value)

    assert booked(redemption) == (SOON, "North hall")
    assert available(redemption.member) == 0
    cancel(redemption, at=SOON - timedelta(seconds=1))
    assert available(redemption.member) == 10_000


def test_who_may_excuse_moves_or_cancels_a_visit_whose_time_has_come() -> None:
    redemption = service(booking=NORTH)

    move(redemption, SOUTH, at=SOON, though_due=True)
    cancel(redemption, at=LATER, though_due=True)

    assert (redemption.state, available(redemption.member)) == ("cancelled", 10_000)


def test_who_does_not_come_keeps_no_points() -> None:
    redemption = service(booking=NORTH)

    fulfilling.no_show(redemption=redemption, actor=TESTER, at=SOON)

    assert redemption.state == "no_show"
    assert available(redemption.member) == 0
    assert not Entry.objects.filter(kind="restoration").exists()
    for step in (
        lambda: redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=LATER),
        lambda: fulfilling.write_off(code=redemption.pickup_code, actor=TESTER, at=LATER),
    ):
        with pytest.raises(DomainError):
            step()


@pytest.mark.parametrize("is_booked", [True, False])
def test_nobody_misses_what_is_still_to_come(is_booked: bool) -> None:
    redemption = service(booking=NORTH if is_booked else None)

    with pytest.raises(fulfilling.NotMissed):
        fulfilling.no_show(redemption=redemption, actor=TESTER, at=SOON - timedelta(seconds=1))

    redemption.refresh_from_db()
    assert redemption.state == "ready"


def test_staff_give_the_points_of_a_no_show_back_for_a_reason() -> None:
    member, reward = member_with(10_000), ServiceRewardFactory.create()
    stock(reward, 3)
    redemption = order(member, reward, booking=NORTH)
    with pytest.raises(fulfilling.ReasonMissing):
        fulfilling.no_show(redemption=redemption, actor=TESTER, at=SOON, restore=True)

    fulfilling.no_show(redemption=redemption, actor=TESTER, at=SOON, restore=True, reason="train was late")

    assert (redemption.state, available(member)) == ("returned", 10_000)
    assert list(redemption.changes.order_by("id").values_list("to_state", "reason"))[1:] == [
        ("no_show", "train was late"),
        ("returned", "train was late"),
    ]
    assert reward.stock.get().count == 2  # the seat was kept free for nobody
    assert check_books() == []


def test_a_no_show_is_excused_later_once_and_for_a_reason() -> None:
    redemption = service(booking=NORTH)
    fulfilling.no_show(redemption=redemption, actor=TESTER, at=SOON)

    with pytest.raises(fulfilling.ReasonMissing):
        fulfilling.return_(redemption=redemption, actor=TESTER, at=LATER)
    fulfilling.return_(redemption=redemption, actor=TESTER, at=LATER, reason="was in hospital")
    with pytest.raises(fulfilling.StepRefused):
        fulfilling.return_(redemption=redemption, actor=TESTER, at=LATER, reason="again")

    assert available(redemption.member) == 10_000
