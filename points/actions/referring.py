"""Referrals become events, for who invited and for the friend, when the friend does what the programme asks.

The deciding event converts at once, the night what was missed. What looks like somebody inviting himself waits in
quarantine for a person. A friend's number is in the reference of both events, so each is there once, for ever.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from config.lib.sql import read
from members.actions import auditing
from members.models import AuditRecord
from points.actions import suspecting
from points.actions.awarding import REFERRAL_SOURCE, EventRejected, IncomingEvent, award_many
from points.actions.suspecting import Evidence, Suspect
from points.calendar import local_date
from points.models import CapPeriod, EventType, Referral, ReferralProgramme, ReferralStatus

SOURCE = REFERRAL_SOURCE
#: Events that may decide: what else happens is nothing to look at.
DECIDING = frozenset([EventType.PURCHASE.value, EventType.EVENT_ATTENDANCE.value])
#: Referrals in one transaction: the balances of twice as many members are locked meanwhile.
CHUNK = 500
_CANDIDATES = Path(__file__).parent.parent / "sql" / "referrals.sql"
_PAID = (ReferralStatus.REWARDED, ReferralStatus.RELEASED)
#: The verdicts there are at once, as runs count them.
_COUNTED = {
    ReferralStatus.REWARDED: "referrals",
    ReferralStatus.UNPAID: "unpaid",
    ReferralStatus.CAPPED: "capped",
    ReferralStatus.OPEN: "quarantined",
}

logger = logging.getLogger(__name__)


class ReferralDecided(DomainError):
    """Somebody was faster."""

    code = "referral_decided"
    status = 409
    message = _("This referral is decided already: %(status)s.")


class FourEyesNeeded(DomainError):
    """Who took the friend in does not decide: two people see each referral that looked odd."""

    code = "referral_four_eyes"
    message = _("You took this friend in; somebody else decides.")


class ReasonMissing(DomainError):
    """A verdict says why."""

    code = "reason_missing"
    message = _("reason: say why.")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A friend who did what the programme asks."""

    friend_id: int
    number: str
    referrer_id: int
    programme_id: int | None
    happened_at: datetime


def convert_referrals(
    *,
    actor: Actor,
    at: datetime,
    limit: int = CHUNK,
    friends: Sequence[int] | None = None,
    joined_since: datetime | None = None,
) -> dict[str, int]:
    """Give a verdict on every invitation that has met its condition: reward it, or hold it back; once a friend.

    Over all members, or over some friends, or over those who joined since a moment. One that fails is counted and
    stops no other.
    """
    counts = Counter(referrals=0)
    after = 0
    while True:
        found = _candidates(at=at, limit=limit, after=after, friends=friends, joined_since=joined_since)
        if found:
            counts.update(_convert_each(found, actor, at))
            after = found[-1].friend_id
        if len(found) < limit:
            return dict(counts)


def convert_soon(*, friends: Sequence[int], actor: Actor, at: datetime) -> None:
    """Look at invited friends for whom something that decides has just been told.

    Whatever fails is logged and left to the night: the event itself is in the books, and its answer must be given.
    """
    try:
        convert_referrals(actor=actor, at=at, friends=friends)
    except Exception:
        logger.exception("referrals of %s friends are left to the night", len(friends))


@transaction.atomic
def release(*, referral: Referral, reason: str, actor: Actor, at: datetime) -> Referral:
    """Reward an invitation that was held back, once, whatever the limit of the programme.

    Raises ReferralDecided, FourEyesNeeded, ReasonMissing, EventRejected (when either of the two is not active).
    """
    _lock([referral.member_id, referral.friend_id])
    decided = _decide(referral, ReferralStatus.RELEASED, reason, actor, at)
    found = _Candidate(
        decided.friend_id, decided.friend.number, decided.member_id, decided.programme_id, decided.happened_at
    )
    _reward([found], actor, at)
    return decided


@transaction.atomic
def reject(*, referral: Referral, reason: str, actor: Actor, at: datetime) -> Referral:
    """Decide that an invitation that was held back gives nothing.

    Raises ReferralDecided, FourEyesNeeded, ReasonMissing.
    """
    return _decide(referral, ReferralStatus.REJECTED, reason, actor, at)


def _candidates(
    *,
    at: datetime,
    limit: int,
    after: int = 0,
    friends: Sequence[int] | None = None,
    joined_since: datetime | None = None,
) -> list[_Candidate]:
    with connection.cursor() as cursor:
        given = {"at": at, "zone": settings.TIME_ZONE, "limit": limit, "after": after, "joined_since": joined_since}
        cursor.execute(read(_CANDIDATES), {**given, "friends": None if friends is None else list(friends)})
        return [_Candidate(*row) for row in cursor.fetchall()]


def _convert_each(found: Sequence[_Candidate], actor: Actor, at: datetime) -> Counter[str]:
    """Give the verdicts and count them by name; one at a time if they cannot be given together."""
    try:
        given = _convert_again(found, actor, at)
        return Counter({name: given[status] for status, name in _COUNTED.items() if given[status]})
    except OperationalError:
        raise
    except Exception:
        if len(found) == 1:
            logger.exception("the referral of friend %s cannot be decided", found[0].number)
            return Counter(failed=1)
        return sum((_convert_each([one], actor, at) for one in found), Counter())


def _convert_again(found: Sequence[_Candidate], actor: Actor, at: datetime) -> Counter[ReferralStatus]:
    """Give the verdicts; once more from the beginning if a member was closed meanwhile."""
    try:
        return _convert(found, actor, at)
    except OperationalError:
        if connection.in_atomic_block:
            raise
        return _convert(found, actor, at)


@transaction.atomic
def _convert(found: Sequence[_Candidate], actor: Actor, at: datetime) -> Counter[ReferralStatus]:
    """Give one verdict on each of these friends who has none yet, under the locks of all whom it is about."""
    _lock({one.referrer_id for one in found} | {one.friend_id for one in found})
    standing = _candidates(at=at, limit=len(found), friends=[one.friend_id for one in found])
    programmes = ReferralProgramme.objects.in_bulk()
    terms = {one.friend_id: programmes.get(one.programme_id or 0, ReferralProgramme()) for one in standing}
    held = suspecting.evidence(
        [Suspect(friend, its.device_limit, its.device_hours) for friend, its in terms.items()] if standing else []
    )
    verdicts = [(one, ReferralStatus.OPEN) for one in standing if one.friend_id in held]
    verdicts += _settle([one for one in standing if one.friend_id not in held], terms, actor, at)
    _keep(verdicts, held, at)
    return Counter(status for _one, status in verdicts)


def _settle(
    waiting: list[_Candidate], terms: dict[int, ReferralProgramme], actor: Actor, at: datetime
) -> list[tuple[_Candidate, ReferralStatus]]:
    """Reward those whom the limits have room for. Whoever got nothing by the rules leaves his place to the next."""
    verdicts: list[tuple[_Candidate, ReferralStatus]] = []
    is_full = False
    while waiting and not is_full:
        within = _within_caps(waiting, terms, [one for one, status in verdicts if status == ReferralStatus.REWARDED])
        given = _reward(within, actor, at)
        verdicts += zip(within, given, strict=True)
        waiting = [one for one in waiting if one not in within]
        is_full = ReferralStatus.UNPAID not in given
    return verdicts + [(one, ReferralStatus.CAPPED) for one in waiting]


def _lock(members: Sequence[int] | set[int]) -> None:
    """Lock the balances of these members in the one order everybody locks in."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT points_lock(%s)", [sorted(members)])


def _within_caps(
    found: Sequence[_Candidate], terms: dict[int, ReferralProgramme], paid: Sequence[_Candidate]
) -> list[_Candidate]:
    """Keep those whom the limit of their referrer's period has room for, in the order they met the condition."""
    capped = {one.referrer_id for one in found if terms[one.friend_id].cap}
    earlier = Referral.objects.filter(member_id__in=capped, status__in=_PAID) if capped else Referral.objects.none()
    happened: dict[int, list[date]] = {}
    for referrer, moment in [
        *earlier.values_list("member_id", "happened_at"),
        *((one.referrer_id, one.happened_at) for one in paid),
    ]:
        happened.setdefault(referrer, []).append(local_date(moment))
    kept = []
    for one in sorted(found, key=lambda one: (one.happened_at, one.friend_id)):
        its, day = terms[one.friend_id], local_date(one.happened_at)
        days = happened.setdefault(one.referrer_id, [])
        period = _begin(day, its.cap_period)
        if its.cap is None or sum(_begin(other, its.cap_period) == period for other in days) < its.cap:
            days.append(day)
            kept.append(one)
    return kept


def _begin(day: date, period: str) -> date:
    if period == CapPeriod.LIFETIME:
        return date.min
    return day.replace(day=1) if period == CapPeriod.MONTH else day


def _reward(found: Sequence[_Candidate], actor: Actor, at: datetime) -> list[ReferralStatus]:
    """Record the event of each side; by friend whether the referrer got any points for it, now or since long ago."""
    if not found:
        return []
    results = award_many(events=[event for one in found for event in _events(one)], source=SOURCE, actor=actor, at=at)
    for result in results:
        # Under these references there can be no other events than those of this friend.
        if result.status == "rejected" and result.code != "reference_conflict":
            raise EventRejected(result.code or "", result.detail or "")
    return [
        ReferralStatus.REWARDED if result.points or result.code else ReferralStatus.UNPAID for result in results[::2]
    ]


def _events(one: _Candidate) -> tuple[IncomingEvent, IncomingEvent]:
    return (
        IncomingEvent(
            reference=f"friend-{one.number}",
            type=EventType.REFERRAL,
            member_id=one.referrer_id,
            occurred_at=one.happened_at,
            attributes={"role": "referrer"},
        ),
        IncomingEvent(
            reference=f"invited-{one.number}",
            type=EventType.CUSTOM,
            member_id=one.friend_id,
            occurred_at=one.happened_at,
            attributes={"referral": True, "role": "friend"},
        ),
    )


def _keep(
    verdicts: Sequence[tuple[_Candidate, ReferralStatus]], held: dict[int, list[Evidence]], at: datetime
) -> None:
    takers = AuditRecord.objects.filter(subject_id__in=list(held), action="member.enrolled") if held else []
    enrolled_by = {record.subject_id: record.actor for record in takers}
    Referral.objects.bulk_create(
        Referral(
            member_id=one.referrer_id,
            friend_id=one.friend_id,
            programme_id=one.programme_id,
            status=status,
            happened_at=one.happened_at,
            recorded_at=at,
            evidence=held.get(one.friend_id, []),
            enrolled_by=enrolled_by.get(one.friend_id, ""),
        )
        for one, status in verdicts
    )


def _decide(referral: Referral, status: ReferralStatus, reason: str, actor: Actor, at: datetime) -> Referral:
    """Flip the state, which exactly one person wins, and leave a trace."""
    if not reason.strip():
        raise ReasonMissing
    if referral.enrolled_by == actor:
        raise FourEyesNeeded
    held = Referral.objects.filter(member_id=referral.member_id, pk=referral.pk, status=ReferralStatus.OPEN)
    if not held.update(status=status, reason=reason.strip(), decided_by=actor, decided_at=at):
        current = Referral.objects.get(member_id=referral.member_id, pk=referral.pk)
        raise ReferralDecided(status=current.get_status_display())
    decided = Referral.objects.select_related("friend", "member").get(member_id=referral.member_id, pk=referral.pk)
    details = {"referral": decided.pk, "friend": decided.friend.number}
    auditing.record(
        actor=actor, action=f"referral.{status}", subject=decided.member, reason=decided.reason, details=details, at=at
    )
    return decided
