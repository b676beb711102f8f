"""Taking back what a refunded purchase earned, and giving back what was spent on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from points.actions import claiming
from points.actions.awarding import FUTURE_TOLERANCE, item_problem
from points.actions.posting import ReferenceConflict
from points.actions.spending import RESTORATION_GRACE
from points.calendar import end_of_day
from points.models import Entry, Event


class RefundRefused(DomainError):
    """This event cannot be refunded like this."""

    code = "refund_refused"


class UnknownEvent(RefundRefused):
    code = "unknown_event"
    status = 404
    message = _("There is no such event to refund.")


class AlreadyRefunded(RefundRefused):
    code = "already_refunded"
    message = _("The event is refunded in full already.")


class RefundExceedsEvent(RefundRefused):
    code = "refund_exceeds_event"
    message = _("money: of %(amount_minor)s (minor units) %(refunded_before)s are refunded already; less is left.")


class RefundAmountInvalid(RefundRefused):
    code = "amount_not_positive"
    message = _("money: a refund is more than nothing.")


class EventWithoutAmount(RefundRefused):
    code = "event_without_amount"
    message = _("money: the event has no amount; refund it whole.")


class RefundTime(RefundRefused):
    code = "invalid_time"
    message = _("occurred_at: needs an offset and must not lie in the future, nor before the event itself.")


class RefundItemsInvalid(RefundRefused):
    code = "invalid_items"
    message = _("items: line %(line)s: %(problem)s")


_REFUSALS = {error.code: error for error in (UnknownEvent, AlreadyRefunded, RefundAmountInvalid, EventWithoutAmount)}


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
) -> Refunded:
    """Refund an amount (minor units), some line items, or, with neither, all that is left.

    Raises UnknownEvent, AlreadyRefunded, RefundExceedsEvent, RefundAmountInvalid, RefundItemsInvalid,
    EventWithoutAmount, RefundTime, ReferenceConflict.
    """
    if occurred_at.tzinfo is None or not event.occurred_at <= occurred_at <= at + FUTURE_TOLERANCE:
        raise RefundTime
    for line, item in enumerate(items or (), start=1):
        problem = item_problem(item) or (now_("the amount is missing.") if item.get("amount_minor") is None else None)
        if problem:
            raise RefundItemsInvalid(line=line, problem=problem)
    digest = claiming.digest_of(
        event=event.pk, occurred_at=occurred_at, amount=amount_minor, items=list(items) if items else None
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM points_refund(%s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s)",
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
            ],
        )
        status, code, event_id, total, before = cursor.fetchone()
        if status == "rejected":
            raise _refusal(code, reference, total, before)
    entries = list(
        Entry.objects.filter(member_id=event.member_id, source=source, reference=reference, event_id=event_id)
        .select_related("point_type", "rule")
        .order_by("seq")
    )
    return Refunded(event_id, entries, replayed=status == "replayed")


def _refusal(code: str, reference: str, total: int | None, before: int | None) -> DomainError:
    if code == "reference_conflict":
        return ReferenceConflict(reference=reference)
    if code == "refund_exceeds_event":
        return RefundExceedsEvent(amount_minor=total, refunded_before=before)
    return _REFUSALS[code]()
