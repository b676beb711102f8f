"""The kinds of points."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from members.admin.base import TranslatedAdmin, display
from points.models import PointType


@admin.register(PointType)
class PointTypeAdmin(TranslatedAdmin):
    """Currencies of the programme. A code is in the books for ever and is not changed."""

    list_display = (
        "name",
        "code",
        "is_redeemable",
        "is_qualifying",
        "shown_expiry",
        "clawback_policy",
        "cost_per_point",
    )
    ordering = ("id",)
    sortable_by = ()
    actions = None
    fieldsets = (
        (
            None,
            {"fields": (("name_en", "name_zh_hans"), ("code", "cost_per_point"), ("is_redeemable", "is_qualifying"))},
        ),
        (_("Expiry"), {"fields": (("expiry_policy", "expiry_value"), "expiry_on")}),
        (_("Refunds"), {"fields": ("clawback_policy",)}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    @display(description=_("expiry policy"))
    def shown_expiry(self, point_type: PointType) -> str:
        detail = point_type.expiry_on or point_type.expiry_value
        return f"{point_type.get_expiry_policy_display()}{f' ({detail})' if detail else ''}"
