"""Getting an order to the member: approved, shipped or ready, completed or missed; and back again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from points.models import Operation
from rewards.actions import claims
from rewards.actions.redeeming import give_back, standing_before
from rewards.models import Redemption, RedemptionState, RewardKind, new_code, told

#: Where the back office writes from, when no client system does.
SOURCE = "admin"


class StepRefused(DomainError):
    """The order stands where this step does not follow."""

    code = "step_refused"
    message = _("This order is %(state)s and cannot become %(wanted)s.")


class PaymentMissing(DomainError):
    """The order costs money too, and nobody has said that it is paid."""

    code = "payment_missing"
    message = _("This order waits for its payment.")


class CarriageMissing(DomainError):
    """What is sent has a carrier and a number to follow it by."""

    code = "carriage_missing"
    message = _("tracking: what is shipped needs a carrier and a tracking number.")


class PickupCodeUnknown(DomainError):
    """No order has this code."""

    code = "pickup_code_unknown"
    message = _("code: no order is waiting for this code.")


class PickupCodeOver(DomainError):
    """The order of this code was written off, cancelled or missed; the clerk tells the member when."""

    code = "pickup_code_over"
    message = _("code: %(reward)s is %(state)s since %(since)s.")


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """The order of a code, completed."""

    redemption: Redemption
    replayed: bool


class NotMissed(DomainError):
    """Nobody was expected, or not yet."""

    code = "not_missed"
    message = _("Nobody has missed this: a service is missed once the time it was booked for has come.")


class ReasonMissing(DomainError):
    """Points of something that was missed come back for a reason only."""

    code = "reason_missing"
    message = _("reason: say why the points are given back.")


def approve(*, redemption: Redemption, actor: Actor, at: datetime, reason: str = "") -> Redemption:
    """Let a gift go out."""
    return _step(redemption, RedemptionState.APPROVED, told(actor=actor, at=at, reason=reason))


def ship(
    *, redemption: Redemption, actor: Actor, at: datetime, carrier: str, tracking: str, reason: str = ""
) -> Redemption:
    """Hand an approved gift to a carrier, who follows it by a number."""
    carrier, tracking = carrier.strip(), tracking.strip()
    if not carrier or not tracking:
        raise CarriageMissing
    return _step(
        redemption,
        RedemptionState.SHIPPED,
        told(actor=actor, at=at, reason=reason),
        carrier=carrier,
        tracking=tracking,
    )


def ready(*, redemption: Redemption, actor: Actor, at: datetime, reason: str = "") -> Redemption:
    """Put an approved gift aside for pick-up; the member gets a write-off code for it."""
    return _step(redemption, RedemptionState.READY, told(actor=actor, at=at, reason=reason), pickup_code=new_code())


def complete(*, redemption: Redemption, actor: Actor, at: datetime, reason: str = "") -> Redemption:
    """Say that the member has it: received, picked up or consumed."""
    return _step(redemption, RedemptionState.COMPLETED, told(actor=actor, at=at, reason=reason))


def write_off(*, code: str, actor: Actor, at: datetime) -> Redemption:
    """Complete the order whose write-off code the member shows; of two who read it at once one wins."""
    return _write_off(_get_by_code(code), actor, at)


@transaction.atomic
def write_off_by_reference(*, code: str, source: str, reference: str, actor: Actor, at: datetime) -> WrittenOff:
    """Complete the order of a code for a till; the same (source, reference) again gives the first answer.

    Raises PickupCodeUnknown, PickupCodeOver, ReferenceConflict.
    """
    redemption = _get_by_code(code)
    if not claims.is_first(
        redemption=redemption,
        operation=Operation.WRITE_OFF,
        step={"to_state": RedemptionState.COMPLETED},
        source=source,
        reference=reference,
    ):
        redemption.refresh_from_db()
        return WrittenOff(redemption, replayed=True)
    return WrittenOff(_write_off(redemption, actor, at, source=source, reference=reference), replayed=False)


@transaction.atomic
def no_show(
    *, redemption: Redemption, actor: Actor, at: datetime, reason: str = "", restore: bool = False
) -> Redemption:
    """Say that the member did not come for a service at its time. The points stay spent, unless a reason is given."""
    if restore and not reason.strip():
        raise ReasonMissing
    change = told(actor=actor, at=at, reason=reason)
    missed = standing_before(redemption, RedemptionState.NO_SHOW).filter(booked_for__lte=at)
    moved = missed.update(state=RedemptionState.NO_SHOW, change=change)
    redemption.refresh_from_db()
    if not moved:
        if redemption.state == RedemptionState.READY:
            raise NotMissed
        raise StepRefused(state=RedemptionState(redemption.state), wanted=RedemptionState.NO_SHOW)
    if restore:
        return_(redemption=redemption, actor=actor, at=at, reason=reason, restock=False)
    return redemption


@transaction.atomic
def return_(
    *,
    redemption: Redemption,
    actor: Actor,
    at: datetime,
    reason: str = "",
    restock: bool = True,
    source: str = SOURCE,
) -> Redemption:
    """Take back a gift that was sent or a service written off by mistake, or excuse a no-show: the points return to
    their lots, once.

    The pieces return to the stock if wanted. The points of a service come back for a reason only.
    """
    if redemption.kind == RewardKind.SERVICE and not reason.strip():
        raise ReasonMissing
    _step(redemption, RedemptionState.RETURNED, told(actor=actor, at=at, reason=reason))
    give_back(redemption=redemption, source=source, actor=actor, at=at, restock=restock)
    return redemption


def _get_by_code(code: str) -> Redemption:
    redemption = Redemption.objects.by_pickup_code(code).select_related("reward", "variant", "member").first()
    if redemption is None:
        raise PickupCodeUnknown
    return redemption


def _write_off(redemption: Redemption, actor: Actor, at: datetime, **by: str) -> Redemption:
    try:
        return _step(redemption, RedemptionState.COMPLETED, told(actor=actor, at=at, **by))
    except StepRefused:
        raise PickupCodeOver(
            reward=str(redemption.reward),
            state=RedemptionState(redemption.state),
            since=date_format(localtime(redemption.changed_at), "DATETIME_FORMAT"),
        ) from None


def _step(redemption: Redemption, state: RedemptionState, change: dict[str, Any], **fields: Any) -> Redemption:
    """Move an order on, if it stands where this step follows; of two who try at once one wins."""
    moved = standing_before(redemption, state).update(state=state, change=change, **fields)
    redemption.refresh_from_db()
    if not moved:
        if redemption.is_unpaid and redemption.state == RedemptionState.PLACED:
            raise PaymentMissing
        raise StepRefused(state=RedemptionState(redemption.state), wanted=state)
    return redemption
