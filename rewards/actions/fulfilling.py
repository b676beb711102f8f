"""Getting an order to the member: approved, shipped or ready, completed; and back again."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from rewards.actions.redeeming import give_back, standing_before
from rewards.models import Redemption, RedemptionState, new_code, told

#: Where the back office writes from, when no client system does.
SOURCE = "admin"


class StepRefused(DomainError):
    """The order stands where this step does not follow."""

    code = "step_refused"
    message = _("This order is %(status)s and cannot become %(wanted)s.")


class PickupCodeUnknown(DomainError):
    """No order waits for this code: never given out, or written off already."""

    code = "pickup_code_unknown"
    message = _("code: no order is waiting for this code.")


def approve(*, redemption: Redemption, actor: Actor, at: datetime, reason: str = "") -> Redemption:
    """Let a gift go out."""
    return _step(redemption, RedemptionState.APPROVED, actor, at, reason)


def ship(
    *, redemption: Redemption, actor: Actor, at: datetime, carrier: str = "", tracking: str = "", reason: str = ""
) -> Redemption:
    """Hand an approved gift to a carrier."""
    return _step(redemption, RedemptionState.SHIPPED, actor, at, reason, carrier=carrier, tracking=tracking)


def ready(*, redemption: Redemption, actor: Actor, at: datetime, reason: str = "") -> Redemption:
    """Put an approved gift aside for pick-up; the member gets a write-off code for it."""
    return _step(redemption, RedemptionState.READY, actor, at, reason, pickup_code=new_code())


def complete(*, redemption: Redemption, actor: Actor, at: datetime, reason: str = "") -> Redemption:
    """Say that the member has it: received, picked up or consumed."""
    return _step(redemption, RedemptionState.COMPLETED, actor, at, reason)


def write_off(*, code: str, actor: Actor, at: datetime) -> Redemption:
    """Complete the order whose write-off code the member shows; of two who read it at once one wins."""
    waiting = Redemption.objects.by_pickup_code(code).filter(state=RedemptionState.READY)
    redemption = waiting.select_related("reward").first()
    if redemption is None:
        raise PickupCodeUnknown
    return complete(redemption=redemption, actor=actor, at=at)


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
    """Take back a gift that was sent: the points return to their lots, once, and the pieces to the stock if wanted."""
    _step(redemption, RedemptionState.RETURNED, actor, at, reason)
    give_back(redemption=redemption, source=source, actor=actor, at=at, restock=restock)
    return redemption


def _step(
    redemption: Redemption, state: RedemptionState, actor: Actor, at: datetime, reason: str, **fields: Any
) -> Redemption:
    """Move an order on, if it stands where this step follows; of two who try at once one wins."""
    change = told(actor=actor, at=at, reason=reason)
    moved = standing_before(redemption, state).update(state=state, change=change, **fields)
    redemption.refresh_from_db()
    if not moved:
        raise StepRefused(status=redemption.get_state_display(), wanted=state.label)
    return redemption
