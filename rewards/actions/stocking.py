"""Pieces in and out of stock; the one hot row of a sale, so every change is a single statement."""

import json
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from config.lib.actor import Actor
from config.lib.errors import DomainError
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
    """Take an order's pieces out of the stock, where they are counted. The last thing a transaction does.

    Fewer pieces than asked for are refused by the law stock_not_negative, as an IntegrityError.
    """
    _move(redemption, -redemption.quantity, told_for(redemption, gettext_noop("redeemed"), actor, at))


def put_back(*, redemption: Redemption, actor: Actor, at: datetime) -> None:
    """Put the pieces of an undone order back, where they are counted. The last thing a transaction does."""
    _move(redemption, redemption.quantity, told_for(redemption, gettext_noop("put back"), actor, at))


def told_for(redemption: Redemption, reason: str, actor: Actor, at: datetime) -> dict[str, object]:
    """Return what a movement of an order's pieces says of itself."""
    return told(actor=actor, at=at, reason=reason, reference=str(redemption.key))


_MOVE = """
UPDATE rewards_stock SET count = count + %s, change = %s::jsonb
WHERE reward_id = %s AND variant_id IS NOT DISTINCT FROM %s AND count IS NOT NULL
"""


def _move(redemption: Redemption, pieces: int, change: dict[str, object]) -> None:
    """Change the count and commit in one message to the server.

    The row is shared by strangers, and its lock lasts till the commit. Were the commit a message of its own, everybody
    in the queue would wait for the network and for this process between the two. Inside somebody else's transaction,
    whose end is not ours to say, the lock lasts until theirs.
    """
    is_outermost = len(connection.atomic_blocks) == 1
    with connection.cursor() as cursor:
        cursor.execute(
            _MOVE + ("; COMMIT" if is_outermost else ""),
            [pieces, json.dumps(change), redemption.reward_id, redemption.variant_id],
        )
