"""Setting points aside for a purchase in progress: hold, capture, void."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.models import Member
from points.actions import catalogue, claiming, refunding
from points.actions.posting import InsufficientPoints, PointsOutOfRange, Posting, ReferenceConflict, post
from points.models import Event, Hold, HoldStatus, Operation

__all__ = [
    "EventRefunded",
    "Held",
    "HoldClosed",
    "HoldExceeded",
    "InsufficientPoints",
    "ReferenceConflict",
    "capture",
    "hold",
    "void",
]

LONGEST = timedelta(days=30)


class HoldClosed(DomainError):
    """The hold was captured, voided or timed out before."""

    code = "hold_closed"
    status = 409
    message = _("The hold is closed: %(state)s.")


class HoldExceeded(DomainError):
    """More was to be captured than is held."""

    code = "hold_exceeded"
    message = _("points: %(held)s are held and %(needed)s were to be captured.")


class EventRefunded(DomainError):
    """Points were to be spent on a purchase of which nothing is left, so that no refund could give them back."""

    code = "event_refunded"
    message = _("event: it is refunded in full already; points cannot be spent on it.")


class HoldTooLong(DomainError):
    """A hold has a deadline within reason."""

    code = "hold_too_long"
    message = _("expires_in: must be from 1 second to %(days)s days.")


@dataclass(frozen=True, slots=True)
class Held:
    """A hold, and whether this call had been answered before."""

    hold: Hold
    replayed: bool


def hold(
    *,
    member: Member,
    points: int,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    expires_in: timedelta = timedelta(hours=1),
    point_type: str = "points",
) -> Held:
    """Move points from available to held; their lots are drawn now, so they cannot expire meanwhile.

    Raises InsufficientPoints, HoldTooLong, MemberNotActive, PointsNotRedeemable, ReferenceConflict.
    """
    if not timedelta(seconds=1) <= expires_in <= LONGEST:
        raise HoldTooLong(days=LONGEST.days)
    try:
        type_id = catalogue.type_id(point_type)
    except catalogue.UnknownPointType:
        _refuse_used(Operation.HOLD, source, reference)
        raise
    digest = claiming.digest_of(
        member=member.pk, type=point_type, points=points, expires_in=expires_in.total_seconds()
    )
    with transaction.atomic():
        new_id = claiming.draw_id(Hold)
        holder = claiming.claim(
            source=source,
            operation=Operation.HOLD,
            reference=reference,
            member_id=member.pk,
            digest=digest,
            target=new_id,
        )
        if holder is None:
            raise ReferenceConflict(reference=reference)
        if holder != new_id:
            return Held(Hold.objects.get(member=member, id=holder), replayed=True)
        posted = post(
            Posting(
                member_id=member.pk,
                point_type_id=type_id,
                kind="hold",
                from_account="available",
                to_account="held",
                points=points,
                source=source,
                reference=reference,
                actor=actor,
                occurred_at=at,
                recorded_at=at,
            )
        )
        made = Hold.objects.create(
            id=new_id,
            member=member,
            point_type_id=type_id,
            entry_id=posted.entry_id,
            points=points,
            source=source,
            reference=reference,
            expires_at=at + expires_in,
            created_at=at,
        )
        return Held(made, replayed=False)


def capture(
    *,
    hold: Hold,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    points: int | None = None,
    event_id: int | None = None,
    note: str = "",
) -> Held:
    """Spend held points before their time is over; a partial capture releases the rest to its lots.

    Points captured for an event come back when the event is refunded; what was refunded of it before counts with the
    next part. Raises PointsOutOfRange, HoldExceeded, HoldClosed, EventRefunded, ReferenceConflict.
    """
    wanted = hold.points if points is None else points
    if wanted < 1:
        raise PointsOutOfRange
    if wanted > hold.points:
        _refuse_used(Operation.CAPTURE, source, reference)
        raise HoldExceeded(held=hold.points, needed=wanted)

    def write(current: Hold) -> None:
        if event_id is not None:
            event = Event.objects.get(member_id=current.member_id, pk=event_id)
            refunding.lock(event=event)
            if refunding.is_refunded(event=event):
                raise EventRefunded
        post(_from_held(current, "redemption", "redeemed", wanted, source, reference, actor, at, event_id, note))
        if wanted < current.points:
            rest = current.points - wanted
            post(_from_held(current, "release", "available", rest, source, reference, actor, at, None, ""))

    return _close(hold, Operation.CAPTURE, HoldStatus.CAPTURED, wanted, source, reference, at, write, event_id)


def void(
    *, hold: Hold, source: str, reference: str, actor: Actor, at: datetime, status: HoldStatus = HoldStatus.VOIDED
) -> Held:
    """Give all held points back to their lots; a timed-out hold is voided by the night with its own status."""

    def write(current: Hold) -> None:
        post(_from_held(current, "release", "available", current.points, source, reference, actor, at, None, ""))

    return _close(hold, Operation.VOID, status, 0, source, reference, at, write)


def _refuse_used(operation: Operation, source: str, reference: str) -> None:
    """Other content under a used reference is a conflict, whatever else is wrong with it."""
    if claiming.find(source=source, operation=operation, reference=reference):
        raise ReferenceConflict(reference=reference)


def _close(
    hold: Hold,
    operation: Operation,
    status: HoldStatus,
    captured: int,
    source: str,
    reference: str,
    at: datetime,
    write: Callable[[Hold], None],
    event_id: int | None = None,
) -> Held:
    """Flip the hold's state, which exactly one caller wins, and move the points."""
    spent_on = {} if event_id is None else {"event": event_id}
    digest = claiming.digest_of(hold=hold.pk, captured=captured, **spent_on)
    with transaction.atomic():
        holder = claiming.claim(
            source=source,
            operation=operation,
            reference=reference,
            member_id=hold.member_id,
            digest=digest,
            target=hold.pk,
        )
        if holder is None:
            raise ReferenceConflict(reference=reference)
        standing = Hold.objects.filter(member_id=hold.member_id, id=hold.pk, status=HoldStatus.HELD)
        if operation == Operation.CAPTURE:
            standing = standing.filter(expires_at__gt=at)
        won = standing.update(status=status, captured=captured, closed_at=at)
        current = Hold.objects.get(member_id=hold.member_id, id=hold.pk)
        if not won:
            if _was_closed_by(current, status, captured, source, reference):
                return Held(current, replayed=True)
            late = current.status == HoldStatus.HELD  # its time is over, and nobody has released it yet
            raise HoldClosed(state=HoldStatus.EXPIRED if late else HoldStatus(current.status))
        write(current)
        return Held(current, replayed=False)


def _was_closed_by(current: Hold, status: HoldStatus, captured: int, source: str, reference: str) -> bool:
    """Whether this very call closed the hold earlier: its entries carry the reference."""
    from points.models import Entry

    return (
        current.status == status
        and current.captured == captured
        and Entry.objects.filter(
            member_id=current.member_id,
            source=source,
            kind__in=["redemption", "release"],
            reference=reference,
            corrects=current.entry_id,
        ).exists()
    )


def _from_held(
    hold: Hold,
    kind: str,
    to_account: str,
    points: int,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    event_id: int | None,
    note: str,
) -> Posting:
    return Posting(
        member_id=hold.member_id,
        point_type_id=hold.point_type_id,
        kind=kind,
        from_account="held",
        to_account=to_account,
        points=points,
        source=source,
        reference=reference,
        # Distinct from a spend of the same reference, which is another kind of write.
        line=hold.pk,
        event_id=event_id,
        corrects=hold.entry_id,
        actor=actor,
        note=note,
        occurred_at=at,
        recorded_at=at,
    )
