"""Reads over several tables, each as a frozen dataclass."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from config.lib.sql import read
from members.models import Member
from points.calendar import end_of, start_of
from points.models import Account, Entry, EntryKind, PointType, ReferralCondition, ReferralProgramme

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class Expiring:
    """Points that are gone after a local day: `on` is the last day they can be spent."""

    on: date
    points: int


@dataclass(frozen=True, slots=True)
class MemberBalance:
    """What a member has of one point type."""

    code: str
    name: str
    available: int
    pending: int
    held: int
    owed: int
    expiring: list[Expiring]


def balances(*, member: Member, at: datetime) -> list[MemberBalance]:
    """What a member has now, by point type. Points past their end no longer count, taken by the night or not."""
    with connection.cursor() as cursor:
        # One statement, so that what expires is part of what is available, whoever spends meanwhile.
        cursor.execute(
            """
            SELECT b.point_type_id, b.available - coalesce(l.gone, 0), b.pending, b.held, b.owed, l.days, l.points
            FROM points_balance b
            LEFT JOIN LATERAL (
                SELECT sum(d.points) FILTER (WHERE d.gone)::bigint AS gone,
                    array_agg(d.on_day ORDER BY d.on_day) FILTER (WHERE NOT d.gone) AS days,
                    array_agg(d.points ORDER BY d.on_day) FILTER (WHERE NOT d.gone) AS points
                FROM (
                    SELECT l.expires_at <= %(at)s AS gone, sum(l.remaining)::bigint AS points,
                        ((l.expires_at AT TIME ZONE %(zone)s) - interval '1 microsecond')::date AS on_day
                    FROM points_lot l
                    WHERE l.member_id = b.member_id AND l.point_type_id = b.point_type_id
                        AND l.is_open AND NOT l.is_pending AND l.expires_at IS NOT NULL
                    GROUP BY 1, 3
                ) d
            ) l ON true
            WHERE b.member_id = %(member)s ORDER BY 1
            """,
            {"member": member.pk, "at": at, "zone": settings.TIME_ZONE},
        )
        rows = cursor.fetchall()
    expiring = {row[0]: [Expiring(*one) for one in zip(row[5] or (), row[6] or (), strict=True)] for row in rows}
    return _named([row[:5] for row in rows], expiring)


def balances_as_of(*, member: Member, at: datetime) -> list[MemberBalance]:
    """What the books said at a moment, by the entries recorded until then; no expiry dates for the past."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT b.point_type_id,
                coalesce(sum(CASE 'available' WHEN to_account THEN points WHEN from_account THEN -points END), 0),
                coalesce(sum(CASE 'pending' WHEN to_account THEN points WHEN from_account THEN -points END), 0),
                coalesce(sum(CASE 'held' WHEN to_account THEN points WHEN from_account THEN -points END), 0),
                coalesce(sum(CASE 'owed' WHEN from_account THEN points WHEN to_account THEN -points END), 0)
            FROM points_balance b
            LEFT JOIN points_entry e
                ON e.member_id = b.member_id AND e.point_type_id = b.point_type_id AND e.recorded_at <= %s
            WHERE b.member_id = %s GROUP BY 1 ORDER BY 1
            """,
            [at, member.pk],
        )
        return _named(cursor.fetchall(), {})


def _named(rows: list[tuple[Any, ...]], expiring: dict[int, list[Expiring]]) -> list[MemberBalance]:
    types = {one.pk: one for one in PointType.objects.all()}
    named = []
    for type_id, *sums in rows:
        available, pending, held, owed = (int(one) for one in sums)
        code, name = types[type_id].code, str(types[type_id].name)
        named.append(MemberBalance(code, name, available, pending, held, owed, expiring.get(type_id, [])))
    return named


@dataclass(frozen=True, slots=True)
class EntryLot:
    """How many points of a lot an entry moved, and the last day they are good."""

    lot: int
    points: int
    expires_on: date | None


def entry_lots(entries: Sequence[Entry]) -> dict[int, list[EntryLot]]:
    """The lots of each entry: those it opened, drew from or gave back to; one statement however many entries.

    A capture drew none itself: what it spent came from the lots of its hold, less what was released.
    """
    lots: dict[int, list[EntryLot]] = {entry.pk: [] for entry in entries}
    if not entries:
        return lots
    members, ids = [entry.member_id for entry in entries], [entry.pk for entry in entries]
    drawers = [
        entry.corrects if (entry.kind, entry.from_account) == (EntryKind.REDEMPTION, Account.HELD) else entry.pk
        for entry in entries
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT w.entry_id, l.id, l.points, ((l.expires_at AT TIME ZONE %(zone)s) - interval '1 microsecond')::date
            FROM unnest(%(members)s::bigint[], %(ids)s::bigint[]) AS w (member_id, entry_id)
            JOIN points_lot l ON l.member_id = w.member_id AND l.entry_id = w.entry_id
            UNION ALL
            SELECT w.entry_id, l.id, d.points - released.points,
                ((l.expires_at AT TIME ZONE %(zone)s) - interval '1 microsecond')::date
            FROM unnest(%(members)s::bigint[], %(ids)s::bigint[], %(drawers)s::bigint[])
                AS w (member_id, entry_id, drawer_id)
            JOIN points_draw d ON d.member_id = w.member_id AND d.entry_id = w.drawer_id
            JOIN points_lot l ON l.member_id = d.member_id AND l.id = d.lot_id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(back.points), 0)::bigint AS points
                FROM points_entry e JOIN points_draw back ON back.member_id = e.member_id AND back.entry_id = e.id
                WHERE w.drawer_id <> w.entry_id AND e.member_id = w.member_id AND e.corrects = w.drawer_id
                    AND e.kind = 'release' AND back.lot_id = d.lot_id
            ) released
            WHERE d.points > released.points
            ORDER BY 1, 4 NULLS LAST, 2
            """,
            {"members": members, "ids": ids, "drawers": drawers, "zone": settings.TIME_ZONE},
        )
        for entry_id, lot, points, expires_on in cursor.fetchall():
            lots[entry_id].append(EntryLot(lot, points, expires_on))
    return lots


@dataclass(frozen=True, slots=True)
class TrialBalanceLine:
    """One point type over all members: the sum of its accounts is 0."""

    code: str
    name: str
    issued: int
    pending: int
    available: int
    held: int
    owed: int
    redeemed: int
    expired: int
    transferred: int
    cost_per_point: Decimal

    @property
    def total(self) -> int:
        """The sum over all accounts as the ledger signs them; anything but 0 is a break."""
        return (
            self.pending
            + self.available
            + self.held
            + self.redeemed
            + self.expired
            + self.transferred
            - self.owed
            - self.issued
        )

    @property
    def liability(self) -> Decimal:
        """What the points that members can still spend would cost, in the programme's currency."""
        return (self.available + self.pending + self.held) * self.cost_per_point


def trial_balance() -> list[TrialBalanceLine]:
    """Every account of every point type, summed over the balances."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT t.id,
                coalesce(sum(b.issued), 0)::bigint, coalesce(sum(b.pending), 0)::bigint,
                coalesce(sum(b.available), 0)::bigint, coalesce(sum(b.held), 0)::bigint,
                coalesce(sum(b.owed), 0)::bigint, coalesce(sum(b.redeemed), 0)::bigint,
                coalesce(sum(b.expired), 0)::bigint, coalesce(sum(b.transferred), 0)::bigint
            FROM points_pointtype t LEFT JOIN points_balance b ON b.point_type_id = t.id GROUP BY t.id ORDER BY t.id
            """
        )
        rows = cursor.fetchall()
    types = {one.pk: one for one in PointType.objects.all()}
    return [_line(types[type_id], sums) for type_id, *sums in rows]


def _line(point_type: PointType, sums: list[int]) -> TrialBalanceLine:
    issued, pending, available, held, owed, redeemed, expired, transferred = sums
    return TrialBalanceLine(
        code=point_type.code,
        name=str(point_type.name),
        issued=issued,
        pending=pending,
        available=available,
        held=held,
        owed=owed,
        redeemed=redeemed,
        expired=expired,
        transferred=transferred,
        cost_per_point=point_type.cost_per_point,
    )


@dataclass(frozen=True, slots=True)
class Break:
    """One place where the books do not agree; what concerns no one member or point type has 0 there."""

    code: str
    member_id: int
    point_type_id: int
    detail: str

    def __str__(self) -> str:
        places = [("member", self.member_id), ("point type", self.point_type_id)]
        where = ", ".join(f"{name} {number}" for name, number in places if number)
        return ": ".join(filter(None, (self.code, where, self.detail)))


def check_books(*, members: Sequence[int] | None = None, since: datetime | None = None) -> list[Break]:
    """Every break there is, at most 1,000: entries, balances, lots, draws, holds, chains, limits and references.

    With `members` theirs alone; with `since` sums and lots over the whole history, but entry by entry (draws, digests)
    only what was recorded from then on, and neither limits nor references.
    """
    narrowed = {"members": None if members is None else list(members), "since": since, "zone": settings.TIME_ZONE}
    with connection.cursor() as cursor:
        cursor.execute(read(SQL / "check_books.sql"), narrowed)
        return [Break(*row) for row in cursor.fetchall()]


def members_booked_on(business_date: date) -> list[int]:
    """The members with an entry recorded on a local day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT member_id FROM points_entry WHERE recorded_at >= %s AND recorded_at < %s",
            [start_of(business_date), end_of(business_date)],
        )
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Invitation:
    """A friend who joined by a member's code, as the member may know it: when, and where the reward stands."""

    joined_at: datetime
    status: str


@dataclass(frozen=True, slots=True)
class Invitations:
    """How many friends joined by a member's code and how many of them were rewarded, and the newest of them.

    `terms` are those for a friend who joins now, None where invitations are not rewarded.
    """

    joined: int
    rewarded: int
    newest: list[Invitation]
    terms: ReferralProgramme | None


#: An invitation that can have no verdict any more: no terms held, or the days for it are over.
MISSED = "missed"


def invitations(*, member: Member, newest: int, at: datetime) -> Invitations:
    """Tell how a member's invitations stand. `status` is empty where the condition can still be met."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT m.joined_at, coalesce(x.status, ''), count(*) OVER (),
                count(*) FILTER (WHERE x.status IN ('rewarded', 'released')) OVER ()
            FROM members_member m
            LEFT JOIN points_referral x ON x.member_id = m.referred_by_id AND x.friend_id = m.id
            WHERE m.referred_by_id = %s ORDER BY m.joined_at DESC, m.id DESC LIMIT %s
            """,
            [member.pk, newest],
        )
        rows = cursor.fetchall()
    joined, rewarded = rows[0][2:] if rows else (0, 0)
    programmes = list(ReferralProgramme.objects.all())
    found = []
    for joined_at, status, *_counts in rows:
        is_missed = not status and _is_over(_terms_at(programmes, joined_at), joined_at, at)
        found.append(Invitation(joined_at, MISSED if is_missed else status))
    return Invitations(joined, rewarded, found, _terms_at(programmes, at))


def _terms_at(programmes: list[ReferralProgramme], at: datetime) -> ReferralProgramme | None:
    """The terms for friends who join at a moment: the built-in ones before any programme, None between programmes."""
    holding = (one for one in programmes if one.valid_from <= at and (one.valid_until is None or at < one.valid_until))
    return next(holding, None if any(one.valid_from <= at for one in programmes) else ReferralProgramme())


def _is_over(terms: ReferralProgramme | None, joined_at: datetime, at: datetime) -> bool:
    """Whether nothing a friend does from now on converts any more; a day is left for the night."""
    if terms is None:
        return True
    if terms.within_days is None or terms.converts_on == ReferralCondition.ENROLMENT:
        return False
    return at >= joined_at + timedelta(days=terms.within_days + terms.wait_days + 1)
