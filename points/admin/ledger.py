"""The books on screen: entries, lots, draws, balances and holds, to be read and never written."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RelatedDropdownFilter

from members.admin.base import DayFilter, display, moment, shown_moment
from members.admin.screen import Cell, Panel
from points.admin.exporting import BookExportingAdmin, EntryResource
from points.admin.reading import LedgerAdmin, address, count, last_day, link, newest_first, number, references
from points.models import Account, Draw, Entry, Hold, Lot, RuleUsage

KIND_LABELS = {
    "accrual": "success",
    "maturity": "success",
    "restoration": "success",
    "reinstatement": "success",
    "release": "success",
    "hold": "",
    "redemption": "info",
    "expiry": "warning",
    "clawback": "danger",
    "settlement": "danger",
    "adjustment": "primary",
    "transfer": "",
}


def signed(entry: Entry) -> str:
    """Return the points of an entry with the sign the member sees in what can be spent."""
    if entry.to_account == Account.AVAILABLE:
        return f"+{number(entry.points)}"
    if entry.to_account == Account.PENDING:
        return f"+{number(entry.points)} ({entry.get_to_account_display()})"
    return f"−{number(entry.points)}" if entry.from_account == Account.AVAILABLE else number(entry.points)


@admin.register(Entry)
class EntryAdmin(BookExportingAdmin, LedgerAdmin):
    """Movements of points, newest first."""

    resource_classes = (EntryResource,)
    list_display = (
        "recorded",
        "member_number",
        "shown_kind",
        "point_type",
        "shown_signed",
        "shown_after",
        "origin",
        "actor",
    )
    list_display_links = ("recorded",)
    recorded = moment("recorded_at", _("recorded at"))
    occurred = moment("occurred_at", _("occurred at"))
    list_filter = (
        ("recorded_at", DayFilter),
        ("kind", ChoicesDropdownFilter),
        ("point_type", RelatedDropdownFilter),
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("member_number", "seq"),
                    ("kind", "point_type"),
                    ("from_account", "to_account"),
                    ("shown_points", "shown_after"),
                    ("occurred", "recorded"),
                )
            },
        ),
        (
            _("Why"),
            {
                "fields": (
                    ("event_link", "rule_link"),
                    ("source", "reference"),
                    ("actor", "corrects_link"),
                    "reason",
                    "note",
                )
            },
        ),
        (_("Chain"), {"fields": ("shown_digest",)}),
    )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """A member's entries by their own number, for which there is an index."""
        return ("-seq",) if "member__exact" in request.GET else newest_first(request)

    def matching(self, term: str) -> Q:
        found = references(term)[:100]
        written = Q(pk__in=[])
        for reference in found:
            written |= Q(member_id=reference.member_id, source=reference.source, reference=term)
        return super().matching(term) | written

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["tables"] = [_opened(context["original"]), _drawn(context["original"])]
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("kind"), label=KIND_LABELS)
    def shown_kind(self, entry: Entry) -> tuple[str, str]:
        return entry.kind, entry.get_kind_display()

    @display(description=_("points"))
    def shown_signed(self, entry: Entry) -> str:
        return signed(entry)

    @display(description=_("available after"))
    def shown_after(self, entry: Entry) -> str:
        return number(entry.available_after)

    @display(description=_("event"))
    def event_link(self, entry: Entry) -> Any:
        return link("event", entry.event_id, f"#{entry.event_id}")

    @display(description=_("rule"))
    def rule_link(self, entry: Entry) -> Any:
        return link("earningrule", entry.rule_id, entry.rule)

    @display(description=_("corrects"))
    def corrects_link(self, entry: Entry) -> Any:
        return link("entry", entry.corrects, f"#{entry.corrects}")

    @display(description=_("digest"))
    def shown_digest(self, entry: Entry) -> Any:
        return format_html('<span class="lr-code">{}</span>', bytes(entry.digest).hex())


def _opened(entry: Entry) -> Panel:
    """Show the lots an entry opened."""
    lots = Lot.objects.filter(member_id=entry.member_id, entry_id=entry.pk)
    rows = [
        (
            Cell(f"#{lot.pk}", href=address("lot", lot.pk)),
            count(lot.points),
            count(lot.remaining),
            last_day(lot.expires_at),
        )
        for lot in lots
    ]
    return Panel(
        title=_("Lots opened"),
        headers=(_("lot"), _("points"), _("remaining"), _("last day")),
        rows=rows,
        empty=_("This entry opened no lot."),
    )


def _drawn(entry: Entry) -> Panel:
    """Show the lots an entry took from, or gave back to."""
    draws = Draw.objects.filter(member_id=entry.member_id, entry_id=entry.pk).select_related("lot").order_by("lot_id")
    rows = [
        (
            Cell(f"#{draw.lot_id}", href=address("lot", draw.lot_id)),
            _("given back") if draw.is_return else _("taken"),
            count(draw.points),
            last_day(draw.lot.expires_at),
        )
        for draw in draws
    ]
    return Panel(
        title=_("Draws"),
        headers=(_("lot"), _("direction"), _("points"), _("last day")),
        rows=rows,
        empty=_("This entry drew from no lot."),
    )


@admin.register(Lot)
class LotAdmin(LedgerAdmin):
    """Credits and what is left of them."""

    list_display = (
        "lot_id",
        "member_number",
        "point_type",
        "shown_points",
        "shown_remaining",
        "is_pending",
        "starts",
        "shown_end",
    )
    list_filter = (
        ("is_open", BooleanRadioFilter),
        ("point_type", RelatedDropdownFilter),
        ("expires_at", DayFilter),
    )
    fields = (
        ("member_number", "point_type"),
        ("shown_points", "shown_remaining"),
        ("is_pending", "starts"),
        ("shown_end", "entry_link"),
    )

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["tables"] = [_draws_of(context["original"])]
        return super().render_change_form(request, context, *args, **kwargs)

    starts = moment("available_at", _("available at"))

    @display(description=_("lot"))
    def lot_id(self, lot: Lot) -> str:
        return f"#{lot.pk}"

    @display(description=_("remaining"))
    def shown_remaining(self, lot: Lot) -> str:
        return number(lot.remaining)

    @display(description=_("last day"))
    def shown_end(self, lot: Lot) -> str:
        return last_day(lot.expires_at)

    @display(description=_("origin entry"))
    def entry_link(self, lot: Lot) -> Any:
        return link("entry", lot.entry_id, f"#{lot.entry_id}")


def _draws_of(lot: Lot) -> Panel:
    """Show what was taken from a lot and given back to it."""
    draws = Draw.objects.filter(member_id=lot.member_id, lot_id=lot.pk).select_related("entry")
    rows = [
        (
            shown_moment(draw.entry.recorded_at),
            Cell(draw.entry.get_kind_display(), label=KIND_LABELS[draw.entry.kind]),
            Cell(f"#{draw.entry_id}", href=address("entry", draw.entry_id)),
            count(draw.points if draw.is_return else -draw.points),
        )
        for draw in draws.order_by("-entry_id")[:200]
    ]
    return Panel(
        title=_("Draws"),
        headers=(_("recorded at"), _("kind"), _("entry"), _("points")),
        rows=rows,
        empty=_("Nothing was taken from this lot."),
    )


@admin.register(Draw)
class DrawAdmin(LedgerAdmin):
    """Which lot gave how many points to which entry."""

    list_display = ("draw_id", "member_number", "entry_link", "lot_link", "shown_points", "is_return")
    fields = (("member_number", "entry_link"), ("lot_link", "shown_points"), "is_return")

    @display(description=_("draw"))
    def draw_id(self, draw: Draw) -> str:
        return f"#{draw.pk}"

    @display(description=_("entry"))
    def entry_link(self, draw: Draw) -> Any:
        return link("entry", draw.entry_id, f"#{draw.entry_id}")

    @display(description=_("lot"))
    def lot_link(self, draw: Draw) -> Any:
        return link("lot", draw.lot_id, f"#{draw.lot_id}")


@admin.register(Hold)
class HoldAdmin(LedgerAdmin):
    """Points set aside for a purchase in progress."""

    list_display = (
        "made",
        "member_number",
        "point_type",
        "shown_points",
        "shown_status",
        "shown_captured",
        "origin",
        "ends",
    )
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", DayFilter))
    fields = (
        ("member_number", "point_type"),
        ("shown_points", "shown_captured"),
        ("status", "entry_link"),
        ("made", "ends"),
        ("closed", "key"),
        ("source", "reference"),
    )

    made = moment("created_at", _("created at"))
    ends = moment("expires_at", _("expires at"))
    closed = moment("closed_at", _("closed at"))

    def matching(self, term: str) -> Q:
        held = references(term).filter(operation="hold").values_list("target", flat=True)[:100]
        return super().matching(term) | Q(pk__in=list(held))

    @display(
        description=_("status"),
        label={"held": "info", "captured": "success", "voided": "", "expired": "warning"},
    )
    def shown_status(self, hold: Hold) -> tuple[str, str]:
        return hold.status, hold.get_status_display()

    @display(description=_("captured"))
    def shown_captured(self, hold: Hold) -> str:
        return number(hold.captured)

    @display(description=_("hold entry"))
    def entry_link(self, hold: Hold) -> Any:
        return link("entry", hold.entry_id, f"#{hold.entry_id}")


@admin.register(RuleUsage)
class RuleUsageAdmin(LedgerAdmin):
    """What the caps of the rules have counted."""

    list_display = ("member_number", "rule", "period", "starts_on", "shown_points")
    list_display_links = ("starts_on",)
    list_filter = (("period", ChoicesDropdownFilter), ("rule", RelatedDropdownFilter))
    fields = (("member_number", "rule"), ("period", "starts_on"), "shown_points")
