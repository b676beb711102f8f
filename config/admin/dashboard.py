"""The overview: what the day has brought, what waits, and whether the books are closed and in balance."""

from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from members.admin.base import BoundedPaginator, start_of
from members.admin.screen import Figure
from members.models import Member
from points.admin import dashboard
from points.admin.reading import number
from rewards.models import Redemption

REMEMBERED_SECONDS = 300


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the first page what this person may see of the programme."""
    at = timezone.now()
    may = request.user.has_perm
    context["can_search"] = may("members.view_member")
    context["members"] = _members(at) if context["can_search"] else None
    context["points"] = dashboard.overview(at=at) if may("points.view_entry") else None
    context["waiting"] = _waiting() if may("rewards.view_redemption") else None
    context["can_see_books"] = may("points.view_balance")
    return context


def _members(at: datetime) -> Figure:
    """Return how many members there are and how many joined this month; counted anew every few minutes."""
    month = start_of(timezone.localdate(at).replace(day=1))

    def count() -> tuple[int, int]:
        return Member.objects.count(), Member.objects.filter(joined_at__gte=month).count()

    total, joined = cache.get_or_set("overview.members", count, REMEMBERED_SECONDS) or (0, 0)
    return Figure(_("members"), number(total), _("%(joined)s joined this month") % {"joined": number(joined)})


def _waiting() -> dict[str, Any]:
    """Return how many orders wait for somebody of the back office."""
    bound = BoundedPaginator.BOUND
    orders = Redemption.objects.waiting().order_by()[: bound + 1].count()
    return {
        "count": f"{number(bound)}+" if orders > bound else number(orders),
        "address": reverse("admin:rewards_redemption_changelist"),
        "is_any": orders > 0,
    }
