"""Taking back what a refunded purchase earned, and giving back what was spent on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from config.lib import money
from config.lib.actor import Actor
from config.lib.errors import DomainError
from points.actions import claiming
from points.actions.awarding import FUTURE_TOLERANCE, item_problem
from points.actions.posting import ReferenceConflict
from points.actions.spending import RESTORATION_GRACE
from points.calendar import end_of_day
from points.models import Balance, Entry, Event


class RefundReason(models.TextChoices):
    """Why a purchase is undone: the goods came back, or the bank took the money back from the shop."""

    RETURN = "return", _("Return")
    CHARGEBACK = "chargeback", _("Chargeback")


class RefundRefused(DomainError):
    """This event cannot be refunded like this."""

    code = "refund_refused"


class UnknownEvent(RefundRefused):
    code = "unknown_event"
    status = 404
    message = _("event: there is no such event to refund.")


class RefundOfRefund(RefundRefused):
    code = "refund_of_refund"
    message = _("event: %(event)s is a refund itself, and a refund is not refunded.")


class AlreadyRefunded(RefundRefused):
    code = "already_refunded"
    message = _("event: it is refunded in full already; nothing is left.")


class RefundExceedsEvent(RefundRefused):
    code = "refund_exceeds_event"
    message = _("money: more than is left to refund, which is %(left)s.")


class RefundAmountInvalid(RefundRefused):
    code = "amount_not_positive"
    message = _("money: a refund is more than nothing.")


class EventWithoutAmount(RefundRefused):
    code = "event_without_amount"
    message = _("money: the event has no amount; refund it whole.")


class RefundCurrency(RefundRefused):
    code = "currency_mismatch"
    message = _("money: the event was paid in %(currency)s.")


class RefundTime(RefundRefused):
    code = "invalid_time"
    message = _("occurred_at: needs an offset and must not lie in the future, nor before the event itself.")


class RefundItemsInvalid(RefundRefused):
    code = "invalid_items"
    message = _("items: line %(line)s: %(problem)s")


class RefundReasonUnknown(RefundRefused):
    code = "unknown_reason"
    message = _("reason: a purchase is undone by a return or by a chargeback.")


_REFUSALS: dict[str, type[RefundRefused]] = {
    error.code: error
    for error in (UnknownEvent, AlreadyRefunded, RefundAmountInvalid, EventWithoutAmount, RefundReasonUnknown)
}


@dataclass(frozen=True, slots=True)
class Refunded:
    """The refund as an event of its own, and the entries it made."""

    event_id: int
    entries: list[Entry]
    replayed: bool


def refund(
    *,
    event: Event,
    source: str,
    reference: str,
    occurred_at: datetime,
    actor: Actor,
    at: datetime,
    amount_minor: int | None = None,
    items: Sequence[Mapping[str, Any]] | None = None,
    reason: str = RefundReason.RETURN,
) -> Refunded:
    """Refund an amount (minor units), some line items, or, with neither, all that is left.

    A return and a chargeback move the same points; the reason is kept with the refund.
    Raises UnknownEvent, AlreadyRefunded, RefundExceedsEvent, RefundAmountInvalid, RefundItemsInvalid,
    EventWithoutAmount, RefundTime, RefundReasonUnknown, ReferenceConflict.
    """
    if occurred_at.tzinfo is None or not event.occurred_at <= occurred_at <= at + FUTURE_TOLERANCE:
        raise RefundTime(event_occurred_at=timezone.localtime(event.occurred_at).isoformat())
    for line, item in enumerate(items or (), start=1):
        problem = item_problem(item) or (now_("the amount is missing.") if item.get("amount_minor") is None else None)
        if problem:
            raise RefundItemsInvalid(line=line, problem=problem)
    # A return says nothing, as refunds did before there were reasons: their references must still be theirs.
    why = {} if reason == RefundReason.RETURN else {"reason": reason}
    # One moment is one content, whatever offset it came with: written by the programme's clock, as it was mostly sent.
    moment = timezone.localtime(occurred_at)
    digest = claiming.digest_of(
        event=event.pk, occurred_at=moment, amount=amount_minor, items=list(items) if items else None, **why
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM points_refund(%s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                event.member_id,
                event.pk,
                amount_minor,
                json.dumps(list(items)) if items else None,
                source,
                reference,
                digest,
                occurred_at,
                actor,
                at,
                settings.TIME_ZONE,
                end_of_day(at + RESTORATION_GRACE),
                reason,
            ],
        )
        status, code, event_id, total, before = cursor.fetchone()
        if status == "rejected":
            raise _refusal(code, reference, event, total, before)
    entries = list(
        Entry.objects.filter(member_id=event.member_id, source=source, reference=reference, event_id=event_id)
        .select_related("point_type", "rule")
        .order_by("seq")
    )
    return Refunded(event_id, entries, replayed=status == "replayed")


def lock(*, event: Event) -> None:
    """Let nobody refund the member's purchases meanwhile; what the books lock first anyway."""
    list(Balance.objects.select_for_update().filter(member=event.member_id).order_by("point_type_id").values("pk"))


def is_refunded(*, event: Event) -> bool:
    """Whether nothing is left of an event: no money, and of what came back by lines no goods either."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT points_is_refunded(%s, %s)", [event.member_id, event.pk])
        return bool(cursor.fetchone()[0])


def is_returned(*, event: Event) -> bool:
    """Whether the whole of an event was taken back by returns; a part that was charged back is no return."""
    refunds = Event.objects.filter(member_id=event.member_id, refund_of=event.pk)
    told = refunds.values_list("attributes", flat=True)
    by_returns = all(attributes.get("reason", RefundReason.RETURN) == RefundReason.RETURN for attributes in told)
    return by_returns and is_refunded(event=event)


def _refusal(code: str, reference: str, event: Event, total: int | None, before: int | None) -> DomainError:
    if code == "reference_conflict":
        return ReferenceConflict(reference=reference)
    if code == "refund_exceeds_event":
        left = money.to_decimal_string((total or 0) - (before or 0), event.currency)
        return RefundExceedsEvent(amount_minor=total, refunded_before=before, left=f"{left} {event.currency}")
    return _REFUSALS[code]()
