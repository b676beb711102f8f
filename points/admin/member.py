"""What this app adds to the screen of a member: balances, lots, entries, events, caps, and the adjustment."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from django.db.models import Prefetch
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from members.admin.base import shown_day, shown_moment
from members.admin.screen import Cell, Figure, MemberAction, Panel, screen
from members.models import Member, MemberStatus
from points import reports
from points.admin.adjusting import PERMISSION
from points.admin.ledger import KIND_LABELS, signed
from points.admin.reading import address, count, last_day, number, points_given, sum_of_money
from points.models import Balance, Entry, Event, Lot, RuleUsage

SHOWN = 10
#: What other apps know of the purpose of entries: of a member's entries, by id, in the reader's language. A note is
#: kept in the language it was written in.
purposes: list[Callable[[Member, Sequence[Entry]], dict[int, str]]] = []


def _figures(request: HttpRequest, member: Member) -> Sequence[Figure]:
    """Show what the member can spend, what is on its way, and what goes next."""
    figures = []
    for balance in reports.balances(member=member, at=timezone.now()):
        parts = ((_("pending"), balance.pending), (_("held"), balance.held), (_("owed"), balance.owed))
        detail = " · ".join(f"{number(points)} {name}" for name, points in parts if points)
        figures.append(Figure(balance.name, number(balance.available), detail or _("available"), "good"))
        if balance.expiring:
            soonest = balance.expiring[0]
            label = _("%(type)s that expire next") % {"type": balance.name}
            figures.append(Figure(label, number(soonest.points), _("on %(day)s") % {"day": shown_day(soonest.on)}))
    return figures


def _all_of(model: str, member: Member) -> str:
    """Return the list of a model, narrowed to a member."""
    return f"{reverse(f'admin:points_{model}_changelist')}?member__exact={member.pk}"


def _entries(request: HttpRequest, member: Member) -> Panel:
    """Show the last movements."""
    entries = list(Entry.objects.history(member).select_related("point_type", "rule")[:SHOWN])
    bought: dict[int, str] = {}
    for each in purposes:
        bought |= each(member, entries)
    rows = [
        (
            Cell(shown_moment(entry.recorded_at), href=address("entry", entry.pk)),
            Cell(entry.get_kind_display(), label=KIND_LABELS[entry.kind]),
            entry.point_type,
            Cell(signed(entry), is_number=True),
            count(entry.available_after),
            bought.get(entry.pk) or entry.note or entry.reason or getattr(entry.rule, "name", "") or entry.reference,
        )
        for entry in entries
    ]
    headers = (_("recorded at"), _("kind"), _("point type"), _("points"), _("available after"), _("why"))
    return Panel(_("Last entries"), headers, rows, _("No entries yet."), _all_of("entry", member), "entries")


def _lots(request: HttpRequest, member: Member) -> Panel:
    """Show the open lots in the order in which they are spent."""
    lots = Lot.objects.open_of(member).select_related("point_type")[:SHOWN]
    rows = [
        (
            Cell(last_day(lot.expires_at), href=address("lot", lot.pk)),
            lot.point_type,
            count(lot.remaining),
            count(lot.points),
            _("pending until %(day)s") % {"day": last_day(lot.available_at)} if lot.is_pending else _("available"),
        )
        for lot in lots
    ]
    headers = (_("last day"), _("point type"), _("remaining"), _("of"), _("state"))
    page = f"{_all_of('lot', member)}&is_open__exact=1"
    return Panel(_("Open lots, soonest end first"), headers, rows, _("No open lots."), page, "lots")


def _events(request: HttpRequest, member: Member) -> Panel:
    """Show the last business events and what they gave."""
    events = list(Event.objects.of_member(member)[:SHOWN])
    given = points_given(events)
    rows = [
        (
            Cell(shown_moment(event.occurred_at), href=address("event", event.pk)),
            event.get_type_display(),
            Cell(sum_of_money(event.amount_minor, event.currency), is_number=True),
            " / ".join(filter(None, [event.channel, event.store])),
            ", ".join(f"{number(points)} {name}" for name, points in given.get(event.pk, {}).items()) or "0",
            event.reference,
        )
        for event in events
    ]
    headers = (_("occurred at"), _("type"), _("amount"), _("where"), _("gave"), _("reference"))
    return Panel(_("Last events"), headers, rows, _("No events yet."), _all_of("event", member), "events")


def _usage(request: HttpRequest, member: Member) -> Panel:
    """Show what the caps have counted in the periods that run now."""
    today = timezone.localdate()
    usage = RuleUsage.objects.filter(member=member).select_related("rule").order_by("-starts_on", "rule_id")[:50]
    caps = {"day": "cap_day", "week": "cap_week", "month": "cap_month", "lifetime": "cap_lifetime"}
    rows = [
        (
            one.rule.name,
            one.get_period_display(),
            count(one.points),
            Cell(number(getattr(one.rule, caps[one.period])), is_number=True),
        )
        for one in usage
        if _runs(one, today)
    ]
    headers = (_("rule"), pgettext_lazy("of a cap", "period"), _("used"), _("cap"))
    return Panel(_("Caps in the current periods"), headers, rows, _("No cap has counted anything."), slug="usage")


def _runs(usage: RuleUsage, today: date) -> bool:
    """Tell whether the period of a count is the present one."""
    if usage.period == RuleUsage.Period.LIFETIME:
        return True
    if usage.period == RuleUsage.Period.MONTH:
        return (usage.starts_on.year, usage.starts_on.month) == (today.year, today.month)
    days = {"day": 1, "week": 7}[usage.period]
    return 0 <= (today - usage.starts_on).days < days


def _available(member: Any) -> str:
    """Return what a member of the list has, by point type."""
    return " · ".join(f"{number(one.available)} {one.point_type}" for one in member.shown_balances)


def _prefetch() -> "Prefetch[Any]":
    balances = Balance.objects.select_related("point_type").order_by("point_type_id")
    return Prefetch("balance_set", balances, to_attr="shown_balances")


screen.figures.append(("points.view_balance", _figures))
screen.panels += [
    (10, "points.view_lot", _lots),
    (20, "points.view_entry", _entries),
    (30, "points.view_event", _events),
    (70, "points.view_entry", _usage),
]
screen.actions.insert(
    0,
    MemberAction(
        _("Adjust points"),
        "tune",
        "admin:points_balance_adjust",
        PERMISSION,
        lambda member: member.status in (MemberStatus.ACTIVE, MemberStatus.SUSPENDED),
    ),
)
screen.columns.append((_("points"), _available, [_prefetch()]))
