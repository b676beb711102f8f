"""Events over the API: taken one by one or ten thousand at once, previewed, explained."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import F
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView, Body, first_or_again, moment, printable
from members.api.fields import AttributesField, MomentField, MoneyField, ReferenceField, TextField, write_money
from members.models import Scope
from points import explanations
from points.actions import awarding, referring
from points.actions.awarding import BATCH_LIMIT, EventResult, IncomingEvent
from points.api.answers import (
    EventAnswer,
    EventRowAnswer,
    ExplanationAnswer,
    PreviewAnswer,
    rule_codes,
    show_result,
    show_verdicts,
)
from points.api.reading import COUPONS_LIMIT, MalformedEvent, read_event
from points.models import Event, EventType, Operation, Reference

PREVIEW_LIMIT = 100
#: What nobody sends: the programme makes these events itself.
_OWN = (EventType.REFUND, EventType.REFERRAL)
_FIELD_FIRST = re.compile(r"([a-z_]+)[:：]")


class ItemBody(Body):
    """A line of the bill, or of what of it is refunded."""

    sku = TextField(max_length=100, required=False, allow_blank=True)
    category = TextField(max_length=100, required=False, allow_blank=True)
    quantity = serializers.FloatField(min_value=0, max_value=1_000_000, required=False)
    money = MoneyField(required=False)


class EventBody(Body):
    """A business event. It describes what `points.api.reading` reads faster."""

    reference = ReferenceField()
    member = TextField(help_text=_("The card number."))
    type = serializers.ChoiceField([choice for choice in EventType.choices if choice[0] not in _OWN])
    occurred_at = MomentField()
    money = MoneyField(required=False, help_text=_("The net amount paid."))
    gross = MoneyField(required=False, help_text=_("The amount before discounts."))
    channel = TextField(max_length=64, required=False)
    store = TextField(max_length=64, required=False)
    attributes = AttributesField(required=False)
    items = ItemBody(many=True, required=False)
    coupons = serializers.ListField(
        child=ReferenceField(),
        required=False,
        max_length=COUPONS_LIMIT,
        help_text=_("The references under which this system used coupons for it: a return gives those uses back."),
    )


def _one_or_many(name: str, one: Any, many: Any) -> PolymorphicProxySerializer:
    """Describe a body that is one object or a list of them."""
    return PolymorphicProxySerializer(
        component_name=name, serializers=[one, many], resource_type_field_name=None, many=False
    )


_EVENTS = _one_or_many("Events", EventBody, serializers.ListSerializer[Any](child=EventBody(), max_length=BATCH_LIMIT))
_RESULTS = _one_or_many("EventResults", EventAnswer, EventRowAnswer(many=True))
_PREVIEWS = _one_or_many("Previews", PreviewAnswer, PreviewAnswer(many=True))


class EventsView(ApiView):
    """Take events."""

    scopes: ClassVar = {"post": (Scope.EVENTS_WRITE,)}
    largest_body: ClassVar = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    @extend_schema(
        operation_id="send_events",
        request=_EVENTS,
        responses={200: OpenApiResponse(_RESULTS, _("A list, or one event that was sent before.")), 201: EventAnswer},
    )
    def post(self, request: Request) -> Response:
        """Take one event, or a list of up to 10,000: then the answer is 200 with one result an event, in order.

        Of a list the good ones are kept when others are rejected; a rejected one names row, field and reason.
        """
        if isinstance(request.data, list):
            return Response(self._take_list(request.data))
        event = _read_one(request.data)
        result = awarding.award(event=event, source=self.caller.source, actor=self.caller.actor, at=self.at)
        self._look_at_referrals([event], [result])
        return first_or_again(show_result(result, rule_codes([result])), replayed=result.status == "replayed")

    def _take_list(self, bodies: list[Any]) -> list[dict[str, Any]]:
        _refuse_more_than(BATCH_LIMIT, bodies)
        answers: list[dict[str, Any] | None] = []
        events: list[IncomingEvent] = []
        for row, body in enumerate(bodies, start=1):
            try:
                events.append(read_event(body))
                answers.append(None)
            except MalformedEvent as problem:
                answers.append(_show_malformed(problem, body, row))
        results = (
            awarding.award_many(events=events, source=self.caller.source, actor=self.caller.actor, at=self.at)
            if events
            else []
        )
        self._look_at_referrals(events, results)
        codes, taken = rule_codes(results), iter(results)
        return [answer or _show_row(next(taken), codes, row) for row, answer in enumerate(answers, start=1)]

    def _look_at_referrals(self, events: Sequence[IncomingEvent], results: Sequence[EventResult]) -> None:
        """Let invitations of those who did something new be rewarded at once and not only at night."""
        told = zip(events, results, strict=True)
        friends = {
            result.friend
            for event, result in told
            if result.friend and result.status == "accepted" and event.type in referring.DECIDING
        }
        if friends:
            referring.convert_soon(friends=sorted(friends), actor=self.caller.actor, at=self.at)


class PreviewView(ApiView):
    """What events would award."""

    scopes: ClassVar = {"post": (Scope.EVENTS_WRITE,)}

    @extend_schema(operation_id="preview_events", request=_EVENTS, responses=_PREVIEWS)
    def post(self, request: Request) -> Response:
        """Tell what an event would award and why, and store nothing. A list may hold up to 100 events."""
        if not isinstance(request.data, list):
            return Response(self._preview(_read_one(request.data)))
        _refuse_more_than(PREVIEW_LIMIT, request.data)
        return Response([self._preview(_read_one(body, row)) for row, body in enumerate(request.data)])

    def _preview(self, event: IncomingEvent) -> dict[str, Any]:
        verdicts = awarding.preview(event=event, at=self.at, source=self.caller.source)
        return {"reference": event.reference, **show_verdicts(verdicts)}


class ExplanationView(ApiView):
    """Why an event gave what it gave."""

    scopes: ClassVar = {"get": (Scope.POINTS_READ, Scope.EVENTS_WRITE)}

    @extend_schema(operation_id="explain_event", responses=ExplanationAnswer)
    def get(self, request: Request, reference: str) -> Response:
        """Explain an event rule by rule: conditions, arithmetic, limits, and a sentence in the language asked for."""
        event = get_event(self.caller.source, reference)
        return Response(
            {
                "reference": event.reference,
                "member": event.member.number,
                "type": event.type,
                "occurred_at": moment(event.occurred_at),
                "money": None if event.amount_minor is None else write_money(event.amount_minor, event.currency),
                **show_verdicts(explanations.explain(event=event)),
            }
        )


def get_event(source: str, reference: str) -> Event:
    """Return the event this client sent under this reference, or 404."""
    key = Reference.objects.filter(source=source, operation=Operation.EVENT, reference=reference).first()
    if key is None:
        raise Http404
    event: Event = Event.objects.select_related("member").get(member_id=key.member_id, pk=key.target)
    return event


def with_event_reference(entries: Any) -> list[Any]:
    """Load entries with all that rendering needs."""
    found = entries.select_related("point_type", "rule").annotate(event_reference=F("event__reference"))
    return list(found.order_by("seq"))


def _read_one(body: Any, index: int | None = None) -> IncomingEvent:
    try:
        return read_event(body)
    except MalformedEvent as problem:
        field = problem.field if index is None else f"{index}.{problem.field}"
        raise ValidationError({field: [problem.reason]}, code=problem.code) from problem


def _refuse_more_than(limit: int, bodies: list[Any]) -> None:
    if len(bodies) > limit:
        raise ValidationError({"non_field_errors": [_("At most %(limit)s events at once.") % {"limit": limit}]})


def _show_malformed(problem: MalformedEvent, body: Any, row: int) -> dict[str, Any]:
    reference = body.get("reference") if isinstance(body, dict) else None
    return {
        "reference": printable(reference) if isinstance(reference, str) else None,
        "status": "rejected",
        "points": {},
        "entries": [],
        "row": row,
        "field": problem.field,
        "code": problem.code,
        "detail": f"{problem.field}: {problem.reason}",
    }


def _show_row(result: EventResult, codes: dict[int, str], row: int) -> dict[str, Any]:
    answer = show_result(result, codes)
    if result.code:
        named = _FIELD_FIRST.match(result.detail or "")
        answer |= {"row": row, "field": named[1] if named else "event", "code": result.code, "detail": result.detail}
    return answer
