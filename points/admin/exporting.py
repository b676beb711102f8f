"""Rows of the books as CSV and XLSX, for whoever may take them out of the house; nothing personal is in them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from import_export import fields, resources
from import_export.formats.base_formats import CSV, XLSX

from config.lib import actor
from members.actions import auditing
from points.models import DailyStatistic, Entry, Event

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    class ExportMixin(ModelAdmin[Any]):
        def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Any, **kwargs: Any) -> Any: ...
        def get_export_queryset(self, request: HttpRequest) -> Any: ...
else:
    from import_export.admin import ExportMixin

from unfold.contrib.import_export.forms import ExportForm

#: What one file may hold: a spreadsheet opens a million rows, a request must not.
EXPORT_LIMIT = 100_000
PERMISSION = "points.export_books"


class SafeResource(resources.ModelResource):  # type: ignore[misc]
    """Rows in which a text from outside is never a formula to the spreadsheet that opens them."""

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> Any:
        value = super().export_field(field, instance, **kwargs)
        return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


class BookResource(SafeResource):
    """Rows read as a stream, members named by card number."""

    member = fields.Field("member__number", "member")

    def iter_queryset(self, queryset: QuerySet[Any]) -> Iterator[Any]:
        return queryset.iterator(chunk_size=2_000)


class EntryResource(BookResource):
    """Entries."""

    point_type = fields.Field("point_type__code", "point_type")
    rule = fields.Field("rule__code", "rule")

    class Meta:
        model = Entry
        fields = (
            "id",
            "member",
            "seq",
            "point_type",
            "kind",
            "from_account",
            "to_account",
            "points",
            "available_after",
            "source",
            "reference",
            "event_id",
            "rule",
            "corrects",
            "actor",
            "reason",
            "occurred_at",
            "recorded_at",
        )
        export_order = fields


class EventResource(BookResource):
    """Business events, without their attributes, which may hold anything."""

    class Meta:
        model = Event
        fields = (
            "id",
            "member",
            "type",
            "occurred_at",
            "recorded_at",
            "amount_minor",
            "gross_minor",
            "currency",
            "channel",
            "store",
            "source",
            "reference",
            "refund_of",
            "tier",
        )
        export_order = fields


class StatisticResource(SafeResource):
    """Daily statistics."""

    class Meta:
        model = DailyStatistic
        exclude = ("id",)


class ExportingAdmin(ExportMixin):
    """A screen whose filtered rows can be taken along as a file; that somebody did is written down."""

    export_form_class = ExportForm
    export_formats = (CSV, XLSX)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(PERMISSION))

    def get_export_queryset(self, request: HttpRequest) -> Any:
        return super().get_export_queryset(request)[:EXPORT_LIMIT]

    def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Any, **kwargs: Any) -> Any:
        auditing.record(
            actor=actor.staff(request.user),
            action=f"{self.opts.model_name}.exported",
            details={"filters": request.GET.dict(), "format": file_format.get_title()},
            at=timezone.now(),
        )
        return super().get_export_data(file_format, request, queryset, **kwargs)
