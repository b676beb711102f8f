"""A member's history in words: what each entry of the books means to the person whose points they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from members.models import Member
from points import explanations, reports
from points.explanations import RuleVerdict
from points.models import Account, Entry, EntryKind, Lot, PointType
from points.querysets import EntryQuerySet
from points.reports import EntryLot
from rewards.models import Redemption

PAGE_SIZE = 25
_LOTS_LISTED = 300

#: What a member can ask for, and the kinds of entry that answer it.
GROUPS: dict[str, tuple[str, ...]] = {
    "earned": (EntryKind.ACCRUAL, EntryKind.MATURITY),
    "spent": (EntryKind.REDEMPTION, EntryKind.RESTORATION, EntryKind.HOLD, EntryKind.RELEASE),
    "expired": (EntryKind.EXPIRY, EntryKind.REINSTATEMENT),
    "corrected": (EntryKind.CLAWBACK, EntryKind.SETTLEMENT, EntryKind.ADJUSTMENT, EntryKind.TRANSFER),
}
GROUP_LABELS = {
    "": _("All"),
    "earned": _("Earned"),
    "spent": _("Spent"),
    "expired": _("Expired"),
    "corrected": _("Corrected"),
}

_TITLES: dict[str, Any] = {
    EntryKind.ACCRUAL: _("Points earned"),
    EntryKind.MATURITY: _("Pending points became available"),
    EntryKind.HOLD: _("Set aside"),
    EntryKind.RELEASE: _("No longer set aside"),
    EntryKind.REDEMPTION: _("Points spent"),
    EntryKind.RESTORATION: _("Points given back"),
    EntryKind.EXPIRY: _("Points expired"),
    EntryKind.REINSTATEMENT: _("Expired points given back"),
    EntryKind.CLAWBACK: _("Points taken back"),
    EntryKind.SETTLEMENT: _("Owed points settled"),
    EntryKind.ADJUSTMENT: _("Adjusted by staff"),
    EntryKind.TRANSFER: _("Memberships merged"),
}
_MEANINGS: dict[str, Any] = {
    EntryKind.MATURITY: _("These points were pending until the return period was over. Now you can spend them."),
    EntryKind.HOLD: _("These points are set aside for a purchase in progress."),
    EntryKind.RELEASE: _("The purchase did not go through, so the points set aside for it are yours to spend again."),
    EntryKind.REDEMPTION: _("You spent these points. Those that expire soonest were taken first."),
    EntryKind.RESTORATION: _("What you had spent them on was cancelled or returned, so the points came back."),
    EntryKind.EXPIRY: _("These points reached the last day of their validity without being spent."),
    EntryKind.REINSTATEMENT: _("Points that had expired were given back to you."),
    EntryKind.CLAWBACK: _("A purchase was refunded, so the points it had earned were taken back."),
    EntryKind.SETTLEMENT: _("New points first made up for points you owed after a refund."),
    EntryKind.ADJUSTMENT: _("Our staff corrected your balance."),
    EntryKind.TRANSFER: _("Two memberships became one, and their points moved together."),
}
_ICONS: dict[str, str] = {
    EntryKind.ACCRUAL: "plus",
    EntryKind.MATURITY: "check",
    EntryKind.HOLD: "pause",
    EntryKind.RELEASE: "back",
    EntryKind.REDEMPTION: "gift",
    EntryKind.RESTORATION: "back",
    EntryKind.EXPIRY: "hourglass",
    EntryKind.REINSTATEMENT: "back",
    EntryKind.CLAWBACK: "minus",
    EntryKind.SETTLEMENT: "swap",
    EntryKind.ADJUSTMENT: "pencil",
    EntryKind.TRANSFER: "swap",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as the member reads it; `change` is what it did to the points that can be spent."""

    entry: Entry
    redemption: Redemption | None

    @property
    def title(self) -> str:
        """What happened: the reward, else the business event, else the kind of entry."""
        if self.redemption is not None:
            return str(self.redemption.reward)
        if self.entry.kind == EntryKind.ACCRUAL and self.entry.event is not None:
            return str(self.entry.event.get_type_display())
        return str(_TITLES[self.entry.kind])

    @property
    def detail(self) -> str:
        """The second line: by which rule, or what it did when the title says what for."""
        if self.entry.kind == EntryKind.ACCRUAL:
            return str(self.entry.rule.name) if self.entry.rule else ""
        return str(_TITLES[self.entry.kind]) if self.redemption is not None else self.entry.note

    @property
    def for_day(self) -> date | None:
        """The day it is about, when it came into the books on another one; what the night does is always of before."""
        if self.entry.kind in (EntryKind.MATURITY, EntryKind.EXPIRY):
            return None
        about = timezone.localdate(self.entry.occurred_at)
        return about if about != timezone.localdate(self.entry.recorded_at) else None

    @property
    def icon(self) -> str:
        """The name of the picture beside it."""
        return _ICONS[self.entry.kind]

    @property
    def meaning(self) -> str:
        """One sentence that says why there is such an entry."""
        if self.entry.kind == EntryKind.ACCRUAL:
            return str(_("You earned these points.")) if not self.is_pending else str(_PENDING)
        return str(_MEANINGS[self.entry.kind])

    @property
    def change(self) -> int:
        """Points more or fewer to spend; 0 when the points were not there to spend before or after."""
        if self.entry.to_account == Account.AVAILABLE:
            return self.entry.points
        return -self.entry.points if self.entry.from_account == Account.AVAILABLE else 0

    @property
    def is_pending(self) -> bool:
        """Whether the points were earned but could not be spent yet."""
        return self.entry.to_account == Account.PENDING


_PENDING = _("You earned these points. You can spend them once the return period is over.")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one entry is what it is: the rules that spoke for it, and the last days of the points it made or took."""

    line: Line
    verdict: RuleVerdict | None
    others: list[RuleVerdict]
    ends: list[tuple[date | None, int]]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some lines, newest first, and where the older ones begin."""

    lines: list[Line]
    older: int | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends at one moment: all its points, the first of its credits, and how many more there are."""

    expires_at: datetime | None
    points: int
    lots: list[Lot]
    unlisted: int


def endings(*, member: Member) -> list[Ending]:
    """Add up a member's open credits by their end, soonest first; the credits themselves up to a bound."""
    open_lots = Lot.objects.open_of(member).filter(point_type__is_redeemable=True)
    sums = open_lots.order_by(F("expires_at").asc(nulls_last=True)).values_list("expires_at")
    listed: dict[datetime | None, list[Lot]] = {}
    for lot in open_lots.select_related("entry__event")[:_LOTS_LISTED]:
        listed.setdefault(lot.expires_at, []).append(lot)
    return [
        Ending(end, points, shown := listed.get(end, []), count - len(shown))
        for end, points, count in sums.annotate(Sum("remaining"), Count("id"))
    ]


def history(
    *, member: Member, point_type: PointType | None = None, group: str = "", before: int | None = None
) -> HistoryPage:
    """Read one page of a member's history; the cost does not grow with what lies before it."""
    entries = _told(member)
    if point_type is not None:
        entries = entries.filter(point_type=point_type)
    if group:
        entries = entries.filter(kind__in=GROUPS[group])
    if before is not None:
        entries = entries.filter(seq__lt=before)
    found = list(entries[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    return HistoryPage(_lines(member, shown), shown[-1].seq if len(found) > PAGE_SIZE else None)


def latest(*, member: Member, point_type: str, count: int) -> list[Line]:
    """Read the few newest lines of one point type."""
    return _lines(member, list(_told(member).filter(point_type__code=point_type)[:count]))


def _told(member: Member) -> EntryQuerySet:
    """The entries a member reads, without the pairs that only move returned points to a lot with a later end."""
    moves = Q(kind=EntryKind.TRANSFER, corrects__isnull=False)
    return Entry.objects.history(member).exclude(moves).select_related("event", "rule", "point_type")


def explain(*, member: Member, seq: int) -> Explanation | None:
    """Explain one entry of a member by its number in the member's books; None when there is no such entry."""
    entry = Entry.objects.history(member).select_related("event", "rule", "point_type").filter(seq=seq).first()
    if entry is None:
        return None
    (line,) = _lines(member, [entry])
    verdicts = _verdicts(entry)
    own = next((verdict for verdict in verdicts if verdict.rule_id == entry.rule_id), None)
    others = [verdict for verdict in verdicts if verdict is not own]
    return Explanation(line, own, others, _ends(reports.entry_lots([entry])[entry.pk]))


def _verdicts(entry: Entry) -> list[RuleVerdict]:
    """The rules that applied to the event. Those that did not are the programme's affair: they name its campaigns."""
    if entry.kind != EntryKind.ACCRUAL or entry.event is None:
        return []
    verdicts = explanations.explain(event=entry.event)
    return [one for one in verdicts if one.matched and one.point_type == entry.point_type.code]


def _ends(lots: Sequence[EntryLot]) -> list[tuple[date | None, int]]:
    """Add up the points of each last day, in the order of the lots; None is never."""
    sums: dict[date | None, int] = {}
    for lot in lots:
        sums[lot.expires_on] = sums.get(lot.expires_on, 0) + lot.points
    return list(sums.items())


def _lines(member: Member, entries: Sequence[Entry]) -> list[Line]:
    """Put the order beside each entry that paid for one or gave it back."""
    wanted = {entry.pk for entry in entries if entry.kind == EntryKind.REDEMPTION}
    wanted |= {entry.corrects for entry in entries if entry.kind == EntryKind.RESTORATION and entry.corrects}
    orders: dict[int, Redemption] = {}
    if wanted:
        found = Redemption.objects.of_member(member).filter(entry_id__in=wanted).select_related("reward")
        orders = {order.entry_id: order for order in found}
    return [Line(entry, orders.get(entry.pk) or orders.get(entry.corrects or 0)) for entry in entries]


def point_types() -> list[PointType]:
    """Return the kinds of points, those that can be spent first."""
    return sorted(PointType.objects.all(), key=lambda one: (not one.is_redeemable, one.pk))
