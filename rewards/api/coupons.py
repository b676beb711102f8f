"""Coupons at the till: checked, reserved, used, and given back. Who tries codes out is slowed down."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from members.api.base import ApiView, Body, first_or_again, moment
from members.api.fields import MomentField, MoneyField, ReferenceField, TextField, WholeField, write_money
from members.models import Scope
from points.actions.posting import ReferenceConflict
from points.api.bodies import find_member
from rewards.actions import coupons, guessing
from rewards.actions.coupons import CouponDone, CouponHeld, CouponUnusable
from rewards.discounts import Item
from rewards.models import CouponState, ReservationState


class LineBody(Body):
    """A line of the bill: what a coupon for a free item looks for."""

    sku = TextField(max_length=100, required=False, allow_blank=True)
    category = TextField(max_length=100, required=False, allow_blank=True)
    quantity = serializers.FloatField(min_value=0, max_value=1_000_000, required=False)
    money = MoneyField(help_text=_("What the whole line costs."))


class CheckBody(Body):
    """The purchase a code is shown for."""

    member = TextField(max_length=40, required=False)
    money = MoneyField()
    channel = TextField(max_length=64, required=False, help_text=_("Some coupons are for some channels only."))
    bill = TextField(
        max_length=100,
        required=False,
        help_text=_(
            "Your name of the bill: coupons used under one are combined. Left out, nobody can tell which must not be."
        ),
    )
    items = serializers.ListField(child=LineBody(), required=False, max_length=1_000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Hold every line to the currency of the purchase."""
        for line in attrs.get("items") or ():
            if line["money"][1] != attrs["money"][1]:
                raise ValidationError({"items": [_("Every line is in the currency of the purchase.")]})
        return attrs


class UseBody(CheckBody):
    """The purchase a code is used for."""

    reference = ReferenceField()
    reservation = ReferenceField(
        required=False, help_text=_("The reference it was reserved under; left out: the same reference.")
    )


class ReserveBody(CheckBody):
    """The checkout a code is kept for."""

    reference = ReferenceField()
    expires_in = WholeField(
        min_value=1, max_value=86_400, required=False, help_text=_("Seconds; 900 when it is left out.")
    )


class ReleaseBody(Body):
    """Give a reservation up."""

    reference = ReferenceField(help_text=_("The reference it was reserved under."))


class RollbackBody(Body):
    """Give a use back; member and money may be repeated and are not looked at."""

    reference = ReferenceField()
    use = ReferenceField(
        required=False, help_text=_("The reference of the use; needed when the code was used several times.")
    )
    member = TextField(max_length=40, required=False)
    money = MoneyField(required=False)


class CheckAnswer(serializers.Serializer[Any]):
    """Whether a code would be accepted; unknown and unusable codes look alike."""

    valid = serializers.BooleanField()
    discount = MoneyField(allow_null=True)
    reasons = serializers.ListField(
        child=serializers.CharField(), help_text=_("Stable codes, such as below_minimum or channel_mismatch.")
    )
    details = serializers.ListField(child=serializers.CharField(), help_text=_("The same as sentences."))


class UseAnswer(serializers.Serializer[Any]):
    """A use of a coupon, or its return."""

    reference = serializers.CharField()
    code = serializers.CharField()
    status = serializers.ChoiceField(CouponState.choices)
    discount = MoneyField()


class ReservationAnswer(serializers.Serializer[Any]):
    """A reservation as it stands."""

    reference = serializers.CharField()
    code = serializers.CharField()
    status = serializers.ChoiceField(ReservationState.choices)
    expires_at = MomentField()
    discount = MoneyField(allow_null=True, help_text=_("What it would take off the purchase; null once released."))


class WrongCodes(BaseThrottle):
    """Lets nobody try codes who brought in too many wrong ones; a code one has used or reserved is no try."""

    seconds = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        self.seconds = guessing.seconds_to_wait(door=view.caller.actor, at=view.at)
        return not self.seconds or view.is_own_code

    def wait(self) -> float:
        return self.seconds


class CouponView(ApiView):
    """A code in the address, a purchase in the body."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        # Django would log the address of a refusal, and with it a code that may still be good elsewhere.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    @property
    def write(self) -> dict[str, Any]:
        """Who writes, and when."""
        return {"source": self.caller.source, "actor": self.caller.actor, "at": self.at}

    def purchase(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the purchase a body describes, as the actions take it."""
        amount, currency = body["money"]
        lines = body.get("items") or ()
        return {
            "amount_minor": amount,
            "currency": currency,
            "member": find_member(body["member"]) if body.get("member") else None,
            "channel": body.get("channel", ""),
            "bill": body.get("bill", ""),
            "items": [_read_item(line) for line in lines],
        }


class TriedView(CouponView):
    """A call that tells of any code whether it is good. Giving back and releasing tell a caller of its own alone."""

    throttle_classes = [WrongCodes]

    @property
    def is_own_code(self) -> bool:
        """Whether the caller has used or reserved the code in the address before."""
        return coupons.is_own(code=self.kwargs["code"], source=self.caller.source)

    def miss(self) -> None:
        """Count a wrong code; beyond the limit its answer is that one has to wait."""
        if self.is_own_code:
            return
        if seconds := guessing.count_miss(door=self.caller.actor, at=self.at):
            raise Throttled(wait=seconds)

    @contextmanager
    def counting_misses(self) -> Iterator[None]:
        """Count what is refused because of the code itself, whatever was said of it before."""
        try:
            yield
        except (CouponUnusable, ReferenceConflict):
            self.miss()
            raise


class ValidateView(TriedView):
    """Check codes."""

    @extend_schema(operation_id="validate_coupon", request=CheckBody, responses=CheckAnswer)
    def post(self, request: Request, code: str) -> Response:
        """Tell whether a code would be accepted for a purchase, and what it would take off. Changes nothing."""
        body = self.read(CheckBody)
        check = coupons.validate(code=code, source=self.caller.source, at=self.at, **self.purchase(body))
        reasons = [reason for reason, _sentence in check.reasons]
        if CouponUnusable.code in reasons:
            self.miss()
        return Response(
            {
                "valid": check.valid,
                "discount": write_money(check.discount_minor, body["money"][1]) if check.valid else None,
                "reasons": reasons,
                "details": [sentence for _reason, sentence in check.reasons],
            }
        )


class RedeemView(TriedView):
    """Use codes."""

    @extend_schema(operation_id="redeem_coupon", request=UseBody, responses={200: UseAnswer, 201: UseAnswer})
    def post(self, request: Request, code: str) -> Response:
        """Use a code for a purchase: of all who try at once exactly as many win as it is good for, most often one."""
        body = self.read(UseBody)
        with self.counting_misses():
            use = coupons.redeem(
                code=code,
                reference=body["reference"],
                reservation=body.get("reservation", ""),
                **self.purchase(body),
                **self.write,
            )
        return _answer(use, body["reference"])


class RollbackView(CouponView):
    """Give uses back."""

    @extend_schema(operation_id="roll_back_coupon", request=RollbackBody, responses={200: UseAnswer, 201: UseAnswer})
    def post(self, request: Request, code: str) -> Response:
        """Give back the use this client made of a code: the coupon can be used again until its time is over."""
        body = self.read(RollbackBody)
        use = coupons.rollback(code=code, reference=body["reference"], use=body.get("use", ""), **self.write)
        return _answer(use, body["reference"])


class ReserveView(TriedView):
    """Keep codes for a checkout."""

    @extend_schema(
        operation_id="reserve_coupon",
        request=ReserveBody,
        responses={200: ReservationAnswer, 201: ReservationAnswer},
    )
    def post(self, request: Request, code: str) -> Response:
        """Keep a code for a checkout: nobody else uses it until it is redeemed, released or its time is over."""
        body = self.read(ReserveBody)
        lasts = timedelta(seconds=body["expires_in"]) if "expires_in" in body else coupons.USUAL_RESERVATION
        with self.counting_misses():
            held = coupons.reserve(
                code=code, reference=body["reference"], lasts=lasts, **self.purchase(body), **self.write
            )
        return _show(held)


class ReleaseView(CouponView):
    """Give reservations up."""

    @extend_schema(
        operation_id="release_coupon",
        request=ReleaseBody,
        responses={200: ReservationAnswer, 201: ReservationAnswer},
    )
    def post(self, request: Request, code: str) -> Response:
        """Give up what this client reserved: the code is free for others at once."""
        body = self.read(ReleaseBody)
        held = coupons.release(code=code, reference=body["reference"], **self.write)
        return _show(held)


def _read_item(line: dict[str, Any]) -> Item:
    quantity = line.get("quantity")
    amount, _currency = line["money"]
    pieces = Fraction(1) if quantity is None else Fraction(str(quantity))
    return Item(line.get("sku") or "", line.get("category") or "", pieces, amount)


def _answer(use: CouponDone, reference: str) -> Response:
    answer = {
        "reference": reference,
        "code": use.coupon.code,
        "status": use.coupon.state,
        "discount": write_money(use.discount_minor, use.coupon.currency),
    }
    return first_or_again(answer, replayed=use.replayed)


def _show(held: CouponHeld) -> Response:
    reservation, is_open = held.reservation, held.reservation.state != ReservationState.RELEASED
    answer = {
        "reference": reservation.reference,
        "code": held.coupon.code,
        "status": reservation.state,
        "expires_at": moment(reservation.expires_at),
        "discount": write_money(held.discount_minor, held.coupon.currency) if is_open else None,
    }
    return first_or_again(answer, replayed=held.replayed)
