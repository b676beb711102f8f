"""The tiers of the programme."""

from django.contrib import admin

from members.admin.base import TranslatedAdmin
from members.models import Tier


@admin.register(Tier)
class TierAdmin(TranslatedAdmin):
    """Status bands, lowest first."""

    list_display = ("name", "code", "rank", "threshold", "is_active")
    search_fields = ("code",)
    ordering = ("rank",)
    actions = None
    fields = (("name_en", "name_zh_hans"), ("code", "rank"), ("threshold", "is_active"))
