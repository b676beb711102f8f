"""The programme's days over the API."""

from datetime import date
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import CharFilter, ChoiceFilter, DateFilter, DjangoFilterBackend, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView
from members.api.pages import KeyPages
from members.models import Scope
from points.models import DailyStatistic, EarningRule, EntryKind


class DayAnswer(serializers.Serializer[Any]):
    """Points moved on one local day, by type, kind, rule, channel and tier."""

    day = serializers.DateField()
    type = serializers.CharField()
    kind = serializers.ChoiceField(EntryKind.choices)
    rule = serializers.CharField(allow_null=True)
    channel = serializers.CharField(allow_blank=True)
    tier = serializers.CharField(allow_blank=True)
    entries = serializers.IntegerField()
    points = serializers.IntegerField()


class DayFilter(FilterSet):  # type: ignore[misc]
    """Days from … to …, both of them included."""

    to = DateFilter("day", "lte", label=_("The last day."))
    type = CharFilter("point_type", max_length=32, label=_("The code of the point type."))
    kind = ChoiceFilter(choices=EntryKind.choices)

    @classmethod
    def get_filters(cls) -> dict[str, Any]:
        # A word Python keeps for itself.
        return {"from": DateFilter("day", "gte", label=_("The first day.")), **super().get_filters()}


class DayPages(KeyPages):
    """Days in their order."""

    keys: ClassVar = {"day": date, "id": int}


class DailyStatisticsView(ApiView):
    """The rollup of each day."""

    scopes: ClassVar = {"get": (Scope.STATISTICS_READ,)}
    filter_backends = [DjangoFilterBackend]
    filterset_class = DayFilter
    pagination_class = DayPages
    queryset = DailyStatistic.objects.all()

    @extend_schema(operation_id="list_daily_statistics", responses=DayAnswer(many=True))
    def get(self, request: Request) -> Response:
        """List what was moved on each day, rolled up in the night after it."""
        days = DailyStatistic.objects.all().fetch_mode(models.FETCH_RAISE)
        pages = DayPages()
        found = pages.paginate_queryset(DjangoFilterBackend().filter_queryset(request, days, self), request, self)
        wanted = {day.rule_id for day in found if day.rule_id}
        rules = dict(EarningRule.objects.filter(pk__in=wanted).values_list("pk", "code")) if wanted else {}
        return pages.get_paginated_response([_show_day(day, rules) for day in found])


def _show_day(day: DailyStatistic, rules: dict[int, str]) -> dict[str, Any]:
    return {
        "day": day.day,
        "type": day.point_type,
        "kind": day.kind,
        "rule": rules.get(day.rule_id),
        "channel": day.channel,
        "tier": day.tier,
        "entries": day.entries,
        "points": day.points,
    }
