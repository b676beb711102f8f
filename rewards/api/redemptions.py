"""Redemptions over the API: an order placed, read and cancelled."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView, Body, first_or_again, moment
from members.api.fields import MomentField, MoneyField, ReferenceField, TextField, WholeField, write_money
from members.models import Scope
from points.actions import claiming
from points.api.answers import last_day
from points.api.bodies import find_member
from points.models import Operation
from rewards.actions import booking, fulfilling, paying, redeeming
from rewards.actions.booking import Booking
from rewards.models import Coupon, CouponState, Redemption, RedemptionState, Reward, RewardKind, RewardVariant


class BookingBody(Body):
    """When and where a service is wanted."""

    at = MomentField(help_text=_("The time, with its offset."))
    place = TextField(max_length=100, help_text=_("One of the places of the reward, where it names some."))


class RedemptionBody(Body):
    """What a member wants for points."""

    reference = ReferenceField()
    member = TextField(max_length=40, help_text=_("The card number."))
    reward = TextField(max_length=64, help_text=_("The code of the reward."))
    variant = TextField(
        max_length=64, required=False, help_text=_("The code of the variant, where there are several.")
    )
    quantity = WholeField(min_value=1, max_value=1_000, required=False)
    address = TextField(max_length=500, required=False, allow_blank=True, lines=True)
    booking = BookingBody(required=False, help_text=_("Of a service; it can also be booked later."))


class CancellationBody(Body):
    """Take an order back."""

    reference = ReferenceField()
    reason = TextField(max_length=500, required=False, allow_blank=True)


class RescheduleBody(Body):
    """Another time or place for a service."""

    reference = ReferenceField()
    booking = BookingBody()
    reason = TextField(max_length=500, required=False, allow_blank=True)


class PaymentBody(Body):
    """The money of an order was paid."""

    reference = ReferenceField()
    money = MoneyField()


class BookingAnswer(serializers.Serializer[Any]):
    """When and where a service is booked."""

    at = MomentField()
    place = serializers.CharField()


class CouponAnswer(serializers.Serializer[Any]):
    """A coupon the member now has."""

    code = serializers.CharField()
    status = serializers.ChoiceField(CouponState.choices)
    value = MoneyField(allow_null=True)
    percent = serializers.IntegerField(allow_null=True)
    minimum = MoneyField()
    expires_on = serializers.DateField(allow_null=True)


class RedemptionAnswer(serializers.Serializer[Any]):
    """An order as it stands."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(RedemptionState.choices)
    member = serializers.CharField()
    reward = serializers.CharField()
    kind = serializers.ChoiceField(RewardKind.choices)
    variant = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField()
    points = serializers.IntegerField()
    reference = serializers.CharField()
    placed_at = MomentField()
    money = MoneyField(required=False, help_text=_("What the member pays besides the points."))
    paid_at = MomentField(required=False)
    booking = BookingAnswer(required=False)
    coupon = CouponAnswer(required=False)
    pickup_code = serializers.CharField(required=False)
    carrier = serializers.CharField(required=False)
    tracking = serializers.CharField(required=False)


class WriteOffBody(Body):
    """The code a member shows for a pick-up or a service."""

    reference = ReferenceField()
    code = TextField(max_length=40, help_text=_("As typed or scanned: in any case, in groups or not."))


class WriteOffAnswer(serializers.Serializer[Any]):
    """What to hand over."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(RedemptionState.choices)
    member = serializers.CharField()
    reward = serializers.CharField()
    kind = serializers.ChoiceField(RewardKind.choices)
    variant = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField()
    booking = BookingAnswer(required=False)


class PaymentAnswer(serializers.Serializer[Any]):
    """An order that is paid: what it was, and where it stands now."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(RedemptionState.choices)
    reward = serializers.CharField()
    quantity = serializers.IntegerField()
    money = MoneyField()
    paid_at = MomentField()


_ANSWERS = {200: RedemptionAnswer, 201: RedemptionAnswer}


class RedemptionsView(ApiView):
    """Place orders."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    @extend_schema(operation_id="redeem_reward", request=RedemptionBody, responses=_ANSWERS)
    def post(self, request: Request) -> Response:
        """Spend a member's points on a reward: a coupon at once, a service by its pick-up code, a gift as an order.

        What costs money too waits as placed until its payment is recorded. A service may be booked for a time and a
        place at once. The same request again spends nothing and answers 200 with the order as it stands by then.
        """
        body = self.read(RedemptionBody)
        reward = redeeming.get_reward(body["reward"])
        operation = Operation.REDEMPTION
        known = None  # asked for only where it matters
        if "variant" in body:
            known = claiming.find(source=self.caller.source, operation=operation, reference=body["reference"])
        redeemed = redeeming.redeem(
            member=find_member(body["member"]),
            reward=reward,
            # An order that was placed is answered again, also when what it chose is no longer offered.
            variant=_get_variant(reward, body["variant"], offered=known is None) if "variant" in body else None,
            quantity=body.get("quantity", 1),
            address=body.get("address", ""),
            booking=_read_booking(body["booking"]) if "booking" in body else None,
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(show_redemption(redeemed.redemption), replayed=redeemed.replayed)


class RedemptionView(ApiView):
    """One order."""

    scopes: ClassVar = {"get": (Scope.REWARDS_READ, Scope.REWARDS_REDEEM)}
    open_to_members = True

    @extend_schema(operation_id="get_redemption", responses=RedemptionAnswer)
    def get(self, request: Request, key: UUID) -> Response:
        """Read an order this client placed, or the member's own."""
        own = {"member": self.caller.member} if self.caller.member else {"source": self.caller.source}
        return Response(show_redemption(_get_redemption(key, **own)))


class CancelView(ApiView):
    """Take orders back."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    @extend_schema(operation_id="cancel_redemption", request=CancellationBody, responses=_ANSWERS)
    def post(self, request: Request, key: UUID) -> Response:
        """Cancel an order: the points return to the lots they left, and the pieces to the stock.

        What was shipped, had or used stays, and so does a service once the time it was booked for has come.
        """
        redemption, body = _get_redemption(key, source=self.caller.source), self.read(CancellationBody)
        undone = redeeming.cancel(
            redemption=redemption,
            reason=body.get("reason", ""),
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(show_redemption(undone.redemption), replayed=undone.replayed)


class RescheduleView(ApiView):
    """Book services."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    @extend_schema(operation_id="reschedule_redemption", request=RescheduleBody, responses=_ANSWERS)
    def post(self, request: Request, key: UUID) -> Response:
        """Book a service for a time and a place, or move its booking, while it is still to be had."""
        redemption, body = _get_redemption(key, source=self.caller.source), self.read(RescheduleBody)
        moved = booking.reschedule(
            redemption=redemption,
            booking=_read_booking(body["booking"]),
            reason=body.get("reason", ""),
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(show_redemption(moved.redemption), replayed=moved.replayed)


class PaymentView(ApiView):
    """Take payments down."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    @extend_schema(
        operation_id="pay_redemption", request=PaymentBody, responses={200: PaymentAnswer, 201: PaymentAnswer}
    )
    def post(self, request: Request, key: UUID) -> Response:
        """Say that the money of an order was paid. Any till may, whoever placed the order: the member shows its id."""
        redemption, body = _get_redemption(key), self.read(PaymentBody)
        amount, currency = body["money"]
        payment = paying.record_payment(
            redemption=redemption,
            amount_minor=amount,
            currency=currency,
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        paid = show_redemption(payment.redemption)
        answer = {name: paid[name] for name in ("id", "status", "reward", "quantity", "money", "paid_at")}
        return first_or_again(answer, replayed=payment.replayed)


class WriteOffView(ApiView):
    """Write codes off."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    @extend_schema(
        operation_id="write_off_redemption", request=WriteOffBody, responses={200: WriteOffAnswer, 201: WriteOffAnswer}
    )
    def post(self, request: Request) -> Response:
        """Complete the order whose code the member shows, whoever placed it: of all who try at once one wins."""
        body = self.read(WriteOffBody)
        done = fulfilling.write_off_by_reference(
            code=body["code"],
            reference=body["reference"],
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        shown = show_redemption(done.redemption)
        told = ("id", "status", "member", "reward", "kind", "variant", "quantity", "booking")
        answer = {name: shown[name] for name in told if name in shown}
        return first_or_again(answer, replayed=done.replayed)


def _read_booking(body: dict[str, Any]) -> Booking:
    return Booking(at=body["at"], place=body["place"].strip())


def _get_variant(reward: Reward, code: str, *, offered: bool) -> RewardVariant:
    """Return a variant that is offered, or for a reference that was used before, any of this reward."""
    past = None if offered else RewardVariant.objects.filter(reward=reward, code=code).first()
    return past or redeeming.get_variant(reward, code)


def _get_redemption(key: UUID, **own: Any) -> Redemption:
    """Return an order that is the caller's own, or 404."""
    orders = Redemption.objects.select_related("member__tier", "reward", "variant", "coupon")
    redemption = orders.filter(key=key, **own).fetch_mode(models.FETCH_PEERS).first()
    if redemption is None:
        raise Http404
    return redemption


def show_redemption(redemption: Redemption) -> dict[str, Any]:
    """Render an order; what it does not have is left out."""
    optional = {
        "money": _show_money(redemption),
        "paid_at": moment(redemption.paid_at),
        "booking": _show_booking(redemption),
        "coupon": _show_coupon(redemption.coupon) if redemption.coupon else None,
        "pickup_code": redemption.pickup_code,
        "carrier": redemption.carrier,
        "tracking": redemption.tracking,
    }
    return {
        "id": str(redemption.key),
        "status": redemption.state,
        "member": redemption.member.number,
        "reward": redemption.reward.code,
        "kind": redemption.kind,
        "variant": redemption.variant.code if redemption.variant else None,
        "quantity": redemption.quantity,
        "points": redemption.points,
        "reference": redemption.reference,
        "placed_at": moment(redemption.placed_at),
    } | {name: value for name, value in optional.items() if value}


def _show_money(redemption: Redemption) -> dict[str, str] | None:
    if redemption.money_minor is None:
        return None
    return write_money(redemption.money_minor, redemption.money_currency)


def _show_booking(redemption: Redemption) -> dict[str, Any] | None:
    if redemption.booked_for is None:
        return None
    return {"at": moment(redemption.booked_for), "place": redemption.booked_place}


def _show_coupon(coupon: Coupon) -> dict[str, Any]:
    return {
        "code": coupon.code,
        "status": coupon.state,
        "value": None if coupon.value_minor is None else write_money(coupon.value_minor, coupon.currency),
        "percent": coupon.percent,
        "minimum": write_money(coupon.minimum_minor, coupon.currency),
        "expires_on": last_day(coupon.expires_at),
    }
