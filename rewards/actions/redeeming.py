"""Turning points into a coupon, a gift or a service, and taking an order back."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members import keys
from members.models import Member
from points.actions import claiming, spending
from points.actions.posting import PointsOutOfRange, ReferenceConflict
from points.models import Operation
from rewards import reports
from rewards.actions import booking as bookings
from rewards.actions import claims, coupons, stocking
from rewards.actions.booking import Booking
from rewards.eligibility import Asker, OutOfStock, SoldOut, refusals
from rewards.models import (
    FIRST_STATES,
    MOST_POINTS,
    REDEMPTION_TRANSITIONS,
    Coupon,
    CouponState,
    Redemption,
    RedemptionState,
    Reward,
    RewardKind,
    RewardVariant,
    new_code,
    told,
)

LARGEST_QUANTITY = 1_000


class RewardUnknown(DomainError):
    code = "reward_unknown"
    message = _("reward: there is no reward %(reward)s.")


class VariantUnknown(DomainError):
    code = "variant_unknown"
    message = _("variant: this reward does not come as %(variant)s.")


class VariantRequired(DomainError):
    code = "variant_required"
    message = _("variant: choose one of %(variants)s.")


class QuantityOutOfRange(DomainError):
    code = "quantity_out_of_range"
    message = _("quantity: must be a whole number from 1 to %(most)s.")


class PriceChanged(DomainError):
    """A piece costs something else than what was agreed to."""

    code = "price_changed"
    message = _("The price has changed. Please look at it once more before you redeem.")


class CannotCancel(DomainError):
    """The order has gone too far, or is undone already."""

    code = "cannot_cancel"
    message = _("This order can no longer be cancelled: %(state)s.")


_ON_ITS_WAY = _("This order is on its way and can no longer be cancelled. Once it comes back, its points do too.")
_PAID = _("This order is paid. Please ask the shop to cancel it and to give the money back.")


@dataclass(frozen=True, slots=True)
class Price:
    """What one piece costs: points, and money in minor units where there is some."""

    points: int
    money_minor: int | None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """An order as it stands, with the coupon it gave."""

    redemption: Redemption
    coupon: Coupon | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for."""

    member: Member
    reward: Reward
    variant: RewardVariant | None
    quantity: int
    address: str
    booking: Booking | None
    price: Price | None
    source: str
    reference: str
    actor: Actor
    at: datetime


def get_reward(code: str) -> Reward:
    """Return a reward by its code, or raise RewardUnknown."""
    reward = Reward.objects.filter(code=code).first()
    if reward is None:
        raise RewardUnknown(reward=code)
    return reward


def get_variant(reward: Reward, code: str) -> RewardVariant:
    """Return a variant of a reward by its code, or raise VariantUnknown."""
    variant = RewardVariant.objects.filter(reward=reward, code=code, is_active=True).first()
    if variant is None:
        raise VariantUnknown(variant=code)
    return variant


def redeem(
    *,
    member: Member,
    reward: Reward,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    variant: RewardVariant | None = None,
    quantity: int = 1,
    address: str = "",
    booking: Booking | None = None,
    price: Price | None = None,
) -> Redeemed:
    """Spend the points and place the order, or do nothing at all. The same (source, reference) gives the first answer.

    A coupon is the member's at once, a service waits for its write-off code, a gift for its delivery, and what costs
    money too for its payment. `price` is what the member agreed to. Raises ReferenceConflict, QuantityOutOfRange,
    VariantRequired, VariantUnknown, PriceChanged, PointsOutOfRange, InsufficientPoints, MemberNotActive, the
    subclasses of RewardUnavailable and the refusals of a booking. Locks, in this order: the reference, the member's
    balance, the stock, which is let go in the message that takes it.
    """
    order = _Order(member, reward, variant, quantity, address.strip(), booking, price, source, reference, actor, at)
    try:
        return _redeem(order)
    except IntegrityError as error:
        if not _is_of(error, "stock_not_negative"):
            raise
        left = _left(order) or 0
        raise (OutOfStock(left=left) if left else SoldOut()) from None


@transaction.atomic
def _redeem(order: _Order) -> Redeemed:
    own_id = claiming.draw_id(Redemption)
    holder = _claim(order, own_id)
    if holder != own_id:
        redemption = Redemption.objects.select_related("coupon").get(member=order.member, pk=holder)
        return Redeemed(redemption, redemption.coupon, replayed=True)
    _refuse_malformed(order)
    _refuse(order, _left(order))
    redemption = _place(order, own_id)
    stocking.take(redemption=redemption, actor=order.actor, at=order.at)
    return Redeemed(redemption, redemption.coupon, replayed=False)


@transaction.atomic
def cancel(
    *,
    redemption: Redemption,
    source: str,
    reference: str,
    actor: Actor,
    at: datetime,
    reason: str = "",
    unpaid_only: bool = False,
    though_due: bool = False,
) -> Redeemed:
    """Take an order back before it is delivered: the points return to their lots, the pieces to the stock, once.

    Money that was paid is the business of whoever took it; with `unpaid_only` such an order is refused. A service
    whose time has come is had or missed, and only who may excuse takes it back then (`though_due`).
    An unused coupon becomes void; CouponOver is raised when it
    was used or has ended, CannotCancel when the order has gone too far.
    """
    if not claims.is_first(
        redemption=redemption,
        operation=Operation.CANCELLATION,
        step={"to_state": RedemptionState.CANCELLED},
        source=source,
        reference=reference,
    ):
        redemption.refresh_from_db()
        return Redeemed(redemption, redemption.coupon, replayed=True)
    orders = standing_before(redemption, RedemptionState.CANCELLED)
    if unpaid_only:
        orders = orders.filter(paid_at__isnull=True)
    if not though_due:
        orders = orders.exclude(booked_for__lte=at)
    change = told(actor=actor, at=at, source=source, reference=reference, reason=reason)
    if not orders.update(state=RedemptionState.CANCELLED, change=change):
        redemption.refresh_from_db()
        raise CannotCancel(_why_not(redemption, at), state=RedemptionState(redemption.state))
    redemption.refresh_from_db()
    if redemption.coupon is not None:
        # A coupon that ended is worth nothing, marked by the night or not: it does not become points again.
        if redemption.coupon.expires_at is not None and redemption.coupon.expires_at <= at:
            raise coupons.CouponOver(state=CouponState.EXPIRED)
        coupons.void(coupon=redemption.coupon, actor=actor, at=at, reason=reason, unused_only=True)
    give_back(redemption=redemption, source=source, actor=actor, at=at)
    return Redeemed(redemption, redemption.coupon, replayed=False)


def give_back(*, redemption: Redemption, source: str, actor: Actor, at: datetime, restock: bool = True) -> None:
    """Return the points of an undone order to the lots they left, then its pieces to the stock: the last step."""
    spending.restore(
        member=redemption.member,
        entry_id=redemption.entry_id,
        points=redemption.points,
        source=source,
        reference=str(redemption.key),
        actor=actor,
        at=at,
        note=str(redemption.reward),
    )
    if restock:
        stocking.put_back(redemption=redemption, actor=actor, at=at)


def _why_not(redemption: Redemption, at: datetime) -> Any:
    """Say why an order cannot be cancelled, where its status alone does not tell."""
    if redemption.state == RedemptionState.SHIPPED:
        return _ON_ITS_WAY
    if redemption.is_due(at):
        return bookings.TIME_HAS_COME
    can_go_back = (redemption.kind, redemption.state, RedemptionState.CANCELLED) in REDEMPTION_TRANSITIONS
    return _PAID if redemption.paid_at is not None and can_go_back else None


def standing_before(redemption: Redemption, state: str) -> QuerySet[Redemption]:
    """Return the order if it stands where a step to this state is allowed: what a compare-and-set updates.

    An order that costs money goes nowhere before it is paid, except back.
    """
    before = [old for kind, old, new in REDEMPTION_TRANSITIONS if (kind, new) == (redemption.kind, state)]
    orders = Redemption.objects.filter(member=redemption.member_id, pk=redemption.pk, state__in=before)
    if state == RedemptionState.CANCELLED:
        return orders
    return orders.filter(Q(money_minor__isnull=True) | Q(paid_at__isnull=False))


def _claim(order: _Order, redemption_id: int) -> int:
    """Take the reference; the id of the order that holds it. The digest is keyed, for an address is in it."""
    content: dict[str, Any] = {
        "member": order.member.pk,
        "reward": order.reward.code,
        "variant": order.variant.code if order.variant else "",
        "quantity": order.quantity,
        "address": order.address,
    }
    if order.booking is not None:
        content["booking"] = [order.booking.at.timestamp(), order.booking.place]
    holder = claiming.claim(
        source=order.source,
        operation=Operation.REDEMPTION,
        reference=order.reference,
        member_id=order.member.pk,
        digest=keys.content_digest("redemption", json.dumps(content, sort_keys=True)),
        target=redemption_id,
    )
    if holder is None:
        raise ReferenceConflict(reference=order.reference)
    return holder


def _refuse_malformed(order: _Order) -> None:
    most = 1 if order.reward.kind == RewardKind.COUPON else LARGEST_QUANTITY
    if not 1 <= order.quantity <= most:
        raise QuantityOutOfRange(most=most)
    choices = RewardVariant.objects.filter(reward=order.reward, is_active=True)
    if order.variant is not None:
        if not choices.filter(pk=order.variant.pk).exists():
            raise VariantUnknown(variant=order.variant.code)
    elif names := [variant.code for variant in choices]:
        raise VariantRequired(variants=", ".join(names))
    if order.booking is not None:
        bookings.refuse_impossible(reward=order.reward, booking=order.booking, at=order.at)


def _left(order: _Order) -> int | None:
    """Return how many pieces are left as far as can be known without a lock; the law judges again under it."""
    variant_id = order.variant.pk if order.variant else None
    return reports.pieces_left([order.reward], at=order.at).of(order.reward.pk, variant_id)


def _place(order: _Order, redemption_id: int) -> Redemption:
    """Spend the points, judge the limit under the lock of the member's balance, and write the order."""
    key = uuid.uuid4()
    reward, member = order.reward, order.member
    price = Price(reward.price_for(member.tier.code), reward.money_minor)
    if order.price not in (None, price):
        raise PriceChanged
    points = price.points * order.quantity
    if points > MOST_POINTS:
        raise PointsOutOfRange
    posted = spending.spend(
        member=member,
        points=points,
        source=order.source,
        # The order's own key: the caller's reference is unique among redemptions, not among every way to spend.
        reference=str(key),
        actor=order.actor,
        at=order.at,
        note=reward.name,
    )
    if reward.limits:
        _refuse(order, left=None)
    coupon = None
    if reward.kind == RewardKind.COUPON:
        coupon = coupons.issue(
            reward=reward, member=member, actor=order.actor, at=order.at, source=order.source, reference=str(key)
        )
    state = _first_state(reward)
    return Redemption.objects.create(
        id=redemption_id,
        key=key,
        member=member,
        reward=reward,
        kind=reward.kind,
        variant=order.variant,
        quantity=order.quantity,
        points=points,
        entry_id=posted.entry_id,
        coupon=coupon,
        state=state,
        money_minor=reward.money_minor * order.quantity if reward.money_minor is not None else None,
        money_currency=settings.LAUREL_CURRENCY if reward.money_minor is not None else "",
        booked_for=order.booking.at if order.booking else None,
        booked_place=order.booking.place if order.booking else "",
        address=order.address if reward.kind == RewardKind.GIFT else "",
        pickup_code=new_code() if state == RedemptionState.READY else "",
        source=order.source,
        reference=order.reference,
        placed_at=order.at,
        changed_at=order.at,
        change=told(actor=order.actor, at=order.at, source=order.source, reference=order.reference),
    )


def _refuse(order: _Order, left: int | None) -> None:
    """Raise the first reason against the order, as the catalogue would tell it."""
    reward = order.reward
    had: dict[int, dict[str, int]] = {}
    if reward.limits:
        had = reports.redeemed_before(member=order.member, rewards=[reward], at=order.at)
    asker = Asker.of(order.member, had=had)
    for refusal in refusals(reward=reward, asker=asker, left=left, at=order.at, quantity=order.quantity):
        raise refusal


def _first_state(reward: Reward) -> str:
    """Return how an order begins: the state of its kind, or waiting where money is due."""
    if reward.money_minor is not None:
        return RedemptionState.PLACED
    return next(state for kind, state in FIRST_STATES if kind == reward.kind)


def _is_of(error: IntegrityError, law: str) -> bool:
    """Tell whether this law refused."""
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) == law
