"""When and where a service is to be had: said when it is redeemed or later, and changed while it is still to come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from points.models import Operation
from rewards.actions import claims
from rewards.models import (
    BOOKABLE_STATES,
    Redemption,
    RedemptionState,
    RedemptionTopic,
    Reward,
    RewardKind,
    told,
)

LONGEST_AHEAD = timedelta(days=366)


class NotBookable(DomainError):
    """Only services have a time and a place."""

    code = "not_bookable"
    message = _("booking: only a service is booked for a time and a place.")


class BookingInPast(DomainError):
    """The time is over already."""

    code = "booking_in_past"
    message = _("booking: choose a time that is still to come.")


class BookingTooFar(DomainError):
    """The time is further away than anybody plans."""

    code = "booking_too_far"
    message = _("booking: choose a time within a year.")


class PlaceUnknown(DomainError):
    """The service is not to be had there."""

    code = "place_unknown"
    message = _("booking: choose one of %(places)s.")


class BookingUnchanged(DomainError):
    """It is booked like this already; a second row in its history would tell nothing."""

    code = "booking_unchanged"
    message = _("booking: this is the time and place it has already.")


class CannotReschedule(DomainError):
    """The service was had, missed or cancelled."""

    code = "cannot_reschedule"
    message = _("This order can no longer be rescheduled: %(state)s.")


TIME_HAS_COME = _("The time it was booked for has come, so it can no longer be cancelled or moved. Please talk to us.")


@dataclass(frozen=True, slots=True)
class Booking:
    """A moment and a place."""

    at: datetime
    place: str


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """An order with its booking as it stands."""

    redemption: Redemption
    replayed: bool


def refuse_impossible(*, reward: Reward, booking: Booking, at: datetime) -> None:
    """Raise NotBookable, BookingInPast, BookingTooFar or PlaceUnknown; a reward that names no places takes any."""
    if reward.kind != RewardKind.SERVICE:
        raise NotBookable
    if booking.at <= at:
        raise BookingInPast
    if booking.at > at + LONGEST_AHEAD:
        raise BookingTooFar
    if reward.booking_places and booking.place not in reward.booking_places:
        raise PlaceUnknown(places=", ".join(reward.booking_places))
    if not booking.place:
        raise PlaceUnknown(_("booking: say where."))


@transaction.atomic
def reschedule(
    *,
    redemption: Redemption,
    booking: Booking,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    reason: str = "",
    though_due: bool = False,
) -> Rescheduled:
    """Book a service for a time and a place, or move its booking, while it is still to be had.

    Once its time has come it is had or missed, and only who may excuse moves it then (`though_due`).
    The same (source, reference) moves it once, whatever was booked since. Raises ReferenceConflict, CannotReschedule,
    BookingUnchanged and what `refuse_impossible` raises. Locks: the reference, the order.
    """
    if not claims.is_first(
        redemption=redemption,
        operation=Operation.BOOKING,
        step={"topic": RedemptionTopic.BOOKING},
        source=source,
        reference=reference,
        booked_for=booking.at.timestamp(),
        booked_place=booking.place,
    ):
        redemption.refresh_from_db()
        return Rescheduled(redemption, replayed=True)
    refuse_impossible(reward=redemption.reward, booking=booking, at=at)
    orders = Redemption.objects.filter(member=redemption.member_id, pk=redemption.pk)
    others = orders.filter(state__in=BOOKABLE_STATES).exclude(
        booked_for__isnull=False, booked_for=booking.at, booked_place=booking.place
    )
    if not though_due:
        others = others.exclude(booked_for__lte=at)
    change = told(actor=actor, at=at, source=source, reference=reference, reason=reason)
    moved = others.update(booked_for=booking.at, booked_place=booking.place, change=change)
    redemption.refresh_from_db()
    if not moved:
        if not redemption.can_be_booked or redemption.is_due(at):
            is_due = redemption.is_due(at)
            raise CannotReschedule(TIME_HAS_COME if is_due else None, state=RedemptionState(redemption.state))
        raise BookingUnchanged
    return Rescheduled(redemption, replayed=False)
