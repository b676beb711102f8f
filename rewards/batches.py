"""Set-based writes: a million codes, a tier of members, every coupon whose time is over, in bounded statements."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.models import Member
from rewards.actions import guessing, paying, redeeming
from rewards.actions.coupons import last_moment
from rewards.models import (
    PROMISE,
    CodeOrigin,
    Coupon,
    CouponBatch,
    CouponGiving,
    CouponGuess,
    CouponState,
    GivingState,
    Redemption,
    told,
)
from rewards.querysets import normalise_code

logger = logging.getLogger(__name__)

LARGEST_BATCH = 1_000_000
_CHUNK = 10_000
_TERMS = ", ".join([*PROMISE, "expires_at"])

_ISSUE = f"""
INSERT INTO rewards_coupon (batch_id, state, {_TERMS}, issued_at, change)
SELECT id, 'issued', {_TERMS}, %s, %s::jsonb FROM rewards_couponbatch, generate_series(1, %s) WHERE id = %s
"""  # noqa: S608 - made of the names of columns
_TAKE_IN = f"""
INSERT INTO rewards_coupon (batch_id, state, code, is_outside, {_TERMS}, issued_at, change)
SELECT id, 'issued', wanted.code, true, {_TERMS}, %s, %s::jsonb
FROM rewards_couponbatch, unnest(%s::text[]) AS wanted (code) WHERE id = %s
"""  # noqa: S608 - made of the names of columns
# Who stands for what: the codes and the members are numbered and meet by their number. A code somebody uses at this
# moment is passed over.
_GIVE = """
WITH free AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
        SELECT id FROM rewards_coupon
        WHERE batch_id = %(batch)s AND state = 'issued' AND used = 0 AND held = 0
            AND (expires_at IS NULL OR expires_at > %(at)s)
        ORDER BY id LIMIT cardinality(%(members)s::bigint[]) FOR UPDATE SKIP LOCKED
    ) AS locked
), who AS (
    SELECT member_id, place FROM unnest(%(members)s::bigint[]) WITH ORDINALITY AS wanted (member_id, place)
)
UPDATE rewards_coupon AS coupon SET
    state = 'assigned', member_id = who.member_id, giving_id = %(giving)s, change = %(change)s::jsonb,
    expires_at = CASE WHEN coupon.valid_days IS NULL THEN coupon.expires_at ELSE least(coupon.expires_at, %(end)s) END
FROM free JOIN who USING (place) WHERE coupon.id = free.id
RETURNING who.member_id
"""
# The coupons are locked first, so that the second statement sees what their last users left.
_LOCK_STALE = """
SELECT id FROM rewards_coupon WHERE held > 0 AND id IN (
    SELECT coupon_id FROM rewards_couponreservation WHERE state = 'held' AND expires_at <= %s
    ORDER BY expires_at LIMIT %s
) ORDER BY id FOR UPDATE SKIP LOCKED
"""
_RELEASE = """
WITH due AS (
    SELECT DISTINCT ON (coupon_id) id, coupon_id, source, reference FROM rewards_couponreservation
    WHERE state = 'held' AND expires_at <= %s AND coupon_id = ANY (%s) ORDER BY coupon_id, id
)
UPDATE rewards_coupon AS coupon SET held = coupon.held - 1, change = %s::jsonb
    || jsonb_build_object('reservation', due.id, 'source', due.source, 'reference', due.reference)
FROM due WHERE coupon.id = due.coupon_id
"""


class CodeRefused(DomainError):
    """A code from outside that cannot be taken in; the subclasses say why."""


class CodeMalformed(CodeRefused):
    code = "code_malformed"
    message = _("A code is 4 to 40 letters, digits and signs, without a slash.")


class CodeRepeated(CodeRefused):
    code = "code_repeated"
    message = _("The code stands in row %(row)s already.")


class CodeTaken(CodeRefused):
    code = "code_taken"
    message = _("The code stands for another coupon already.")


class TooManyCodes(DomainError):
    code = "too_many_codes"
    message = _("file: a batch has at most %(most)s codes.")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of a file that was left out, and why."""

    row: int
    code: str
    reason: CodeRefused


@dataclass(slots=True)
class TakenIn:
    """What became of codes from outside: taken in now, there before, refused."""

    taken: int = 0
    there: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


def issue_codes(*, batch: CouponBatch, actor: Actor, at: datetime) -> int:
    """Make the codes a batch still lacks, so that a killed run can be run again; the number made."""
    made = 0
    while chunk := _issue_chunk(batch, actor, at):
        made += chunk
    return made


@transaction.atomic
def _issue_chunk(batch: CouponBatch, actor: Actor, at: datetime) -> int:
    """Make at most one chunk; the batch is locked, so that two runs at once do not make twice as many."""
    locked = CouponBatch.objects.select_for_update().get(pk=batch.pk)
    chunk = min(_CHUNK, locked.quantity - locked.made) if locked.origin == CodeOrigin.DRAWN else 0
    if chunk:
        with connection.cursor() as cursor:
            cursor.execute(_ISSUE, [at, json.dumps(told(actor=actor, at=at)), chunk, batch.pk])
        CouponBatch.objects.filter(pk=batch.pk).update(made=F("made") + chunk)
    return chunk


def take_in(*, batch: CouponBatch, rows: Iterable[tuple[int, str]], actor: Actor, at: datetime) -> TakenIn:
    """Take codes from outside into a batch, as (row, code); the good ones are kept when others are refused.

    The same rows again change nothing. Raises TooManyCodes with nothing of the chunk taken.
    """
    result, seen = TakenIn(), dict[str, int]()
    for chunk in batched(rows, _CHUNK, strict=False):
        wanted = _readable(chunk, seen, result)
        _take_chunk(batch, wanted, result, actor, at)
    result.refused.sort(key=lambda refused: refused.row)
    return result


def _readable(rows: Sequence[tuple[int, str]], seen: dict[str, int], result: TakenIn) -> dict[str, int]:
    """Return the codes that can be such by their row, and refuse the others."""
    wanted: dict[str, int] = {}
    for row, text in rows:
        code = normalise_code(text)
        if not 4 <= len(code) <= 40 or "/" in code or not code.isprintable():
            result.refused.append(RefusedRow(row, text[:60], CodeMalformed()))
        elif code in seen:
            result.refused.append(RefusedRow(row, code, CodeRepeated(row=seen[code])))
        else:
            seen[code] = wanted[code] = row
    return wanted


@transaction.atomic
def _take_chunk(batch: CouponBatch, wanted: dict[str, int], result: TakenIn, actor: Actor, at: datetime) -> None:
    locked = CouponBatch.objects.select_for_update().get(pk=batch.pk)
    fresh: list[str] = []
    for attempt in range(3):
        fresh = sorted(wanted.keys() - _owners(wanted).keys())
        if locked.made + len(fresh) > LARGEST_BATCH:
            raise TooManyCodes(most=f"{LARGEST_BATCH:,}")
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(_TAKE_IN, [at, json.dumps(told(actor=actor, at=at)), fresh, batch.pk])
            break
        except IntegrityError:
            # Another file brought one of these codes meanwhile; it stands there by now.
            if attempt == 2:
                raise
    new = set(fresh)
    for code, owner in _owners(wanted).items():
        if owner != batch.pk:
            result.refused.append(RefusedRow(wanted[code], code, CodeTaken()))
        elif code not in new:
            result.there += 1
    result.taken += len(fresh)
    if fresh:
        made = locked.made + len(fresh)
        CouponBatch.objects.filter(pk=batch.pk).update(made=made, quantity=made)


def _owners(codes: Iterable[str]) -> dict[str, int | None]:
    """Return the batch of each code that stands for a coupon; None for a coupon without a batch."""
    known = Coupon.objects.filter(key__code__in=list(codes))
    return dict(known.order_by().values_list("code", "batch_id"))


def audience(giving: CouponGiving) -> QuerySet[Member]:
    """Return the members a giving is for."""
    members = Member.objects.active()
    if giving.tier_id is not None:
        members = members.filter(tier=giving.tier_id)
    return members.filter(labels__contains=[giving.segment]) if giving.segment else members


def give(*, giving: CouponGiving, actor: Actor, at: datetime) -> int:
    """Give each member of the audience who has none a code of the batch; the number given.

    Goes on where a killed run stopped; two runs at once wait for each other, as do two givings of one batch. Stops
    where the codes end.
    """
    total = 0
    while (given := _give_chunk(giving, actor, at)) is not None:
        total += given
    return total


@transaction.atomic
def _give_chunk(giving: CouponGiving, actor: Actor, at: datetime) -> int | None:
    """Give to the next members; None when there is nobody or nothing left to give."""
    locked = CouponGiving.objects.select_for_update().get(pk=giving.pk)
    if locked.state == GivingState.DONE:
        return None
    # Two givings of one batch wait for each other: what the other gave is seen below, and nobody gets a code of both.
    CouponBatch.objects.select_for_update(no_key=True).get(pk=locked.batch_id)
    people = list(
        audience(locked).filter(pk__gt=locked.last_member_id).order_by("pk").values_list("pk", flat=True)[:_CHUNK]
    )
    had = Coupon.objects.filter(batch=locked.batch_id, member__in=people).values_list("member_id", flat=True)
    without = sorted(set(people) - set(had))
    served = _hand_out(locked, without, actor, at) if without else []
    is_short = len(served) < len(without)
    state = GivingState.SHORT if is_short else GivingState.DONE if len(people) < _CHUNK else GivingState.RUNNING
    # The codes go to the members in their order, so what is left over are the last ones.
    reached = max(served, default=locked.last_member_id) if is_short else max(people, default=locked.last_member_id)
    CouponGiving.objects.filter(pk=locked.pk).update(
        given=F("given") + len(served), last_member_id=max(reached, locked.last_member_id), state=state
    )
    return len(served) if state == GivingState.RUNNING or served else None


def _hand_out(giving: CouponGiving, members: list[int], actor: Actor, at: datetime) -> list[int]:
    days, begins = CouponBatch.objects.values_list("valid_days", "valid_from").get(pk=giving.batch_id)
    change = told(actor=actor, at=at, reason=giving.reason)
    given: dict[str, Any] = {
        "batch": giving.batch_id,
        "giving": giving.pk,
        "members": members,
        "change": json.dumps(change),
        "at": at,
        "end": None if days is None else last_moment(days, at, begins),
    }
    with connection.cursor() as cursor:
        cursor.execute(_GIVE, given)
        return [member_id for (member_id,) in cursor.fetchall()]


def release_stale(*, at: datetime, actor: Actor) -> int:
    """Release every reservation whose time is over, one of each coupon at a time; their number."""
    released = 0
    while chunk := _release_chunk(at, actor):
        released += chunk
    return released


@transaction.atomic
def _release_chunk(at: datetime, actor: Actor) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_STALE, [at, _CHUNK])
        ids = [coupon_id for (coupon_id,) in cursor.fetchall()]
        if not ids:
            return 0
        cursor.execute(_RELEASE, [at, ids, json.dumps(told(actor=actor, at=at))])
        return int(cursor.rowcount)


def expire_coupons(*, at: datetime, actor: Actor) -> int:
    """Say of every coupon whose time is over that it is; their number. Nobody could use them before either."""
    release_stale(at=at, actor=actor)  # a reservation ends with its coupon at the latest
    expired = 0
    while True:
        with transaction.atomic():
            due = Coupon.objects.due_to_expire(at).select_for_update(skip_locked=True).order_by("id")
            ids = list(due.values_list("pk", flat=True)[:_CHUNK])
            Coupon.objects.filter(pk__in=ids).update(state=CouponState.EXPIRED, change=told(actor=actor, at=at))
        expired += len(ids)
        if len(ids) < _CHUNK:
            return expired


def cancel_unpaid(*, at: datetime, actor: Actor) -> dict[str, int]:
    """Take back the orders whose payment did not come in time; one that cannot be cancelled stops no other."""
    cancelled = failed = 0
    late = Redemption.objects.unpaid_since(at - paying.TIME_TO_PAY).select_related("member", "reward", "coupon")
    for redemption in late.order_by("changed_at", "id").iterator(chunk_size=_CHUNK):
        try:
            redeeming.cancel(
                redemption=redemption,
                source="close",
                reference=f"unpaid-{redemption.key}",
                reason=gettext_noop("not paid in time"),
                actor=actor,
                at=at,
                unpaid_only=True,
                though_due=True,
            )
        except redeeming.CannotCancel:
            continue  # paid or cancelled a moment ago
        except DomainError:
            logger.exception("order %s is not paid and cannot be cancelled", redemption.key)
            failed += 1
            continue
        cancelled += 1
    return {"orders": cancelled, "failed": failed}


def forget_guesses(*, at: datetime) -> int:
    """Forget the wrong codes whose window is over; their number of doors."""
    forgotten, _rows = CouponGuess.objects.filter(began_at__lte=at - guessing.window()).delete()
    return forgotten
