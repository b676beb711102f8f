"""The night of a business date: its steps, in their published order."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Min
from django.utils.translation import gettext_lazy as _

from config.lib.actor import system
from config.lib.errors import DomainError
from points import batches, reports
from points.actions import referring
from points.actions.awarding import OLDEST
from points.calendar import last_day_over, local_date, start_of
from points.models import Hold, JobRun

JOB = "close"
ACTOR = system("close")
DAYS_MADE_UP_FOR = 366


class DayNotOver(DomainError):
    """A business date is closed when it is over."""

    code = "day_not_over"
    message = _("%(day)s is not over yet in the programme's time zone.")


class DayBeforeProgramme(DomainError):
    """There is nothing to close before the oldest event that is taken."""

    code = "day_before_programme"
    message = _("Nothing was booked before %(first)s: %(day)s has nothing to close.")


class BooksBroken(DomainError):
    """The reconciliation at the end of the night found breaks; the day stays open."""

    code = "books_broken"
    status = 500
    message = _("The books do not agree: %(breaks)s.")


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of the night and what it counted."""

    name: str
    counts: dict[str, int]


Progress = Callable[[str, int], None]


def steps(
    business_date: date, at: datetime, told: Callable[[str], batches.Progress]
) -> list[tuple[str, Callable[[], dict[str, int]]]]:
    """The order of the night. Each step may be killed anywhere and run again, or run twice at once."""
    return [
        ("mature", lambda: batches.mature(business_date=business_date, at=at, progress=told("mature"))),
        ("void_stale_holds", lambda: batches.void_stale_holds(at=at, actor=ACTOR, progress=told("void_stale_holds"))),
        ("expire", lambda: batches.expire(business_date=business_date, at=at, progress=told("expire"))),
        ("referrals", lambda: referring.convert_referrals(actor=ACTOR, at=at)),
        ("tiers", lambda: batches.raise_tiers(actor=ACTOR, at=at)),
        ("roll_up", lambda: _roll_up(business_date)),
        ("check_books", lambda: _reconcile(business_date, at)),
    ]


def _roll_up(business_date: date) -> dict[str, int]:
    return batches.roll_up(business_date=business_date) | batches.roll_up_earlier(business_date=business_date)


def close(*, business_date: date, at: datetime, progress: Progress | None = None) -> list[StepReport]:
    """Close one business date of the programme; a closed one is done again with the same result.

    Raises DayNotOver, DayBeforeProgramme, and BooksBroken when the books of the day's members do not agree.
    """
    if business_date > last_day_over(at):
        raise DayNotOver(day=business_date.isoformat())
    if business_date < (first := local_date(OLDEST)):
        raise DayBeforeProgramme(day=business_date.isoformat(), first=first.isoformat())
    run, _made = JobRun.objects.get_or_create(job=JOB, business_date=business_date, defaults={"started_at": at})

    def told(name: str) -> batches.Progress:
        return lambda count: progress(name, count) if progress else None

    return _take(run, steps(business_date, at, told), at)


def _take(run: JobRun, order: list[tuple[str, Callable[[], dict[str, int]]]], at: datetime) -> list[StepReport]:
    """Take steps of a night in their order, and note how it went."""
    done: list[StepReport] = []
    try:
        for name, step in order:
            counts = step()
            done.append(StepReport(name, counts))
            _note(run, name, counts, at)
    except Exception as error:
        JobRun.objects.filter(pk=run.pk).exclude(state=JobRun.State.DONE).update(
            state=JobRun.State.FAILED, error=str(error)[:2000]
        )
        raise
    JobRun.objects.filter(pk=run.pk).update(state=JobRun.State.DONE, finished_at=at, error="")
    return done


def _note(run: JobRun, name: str, counts: dict[str, int], at: datetime) -> None:
    """Keep the largest count seen of a step: a second run finds nothing to do and must not hide what the first did."""
    with transaction.atomic():
        noted = JobRun.objects.select_for_update().get(pk=run.pk)
        before: dict[str, Any] = noted.counts.get(name, {})
        noted.counts[name] = {key: max(value, before.get(key, 0)) for key, value in counts.items()}
        noted.watermark = {"step": name, "at": at.isoformat()}
        noted.save(update_fields=["counts", "watermark"])


def _reconcile(business_date: date, at: datetime) -> dict[str, int]:
    """Check the books of the day's members; holds that should be closed and are not are told, but break no books."""
    members = reports.members_booked_on(business_date)
    breaks = reports.check_books(members=members, since=start_of(business_date)) if members else []
    if breaks:
        raise BooksBroken(breaks="; ".join(str(one) for one in breaks[:5]))
    return {"members": len(members), "breaks": 0, "stale_holds": Hold.objects.stale(at).count()}


def close_due(*, at: datetime, progress: Progress | None = None) -> list[date]:
    """Close every day that is over and not closed, oldest first; a fresh programme begins with yesterday.

    A day whose books do not agree stays open and holds up no other: what matures and expires later is not its matter.
    Raises BooksBroken at the end, night after night until they agree.
    """
    failed = JobRun.objects.filter(job=JOB, state=JobRun.State.FAILED, counts__has_key="roll_up")
    unchecked = {run.business_date: run for run in failed}
    closed, broken = [], []
    for day in _open_days(last_day_over(at)):
        try:
            if day in unchecked:
                # The rest is done, and would be done again each night for as long as the books are broken.
                _take(unchecked[day], [("check_books", partial(_reconcile, day, at))], at)
            else:
                close(business_date=day, at=at, progress=progress)
        except BooksBroken as error:
            broken.append(f"{day}: {error.facts['breaks']}")
            continue
        closed.append(day)
    if broken:
        raise BooksBroken(breaks="; ".join(broken[-5:]))
    return closed


def _open_days(yesterday: date) -> list[date]:
    """Return the days since the first night, a year back at most, that no night has closed."""
    runs = JobRun.objects.filter(job=JOB)
    first = runs.aggregate(first=Min("business_date"))["first"] or yesterday
    days = min(max((yesterday - first).days + 1, 0), DAYS_MADE_UP_FOR)
    done = set(runs.filter(state=JobRun.State.DONE).values_list("business_date", flat=True))
    every = (yesterday - timedelta(days=ago) for ago in reversed(range(days)))
    return [day for day in every if day not in done]
