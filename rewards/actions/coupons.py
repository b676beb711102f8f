"""Coupons: made, given to a member, checked, used once, and given back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib import money
from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.models import Member
from points.actions import claiming
from points.actions.posting import ReferenceConflict
from points.calendar import end_of, local_date
from points.models import Operation
from rewards.models import USABLE_COUPON_STATES, Coupon, CouponEvent, CouponState, Reward, told

#: Giving a use back is a write of its own kind beside the use.
ROLLBACK = "rollback"


class CouponUnusable(DomainError):
    """There is no such code, or it cannot be used: a guesser must not learn which."""

    code = "coupon_unusable"
    message = _("code: this code cannot be used.")


class BelowMinimum(DomainError):
    code = "below_minimum"
    message = _("money: this coupon needs a purchase of at least %(minimum)s %(currency)s.")


class CurrencyMismatch(DomainError):
    code = "currency_mismatch"
    message = _("money: this coupon is in %(currency)s.")


class CouponNotRedeemed(DomainError):
    code = "coupon_not_redeemed"
    message = _("code: this code has no use to give back.")


class CouponNotAssignable(DomainError):
    code = "coupon_not_assignable"
    message = _("This coupon belongs to somebody or is over: %(state)s.")


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
class CouponUse:
    """One use of a coupon, or its return: what it took off (minor units of its currency)."""

    coupon: Coupon
    discount_minor: int
    replayed: bool


def validate(
    *, code: str, amount_minor: int, currency: str, at: datetime, member: Member | None = None
) -> CouponCheck:
    """Tell whether a code would be accepted; changes nothing."""
    try:
        coupon = _get_usable(code, member, at)
        discount = _discount(coupon, amount_minor, currency)
    except DomainError as error:
        return CouponCheck(False, 0, [(error.code, str(error))])
    return CouponCheck(True, discount, [])


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
) -> CouponUse:
    """Use a coupon for a purchase: of all who try at once exactly one wins. The same reference gives the first answer.

    Raises CouponUnusable, BelowMinimum, CurrencyMismatch, ReferenceConflict.
    """
    coupon = _get(code)
    content = {"amount_minor": amount_minor, "currency": currency, "member": member.pk if member else None}
    if event := _claim(coupon, Operation.COUPON, CouponState.REDEEMED, source, reference, content):
        return CouponUse(coupon, event.discount_minor or 0, replayed=True)
    coupon = _get_usable(code, member, at)
    discount = _discount(coupon, amount_minor, currency)
    change = told(
        actor=actor, at=at, source=source, reference=reference, amount_minor=amount_minor, discount_minor=discount
    )
    if not Coupon.objects.usable(at).filter(pk=coupon.pk).update(state=CouponState.REDEEMED, change=change):
        raise CouponUnusable
    coupon.refresh_from_db()
    return CouponUse(coupon, discount, replayed=False)


@transaction.atomic
def rollback(*, code: str, source: str, reference: str, actor: Actor, at: datetime) -> CouponUse:
    """Give a use back: the coupon can be used again until its time is over."""
    coupon = _get(code)
    if event := _claim(coupon, ROLLBACK, CouponState.ROLLED_BACK, source, reference, {}):
        return CouponUse(coupon, event.discount_minor or 0, replayed=True)
    used = CouponEvent.objects.filter(coupon=coupon, to_state=CouponState.REDEEMED).order_by("-id").first()
    discount = used.discount_minor if used else None
    change = told(actor=actor, at=at, source=source, reference=reference, discount_minor=discount)
    redeemed = Coupon.objects.filter(pk=coupon.pk, state=CouponState.REDEEMED)
    if not redeemed.update(state=CouponState.ROLLED_BACK, change=change):
        raise CouponNotRedeemed
    coupon.refresh_from_db()
    return CouponUse(coupon, discount or 0, replayed=False)


def issue(*, reward: Reward, member: Member, actor: Actor, at: datetime, source: str, reference: str) -> Coupon:
    """Make a coupon by the terms of a reward, the member's own from the start."""
    days = reward.coupon_valid_days
    return Coupon.objects.create(
        reward=reward,
        member=member,
        state=CouponState.ASSIGNED,
        value_minor=reward.coupon_value_minor,
        percent=reward.coupon_percent,
        minimum_minor=reward.coupon_minimum_minor,
        currency=reward.coupon_currency or settings.LAUREL_CURRENCY,
        expires_at=None if days is None else end_of(local_date(at) + timedelta(days=days)),
        issued_at=at,
        change=told(actor=actor, at=at, source=source, reference=reference),
    )


def assign(*, coupon: Coupon, member: Member, actor: Actor, at: datetime, reason: str = "") -> Coupon:
    """Give a code of a batch to a member, whose own it then is for good."""
    free = Coupon.objects.filter(pk=coupon.pk, state=CouponState.ISSUED, member__isnull=True)
    if not free.update(state=CouponState.ASSIGNED, member=member, change=told(actor=actor, at=at, reason=reason)):
        raise CouponNotAssignable(state=coupon.get_state_display())
    coupon.refresh_from_db()
    return coupon


def void(*, coupon: Coupon, actor: Actor, at: datetime, reason: str = "") -> Coupon:
    """Take a coupon out of use before it was used."""
    unused = Coupon.objects.filter(pk=coupon.pk, state__in=[*USABLE_COUPON_STATES, CouponState.RESERVED])
    change = told(actor=actor, at=at, reason=reason)
    if not unused.update(state=CouponState.VOID, change=change):
        coupon.refresh_from_db()
        raise CouponOver(state=coupon.get_state_display())
    coupon.refresh_from_db()
    return coupon


def _get(code: str) -> Coupon:
    coupon = Coupon.objects.by_code(code).first()
    if coupon is None:
        raise CouponUnusable
    return coupon


def _get_usable(code: str, member: Member | None, at: datetime) -> Coupon:
    """Return the coupon of a code that this member, or anybody who brings it, can use at this moment."""
    coupon = Coupon.objects.usable(at).by_code(code).select_related("member").first()
    if coupon is None or not _is_for(coupon, member):
        raise CouponUnusable
    return coupon


def _is_for(coupon: Coupon, member: Member | None) -> bool:
    owner = coupon.member
    is_own = owner is None or member is None or owner.pk == member.pk
    return is_own and all(one.is_active for one in (owner, member) if one is not None)


def _discount(coupon: Coupon, amount_minor: int, currency: str) -> int:
    """Return what the coupon takes off a purchase in minor units, at most the purchase; a percentage rounded down."""
    if currency != coupon.currency:
        raise CurrencyMismatch(currency=coupon.currency)
    if amount_minor < coupon.minimum_minor:
        minimum = money.to_decimal_string(coupon.minimum_minor, coupon.currency)
        raise BelowMinimum(minimum=minimum, currency=coupon.currency)
    if coupon.value_minor is not None:
        return min(coupon.value_minor, amount_minor)
    return amount_minor * (coupon.percent or 0) // 100


def _claim(
    coupon: Coupon, operation: str, state: str, source: str, reference: str, content: dict[str, Any]
) -> CouponEvent | None:
    """Take the reference for this coupon; the step it made before, when it is sent again."""
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
    return CouponEvent.objects.filter(coupon=coupon, to_state=state, source=source, reference=reference).first()
