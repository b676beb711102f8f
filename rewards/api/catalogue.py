"""The catalogue over the API: what points buy, for everybody or as one member sees it."""

from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView
from members.api.fields import MoneyField, write_money
from members.api.pages import KeyPages, page_of_list
from members.models import Member, Scope
from points.actions.posting import InsufficientPoints
from rewards import reports
from rewards.models import LimitPeriod, Reward, RewardCategory, RewardKind
from rewards.reports import Offer


class VariantAnswer(serializers.Serializer[Any]):
    """A size or colour to choose."""

    code = serializers.CharField()
    name = serializers.CharField()
    available = serializers.BooleanField()


class CategoryAnswer(serializers.Serializer[Any]):
    """A shelf of the catalogue."""

    code = serializers.CharField()
    name = serializers.CharField()


class LimitAnswer(serializers.Serializer[Any]):
    """How many pieces a member can have in a day, week, month or ever; what is null has no limit."""

    day = serializers.IntegerField(allow_null=True)
    week = serializers.IntegerField(allow_null=True)
    month = serializers.IntegerField(allow_null=True)
    lifetime = serializers.IntegerField(allow_null=True)


class OfferAnswer(serializers.Serializer[Any]):
    """One reward: what a piece costs, and for a member whether it can be had."""

    code = serializers.CharField()
    kind = serializers.ChoiceField(RewardKind.choices)
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    picture = serializers.CharField(allow_null=True)
    points = serializers.IntegerField(help_text=_("What one piece costs; with a member, what it costs that member."))
    money = MoneyField(allow_null=True, help_text=_("What one piece costs besides the points."))
    category = CategoryAnswer(allow_null=True)
    limits = LimitAnswer()
    places = serializers.ListField(
        child=serializers.CharField(), help_text=_("Where a service is to be had; a booking names one of them.")
    )
    variants = VariantAnswer(many=True)
    available = serializers.BooleanField()
    unavailable_reasons = serializers.ListField(
        child=serializers.CharField(), help_text=_("Stable codes, such as insufficient_points.")
    )
    unavailable_details = serializers.ListField(child=serializers.CharField(), help_text=_("The same as sentences."))


class RewardsView(ApiView):
    """What points buy."""

    scopes: ClassVar = {"get": (Scope.REWARDS_READ,)}
    open_to_members = True
    queries = ("kind", "category", "member")
    pagination_class = KeyPages
    queryset = Reward.objects.all()

    @extend_schema(
        operation_id="list_rewards",
        parameters=[
            OpenApiParameter("kind", str, enum=RewardKind.values),
            OpenApiParameter("category", str, description=str(_("The code of a category."))),
            OpenApiParameter("member", str, description=str(_("A card number: prices and reasons for that member."))),
        ],
        responses=OfferAnswer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the catalogue, cheapest first; for a member with that member's price and every reason against it."""
        offers = reports.catalogue(member=self._member(), at=self.at, kind=self._kind(), category=self._category())
        rows, page = page_of_list(offers, request)
        return Response(page | {"results": [self._show(offer) for offer in rows]})

    def _member(self) -> Member | None:
        number = self.request.GET.get("member")
        return self.get_member(number) if number else self.caller.member

    def _kind(self) -> str:
        kind: str = self.request.GET.get("kind", "")
        if kind and kind not in RewardKind.values:
            reason = _("Expected one of %(kinds)s.") % {"kinds": ", ".join(RewardKind.values)}
            raise ValidationError({"kind": [reason]})
        return kind

    def _category(self) -> str:
        code: str = self.request.GET.get("category", "")
        if code and not RewardCategory.objects.filter(code=code[:64]).exists():
            raise ValidationError({"category": [_("There is no such category.")]})
        return code

    def _show(self, offer: Offer) -> dict[str, Any]:
        reward = offer.reward
        return {
            "code": reward.code,
            "kind": reward.kind,
            "name": reward.name,
            "description": reward.description,
            "picture": self.request.build_absolute_uri(reward.picture.url) if reward.picture else None,
            "points": offer.points,
            "money": None if reward.money_minor is None else write_money(reward.money_minor, settings.LAUREL_CURRENCY),
            "category": {"code": reward.category.code, "name": str(reward.category)} if reward.category else None,
            "limits": {period: reward.limits.get(period) for period in LimitPeriod.values},
            "places": reward.booking_places,
            "variants": [
                {"code": one.variant.code, "name": one.variant.name, "available": one.available}
                for one in offer.variants
            ],
            "available": offer.available,
            "unavailable_reasons": [code for code, _sentence in offer.reasons],
            "unavailable_details": [self._tell(code, sentence) for code, sentence in offer.reasons],
        }

    def _tell(self, code: str, sentence: str) -> str:
        """Keep the numbers of a balance from a client system that may not read balances."""
        if code != InsufficientPoints.code or self.caller.member or self.caller.has_one_of([Scope.POINTS_READ]):
            return sentence
        return str(_("The member does not have enough points."))
