"""Rows as CSV and XLSX, for whoever may take them out of the house; nothing personal is in them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from import_export import fields, resources
from import_export.formats.base_formats import CSV, XLSX
from unfold.contrib.import_export.forms import ExportForm

from config.lib import actor
from members.actions import auditing
from members.models import Member

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    class ExportMixin(ModelAdmin[Any]):
        def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Any, **kwargs: Any) -> Any: ...
        def get_export_queryset(self, request: HttpRequest) -> Any: ...
else:
    from import_export.admin import ExportMixin

#: What one file may hold: a spreadsheet opens a million rows, a request must not.
EXPORT_LIMIT = 100_000


class MarkedCSV(CSV):  # type: ignore[misc]
    """CSV that says it is UTF-8: without the mark a spreadsheet garbles Chinese."""

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        return "\ufeff" + str(super().export_data(dataset, **kwargs))


class ExportResource(resources.ModelResource):  # type: ignore[misc]
    """Rows read as a stream; a text from outside is never a formula to the spreadsheet that opens them."""

    #: What the rows point at, fetched with them.
    related: ClassVar[tuple[str, ...]] = ()

    def iter_queryset(self, queryset: QuerySet[Any]) -> Iterator[Any]:
        queryset = queryset.prefetch_related(None)
        return (queryset.select_related(*self.related) if self.related else queryset).iterator(chunk_size=2_000)

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> Any:
        value = super().export_field(field, instance, **kwargs)
        return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


class MemberResource(ExportResource):
    """Members by card number: where each stands, and nothing by which the person could be known."""

    related = ("tier", "referred_by")
    tier = fields.Field("tier__code", "tier")
    referred_by = fields.Field("referred_by__number", "referred_by")

    class Meta:
        model = Member
        fields = ("number", "status", "tier", "labels", "language", "source", "joined_at", "referred_by")
        export_order = fields


class ExportingAdmin(ExportMixin):
    """A screen whose filtered rows can be taken along as a file; that somebody did is written down."""

    export_form_class = ExportForm
    export_formats = (MarkedCSV, XLSX)
    export_permission = ""

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.export_permission))

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
