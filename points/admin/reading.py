"""How ledger rows are found and shown: by key, never by a scan."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from config.lib import money
from members.admin.base import ReadOnlyAdmin, display, shown_day
from members.admin.screen import Cell
from members.models import Member
from points.models import Event, Operation, PointType, Reference

SEARCH_HELP = _("Card number, phone, e-mail, reference, or #id")

_SOURCES = """
WITH RECURSIVE known AS (
    (SELECT source FROM points_reference ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT r.source FROM points_reference r WHERE r.source > known.source ORDER BY r.source LIMIT 1)
    FROM known WHERE known.source IS NOT NULL
)
SELECT source FROM known WHERE source IS NOT NULL
"""
_GIVEN = """
SELECT wanted.id, type.code, sum(entry.points)::bigint
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS wanted (id, member_id, source, reference)
JOIN points_entry entry ON entry.member_id = wanted.member_id AND entry.source = wanted.source
    AND entry.kind = 'accrual' AND entry.reference = wanted.reference AND entry.event_id = wanted.id
JOIN points_pointtype type ON type.id = entry.point_type_id
GROUP BY wanted.id, type.id ORDER BY wanted.id, type.id
"""


def number(value: int | None) -> str:
    """Return a number with its thousands apart, in the same way in every language."""
    return "–" if value is None else f"{value:,}"


def sum_of_money(minor: int | None, currency: str) -> str:
    """Return an amount as people write it."""
    if minor is None:
        return "–"
    code = currency or settings.LAUREL_CURRENCY
    return f"{money.to_decimal_string(minor, code)} {code}"


def last_day(end: datetime | None) -> str:
    """Return the last local day on which something that ends then is still good."""
    if end is None:
        return str(_("never"))
    return shown_day(timezone.localdate(end - timedelta(microseconds=1)))


def count(value: int) -> Cell:
    """Return a number as a cell of a table."""
    return Cell(number(value), is_number=True)


def address(model: str, pk: int) -> str:
    """Return where a row of this app is shown."""
    return reverse(f"admin:points_{model}_change", args=[pk])


def link(model: str, pk: int | None, text: Any) -> Any:
    """Return a link to a row of this app's admin, or a dash."""
    if pk is None:
        return "–"
    return format_html('<a class="lr-link" href="{}">{}</a>', address(model, pk), text)


def member_address(member_id: int) -> str:
    """Return the page of a member."""
    return reverse("admin:members_member_change", args=[member_id])


def member_link(member: Member) -> Any:
    """Return a link to the page of a member."""
    return format_html('<a class="lr-link" href="{}">{}</a>', member_address(member.pk), member.grouped_number)


def references(term: str) -> QuerySet[Reference]:
    """Return the writes that carried this reference, whichever source told us.

    The key begins with the source, so the few sources are read off the index first and a look-up made in each.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SOURCES)
        sources = [source for (source,) in cursor.fetchall()]
    return Reference.objects.filter(source__in=sources, operation__in=Operation.values, reference=term)


def points_given(events: Iterable[Event]) -> dict[int, dict[str, int]]:
    """Return what each of some events gave, by point type: one statement, through the key they share with entries."""
    events = list(events)
    given: dict[int, dict[str, int]] = {}
    columns = ([e.pk for e in events], [e.member_id for e in events], [e.source for e in events])
    with connection.cursor() as cursor:
        cursor.execute(_GIVEN, [*columns, [e.reference for e in events]])
        found = cursor.fetchall()
    names = {one.code: str(one) for one in PointType.objects.all()} if found else {}
    for event_id, code, points in found:
        given.setdefault(event_id, {})[names[code]] = points
    return given


def newest_first(request: HttpRequest) -> tuple[str, ...]:
    """Order by the row's id, which has an index; among some days by the moment, or the scan would begin at today."""
    is_by_day = request.GET.get("recorded_at_from") or request.GET.get("recorded_at_to")
    return ("-recorded_at", "-id") if is_by_day else ("-id",)


class LedgerAdmin(ReadOnlyAdmin):
    """Rows of the books: shown newest first by key, searched by exact keys, and never written here by anybody."""

    search_fields = ("member",)
    search_help_text = SEARCH_HELP
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            queryset = queryset.filter(self.matching(term))
        return queryset, False

    def matching(self, term: str) -> Q:
        """Return what a searched term can mean; the number of the row after a #, else a member."""
        if term.startswith("#"):
            return Q(pk=int(term[1:])) if term[1:].isdecimal() and len(term) < 19 else Q(pk__in=[])
        return Q(member_id__in=list(Member.objects.search(term).values_list("pk", flat=True)[:100]))

    @display(description=_("member"))
    def member_number(self, row: Any) -> Any:
        return member_link(row.member)

    @display(description=_("reference"))
    def origin(self, row: Any) -> Any:
        return format_html('<span class="lr-origin">{}/{}</span>', row.source, row.reference)

    @display(description=_("points"))
    def shown_points(self, row: Any) -> str:
        return number(row.points)

    @display(description=_("expires"))
    def shown_end(self, row: Any) -> str:
        return last_day(row.expires_at)
