"""Writes over many rows: each one statement or a run of bounded ones, safe to kill anywhere and to run again."""

import logging
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from config.lib.actor import Actor, system
from config.lib.errors import DomainError
from config.lib.sql import read
from points.actions import holding
from points.calendar import end_of, start_of
from points.models import Hold, HoldStatus, JobRun

logger = logging.getLogger(__name__)

SQL = Path(__file__).parent / "sql"
#: Members and types per sweep: locks last a fraction of a second.
CHUNK = 2_000
#: Closed days that a night looks at again for bookings that came after their close.
DAYS_LOOKED_AT = 7

Progress = Callable[[int], None]


def mature(*, business_date: date, at: datetime, progress: Progress | None = None) -> dict[str, int]:
    """Make pending points available whose window closed by the end of the business date."""
    return _sweep("maturity", "is_open AND is_pending AND available_at <= %s", business_date, at, progress)


def expire(*, business_date: date, at: datetime, progress: Progress | None = None) -> dict[str, int]:
    """Expire what is left of lots that ended by the end of the business date: one entry per member and type."""
    return _sweep("expiry", "is_open AND NOT is_pending AND expires_at <= %s", business_date, at, progress)


def _sweep(kind: str, condition: str, business_date: date, at: datetime, progress: Progress | None) -> dict[str, int]:
    cutoff = end_of(business_date)
    counts = {"members": 0, "points": 0}
    with connection.cursor() as cursor:
        for members, types in _due(condition, cutoff):
            cursor.execute(
                "SELECT swept, points FROM points_sweep(%s, %s, %s, %s, %s, %s, %s)",
                [kind, members, types, business_date, cutoff, system("close"), at],
            )
            swept, points = cursor.fetchone()
            counts["members"] += swept
            counts["points"] += points
            if progress:
                progress(swept)
    return counts


def _due(condition: str, cutoff: datetime) -> Iterator[tuple[list[int], list[int]]]:
    """Members and types with due lots, in member order, a chunk at a time; the list stays on the server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DECLARE points_due CURSOR WITH HOLD FOR SELECT member_id, point_type_id FROM points_lot"
            f" WHERE {condition} GROUP BY member_id, point_type_id ORDER BY member_id, point_type_id",
            [cutoff],
        )
        try:
            while True:
                cursor.execute(f"FETCH {CHUNK} FROM points_due")
                rows = cursor.fetchall()
                if not rows:
                    return
                yield [row[0] for row in rows], [row[1] for row in rows]
        finally:
            cursor.execute("CLOSE points_due")


def void_stale_holds(*, at: datetime, actor: Actor, progress: Progress | None = None) -> dict[str, int]:
    """Give back the points of holds whose time is over; one that cannot be voided is counted and stops no other."""
    voided = failed = 0
    for hold in Hold.objects.stale(at).order_by("id").iterator(chunk_size=CHUNK):
        try:
            holding.void(
                hold=hold, source="close", reference=f"hold-{hold.pk}", actor=actor, at=at, status=HoldStatus.EXPIRED
            )
        except holding.HoldClosed:
            continue  # captured or voided a moment ago
        except DomainError:
            logger.exception("hold %s is over and cannot be voided", hold.pk)
            failed += 1
            continue
        voided += 1
        if progress:
            progress(1)
    return {"holds": voided, "failed": failed}


def raise_tiers(*, actor: Actor, at: datetime) -> dict[str, int]:
    """Lift members whose growth points reach a higher tier, from `at` on; nobody is lowered."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH growth AS (
                SELECT b.member_id, max(b.available) AS points FROM points_balance b
                JOIN points_pointtype t ON t.id = b.point_type_id AND t.is_qualifying GROUP BY 1
            ), reached AS (
                SELECT m.id, m.tier_id AS own_id, (
                    SELECT t.id FROM members_tier t WHERE t.is_active AND t.threshold <= g.points
                    ORDER BY t.rank DESC LIMIT 1) AS tier_id, own.rank
                FROM growth g JOIN members_member m ON m.id = g.member_id AND m.status = 'active'
                JOIN members_tier own ON own.id = m.tier_id
            ), raised AS (
                -- Whom somebody else put into another tier meanwhile is looked at again the next night.
                UPDATE members_member m SET tier_id = r.tier_id
                FROM reached r JOIN members_tier t ON t.id = r.tier_id
                WHERE m.id = r.id AND m.tier_id = r.own_id AND t.rank > r.rank
                RETURNING m.id, m.tier_id
            )
            INSERT INTO members_tierchange (member_id, tier_id, since, actor) SELECT id, tier_id, %s, %s FROM raised
            """,
            [at, actor],
        )
        return {"members": cursor.rowcount}


def roll_up(*, business_date: date) -> dict[str, int]:
    """Rebuild the day's statistics and the member months that the day's bookings touched."""
    bounds = {
        "day": business_date,
        "start": start_of(business_date),
        "end": end_of(business_date),
        "zone": settings.TIME_ZONE,
        "currency": settings.LAUREL_CURRENCY,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        # Two runs of one night wait for each other here, and so do two days that touch the same member months.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('points.roll_up'))")
        # The statements are long and a day is short: compiling them would take longer than running them.
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("DELETE FROM points_dailystatistic WHERE day = %(day)s", bounds)
        cursor.execute(read(SQL / "daily_statistics.sql"), bounds)
        statistics = cursor.rowcount
        cursor.execute(read(SQL / "member_months.sql"), bounds)
        return {"statistics": statistics, "member_months": cursor.rowcount}


def roll_up_earlier(*, business_date: date) -> dict[str, int]:
    """Roll up again the last closed days before the business date whose statistics lack entries booked after all."""
    days = _closed_before(business_date)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.day FROM unnest(%s::date[], %s::timestamptz[], %s::timestamptz[]) AS d (day, starts_at, ends_at)
            WHERE (
                SELECT count(*) FROM points_entry e WHERE e.recorded_at >= d.starts_at AND e.recorded_at < d.ends_at
            ) <> (SELECT coalesce(sum(s.entries), 0) FROM points_dailystatistic s WHERE s.day = d.day)
            ORDER BY d.day
            """,
            [days, [start_of(day) for day in days], [end_of(day) for day in days]],
        )
        late = [day for (day,) in cursor.fetchall()]
    for day in late:
        roll_up(business_date=day)
    return {"earlier_days": len(late)}


def _closed_before(business_date: date) -> list[date]:
    # A day whose books did not agree has its statistics too.
    summed = Q(state=JobRun.State.DONE) | Q(state=JobRun.State.FAILED, counts__has_key="roll_up")
    done = JobRun.objects.filter(summed, job="close", business_date__lt=business_date)
    return list(done.order_by("-business_date").values_list("business_date", flat=True)[:DAYS_LOOKED_AT])
