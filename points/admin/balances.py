"""Balances, and the pages that prove the books: trial balance and check."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter

from members.admin.base import AdminPage, display
from members.models import Member
from points import reports
from points.admin.adjusting import AdjustPage
from points.admin.forms import CheckForm
from points.admin.reading import LedgerAdmin, number
from points.models import Balance, JobRun, PointType

#: A page must not keep the database busy for long; the whole of large books is checked by the command.
CHECK_SECONDS = 20


class TrialBalancePage(AdminPage):
    """Every account of every point type; the sum of each line is 0."""

    template_name = "admin/points/trial_balance.html"
    title = _("Trial balance")
    permission = "points.view_balance"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(lines=reports.trial_balance(), currency=settings.LAUREL_CURRENCY, **kwargs)


class CheckBooksPage(AdminPage):
    """Entries, balances, lots, draws and hash chains against each other, of one member or of all."""

    template_name = "admin/points/check_books.html"
    title = _("Check the books")
    permission = "points.view_balance"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        last = JobRun.objects.filter(job="close").order_by("-business_date").first()
        return super().get_context_data(**{"form": CheckForm(), "last_close": last} | kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = CheckForm(request.POST)
        answer: dict[str, Any] = {"form": form}
        if form.is_valid():
            answer |= _check(form.cleaned_data["member"])
        return self.render_to_response(self.get_context_data(**answer))


def _check(member: Member | None) -> dict[str, Any]:
    """Return the breaks, or that there was no time to find all."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{CHECK_SECONDS}s"])
            breaks = reports.check_books(members=[member.pk] if member else None)
    except OperationalError:
        return {"is_checked": False, "took_too_long": True}
    people = Member.objects.in_bulk({one.member_id for one in breaks})
    types = PointType.objects.in_bulk()
    rows = [(one, people.get(one.member_id), types.get(one.point_type_id)) for one in breaks]
    return {"is_checked": True, "breaks": rows, "checked_member": member}


@admin.register(Balance)
class BalanceAdmin(LedgerAdmin):
    """What members have, by point type."""

    list_display = (
        "member_number",
        "point_type",
        "shown_available",
        "shown_pending",
        "shown_held",
        "shown_owed",
        "shown_issued",
        "shown_redeemed",
        "shown_expired",
    )
    list_display_links = ("point_type",)
    list_filter = (("point_type", RelatedDropdownFilter),)
    fieldsets = (
        (
            _("The member's side"),
            {
                "fields": (
                    ("member_number", "point_type"),
                    ("shown_available", "shown_pending"),
                    ("shown_held", "shown_owed"),
                )
            },
        ),
        (
            _("The programme's side"),
            {"fields": (("shown_issued", "shown_redeemed"), ("shown_expired", "shown_transferred"))},
        ),
        (_("Chain"), {"fields": (("head_seq", "shown_digest"),)}),
    )
    custom_urls = (
        ("trial/", "points_balance_trial", TrialBalancePage.as_view()),
        ("check/", "points_balance_check", CheckBooksPage.as_view()),
        ("adjust/<int:member_id>/", "points_balance_adjust", AdjustPage.as_view()),
    )

    @display(description=_("available"))
    def shown_available(self, balance: Balance) -> str:
        return number(balance.available)

    @display(description=_("pending"))
    def shown_pending(self, balance: Balance) -> str:
        return number(balance.pending)

    @display(description=_("held"))
    def shown_held(self, balance: Balance) -> str:
        return number(balance.held)

    @display(description=_("owed"))
    def shown_owed(self, balance: Balance) -> str:
        return number(balance.owed)

    @display(description=_("issued in all"))
    def shown_issued(self, balance: Balance) -> str:
        return number(balance.issued)

    @display(description=_("redeemed in all"))
    def shown_redeemed(self, balance: Balance) -> str:
        return number(balance.redeemed)

    @display(description=_("expired in all"))
    def shown_expired(self, balance: Balance) -> str:
        return number(balance.expired)

    @display(description=_("transferred in all"))
    def shown_transferred(self, balance: Balance) -> str:
        return number(balance.transferred)

    @display(description=_("chain head"))
    def shown_digest(self, balance: Balance) -> str:
        return bytes(balance.head_digest).hex() or "–"
