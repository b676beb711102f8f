"""Pieces in and out of stock; the one hot row of a sale, so every change is a single statement."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from config.lib.actor import Actor
from config.lib.errors import DomainError
from rewards.eligibility import OutOfStock, SoldOut
from rewards.models import Redemption, Reward, RewardVariant, Stock, told


class StockNegative(DomainError):
    """A stock cannot be less than nothing."""

    code = "stock_not_negative"
    message = _("pieces: a stock cannot be less than nothing; %(left)s are left.")


@transaction.atomic
def set_count(
    *,
    reward: Reward,
    count: int | None,
    actor: Actor,
    at: datetime,
    variant: RewardVariant | None = None,
    reason: str = "",
) -> Stock:
    """Say how many pieces are there after counting them; None is without end."""
    if count is not None and count < 0:
        raise StockNegative(left=count)
    change = told(actor=actor, at=at, reason=reason)
    stock, is_new = Stock.objects.get_or_create(
        reward=reward, variant=variant, defaults={"count": count, "change": change}
    )
    if not is_new:
        Stock.objects.filter(pk=stock.pk).update(count=count, change=change)
    stock.refresh_from_db()
    return stock


@transaction.atomic
def add(
    *,
    reward: Reward,
    pieces: int,
    actor: Actor,
    at: datetime,
    variant: RewardVariant | None = None,
    reason: str = "",
) -> Stock:
    """Put pieces into a stock that is counted, or take them out (negative); safe beside sales at the same moment."""
    change = told(actor=actor, at=at, reason=reason)
    stock, is_new = Stock.objects.get_or_create(
        reward=reward, variant=variant, defaults={"count": max(pieces, 0), "change": change}
    )
    if not is_new:
        moved = Stock.objects.filter(pk=stock.pk, count__gte=-pieces).update(count=F("count") + pieces, change=change)
        stock.refresh_from_db()
        if not moved and stock.count is not None:
            raise StockNegative(left=stock.count)
    return stock


def take(*, redemption: Redemption, actor: Actor, at: datetime) -> None:
    """Take an order's pieces out of the stock, or raise OutOfStock. Called last: its lock lasts till the commit."""
    change = _for_order(redemption, gettext_noop("redeemed"), actor, at)
    counted = _stock_of(redemption).filter(count__isnull=False)
    if counted.filter(count__gte=redemption.quantity).update(count=F("count") - redemption.quantity, change=change):
        return
    left = counted.values_list("count", flat=True).first()
    if left is not None:
        raise OutOfStock(left=left) if left else SoldOut()


def put_back(*, redemption: Redemption, actor: Actor, at: datetime) -> None:
    """Put the pieces of an undone order back, where they are counted at all."""
    counted = _stock_of(redemption).filter(count__isnull=False)
    counted.update(
        count=F("count") + redemption.quantity, change=_for_order(redemption, gettext_noop("put back"), actor, at)
    )


def _stock_of(redemption: Redemption) -> QuerySet[Stock]:
    return Stock.objects.filter(reward_id=redemption.reward_id, variant_id=redemption.variant_id)


def _for_order(redemption: Redemption, reason: str, actor: Actor, at: datetime) -> dict[str, object]:
    return told(actor=actor, at=at, reason=reason, reference=str(redemption.key))
