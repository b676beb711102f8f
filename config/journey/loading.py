"""The Complete Journey brought into the programme day by day, as it would have happened.

Each day: the baskets are awarded at the end of it, the coupons of the day are redeemed by who has the points, and the
night closes. A day that is done is written down as a `JobRun`, so that a load that was killed goes on where it was;
whatever it does twice ends at the same books.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import batched
from typing import Any

from django.utils import timezone

from config.journey import reading
from config.journey.reading import Basket, Household, Redemption
from config.lib import actor
from config.lib.errors import DomainError
from config.seed import IN_STORE
from members.actions import enrolling
from members.actions.enrolling import Person
from members.models import Member, MemberKey, MemberKeyKind
from points import calendar, closing
from points.actions import awarding
from points.actions.awarding import IncomingEvent
from points.imports import statistics
from points.models import EventType, JobRun
from rewards.actions import redeeming
from rewards.batches import expire_coupons

SOURCE = "complete-journey"
SHIFTED_SOURCE = "complete-journey-shifted"
ACTOR = actor.system("complete_journey")
COUPON = "coupon-1"
_AT_ONCE = 5_000
_DAYS_PER_STEP = 4

#: What else happens on a day, told its clock and the members by household; it may happen twice.
Happening = Callable[[datetime, Mapping[int, Member]], None]
#: (what, done, of how many)
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Loaded:
    """What a source holds after a load, counted over all its days, and how many of them this run did."""

    members: int = 0
    days: int = 0
    baskets: int = 0
    redeemed: int = 0
    points: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    lived: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load as it was asked for: who, until when, with its nights or without, and moved by how much.

    Quick nights take the same steps but are written down once each, and leave checking the books to the caller.
    """

    source: str = SOURCE
    households: Sequence[Household]
    last_day: date = reading.LAST_DAY
    nights: bool = True
    quick_nights: bool = False
    shift: timedelta = timedelta(0)
    story: Mapping[date, Happening] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every household of the data takes part, so that no line need be looked at twice."""
        return len(self.households) == len(reading.households())

    def is_done(self, run: JobRun | None) -> bool:
        """Whether a day was done for at least as much as is wanted; samples are nested, so their sizes tell."""
        if run is None or run.state != JobRun.State.DONE:
            return False
        seen = run.watermark
        return bool(seen["households"] >= len(self.households) and seen["nights"] >= self.nights)

    @property
    def job(self) -> str:
        """The name its days are written down under."""
        return job_of(self.source)


def job_of(source: str) -> str:
    """Return the name under which the days of a source are written down."""
    return f"journey:{source}"[:64]


def shift_to(last: date, *, source: str) -> timedelta:
    """Return by how much to move the year for its last day to be this one; a source keeps what it began with."""
    began = JobRun.objects.filter(job=job_of(source)).order_by("business_date").first()
    return began.business_date - reading.FIRST_DAY if began else last - reading.LAST_DAY


def load(wanted: Load, *, progress: Progress | None = None) -> Loaded:
    """Bring the year into the programme, or what is missing of it; the rules and rewards are there already."""
    tell = progress or (lambda what, done, total: None)
    statistics.begin_bulk()
    members = _enrol(wanted, tell)
    done = {run.business_date: run for run in JobRun.objects.filter(job=wanted.job)}
    only = None if wanted.is_whole else [household.id for household in wanted.households]
    redemptions = reading.redemptions(only)
    total = (wanted.last_day - reading.FIRST_DAY).days + 1
    lived = 0
    for number, (day, baskets) in enumerate(_every_day(wanted.last_day, reading.days(only)), start=1):
        run = done.get(day + wanted.shift)
        if not wanted.is_done(run):
            known = run.watermark.get("refused", {}) if run else {}
            _Day(wanted, day, members, known).live(baskets, redemptions.get(day, []))
            lived += 1
            statistics.refresh_at(number // _DAYS_PER_STEP if number % _DAYS_PER_STEP == 0 else 0)
        tell("days", number, total)
    return replace(loaded(wanted.source), lived=lived)


def loaded(source: str) -> Loaded:
    """Return what the days of a source have come to."""
    members = MemberKey.objects.filter(kind=MemberKeyKind.EXTERNAL, scope=source)
    result = Loaded(members=members.count())
    for run in JobRun.objects.filter(job=job_of(source), state=JobRun.State.DONE):
        result.days += 1
        result.baskets += run.counts["baskets"]
        result.redeemed += run.counts["redeemed"]
        result.points.update(run.counts["points"])
        result.rejected.update(run.counts["rejected"])
        result.refused.update(run.watermark["refused"].values())
    return result


def _enrol(wanted: Load, tell: Progress) -> dict[int, Member]:
    """Take the households in under their outside ids; return the members by household."""
    at = calendar.start_of(reading.FIRST_DAY + wanted.shift)
    cards: dict[str, str] = {}
    tell("households", 0, len(wanted.households))
    for some in batched(wanted.households, enrolling.BATCH, strict=False):
        people = [_person(household) for household in some]
        cards |= enrolling.enrol_many(source=wanted.source, people=people, actor=ACTOR, at=at).numbers
        tell("households", len(cards), len(wanted.households))
    members = {member.number: member for member in Member.objects.filter(number__in=cards.values())}
    return {int(external): members[number] for external, number in cards.items()}


def _person(household: Household) -> Person:
    """Return a household as somebody to enrol; who has children is in the segment of families."""
    families = household.answers.get("kids_count", "0") != "0"
    return Person(
        external=str(household.id),
        name=f"Household {household.id}",
        attributes=household.answers,
        labels=["families"] if families else [],
    )


def _every_day(last: date, days: Iterator[tuple[date, list[Basket]]]) -> Iterator[tuple[date, list[Basket]]]:
    """Yield every day up to the last, those without a basket too: the night closes them all."""
    expected = reading.FIRST_DAY
    for day, baskets in days:
        if day > last:
            break
        while expected < day:
            yield expected, []
            expected += timedelta(days=1)
        yield day, baskets
        expected += timedelta(days=1)
    while expected <= last:
        yield expected, []
        expected += timedelta(days=1)


def _write_down(runs: list[JobRun]) -> None:
    """Keep what has been done, in the place of what was kept before."""
    JobRun.objects.bulk_create(
        runs,
        update_conflicts=True,
        unique_fields=["job", "business_date"],
        update_fields=["state", "counts", "watermark", "finished_at"],
    )


@dataclass(slots=True)
class _Day:
    """One day of the load; its clock stands at the last second of it until the night."""

    load: Load
    day: date
    members: dict[int, Member]
    refused: dict[str, str]

    def live(self, baskets: list[Basket], redemptions: list[Redemption]) -> None:
        """Let the day happen and close it; safe to be killed anywhere and to be done again."""
        counts = self._award(baskets)
        counts["redeemed"] = self._redeem(redemptions)
        if happening := self.load.story.get(self.day):
            happening(self.now, self.members)
        if not self.load.nights:
            _write_down([self._run(counts, JobRun.State.DONE)])
            return
        statistics.summarise_blocks()
        # Said before the night: what was refused stays refused, though the night may bring the points.
        _write_down([self._run(counts, JobRun.State.RUNNING)])
        nights = [self._close_quickly()] if self.load.quick_nights else []
        if not self.load.quick_nights:
            closing.close(business_date=self.today, at=calendar.end_of(self.today))
        expire_coupons(at=calendar.end_of(self.today), actor=ACTOR)
        _write_down([*nights, self._run(counts, JobRun.State.DONE)])

    def _close_quickly(self) -> JobRun:
        """Take the steps of the night but the last; return how it went."""
        at = calendar.end_of(self.today)
        steps = closing.steps(self.today, at, lambda name: lambda count: None)
        counts = {name: step() for name, step in steps if name != "check_books"}
        return JobRun(
            job=closing.JOB,
            business_date=self.today,
            state=JobRun.State.DONE,
            counts=counts,
            watermark={"step": "roll_up", "at": at.isoformat()},
            started_at=at,
            finished_at=at,
        )

    def _run(self, counts: dict[str, Any], state: JobRun.State) -> JobRun:
        """Return how far the day has come."""
        return JobRun(
            job=self.load.job,
            business_date=self.today,
            state=state,
            counts=counts,
            watermark={
                "households": len(self.load.households),
                "nights": self.load.nights,
                "refused": self.refused,
            },
            started_at=timezone.now(),
            finished_at=timezone.now() if state == JobRun.State.DONE else None,
        )

    @property
    def today(self) -> date:
        """The day as the programme sees it."""
        return self.day + self.load.shift

    @property
    def now(self) -> datetime:
        """The last second of the day."""
        return calendar.end_of(self.today) - timedelta(seconds=1)

    def _award(self, baskets: list[Basket]) -> dict[str, Any]:
        points: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for some in batched(baskets, _AT_ONCE, strict=False):
            events = [self._event(basket) for basket in some]
            for result in awarding.award_many(events=events, source=self.load.source, actor=ACTOR, at=self.now):
                points.update(result.points)
                if result.status == "rejected":
                    rejected[result.code or ""] += 1
        return {"baskets": len(baskets) - rejected.total(), "points": dict(points), "rejected": dict(rejected)}

    def _event(self, basket: Basket) -> IncomingEvent:
        return IncomingEvent(
            reference=str(basket.id),
            member_id=self.members[basket.household].pk,
            type=EventType.PURCHASE,
            occurred_at=(basket.bought_at + self.load.shift).replace(tzinfo=calendar.zone()),
            amount_minor=basket.amount_minor,
            gross_minor=basket.gross_minor,
            currency=reading.CURRENCY,
            channel=IN_STORE,
            store=str(basket.store),
            items=basket.items,
        )

    def _redeem(self, redemptions: list[Redemption]) -> int:
        """Redeem a coupon for each redemption of the data and count them; keep why the others are refused."""
        redeemed = 0
        reward = redeeming.get_reward(COUPON) if redemptions else None
        for redemption in redemptions:
            if reward is None or redemption.reference in self.refused:
                continue
            try:
                redeeming.redeem(
                    member=self.members[redemption.household],
                    reward=reward,
                    source=self.load.source,
                    reference=redemption.reference,
                    actor=ACTOR,
                    at=self.now,
                )
            except DomainError as refusal:
                self.refused[redemption.reference] = refusal.code
            else:
                redeemed += 1
        return redeemed
