"""Rows as CSV and XLSX, for whoever may take them out of the house; nothing personal is in them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tablib
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from import_export import fields, resources
from import_export.formats.base_formats import CSV, XLSX
from import_export.widgets import ForeignKeyWidget, Widget
from unfold.contrib.import_export.forms import ExportForm

from config.lib import actor
from members.actions import auditing
from members.models import Member

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    class ExportMixin(ModelAdmin[Any]):
        def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Any, **kwargs: Any) -> Any: ...
else:
    from import_export.admin import ExportMixin

_FORMULA = tuple("=+-@\t\r")


class MarkedCSV(CSV):  # type: ignore[misc]
    """CSV that says it is UTF-8: without the mark a spreadsheet garbles Chinese."""

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        return "\ufeff" + str(super().export_data(dataset, **kwargs))


#: How many rows one file may hold: what a request writes while somebody waits for it.
LIMITS = {MarkedCSV: 100_000, XLSX: 20_000}


class ExportResource(resources.ModelResource):  # type: ignore[misc]
    """Columns read as a stream; a text from outside is never a formula to the spreadsheet that opens them."""

    def export(self, queryset: QuerySet[Any], **kwargs: Any) -> tablib.Dataset:
        """Return the columns that were asked for, without a model of each row, which costs ten times as much."""
        chosen = kwargs.get("export_fields")
        fields = self.get_export_fields(chosen)
        columns = [_renderer(field.widget, native=kwargs.get("force_native_type", False)) for field in fields]
        dataset = tablib.Dataset(headers=self.get_export_headers(selected_fields=chosen))
        for row in queryset.values_list(*(field.attribute for field in fields)).iterator(chunk_size=2_000):
            dataset.append([render(value) for render, value in zip(columns, row, strict=True)])
        return dataset


def _renderer(widget: Widget, *, native: bool) -> Callable[[Any], Any]:
    """Return what a widget makes of a value; numbers and texts, which are most of them, it leaves as they are."""

    def render(value: Any) -> Any:
        if type(value) is int:
            return value if native else str(value)
        if type(value) is not str and not isinstance(widget, ForeignKeyWidget):  # whose column holds the key itself
            value = widget.render(value, force_native_type=native)
        return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value

    return render


class MemberResource(ExportResource):
    """Members by card number: where each stands, and nothing by which the person could be known."""

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

    def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Any, **kwargs: Any) -> Any:
        limit = LIMITS[type(file_format)]
        if queryset[limit : limit + 1].exists():
            raise ValueError(  # which the page shows
                _(
                    "More than %(limit)s rows, the most one %(format)s file takes. "
                    "Filter the list by date and export each part."
                )
                % {"limit": f"{limit:,}", "format": file_format.get_title().upper()}
            )
        auditing.record(
            actor=actor.staff(request.user),
            action=f"{self.opts.model_name}.exported",
            details={"filters": request.GET.dict(), "format": file_format.get_title()},
            at=timezone.now(),
        )
        return super().get_export_data(file_format, request, queryset, **kwargs)
