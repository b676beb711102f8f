"""Spending points, and giving spent points back to the lots they left."""

from datetime import datetime, timedelta

from config.lib.actor import Actor
from members.models import Member
from points.actions import catalogue
from points.actions.posting import InsufficientPoints, Posted, Posting, ReferenceConflict, post
from points.calendar import end_of_day
from points.models import Entry

#: A restored point lives at least this long, however old its lot is.
RESTORATION_GRACE = timedelta(days=30)

__all__ = ["RESTORATION_GRACE", "InsufficientPoints", "Posted", "ReferenceConflict", "restore", "spend"]


def spend(
    *,
    member: Member,
    points: int,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    point_type: str = "points",
    event_id: int | None = None,
    note: str = "",
    reason: str = "",
) -> Posted:
    """Take points from the member's soonest-expiring lots; refuse rather than go below zero.

    One statement, which is its own transaction where nothing else is written. The same (source, reference) of this
    member again gives the first answer; a door whose references come from outside claims them across members first.

    Raises InsufficientPoints, PointsNotRedeemable, MemberNotActive, ReferenceConflict.
    """
    return post(
        Posting(
            member_id=member.pk,
            point_type_id=catalogue.type_id(point_type),
            kind="redemption",
            from_account="available",
            to_account="redeemed",
            points=points,
            source=source,
            reference=reference,
            event_id=event_id,
            actor=actor,
            reason=reason,
            note=note,
            occurred_at=at,
            recorded_at=at,
        )
    )


def restore(
    *,
    member: Member,
    entry_id: int,
    points: int,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Posted:
    """Give points of a redemption back to its lots, latest-ending first; they live at least the grace period on.

    Raises NothingToReturn when more is asked than the redemption took and still can return.
    """
    point_type_id = Entry.objects.values_list("point_type_id", flat=True).get(member=member, id=entry_id)
    return post(
        Posting(
            member_id=member.pk,
            point_type_id=point_type_id,
            kind="restoration",
            from_account="redeemed",
            to_account="available",
            points=points,
            source=source,
            reference=reference,
            corrects=entry_id,
            actor=actor,
            note=note,
            occurred_at=at,
            recorded_at=at,
            expires_at=end_of_day(at + RESTORATION_GRACE),
        )
    )
