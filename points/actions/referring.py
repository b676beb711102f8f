"""Referrals become points when the friend makes a first purchase of something, and keeps it."""

from datetime import datetime

from django.db import connection

from config.lib.actor import Actor
from points.actions.awarding import IncomingEvent, award_many
from points.models import EventType

SOURCE = "referral"


def convert_referrals(*, actor: Actor, at: datetime, limit: int = 5_000) -> dict[str, int]:
    """Record a referral event for each referrer whose friend has made a first purchase; once a friend, for ever.

    A purchase of nothing, or refunded in full by now, is none.
    """
    converted = 0
    while True:
        events = _converting(limit)
        results = award_many(events=events, source=SOURCE, actor=actor, at=at)
        accepted = sum(result.status == "accepted" for result in results)
        converted += accepted
        if len(events) < limit or not accepted:
            return {"referrals": converted}


def _converting(limit: int) -> list[IncomingEvent]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT m.referred_by_id, m.number, first.occurred_at
            FROM members_member m
            JOIN members_member r ON r.id = m.referred_by_id AND r.status = 'active'
            CROSS JOIN LATERAL (
                SELECT e.occurred_at FROM points_event e
                WHERE e.member_id = m.id AND e.type = %s AND e.amount_minor > (
                    SELECT coalesce(sum(b.amount_minor), 0) FROM points_event b
                    WHERE b.member_id = e.member_id AND b.refund_of = e.id)
                ORDER BY e.occurred_at LIMIT 1
            ) first
            WHERE m.referred_by_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM points_reference k
                WHERE k.source = %s AND k.operation = 'event' AND k.reference = 'friend-' || m.number)
            ORDER BY m.id LIMIT %s
            """,
            [EventType.PURCHASE, SOURCE, limit],
        )
        return [
            IncomingEvent(
                reference=f"friend-{number}", type=EventType.REFERRAL, member_id=referrer, occurred_at=occurred_at
            )
            for referrer, number, occurred_at in cursor.fetchall()
        ]
