"""Nouns of the points app for every test. History is made by actions: no balance is ever written by hand."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import factory
from django.db import connection

from config.lib import actor
from members.models import Member
from points.actions import adjusting, awarding
from points.actions.awarding import EventResult, IncomingEvent
from points.closing import StepReport, close
from points.models import AwardKind, Balance, EarningRule, Entry, Event, ExpiryPolicy, PointType
from tests.members.factories import MemberFactory

SHANGHAI = ZoneInfo("Asia/Shanghai")
TESTER = actor.system("tests")
SOURCE = "till"


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """A moment by the programme's own clock."""
    return datetime(year, month, day, hour, minute, second, tzinfo=SHANGHAI)


#: Tuesday noon in Shanghai.
AT = local(2026, 3, 10, 12)

_numbers = count(1)


def new_reference(prefix: str = "r") -> str:
    """A reference nobody used before."""
    return f"{prefix}-{next(_numbers)}"


class _Typed[T]:
    """Tells the type checker what `create` gives."""

    if TYPE_CHECKING:

        @classmethod
        def create(cls, **given: Any) -> T: ...


class PointTypeFactory(_Typed[PointType], factory.django.DjangoModelFactory[PointType]):
    """A kind of points; `points` to spend, which never expire, unless told otherwise."""

    class Meta:
        model = PointType
        django_get_or_create = ("code",)

    code = "points"
    name_en = factory.LazyAttribute(lambda kind: kind.code.capitalize())


def growth() -> PointType:
    """Points that measure a tier and are never spent."""
    return PointTypeFactory.create(code="growth", is_redeemable=False, is_qualifying=True)


class RuleFactory(_Typed[EarningRule], factory.django.DjangoModelFactory[EarningRule]):
    """An earning rule in force: 1 point for each yuan of anything, unless told otherwise."""

    class Meta:
        model = EarningRule

    code = factory.Sequence(lambda n: f"rule-{n}")
    name_en = factory.LazyAttribute(lambda rule: rule.code)
    status = "active"
    valid_from = local(2000, 1, 1)
    point_type = factory.SubFactory(PointTypeFactory)
    award_kind = AwardKind.RATE
    points = Decimal(1)


def fixed_rule(points: int | str | Decimal, **columns: Any) -> EarningRule:
    """A rule that gives fixed points."""
    return RuleFactory.create(award_kind=AwardKind.FIXED, points=Decimal(points), **columns)


def multiplier(points: str, **columns: Any) -> EarningRule:
    """A campaign that multiplies base points."""
    return RuleFactory.create(award_kind=AwardKind.MULTIPLIER, points=Decimal(points), is_base=False, **columns)


def new_member(**given: Any) -> Member:
    """A member with a balance of every point type there is, of points at least."""
    PointTypeFactory.create()
    return MemberFactory.create(**given)


def event(member: Member, /, yuan: int | str | Decimal | None = None, **columns: Any) -> IncomingEvent:
    """A purchase that just happened: of so many yuan, or without money."""
    money: dict[str, Any] = {}
    if yuan is not None:
        money = {"amount_minor": int(Decimal(yuan) * 100), "currency": "CNY"}
    return IncomingEvent(
        **{
            "reference": new_reference("event"),
            "type": "purchase",
            "member_id": member.pk,
            "occurred_at": AT,
            **money,
            **columns,
        }
    )


def take(
    incoming: IncomingEvent | Sequence[IncomingEvent], *, at: datetime | None = None, source: str = SOURCE
) -> list[EventResult]:
    """Let the events arrive at that moment, else when the last of them happened."""
    events = [incoming] if isinstance(incoming, IncomingEvent) else list(incoming)
    moment = at or max(one.occurred_at for one in events)
    return awarding.award_many(events=events, source=source, actor=TESTER, at=moment)


def buy(member: Member, /, yuan: int | str | Decimal, *, recorded_at: datetime | None = None, **columns: Any) -> Event:
    """Let the member buy something that the programme hears of at once."""
    incoming = event(member, yuan, **columns)
    result = awarding.award(
        event=incoming, source=SOURCE, actor=TESTER, at=recorded_at or max(incoming.occurred_at, AT)
    )
    return kept(member, result)


def kept(member: Member, result: EventResult) -> Event:
    """The event as the journal kept it."""
    assert result.event_id is not None, result
    return Event.objects.get(member=member, id=result.event_id)


def earned(incoming: IncomingEvent, *, at: datetime | None = None, point_type: str = "points") -> int:
    """How many points one event is awarded."""
    (result,) = take(incoming, at=at)
    assert result.status == "accepted", result
    return result.points.get(point_type, 0)


def give(member: Member, points: int, *, at: datetime = AT, point_type: str = "points") -> int:
    """Credit points by hand of staff; the entry's id."""
    posted = adjusting.adjust(
        member=member,
        points=points,
        credit=True,
        reason="a test needs them",
        reference=new_reference("gift"),
        actor=TESTER,
        at=at,
        point_type=point_type,
    )
    return posted.entry_id


def expiring_lot(member: Member, points: int, ends_after: date, *, at: datetime = AT) -> Event:
    """Let the member earn points that are good until the end of a local day."""
    rule = EarningRule.objects.filter(code=f"until-{ends_after}").first() or RuleFactory.create(
        code=f"until-{ends_after}",
        channels=[f"until-{ends_after}"],
        expiry_policy=ExpiryPolicy.FIXED_DATE,
        expiry_on=ends_after,
    )
    return buy(member, points, channel=rule.channels[0], occurred_at=at, recorded_at=at)


def balance(member: Member, point_type: str = "points") -> Balance:
    """The member's balance row as it is now."""
    return Balance.objects.get(member=member, point_type__code=point_type)


def accounts(member: Member, point_type: str = "points") -> dict[str, int]:
    """What stands on the member's accounts, those at zero left out."""
    row = balance(member, point_type)
    names = ("available", "pending", "held", "owed", "issued", "redeemed", "expired", "transferred")
    return {name: getattr(row, name) for name in names if getattr(row, name)}


def history(member: Member) -> list[tuple[str, str, str, int]]:
    """What happened to the member's points, oldest first: kind, from, to, points."""
    return list(
        Entry.objects.filter(member=member).order_by("seq").values_list("kind", "from_account", "to_account", "points")
    )


def lots(member: Member) -> list[tuple[int, datetime | None]]:
    """What is left of the member's open lots, in the order of consumption, and when each ends."""
    from points.models import Lot

    return [(lot.remaining, lot.expires_at) for lot in Lot.objects.open_of(member)]


def night(business_date: date, *, at: datetime | None = None) -> list[StepReport]:
    """Close a business date, in the small hours of the next day unless told otherwise."""
    return close(business_date=business_date, at=at or local(*business_date.timetuple()[:3], 2) + timedelta(days=1))


def examples(usual: int) -> int:
    """How many random examples a property wants: the usual number, times LAUREL_EXAMPLES for a long run."""
    return max(1, int(usual * float(os.environ.get("LAUREL_EXAMPLES", "1"))))


_LEDGER_TABLES = ("entry", "lot", "draw", "balance", "event", "reference", "hold", "ruleusage", "rulebudget")


def fingerprint() -> Mapping[str, tuple[int, str | None]]:
    """A number of rows and a digest of every table of the books."""
    seen = {}
    with connection.cursor() as cursor:
        for table in _LEDGER_TABLES:
            cursor.execute(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM points_{table} t")
            rows, digest = cursor.fetchone()
            seen[table] = (rows, digest)
    return seen


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Hold that the books are after the block what they were before it, to the byte."""
    before = fingerprint()
    yield
    assert fingerprint() == before


def in_utc(moment: datetime) -> datetime:
    """The same moment as the database gives it back."""
    return moment.astimezone(UTC)
