"""The figures of points on the overview: today, this month, the liability, the last nights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Sum
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from members.admin.base import start_of
from members.admin.screen import Figure
from points import reports
from points.admin.reading import number
from points.models import DailyStatistic, Entry, EntryKind, JobRun, PointType

#: Figures over the whole of the books are good for some minutes.
REMEMBERED_SECONDS = 300
#: Those of today are good for a moment.
MOMENT_SECONDS = 30
CHART_DAYS = 30
CHART_OPTIONS = json.dumps(
    {
        "animation": False,
        "maintainAspectRatio": False,
        "maxBarThickness": 9,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {
            "legend": {
                "align": "end",
                "labels": {"boxWidth": 8, "boxHeight": 8, "usePointStyle": True, "color": "#8b93a1"},
            }
        },
        "scales": {
            "x": {"grid": {"display": False}, "ticks": {"color": "#8b93a1", "maxRotation": 0, "autoSkipPadding": 12}},
            "y": {"beginAtZero": True, "border": {"display": False}, "grid": {}, "ticks": {"color": "#8b93a1"}},
        },
    }
)
SHOWN_KINDS = (EntryKind.ACCRUAL, EntryKind.REDEMPTION, EntryKind.EXPIRY)


@dataclass(frozen=True, slots=True)
class DayOfPoints:
    """What was earned, redeemed and expired on one day."""

    day: date
    earned: int
    redeemed: int
    expired: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the overview says about points."""

    today: list[Figure]
    month: list[Figure]
    liability: list[Figure]
    chart: str
    chart_options: str
    days: list[DayOfPoints]
    last_close: JobRun | None
    unclosed_days: int
    is_balanced: bool


def overview(*, at: datetime) -> Overview:
    """Return the figures as they are at a moment; a day is a day of the programme."""
    today = timezone.localdate(at)
    point_type = PointType.objects.filter(is_redeemable=True).order_by("pk").first()
    moved = cache.get_or_set(f"overview.{today}", lambda: _moved_today(point_type, today), MOMENT_SECONDS) or {}
    days = _days(point_type, today, moved)
    month = [day for day in days if (day.day.year, day.day.month) == (today.year, today.month)]
    balance = cache.get_or_set("overview.trial_balance", reports.trial_balance, REMEMBERED_SECONDS) or []
    last = JobRun.objects.filter(job="close", state=JobRun.State.DONE).order_by("-business_date").first()
    return Overview(
        today=_figures(days[-1]),
        month=_figures(_sum(month)),
        liability=[
            Figure(
                _("Liability: %(type)s") % {"type": line.name},
                f"{line.liability:,.2f} {settings.LAUREL_CURRENCY}",
                _("%(points)s points open") % {"points": number(line.available + line.pending + line.held)},
            )
            for line in balance
            if line.cost_per_point
        ],
        chart=_chart(days[-CHART_DAYS:]),
        chart_options=CHART_OPTIONS,
        days=days[:-15:-1],
        last_close=last,
        unclosed_days=max(0, (today - last.business_date).days - 1) if last else 0,
        is_balanced=all(line.total == 0 for line in balance),
    )


def _moved_today(point_type: PointType | None, today: date) -> Mapping[str, int]:
    """Return what moved since midnight, from the entries themselves: the rollup knows closed days only."""
    since = Entry.objects.filter(recorded_at__gte=start_of(today), point_type=point_type, kind__in=SHOWN_KINDS)
    return dict(since.order_by().values_list("kind").annotate(Sum("points")))


def _days(point_type: PointType | None, today: date, moved: Mapping[str, int]) -> list[DayOfPoints]:
    """Return every day from the earlier of a month ago and the first of this month, up to and with today."""
    first = min(today - timedelta(days=CHART_DAYS - 1), today.replace(day=1))
    code = point_type.code if point_type else ""
    rows = DailyStatistic.objects.filter(day__gte=first, day__lt=today, point_type=code, kind__in=SHOWN_KINDS)
    sums: dict[tuple[date, str], int] = {
        (day, kind): points for day, kind, points in rows.order_by().values_list("day", "kind").annotate(Sum("points"))
    }
    sums |= {(today, kind): points for kind, points in moved.items()}
    span = [first + timedelta(days=offset) for offset in range((today - first).days + 1)]
    return [DayOfPoints(day, *(sums.get((day, kind), 0) for kind in SHOWN_KINDS)) for day in span]


def _sum(days: list[DayOfPoints]) -> DayOfPoints:
    return DayOfPoints(
        days[0].day, sum(d.earned for d in days), sum(d.redeemed for d in days), sum(d.expired for d in days)
    )


def _figures(day: DayOfPoints) -> list[Figure]:
    return [
        Figure(_("earned"), number(day.earned), tone="good"),
        Figure(_("redeemed"), number(day.redeemed)),
        Figure(_("expired"), number(day.expired), tone="warn" if day.expired else ""),
    ]


def _chart(days: list[DayOfPoints]) -> str:
    """Return the data of the chart as Chart.js reads it."""

    def bars(label: Any, values: list[int], colour: str) -> dict[str, Any]:
        return {"label": capfirst(str(label)), "data": values, "backgroundColor": colour, "borderRadius": 2}

    return json.dumps(
        {
            "labels": [f"{day.day:%m-%d}" for day in days],
            "datasets": [
                bars(_("earned"), [day.earned for day in days], "var(--color-primary-600)"),
                bars(_("redeemed"), [day.redeemed for day in days], "var(--color-primary-300)"),
                bars(_("expired"), [day.expired for day in days], "oklch(72% .125 82)"),
            ],
        }
    )
