"""The journal on screen: business events with the explanation of what they gave, and the references they came by."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from members.admin.base import BoundedChangeList, DayFilter, display, moment, shown_moment
from members.admin.screen import Cell, Panel
from members.models import Tier
from points import explanations
from points.admin.exporting import BookExportingAdmin, EventResource
from points.admin.ledger import KIND_LABELS
from points.admin.reading import (
    LedgerAdmin,
    address,
    count,
    link,
    member_address,
    newest_first,
    number,
    points_given,
    references,
    sum_of_money,
)
from points.admin.verdicts import shown_verdicts
from points.models import Entry, Event, EventType, Operation, Reference


class EventChangeList(BoundedChangeList):
    """Events of a page with what they gave, asked for once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        given = points_given(rows)
        for event in rows:
            event.given = given.get(event.pk, {})
        self.result_list = rows


@admin.register(Event)
class EventAdmin(BookExportingAdmin, LedgerAdmin):
    """Business facts as they were told, newest first."""

    resource_classes = (EventResource,)
    list_display = (
        "recorded",
        "member_number",
        "type",
        "shown_amount",
        "shown_given",
        "channel",
        "store",
        "occurred",
        "origin",
    )
    list_display_links = ("recorded",)
    recorded = moment("recorded_at", _("recorded at"))
    occurred = moment("occurred_at", _("occurred at"))
    list_filter = (("recorded_at", DayFilter), ("type", ChoicesDropdownFilter))
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("member_number", "type"),
                    ("shown_amount", "shown_gross"),
                    ("channel", "store"),
                    ("occurred", "recorded"),
                    ("source", "reference"),
                )
            },
        ),
        (
            _("What the rules saw"),
            {"fields": (("shown_tier", "is_first"), ("shown_labels", "refund_link"), "attributes")},
        ),
    )
    change_form_template = "admin/points/event.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return EventChangeList

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return newest_first(request)

    def matching(self, term: str) -> Q:
        found = references(term).filter(operation__in=[Operation.EVENT, Operation.REFUND])
        return super().matching(term) | Q(pk__in=list(found.values_list("target", flat=True)[:100]))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        event: Event = context["original"]
        verdicts = [] if event.type == EventType.REFUND else explanations.explain(event=event)
        context["verdicts"] = shown_verdicts(verdicts, event.currency)
        context["tables"] = [_entries_of(event), _refunds_of(event), *([_items_of(event)] if event.items else [])]
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("amount"))
    def shown_amount(self, event: Event) -> str:
        return sum_of_money(event.amount_minor, event.currency)

    @display(description=_("gross amount"))
    def shown_gross(self, event: Event) -> str:
        return sum_of_money(event.gross_minor, event.currency)

    @display(description=_("gave"))
    def shown_given(self, event: Any) -> str:
        return ", ".join(f"{number(points)} {name}" for name, points in event.given.items()) or "0"

    @display(description=_("tier then"))
    def shown_tier(self, event: Event) -> str:
        return str(Tier.objects.filter(code=event.tier).first() or event.tier or "–")

    @display(description=_("segments then"))
    def shown_labels(self, event: Event) -> str:
        return ", ".join(event.labels or []) or "–"

    @display(description=_("refund of"))
    def refund_link(self, event: Event) -> Any:
        return link("event", event.refund_of, f"#{event.refund_of}")


def _entries_of(event: Event) -> Panel:
    """Show what an event moved."""
    entries = Entry.objects.of_event(event).select_related("point_type", "rule")
    rows = [
        (
            Cell(f"#{entry.pk}", href=address("entry", entry.pk)),
            Cell(entry.get_kind_display(), label=KIND_LABELS[entry.kind]),
            entry.point_type,
            count(entry.points),
            f"{entry.get_from_account_display()} → {entry.get_to_account_display()}",
            entry.rule,
        )
        for entry in entries[:200]
    ]
    headers = (_("entry"), _("kind"), _("point type"), _("points"), _("accounts"), _("rule"))
    return Panel(title=_("Entries"), headers=headers, rows=rows, empty=_("This event moved no points."))


def _refunds_of(event: Event) -> Panel:
    """Show the refunds of a purchase."""
    refunds = Event.objects.filter(member_id=event.member_id, refund_of=event.pk).order_by("occurred_at")
    rows = [
        (
            Cell(f"#{refund.pk}", href=address("event", refund.pk)),
            shown_moment(refund.occurred_at),
            Cell(sum_of_money(refund.amount_minor, refund.currency), is_number=True),
            f"{refund.source}/{refund.reference}",
        )
        for refund in refunds[:100]
    ]
    headers = (_("event"), _("occurred at"), _("amount"), _("reference"))
    return Panel(title=_("Refunds"), headers=headers, rows=rows, empty=_("Nothing was refunded."))


def _items_of(event: Event) -> Panel:
    """Show the line items of a purchase."""
    rows = [
        (
            item.get("sku"),
            item.get("category"),
            Cell(item.get("quantity", "–"), is_number=True),
            Cell(sum_of_money(item.get("amount_minor"), event.currency), is_number=True),
        )
        for item in (event.items or [])[:500]
    ]
    headers = (_("article"), _("category"), _("quantity"), _("amount"))
    return Panel(title=_("Line items"), headers=headers, rows=rows, empty="")


@admin.register(Reference)
class ReferenceAdmin(LedgerAdmin):
    """Outside writes and what each of them made."""

    list_display = ("source", "operation", "reference", "shown_member", "shown_target")
    list_display_links = ("reference",)
    list_filter = (("operation", ChoicesDropdownFilter),)
    fields = (("source", "operation"), ("reference", "shown_member"), ("shown_target", "shown_digest"))

    def matching(self, term: str) -> Q:
        return super().matching(term) | Q(pk__in=list(references(term).values_list("pk", flat=True)[:100]))

    @display(description=_("member"))
    def shown_member(self, reference: Reference) -> Any:
        return format_html(
            '<a class="lr-link" href="{}">#{}</a>', member_address(reference.member_id), reference.member_id
        )

    @display(description=_("target"))
    def shown_target(self, reference: Reference) -> Any:
        models = {"event": "event", "refund": "event", "hold": "hold", "capture": "hold", "void": "hold"}
        model = models.get(reference.operation)
        return link(model, reference.target, f"#{reference.target}") if model else f"#{reference.target}"

    @display(description=_("content digest"))
    def shown_digest(self, reference: Reference) -> str:
        return bytes(reference.digest).hex()
