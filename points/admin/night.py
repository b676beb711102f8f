"""The night on screen: job runs and the figures they leave."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from members.admin.base import BoundedChangeList, DayFilter, ReadOnlyAdmin, display, moment
from members.admin.screen import Panel
from points.admin.exporting import BookExportingAdmin, StatisticResource
from points.admin.reading import count, number
from points.models import DailyStatistic, EarningRule, EntryKind, JobRun, PointType

STATE_LABELS = {"running": "info", "done": "success", "failed": "danger"}
JOBS = {"close": _("Nightly close")}
STEPS = {
    "mature": _("Pending points become available"),
    "void_stale_holds": _("Holds past their deadline are released"),
    "expire": _("Points expire"),
    "referrals": _("Referrals are rewarded"),
    "tiers": _("Tiers are raised"),
    "roll_up": _("Statistics are summed up"),
    "check_books": _("Books are checked"),
}
COUNTED = {
    "baskets": _("baskets"),
    "breaks": _("breaks"),
    "capped": _("over the limit"),
    "earlier_days": _("earlier days"),
    "failed": _("failed"),
    "holds": _("holds"),
    "member_months": _("member months"),
    "members": _("members"),
    "points": _("points"),
    "quarantined": _("in quarantine"),
    "redeemed": _("redeemed"),
    "referrals": _("referrals"),
    "rejected": _("rejected"),
    "stale_holds": _("holds past their deadline"),
    "statistics": _("daily statistics"),
    "unpaid": _("without points"),
}


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    """Which job ran for which day, and how it ended."""

    list_display = ("business_date", "shown_job", "shown_state", "shown_counts", "started", "finished")
    list_filter = (("state", ChoicesDropdownFilter), ("business_date", DayFilter))
    ordering = ("-business_date", "job")
    fields = (("shown_job", "business_date"), ("state", "started"), ("finished", "watermark"), "error")
    started = moment("started_at", _("started at"))
    finished = moment("finished_at", _("finished at"))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["tables"] = [_counts_of(context["original"])]
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("job"))
    def shown_job(self, run: JobRun) -> str:
        return str(JOBS.get(run.job, run.job))

    @display(description=_("state"), label=STATE_LABELS)
    def shown_state(self, run: JobRun) -> tuple[str, str]:
        return run.state, run.get_state_display()

    @display(description=_("counts"))
    def shown_counts(self, run: JobRun) -> str:
        if run.job not in JOBS:
            return "–"
        expired, matured = (_inner(run.counts.get(step)).get("points", 0) for step in ("expire", "mature"))
        told = {"matured": number(matured), "expired": number(expired)}
        return str(_("%(matured)s matured, %(expired)s expired")) % told


def _counts_of(run: JobRun) -> Panel:
    """Show what each step of a night counted, in its order; other jobs count without steps as well."""
    rows = [
        (
            str(STEPS.get(step) or COUNTED.get(step, step)),
            str(COUNTED.get(name, name)),
            count(value) if isinstance(value, int) else value,
        )
        for step, counts in run.counts.items()
        for name, value in _inner(counts).items()
    ]
    headers = (_("step"), _("what"), _("number"))
    return Panel(title=_("Steps"), headers=headers, rows=rows, empty=_("No step is done yet."))


def _inner(counts: Any) -> dict[str, Any]:
    """Return the counts of a step by name; a number that belongs to no step has no name of its own."""
    return counts if isinstance(counts, dict) else {} if counts is None else {"": counts}


class StatisticChangeList(BoundedChangeList):
    """Statistics with the names behind their codes, asked for once a page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        rules = EarningRule.objects.in_bulk({row.rule_id for row in rows if row.rule_id})
        types = {one.code: one for one in PointType.objects.all()}
        for row in rows:
            row.rule, row.type = rules.get(row.rule_id), types.get(row.point_type)
        self.result_list = rows


class KindFilter(DropdownFilter):  # type: ignore[misc]
    """One kind of entry; the column itself knows no choices."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(EntryKind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(DailyStatistic)
class DailyStatisticAdmin(BookExportingAdmin, ReadOnlyAdmin):
    """Points by day, type, kind, rule, channel and tier."""

    resource_classes = (StatisticResource,)
    list_display = (
        "day",
        "shown_type",
        "shown_kind",
        "shown_rule",
        "channel",
        "tier",
        "shown_entries",
        "shown_points",
    )
    list_display_links = None
    list_filter = (("day", DayFilter), KindFilter)
    ordering = ("-day", "point_type", "kind", "rule_id", "channel", "tier")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedChangeList]:
        return StatisticChangeList

    @display(description=_("point type"))
    def shown_type(self, row: Any) -> str:
        return str(getattr(row, "type", None) or row.point_type)

    @display(description=_("kind"))
    def shown_kind(self, row: DailyStatistic) -> str:
        return str(EntryKind(row.kind).label) if row.kind in EntryKind.values else row.kind

    @display(description=_("rule"))
    def shown_rule(self, row: Any) -> str:
        return str(getattr(row, "rule", None) or "–")

    @display(description=_("entries"))
    def shown_entries(self, row: DailyStatistic) -> str:
        return number(row.entries)

    @display(description=_("points"))
    def shown_points(self, row: DailyStatistic) -> str:
        return number(row.points)
