"""Coupons at the till: checked, used once, and given back. Who tries codes out is slowed down."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle

from members.api.base import ApiView, Body, first_or_again
from members.api.fields import MoneyField, ReferenceField, TextField, write_money
from members.models import Member, Scope
from points.api.bodies import find_member
from rewards.actions import coupons
from rewards.actions.coupons import CouponNotRedeemed, CouponUnusable, CouponUse
from rewards.models import Coupon, CouponEvent, CouponState


class CheckBody(Body):
    """The purchase a code is shown for."""

    member = TextField(max_length=40, required=False)
    money = MoneyField()


class UseBody(CheckBody):
    """The purchase a code is used for."""

    reference = ReferenceField()


class RollbackBody(Body):
    """Give a use back; member and money may be repeated and are not looked at."""

    reference = ReferenceField()
    member = TextField(max_length=40, required=False)
    money = MoneyField(required=False)


class CheckAnswer(serializers.Serializer[Any]):
    """Whether a code would be accepted; unknown and unusable codes look alike."""

    valid = serializers.BooleanField()
    discount = MoneyField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    details = serializers.ListField(child=serializers.CharField())


class UseAnswer(serializers.Serializer[Any]):
    """A use of a coupon, or its return."""

    reference = serializers.CharField()
    code = serializers.CharField()
    status = serializers.ChoiceField(CouponState.choices)
    discount = MoneyField()


class CouponMisses(SimpleRateThrottle):
    """Counts codes that could not be used, client by client: honest tills hardly ever meet the limit, guessers do."""

    scope = "coupon_misses"
    duration: int

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"coupon_misses:{request.user.source}"  # type: ignore[union-attr]

    def throttle_success(self) -> bool:
        return True

    def count(self) -> None:
        """Count one miss."""
        self.history.insert(0, self.now)
        self.cache.set(self.key, self.history, self.duration)


class CouponView(ApiView):
    """A code in the address, a purchase in the body."""

    scopes: ClassVar = {"post": (Scope.REWARDS_REDEEM,)}

    def get_throttles(self) -> list[BaseThrottle]:
        self.misses = CouponMisses()
        return [self.misses]

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        # Django would log the address of a refusal, and with it a code that may still be good elsewhere.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    def member_of(self, body: dict[str, Any]) -> Member | None:
        return find_member(body["member"]) if body.get("member") else None


class ValidateView(CouponView):
    """Check codes."""

    @extend_schema(operation_id="validate_coupon", request=CheckBody, responses=CheckAnswer)
    def post(self, request: Request, code: str) -> Response:
        """Tell whether a code would be accepted for a purchase, and what it would take off. Changes nothing."""
        body = self.read(CheckBody)
        amount, currency = body["money"]
        check = coupons.validate(
            code=code, amount_minor=amount, currency=currency, member=self.member_of(body), at=self.at
        )
        reasons = [reason for reason, _sentence in check.reasons]
        if CouponUnusable.code in reasons:
            self.misses.count()
        return Response(
            {
                "valid": check.valid,
                "discount": write_money(check.discount_minor, currency) if check.valid else None,
                "reasons": reasons,
                "details": [sentence for _reason, sentence in check.reasons],
            }
        )


class RedeemView(CouponView):
    """Use codes."""

    @extend_schema(operation_id="redeem_coupon", request=UseBody, responses={200: UseAnswer, 201: UseAnswer})
    def post(self, request: Request, code: str) -> Response:
        """Use a code for a purchase: of all who try at once exactly one wins."""
        body = self.read(UseBody)
        amount, currency = body["money"]
        try:
            use = coupons.redeem(
                code=code,
                amount_minor=amount,
                currency=currency,
                member=self.member_of(body),
                reference=body["reference"],
                source=self.caller.source,
                actor=self.caller.actor,
                at=self.at,
            )
        except CouponUnusable:
            self.misses.count()
            raise
        return _answer(use, body["reference"])


class RollbackView(CouponView):
    """Give uses back."""

    @extend_schema(operation_id="roll_back_coupon", request=RollbackBody, responses={200: UseAnswer, 201: UseAnswer})
    def post(self, request: Request, code: str) -> Response:
        """Give back the use this client made of a code: the coupon can be used again until its time is over."""
        body = self.read(RollbackBody)
        try:
            self._refuse_use_of_others(code, body["reference"])
            use = coupons.rollback(
                code=code,
                reference=body["reference"],
                source=self.caller.source,
                actor=self.caller.actor,
                at=self.at,
            )
        except (CouponUnusable, CouponNotRedeemed):
            self.misses.count()
            raise
        return _answer(use, body["reference"])

    def _refuse_use_of_others(self, code: str, reference: str) -> None:
        steps, own = CouponEvent.objects.filter(coupon__in=Coupon.objects.by_code(code)), self.caller.source
        last = steps.filter(to_state=CouponState.REDEEMED).order_by("-id").values_list("source", flat=True).first()
        again = steps.filter(to_state=CouponState.ROLLED_BACK, source=own, reference=reference)
        if last not in (None, own) and not again.exists():
            raise CouponNotRedeemed


def _answer(use: CouponUse, reference: str) -> Response:
    answer = {
        "reference": reference,
        "code": use.coupon.code,
        "status": use.coupon.state,
        "discount": write_money(use.discount_minor, use.coupon.currency),
    }
    return first_or_again(answer, replayed=use.replayed)
