"""Holds over the API: points set aside while a purchase is in progress, then captured or voided."""

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView, Body, first_or_again, moment
from members.api.fields import MomentField, PointsField, ReferenceField, TextField, WholeField
from members.models import Scope
from points.actions import holding
from points.api.bodies import find_event_id, find_member
from points.models import Hold, HoldStatus

_DEFAULT_SECONDS = 3600


class HoldBody(Body):
    """Points to set aside."""

    reference = ReferenceField()
    member = TextField(max_length=40, help_text=_("The card number."))
    type = TextField(max_length=32, required=False, help_text=_("The code of the point type; “points” without it."))
    points = PointsField()
    expires_in = WholeField(
        min_value=1, max_value=30 * 86_400, required=False, help_text=_("Seconds; 3,600 without it.")
    )


class CaptureBody(Body):
    """What to spend of a hold; the rest is released."""

    reference = ReferenceField()
    points = PointsField(required=False, help_text=_("All of them without it."))
    event = ReferenceField(
        required=False,
        help_text=_("The reference of the purchase they are spent on; refunding it gives them back."),
    )


class VoidBody(Body):
    """Give all points of a hold back."""

    reference = ReferenceField()


class HoldAnswer(serializers.Serializer[Any]):
    """A hold."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(HoldStatus.choices)
    member = serializers.CharField()
    type = serializers.CharField()
    points = serializers.IntegerField()
    captured = serializers.IntegerField()
    expires_at = MomentField()
    reference = serializers.CharField()


_ANSWERS = {200: HoldAnswer, 201: HoldAnswer}


class HoldsView(ApiView):
    """Set points aside."""

    scopes: ClassVar = {"post": (Scope.POINTS_SPEND,)}

    @extend_schema(operation_id="hold_points", request=HoldBody, responses=_ANSWERS)
    def post(self, request: Request) -> Response:
        """Hold points of a member until they are captured or voided, or the time is over.

        A hold that is sent again is answered as it stands now: also as captured, voided or expired.
        """
        body = self.read(HoldBody)
        member = find_member(body["member"])
        point_type = body.get("type", "points")
        held = holding.hold(
            member=member,
            points=body["points"],
            point_type=point_type,
            expires_in=timedelta(seconds=body.get("expires_in", _DEFAULT_SECONDS)),
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(_show_hold(held.hold, member.number, point_type), replayed=held.replayed)


class CaptureView(ApiView):
    """Spend what is held."""

    scopes: ClassVar = {"post": (Scope.POINTS_SPEND,)}

    @extend_schema(operation_id="capture_hold", request=CaptureBody, responses=_ANSWERS)
    def post(self, request: Request, key: UUID) -> Response:
        """Spend held points, all or some, before their time is over; what is not captured goes back to its lots."""
        source = self.caller.source
        hold, body = _get_hold(source, key), self.read(CaptureBody)
        held = holding.capture(
            hold=hold,
            points=body.get("points"),
            event_id=find_event_id(source, body["event"], hold.member_id) if "event" in body else None,
            reference=body["reference"],
            source=source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(_show_hold(held.hold, hold.member.number, hold.point_type.code), replayed=held.replayed)


class VoidView(ApiView):
    """Release what is held."""

    scopes: ClassVar = {"post": (Scope.POINTS_SPEND,)}

    @extend_schema(operation_id="void_hold", request=VoidBody, responses=_ANSWERS)
    def post(self, request: Request, key: UUID) -> Response:
        """Give all held points back to their lots."""
        hold, body = _get_hold(self.caller.source, key), self.read(VoidBody)
        held = holding.void(
            hold=hold,
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(_show_hold(held.hold, hold.member.number, hold.point_type.code), replayed=held.replayed)


def _get_hold(source: str, key: UUID) -> Hold:
    """Return this client's hold, or 404: also when another system made it."""
    hold = Hold.objects.select_related("member", "point_type").filter(key=key, source=source).first()
    if hold is None:
        raise Http404
    return hold


def _show_hold(hold: Hold, number: str, point_type: str) -> dict[str, Any]:
    return {
        "id": str(hold.key),
        "status": hold.status,
        "member": number,
        "type": point_type,
        "points": hold.points,
        "captured": hold.captured,
        "expires_at": moment(hold.expires_at),
        "reference": hold.reference,
    }
