"""Coupons: made, given to a member, checked, used as often as they are good for, and given back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Least
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.models import Member
from points.actions import claiming
from points.actions.posting import ReferenceConflict
from points.calendar import end_of, local_date
from points.models import Operation
from rewards.discounts import Item, MemberLimitReached, NotCombinable, Purchase, discount_of, refusals
from rewards.eligibility import SoldOut
from rewards.models import (
    USABLE_COUPON_STATES,
    Coupon,
    CouponReservation,
    CouponState,
    CouponUse,
    ReservationState,
    Reward,
    told,
)

#: Giving a use back, reserving and releasing are writes of their own kinds beside the use.
ROLLBACK = "rollback"
RESERVATION = "reservation"

SHORTEST_RESERVATION, LONGEST_RESERVATION = timedelta(seconds=1), timedelta(hours=24)
USUAL_RESERVATION = timedelta(minutes=15)


class CouponUnusable(DomainError):
    """There is no such code, or it cannot be used: a guesser must not learn which."""

    code = "coupon_unusable"
    message = _("code: this code cannot be used.")


class CouponNotRedeemed(DomainError):
    code = "coupon_not_redeemed"
    message = _("code: this code has no use to give back.")


class UseRequired(DomainError):
    """Several uses of the code stand, and the caller must say which one is given back."""

    code = "use_required"
    message = _("use: this code was used several times; give the reference of the use.")


class CouponForTill(DomainError):
    """A code of many uses belongs to nobody; whoever shows it at the till uses it."""

    code = "coupon_for_till"
    message = _("This code is for everybody: show it when you pay.")


class CouponNotAssignable(DomainError):
    code = "coupon_not_assignable"
    message = _("This coupon belongs to somebody, is in use or is over: %(state)s.")


class CouponOver(DomainError):
    code = "coupon_over"
    message = _("This coupon is used or over: %(state)s.")


@dataclass(frozen=True, slots=True)
class CouponCheck:
    """Whether a code would be accepted for a purchase, what it would take off, and why not."""

    valid: bool
    discount_minor: int
    reasons: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class CouponDone:
    """A use of a coupon or its return: what it took off (minor units of its currency)."""

    coupon: Coupon
    discount_minor: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class CouponHeld:
    """A reservation of a coupon, and what the coupon would take off the purchase it was shown for."""

    coupon: Coupon
    reservation: CouponReservation
    discount_minor: int
    replayed: bool


def validate(
    *,
    code: str,
    amount_minor: int,
    currency: str,
    at: datetime,
    member: Member | None = None,
    source: str = "",
    channel: str = "",
    bill: str = "",
    items: Sequence[Item] = (),
) -> CouponCheck:
    """Tell whether a code would be accepted, and every reason why not; changes nothing."""
    purchase = Purchase(amount_minor, currency, channel, bill, items)
    coupon = _find(code)
    if coupon is None or not (_is_open(coupon, at) and _is_for(coupon, member)):
        return CouponCheck(False, 0, [(CouponUnusable.code, str(CouponUnusable()))])
    against = refusals(coupon=coupon, purchase=purchase, member=member, source=source, at=at)
    reasons = [(no.code, str(no)) for no in against]
    return CouponCheck(not reasons, 0 if reasons else discount_of(coupon, purchase), reasons)


@transaction.atomic
def redeem(
    *,
    code: str,
    amount_minor: int,
    currency: str,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    member: Member | None = None,
    channel: str = "",
    bill: str = "",
    items: Sequence[Item] = (),
    reservation: str = "",
) -> CouponDone:
    """Use a coupon for a purchase: of all who try at once exactly as many win as the code is good for.

    What this source reserved under `reservation`, or else under the same reference, is what is used. The same
    reference gives the first answer. Raises CouponUnusable, ReferenceConflict and the refusals of `discounts`.
    """
    coupon = _get(code, Operation.COUPON, source, reference)
    purchase = Purchase(amount_minor, currency, channel, bill, items)
    content = _content(purchase, member, reservation)
    if _is_known(coupon, Operation.COUPON, source, reference, content):
        use = _uses_under(coupon, source, reference).filter(gives_back__isnull=True).get()
        return CouponDone(coupon, use.discount_minor, replayed=True)
    held = _reservation(coupon, source, reservation or reference, at)
    if reservation and held is None:
        raise CouponUnusable
    if held is None:
        _refuse_unusable(coupon, member, at, actor)
        _refuse_unfit(coupon, purchase, member, source, at)
    else:
        member = _holder(coupon, held, member)
        # The place it is kept for counts against its own limit.
        _refuse_unfit(coupon, purchase, None, source, at, is_held=True)
    discount = discount_of(coupon, purchase)
    change = told(
        actor=actor,
        at=at,
        source=source,
        reference=reference,
        amount_minor=amount_minor,
        discount_minor=discount,
        member_id=member.pk if member else None,
        channel=channel or None,
        bill=bill or None,
        reservation=held.pk if held else None,
    )
    with _laws_in_words(coupon):
        if held is not None:
            mine = Coupon.objects.filter(pk=coupon.pk, held__gt=0)
            moved = mine.update(used=F("used") + 1, held=F("held") - 1, change=change) > 0
        else:
            moved = _take(coupon, at, actor, used=F("used") + 1, change=change)
    if not moved:
        raise CouponUnusable
    coupon.refresh_from_db()
    return CouponDone(coupon, discount, replayed=False)


@transaction.atomic
def rollback(
    *, code: str, source: str, reference: str, actor: Actor, at: datetime, use: str = "", user: str = ""
) -> CouponDone:
    """Give a use back: the coupon can be used again until its time is over.

    `use` is the reference it was used under, and needed when several uses of the code stand; `user` the source that
    used it, which is this one unless told otherwise. Raises CouponUnusable for what that source never used,
    CouponNotRedeemed, UseRequired, ReferenceConflict.
    """
    coupon = _get(code)
    if not CouponUse.objects.filter(coupon=coupon, source=user or source, gives_back__isnull=True).exists():
        raise CouponUnusable
    if _is_known(coupon, ROLLBACK, source, reference, {"use": use} if use else {}):
        back = _uses_under(coupon, source, reference).filter(gives_back__isnull=False).get()
        return CouponDone(coupon, back.discount_minor, replayed=True)
    given = _use_to_give_back(coupon, user or source, use)
    change = told(
        actor=actor,
        at=at,
        source=source,
        reference=reference,
        discount_minor=given.discount_minor,
        gives_back=given.pk,
    )
    with _laws_in_words(coupon):
        moved = Coupon.objects.filter(pk=coupon.pk, used__gt=0).update(used=F("used") - 1, change=change)
    if not moved:
        raise CouponNotRedeemed
    coupon.refresh_from_db()
    return CouponDone(coupon, given.discount_minor, replayed=False)


@transaction.atomic
def reserve(
    *,
    code: str,
    amount_minor: int,
    currency: str,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    member: Member | None = None,
    channel: str = "",
    bill: str = "",
    items: Sequence[Item] = (),
    lasts: timedelta = USUAL_RESERVATION,
) -> CouponHeld:
    """Keep one use of a coupon for a checkout, until it is used, released or its time is over.

    The coupon's own end is the reservation's too. Raises what using it would raise.
    """
    coupon = _get(code, RESERVATION, source, reference)
    purchase = Purchase(amount_minor, currency, channel, bill, items)
    content = _content(purchase, member, "") | {"seconds": int(lasts.total_seconds())}
    if _is_known(coupon, RESERVATION, source, reference, content):
        return CouponHeld(coupon, _under(coupon, source, reference).get(), discount_of(coupon, purchase), True)
    _refuse_unusable(coupon, member, at, actor)
    _refuse_unfit(coupon, purchase, member, source, at)
    until = at + lasts if coupon.expires_at is None else min(at + lasts, coupon.expires_at)
    change = told(
        actor=actor,
        at=at,
        source=source,
        reference=reference,
        until=until.isoformat(),
        member_id=member.pk if member else None,
        channel=channel or None,
    )
    with _laws_in_words(coupon):
        moved = _take(coupon, at, actor, held=F("held") + 1, change=change)
    if not moved:
        raise CouponUnusable
    coupon.refresh_from_db()
    return CouponHeld(coupon, _under(coupon, source, reference).get(), discount_of(coupon, purchase), False)


@transaction.atomic
def release(*, code: str, source: str, reference: str, actor: Actor, at: datetime) -> CouponHeld:
    """Give up what this source reserved under a reference; released before or by time is released all the same.

    Raises CouponUnusable when it reserved nothing under it, or has used it.
    """
    coupon = _get(code)
    reserved = _under(coupon, source, reference).first()
    if reserved is None or reserved.state == ReservationState.USED:
        raise CouponUnusable
    replayed = reserved.state == ReservationState.RELEASED or not let_go(reserved, actor=actor, at=at)
    reserved.refresh_from_db()
    if reserved.state == ReservationState.USED:
        raise CouponUnusable
    coupon.refresh_from_db()
    return CouponHeld(coupon, reserved, 0, replayed)


def is_own(*, code: str, source: str) -> bool:
    """Tell whether this source has used or reserved the code before: then it is no guess."""
    known = Coupon.objects.by_code(code)
    return any(
        rows.objects.filter(coupon__in=known, source=source).exists() for rows in (CouponUse, CouponReservation)
    )


def let_go(reserved: CouponReservation, *, actor: Actor, at: datetime, reason: str = "") -> bool:
    """Give the use a reservation keeps back to its coupon; whether it was still kept."""
    change = told(
        actor=actor,
        at=at,
        reservation=reserved.pk,
        source=reserved.source,
        reference=reserved.reference,
        reason=reason or None,
    )
    try:
        with transaction.atomic():
            moved = Coupon.objects.filter(pk=reserved.coupon_id, held__gt=0).update(held=F("held") - 1, change=change)
    except IntegrityError as error:
        if _law_of(error) != "coupon_reservation_unknown":
            raise
        return False
    return moved > 0


def issue(*, reward: Reward, member: Member, actor: Actor, at: datetime, source: str, reference: str) -> Coupon:
    """Make a coupon by the terms of a reward, or take one of its batch; the member's own from the start.

    Raises SoldOut when the batch has no code left.
    """
    change = told(actor=actor, at=at, source=source, reference=reference)
    if reward.coupon_batch_id is not None:
        return _take_from_batch(reward.coupon_batch_id, member, at, change)
    days = reward.coupon_valid_days
    return Coupon.objects.create(
        reward=reward,
        member=member,
        state=CouponState.ASSIGNED,
        value_minor=reward.coupon_value_minor,
        percent=reward.coupon_percent,
        minimum_minor=reward.coupon_minimum_minor,
        currency=reward.coupon_currency or settings.LAUREL_CURRENCY,
        expires_at=None if days is None else last_moment(days, at),
        issued_at=at,
        change=change,
    )


def last_moment(days: int, at: datetime, begins: datetime | None = None) -> datetime:
    """Return the end of so many days of validity: the end of a local day, today not counted.

    They are counted from the first day it is good, where that is still to come.
    """
    return end_of(local_date(max(at, begins or at)) + timedelta(days=days))


@transaction.atomic
def assign(*, coupon: Coupon, member: Member, actor: Actor, at: datetime, reason: str = "") -> Coupon:
    """Give a code of a batch to a member, whose own it then is for good; its days begin to run.

    Raises CouponNotAssignable, also for what somebody has used or reserved.
    """
    for reserved in _stale(coupon, at).order_by("id"):
        let_go(reserved, actor=actor, at=at)
    if not _hand_over(coupon, member, at, told(actor=actor, at=at, reason=reason)):
        raise CouponNotAssignable(state=CouponState(coupon.state))
    return coupon


def claim(*, code: str, member: Member, actor: Actor, at: datetime) -> Coupon:
    """Make a printed code the own of the member who brings it; brought again it is the member's still.

    Raises CouponUnusable, also for what belongs to somebody else, and CouponForTill.
    """
    coupon = _get(code)
    if not (_is_open(coupon, at) and _is_for(coupon, member)):
        raise CouponUnusable
    if coupon.member_id == member.pk:
        return coupon
    if coupon.uses > 1:
        raise CouponForTill
    try:
        return assign(coupon=coupon, member=member, actor=actor, at=at)
    except CouponNotAssignable as refusal:
        raise CouponUnusable from refusal


@transaction.atomic
def void(*, coupon: Coupon, actor: Actor, at: datetime, reason: str = "", unused_only: bool = False) -> Coupon:
    """Take a coupon out of use before it was used up; what was reserved of it is released.

    Raises CouponOver; with `unused_only` also for one that was used in part, which is worth less than it was.
    """
    for reserved in CouponReservation.objects.filter(coupon=coupon, state=ReservationState.HELD).order_by("id"):
        let_go(reserved, actor=actor, at=at, reason=reason)
    good = Coupon.objects.filter(pk=coupon.pk, state__in=USABLE_COUPON_STATES, held=0)
    if unused_only:
        good = good.filter(used=0)
    if not good.update(state=CouponState.VOID, change=told(actor=actor, at=at, reason=reason)):
        coupon.refresh_from_db()
        raise CouponOver(state=CouponState.REDEEMED if unused_only and coupon.used else CouponState(coupon.state))
    coupon.refresh_from_db()
    return coupon


def _take_from_batch(batch_id: int, member: Member, at: datetime, change: dict[str, Any]) -> Coupon:
    """Give the next free code of a batch; one that somebody takes at this moment is passed over, not waited for."""
    free = Coupon.objects.filter(batch=batch_id).free(at).order_by("id")
    coupon = free.select_for_update(skip_locked=True).first()
    if coupon is None or not _hand_over(coupon, member, at, change):
        raise SoldOut
    return coupon


def _hand_over(coupon: Coupon, member: Member, at: datetime, change: dict[str, Any]) -> bool:
    """Make a coupon nobody has or uses the member's own; whether it still could be."""
    untouched = (CouponState.ISSUED, CouponState.ROLLED_BACK)
    free = Coupon.objects.filter(pk=coupon.pk, state__in=untouched, member__isnull=True, used=0, held=0)
    gift: dict[str, Any] = {"state": CouponState.ASSIGNED, "member": member}
    if coupon.valid_days is not None:
        end = last_moment(coupon.valid_days, at, coupon.valid_from)
        gift["expires_at"] = Least(F("expires_at"), Value(end))
    if not free.update(**gift, change=change):
        return False
    coupon.refresh_from_db()
    return True


def _find(code: str) -> Coupon | None:
    return Coupon.objects.by_code(code).select_related("member").first()


def _get(code: str, operation: str = "", source: str = "", reference: str = "") -> Coupon:
    """Return the coupon of a code. An unknown one is refused as a bad one would be that comes under this reference."""
    coupon = _find(code)
    if coupon is None:
        if reference and claiming.find(source=source, operation=operation, reference=reference):
            raise ReferenceConflict(reference=reference)
        raise CouponUnusable
    return coupon


def _is_open(coupon: Coupon, at: datetime) -> bool:
    """Tell whether a use of the coupon is free at this moment, what is reserved beyond its time included."""
    if (coupon.valid_from and at < coupon.valid_from) or (coupon.expires_at and at >= coupon.expires_at):
        return False
    is_reserved = coupon.state == CouponState.RESERVED
    return coupon.state in USABLE_COUPON_STATES or (is_reserved and _stale(coupon, at).exists())


def _is_for(coupon: Coupon, member: Member | None) -> bool:
    owner = coupon.member
    is_own = owner is None or member is None or owner.pk == member.pk
    return is_own and all(one.is_active for one in (owner, member) if one is not None)


def _refuse_unusable(coupon: Coupon, member: Member | None, at: datetime, actor: Actor) -> None:
    """Refuse what cannot be used by this member now; what the member reserved beyond its time counts no longer."""
    if not (_is_open(coupon, at) and _is_for(coupon, member)):
        raise CouponUnusable
    if coupon.held and coupon.uses_per_member is not None:
        member_id = coupon.member_id or (member.pk if member else None)
        for reserved in _stale(coupon, at).filter(member_id=member_id).order_by("id"):
            let_go(reserved, actor=actor, at=at)


def _take(coupon: Coupon, at: datetime, actor: Actor, **counted: Any) -> bool:
    """Count one use or reservation more; where none is left, one that is reserved beyond its time gives way."""
    free = Coupon.objects.usable(at).filter(pk=coupon.pk)
    while not free.update(**counted):
        reserved = _stale(coupon, at).order_by("id").first()
        if reserved is None:
            return False
        let_go(reserved, actor=actor, at=at)
    return True


def _refuse_unfit(
    coupon: Coupon, purchase: Purchase, member: Member | None, source: str, at: datetime, *, is_held: bool = False
) -> None:
    for refusal in refusals(coupon=coupon, purchase=purchase, member=member, source=source, at=at, is_held=is_held):
        raise refusal


def _stale(coupon: Coupon, at: datetime) -> QuerySet[CouponReservation]:
    return CouponReservation.objects.filter(coupon=coupon, state=ReservationState.HELD, expires_at__lte=at)


def _under(coupon: Coupon, source: str, reference: str) -> QuerySet[CouponReservation]:
    return CouponReservation.objects.filter(coupon=coupon, source=source, reference=reference)


def _uses_under(coupon: Coupon, source: str, reference: str) -> QuerySet[CouponUse]:
    return CouponUse.objects.filter(coupon=coupon, source=source, reference=reference)


def _reservation(coupon: Coupon, source: str, reference: str, at: datetime) -> CouponReservation | None:
    """Return what this source keeps of the coupon under a reference, unless its time is over."""
    if not coupon.held:
        return None
    return _under(coupon, source, reference).filter(state=ReservationState.HELD, expires_at__gt=at).first()


def _holder(coupon: Coupon, held: CouponReservation, member: Member | None) -> Member | None:
    """Refuse another member than it was reserved for, and a member who is no longer active, named again or not."""
    if member is None and held.member_id is not None:
        member = Member.objects.get(pk=held.member_id)
    if not _is_for(coupon, member) or (member and held.member_id not in (None, member.pk)):
        raise CouponUnusable
    return member


def _use_to_give_back(coupon: Coupon, source: str, use: str) -> CouponUse:
    standing = CouponUse.objects.standing().filter(coupon=coupon, source=source)
    if use:
        standing = standing.filter(reference=use)
    found = list(standing.order_by("-id")[:2])
    if not found:
        raise CouponNotRedeemed
    if len(found) > 1:
        raise UseRequired
    return found[0]


def _content(purchase: Purchase, member: Member | None, reservation: str) -> dict[str, Any]:
    """Return what two requests under one reference must agree in; what was not said before is not in it."""
    said: dict[str, Any] = {
        "amount_minor": purchase.amount_minor,
        "currency": purchase.currency,
        "member": member.pk if member else None,
    }
    lines = [[i.sku, i.category, str(i.quantity), i.amount_minor] for i in purchase.items]
    more = {"channel": purchase.channel, "bill": purchase.bill, "items": lines, "reservation": reservation}
    return said | {name: value for name, value in more.items() if value}


def _is_known(coupon: Coupon, operation: str, source: str, reference: str, content: dict[str, Any]) -> bool:
    """Take the reference for this coupon; whether the same was done under it before."""
    holder = claiming.claim(
        source=source,
        operation=operation,
        reference=reference,
        # Nobody's coupon has no member; the reference is found by its key, not by its member.
        member_id=coupon.member_id or 0,
        digest=claiming.digest_of(code=coupon.code, **content),
        target=coupon.pk,
    )
    if holder is None:
        raise ReferenceConflict(reference=reference)
    if operation == RESERVATION:
        is_known = _under(coupon, source, reference).exists()
    else:
        is_return = operation == ROLLBACK
        is_known = _uses_under(coupon, source, reference).filter(gives_back__isnull=not is_return).exists()
    if is_known:
        coupon.refresh_from_db()  # the claim may have waited for the very same
    return is_known


def _law_of(error: IntegrityError) -> str:
    """Return the name of the law the database refused by."""
    return str(getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or "")


@contextmanager
def _laws_in_words(coupon: Coupon) -> Iterator[None]:
    """Say what only the database could see, for two came at the same moment."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        law = _law_of(error)
        if law == "coupon_member_uses":
            raise MemberLimitReached(limit=coupon.uses_per_member) from error
        if law == "couponbill_alone":
            raise NotCombinable from error
        if law in ("coupon_reservation_unknown", "coupon_transition"):
            raise CouponUnusable from error
        if law in ("coupon_use_unknown", "couponuse_gives_back_id_key", "rewards_couponuse_gives_back_id_key"):
            raise CouponNotRedeemed from error
        raise
