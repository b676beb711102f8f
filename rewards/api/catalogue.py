"""The catalogue over the API: what points buy, for everybody or as one member sees it."""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView
from members.api.pages import KeyPages, page_of_list
from members.models import Member, Scope
from rewards import reports
from rewards.models import Reward, RewardKind
from rewards.reports import Offer


class VariantAnswer(serializers.Serializer[Any]):
    """A size or colour to choose."""

    code = serializers.CharField()
    name = serializers.CharField()
    available = serializers.BooleanField()


class OfferAnswer(serializers.Serializer[Any]):
    """One reward: what a piece costs, and for a member whether it can be had."""

    code = serializers.CharField()
    kind = serializers.ChoiceField(RewardKind.choices)
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    picture = serializers.CharField(allow_null=True)
    points = serializers.IntegerField(help_text=_("What one piece costs; with a member, what it costs that member."))
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
    pagination_class = KeyPages
    queryset = Reward.objects.all()

    @extend_schema(
        operation_id="list_rewards",
        parameters=[
            OpenApiParameter("kind", str, enum=RewardKind.values),
            OpenApiParameter("member", str, description=str(_("A card number: prices and reasons for that member."))),
        ],
        responses=OfferAnswer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the catalogue, cheapest first; for a member with that member's price and every reason against it."""
        offers = reports.catalogue(member=self._member(), at=self.at, kind=self._kind())
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

    def _show(self, offer: Offer) -> dict[str, Any]:
        reward = offer.reward
        return {
            "code": reward.code,
            "kind": reward.kind,
            "name": reward.name,
            "description": reward.description,
            "picture": self.request.build_absolute_uri(reward.picture.url) if reward.picture else None,
            "points": offer.points,
            "variants": [
                {"code": one.variant.code, "name": one.variant.name, "available": one.available}
                for one in offer.variants
            ],
            "available": offer.available,
            "unavailable_reasons": [code for code, _sentence in offer.reasons],
            "unavailable_details": [sentence for _code, sentence in offer.reasons],
        }
