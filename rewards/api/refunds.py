"""Refunds of events over the API: what they earned is taken back, and what was spent and used on them given back."""

from typing import Any, ClassVar, cast

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView, Body, first_or_again
from members.api.fields import MomentField, MoneyField, ReferenceField
from members.models import Scope
from points.actions import refunding as points_refunding
from points.actions.refunding import RefundCurrency, RefundOfRefund, RefundReason, UnknownEvent
from points.api import bills
from points.api.answers import EntryAnswer, show_entries
from points.api.events import ItemBody, with_event_reference
from points.api.reading import MalformedEvent, read_items
from points.models import Entry, Event, Operation, Reference
from rewards.actions import refunding


class RefundBody(Body):
    """What was refunded: an amount, or some lines, or with neither all that is left."""

    reference = ReferenceField()
    occurred_at = MomentField()
    money = MoneyField(required=False)
    items = ItemBody(many=True, required=False, allow_empty=False)
    reason = serializers.ChoiceField(
        RefundReason.choices,
        required=False,
        help_text=_("A return, unless told otherwise. Coupons come back with a return, not with a chargeback."),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("money") and attrs.get("items"):
            raise ValidationError({"items": [_("Give money or items, not both.")]})
        return attrs


class RefundAnswer(serializers.Serializer[Any]):
    """The refund, and what it moved."""

    reference = serializers.CharField()
    event = serializers.CharField()
    entries = EntryAnswer(many=True)
    coupons = serializers.ListField(
        child=serializers.CharField(), help_text=_("The references of the uses of coupons that it gave back.")
    )


class RefundsView(ApiView):
    """Take refunds of an event."""

    scopes: ClassVar = {"post": (Scope.EVENTS_WRITE,)}

    @extend_schema(operation_id="refund_event", request=RefundBody, responses={200: RefundAnswer, 201: RefundAnswer})
    def post(self, request: Request, reference: str) -> Response:
        """Take back what the refunded part of an event earned, and give back what was spent on it.

        Lines are held to the bill: its category, and of each thing no more than was sold, less earlier refunds. With a
        discount on the whole bill a line is worth its share of what was paid.
        With the return that completes the refund the coupons named by the event can be used again.
        """
        event = _get_event(self.caller.source, reference)
        body = self.read(RefundBody)
        with transaction.atomic():
            refunding.lock_coupons(event=event)
            items = None
            if "items" in body:
                points_refunding.lock(event=event)
                told = cast(dict[str, Any], request.data)["items"]
                items = _lines_of(event, told, self.caller.source, body["reference"])
            refunded = refunding.refund(
                event=event,
                source=self.caller.source,
                reference=body["reference"],
                occurred_at=body["occurred_at"],
                amount_minor=_amount_of(event, body["money"]) if "money" in body else None,
                items=items,
                reason=body.get("reason", RefundReason.RETURN),
                actor=self.caller.actor,
                at=self.at,
            )
        made = Entry.objects.filter(member=event.member, pk__in=[entry.pk for entry in refunded.refund.entries])
        answer = {
            "reference": body["reference"],
            "event": event.reference,
            "entries": show_entries(with_event_reference(made)),
            "coupons": refunded.coupons,
        }
        return first_or_again(answer, replayed=refunded.refund.replayed)


def _get_event(source: str, reference: str) -> Event:
    """Return the event this client sent under this reference; a refusal that tells a refund from what is not there."""
    known = Reference.objects.filter(
        source=source, operation__in=[Operation.EVENT, Operation.REFUND], reference=reference
    )
    targets = {key.operation: (key.member_id, key.target) for key in known}
    if Operation.EVENT in targets:
        member_id, target = targets[Operation.EVENT]
        event: Event = Event.objects.select_related("member").get(member_id=member_id, pk=target)
        return event
    if targets:
        raise RefundOfRefund(event=reference)
    raise UnknownEvent(event=reference)


def _amount_of(event: Event, money: tuple[int, str]) -> int:
    amount, currency = money
    if event.currency and currency != event.currency:
        raise RefundCurrency(currency=event.currency)
    return amount


def _lines_of(event: Event, items: Any, source: str, reference: str) -> list[dict[str, Any]]:
    """Return the refunded lines as the bill knows them: its category, and its amount where none is given."""
    try:
        lines = read_items(items, event.currency)
    except MalformedEvent as problem:
        if problem.code == RefundCurrency.code and event.currency:
            raise RefundCurrency(
                _("%(field)s: the event was paid in %(currency)s."), field="items", currency=event.currency
            ) from problem
        raise ValidationError({problem.field: [problem.reason]}, code=problem.code) from problem
    quantities = [told.get("quantity") for told in items]
    return bills.hold_to_bill(event, lines, quantities, source=source, reference=reference)
