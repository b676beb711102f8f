"""What a member has and how it came about: balance, entries, lots, and spending by month."""

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import CharFilter, ChoiceFilter, DateFilter, DjangoFilterBackend, FilterSet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from members.api.base import ApiView
from members.api.fields import MoneyField, Unreadable, read_moment, write_money
from members.api.pages import KeyPages, NumberedPages
from members.models import Scope
from points import reports
from points.api.answers import BalanceAnswer, EntryAnswer, LotAnswer, show_entries, show_lot
from points.models import Entry, EntryKind, Lot, MemberMonth

_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class MonthAnswer(serializers.Serializer[Any]):
    """What a member spent and earned in one local month, in one category or ('') in all."""

    month = serializers.RegexField(r"^\d{4}-\d{2}$")
    category = serializers.CharField(allow_blank=True)
    events = serializers.IntegerField()
    money = MoneyField()
    earned = serializers.IntegerField()
    redeemed = serializers.IntegerField()


class EntryFilter(FilterSet):  # type: ignore[misc]
    """Entries of one kind or one point type."""

    kind = ChoiceFilter(choices=EntryKind.choices)
    type = CharFilter("point_type__code", max_length=32)


class LotFilter(FilterSet):  # type: ignore[misc]
    """Lots of one point type."""

    type = CharFilter("point_type__code", max_length=32)


class MonthFilter(FilterSet):  # type: ignore[misc]
    """Months of one category."""

    category = CharFilter("category", max_length=64)
    since = DateFilter("month", "gte")


class EntryPages(NumberedPages):
    """Entries by their number, the newest first."""

    keys: ClassVar = {"seq": int}


class LotPages(KeyPages):
    """Lots in the order they are spent."""

    keys: ClassVar = {"ends_at": datetime, "id": int}


class MonthPages(NumberedPages):
    """Months, the newest first."""

    keys: ClassVar = {"month": date, "id": int}


class BalanceView(ApiView):
    """What a member has."""

    scopes: ClassVar = {"get": (Scope.POINTS_READ,)}
    open_to_members = True
    queries = ("at",)

    @extend_schema(
        operation_id="get_balance",
        parameters=[
            OpenApiParameter(
                "at",
                {"type": "string", "format": "date-time"},
                description=str(_("As of this moment; without it, now. With an offset.")),
            )
        ],
        responses=BalanceAnswer(many=True),
    )
    def get(self, request: Request, number: str) -> Response:
        """Tell what a member has of each point type, and what expires when."""
        member, asked = self.get_member(number), self._asked_moment()
        balances = reports.balances_as_of if asked and asked < self.at else reports.balances
        return Response(
            [
                {
                    "type": one.code,
                    "name": str(one.name),
                    "available": one.available,
                    "pending": one.pending,
                    "held": one.held,
                    "owed": one.owed,
                    "expiring": [{"on": ending.on, "points": ending.points} for ending in one.expiring],
                }
                for one in balances(member=member, at=asked or self.at)
            ]
        )

    def _asked_moment(self) -> datetime | None:
        # In an address "+" means a blank: "2026-03-01T12:00:00 08:00" is what arrives of an offset written plainly.
        text = self.request.GET.get("at", "")
        if not text:
            return None
        try:
            return read_moment(text[:-6] + text[-6:].replace(" ", "+"))
        except Unreadable as problem:
            raise ValidationError({"at": [problem.reason]}, code=problem.code) from problem


class EntriesView(ApiView):
    """The history of a member's points."""

    scopes: ClassVar = {"get": (Scope.POINTS_READ,)}
    open_to_members = True
    filter_backends = [DjangoFilterBackend]
    filterset_class = EntryFilter
    pagination_class = EntryPages
    queryset = Entry.objects.all()

    @extend_schema(operation_id="list_entries", responses=EntryAnswer(many=True))
    def get(self, request: Request, number: str) -> Response:
        """List what moved a member's points, the newest first."""
        history = Entry.objects.history(self.get_member(number)).select_related("point_type", "rule")
        history = history.annotate(event_reference=F("event__reference")).fetch_mode(models.FETCH_RAISE)
        pages = EntryPages()
        entries = pages.paginate_queryset(DjangoFilterBackend().filter_queryset(request, history, self), request, self)
        return pages.get_paginated_response(show_entries(entries))


class LotsView(ApiView):
    """The credits a member can still spend."""

    scopes: ClassVar = {"get": (Scope.POINTS_READ,)}
    open_to_members = True
    filter_backends = [DjangoFilterBackend]
    filterset_class = LotFilter
    pagination_class = LotPages
    queryset = Lot.objects.all()

    @extend_schema(operation_id="list_lots", responses=LotAnswer(many=True))
    def get(self, request: Request, number: str) -> Response:
        """List credits with points left, what expires soonest first."""
        lots = Lot.objects.open_of(self.get_member(number)).select_related("point_type")
        lots = lots.annotate(ends_at=Coalesce("expires_at", Value(_NEVER))).fetch_mode(models.FETCH_RAISE)
        pages = LotPages()
        found = pages.paginate_queryset(DjangoFilterBackend().filter_queryset(request, lots, self), request, self)
        return pages.get_paginated_response([show_lot(lot) for lot in found])


class MemberStatisticsView(ApiView):
    """A member's months."""

    scopes: ClassVar = {"get": (Scope.POINTS_READ,)}
    open_to_members = True
    filter_backends = [DjangoFilterBackend]
    filterset_class = MonthFilter
    pagination_class = MonthPages
    queryset = MemberMonth.objects.all()

    @extend_schema(operation_id="list_member_months", responses=MonthAnswer(many=True))
    def get(self, request: Request, number: str) -> Response:
        """List spending and points by month and category, the newest month first; rolled up each night."""
        months = MemberMonth.objects.filter(member=self.get_member(number)).fetch_mode(models.FETCH_RAISE)
        pages = MonthPages()
        found = pages.paginate_queryset(DjangoFilterBackend().filter_queryset(request, months, self), request, self)
        return pages.get_paginated_response([_show_month(month) for month in found])


def _show_month(month: MemberMonth) -> dict[str, Any]:
    return {
        "month": f"{month.month:%Y-%m}",
        "category": month.category,
        "events": month.events,
        "money": write_money(month.amount_minor, month.currency or settings.LAUREL_CURRENCY),
        "earned": month.earned,
        "redeemed": month.redeemed,
    }
