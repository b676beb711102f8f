"""The money of an order that costs points and money: paid at a till or in a shop, which say so here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib import money
from config.lib.actor import Actor
from config.lib.errors import DomainError
from points.models import Operation
from rewards.actions import claims
from rewards.models import Redemption, RedemptionState, RedemptionTopic, RewardKind, new_code, told

#: An order whose payment did not come by then gives its points and pieces back.
TIME_TO_PAY = timedelta(days=3)


class NothingToPay(DomainError):
    """The order costs points alone."""

    code = "nothing_to_pay"
    message = _("This order costs points alone.")


class WrongAmount(DomainError):
    """Another amount or currency than what is due."""

    code = "wrong_amount"
    message = _("money: %(due)s %(currency)s are due.")


class AlreadyPaid(DomainError):
    """The payment was recorded under another reference."""

    code = "already_paid"
    message = _("This order is paid already.")


class CannotPay(DomainError):
    """The order was cancelled before it was paid."""

    code = "cannot_pay"
    message = _("This order can no longer be paid: %(state)s.")


@dataclass(frozen=True, slots=True)
class Payment:
    """A paid order as it stands."""

    redemption: Redemption
    replayed: bool


@transaction.atomic
def record_payment(
    *,
    redemption: Redemption,
    amount_minor: int,
    currency: str,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
) -> Payment:
    """Say that the money of an order was paid, once; a service is then ready, a gift can be approved.

    The same (source, reference) again gives the first answer. Raises ReferenceConflict, NothingToPay, WrongAmount,
    AlreadyPaid, CannotPay. Locks: the reference, the order.
    """
    if not claims.is_first(
        redemption=redemption,
        operation=Operation.PAYMENT,
        step={"topic": RedemptionTopic.PAYMENT},
        source=source,
        reference=reference,
        amount_minor=amount_minor,
        currency=currency,
    ):
        redemption.refresh_from_db()
        return Payment(redemption, replayed=True)
    if redemption.money_minor is None:
        raise NothingToPay
    if (amount_minor, currency) != (redemption.money_minor, redemption.money_currency):
        due = money.to_decimal_string(redemption.money_minor, redemption.money_currency)
        raise WrongAmount(due=due, currency=redemption.money_currency)
    ready: dict[str, Any] = {}
    if redemption.kind == RewardKind.SERVICE:
        ready = {"state": RedemptionState.READY, "pickup_code": new_code()}
    orders = Redemption.objects.filter(member=redemption.member_id, pk=redemption.pk)
    paid = orders.filter(state=RedemptionState.PLACED, paid_at__isnull=True).update(
        paid_at=at, change=told(actor=actor, at=at, source=source, reference=reference), **ready
    )
    redemption.refresh_from_db()
    if not paid:
        raise AlreadyPaid if redemption.paid_at else CannotPay(state=RedemptionState(redemption.state))
    return Payment(redemption, replayed=False)
