"""Rows of the books as CSV and XLSX, members named by card number alone."""

from import_export import fields

from members.admin.exporting import ExportingAdmin, ExportResource
from points.models import DailyStatistic, Entry, Event


class BookExportingAdmin(ExportingAdmin):
    """A screen of the books that can be taken along."""

    export_permission = "points.export_books"


class EntryResource(ExportResource):
    """Entries."""

    member = fields.Field("member__number", "member")
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


class EventResource(ExportResource):
    """Business events, without their attributes, which may hold anything."""

    member = fields.Field("member__number", "member")

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


class StatisticResource(ExportResource):
    """Daily statistics."""

    class Meta:
        model = DailyStatistic
        exclude = ("id",)
