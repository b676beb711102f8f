"""Pieces in and out of stock; the one hot row of a sale, so every change is a single statement."""

import json
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from config.lib.actor import Actor
from config.lib.errors import DomainError
from rewards.models import Redemption, Reward, RewardVariant, Stock, told


class StockNotCounted(DomainError):
    """Nobody has said how many there are, so nobody can say how many more or fewer."""

    code = "stock_not_counted"
    message = _("pieces: this stock is not counted and without end. Count it first.")


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
    reference: str = "",
) -> Stock:
    """Put pieces into a stock that is counted, or take them out (negative); safe beside sales at the same moment.

    The same reference again moves nothing more. Raises StockNotCounted, StockNegative. Locks: the stock.
    """
    # Locked first, other than for a sale: a second click waits here, and then finds the movement of the first.
    stock = Stock.objects.select_for_update().filter(reward=reward, variant=variant).first()
    if stock is None or stock.count is None:
        raise StockNotCounted
    if reference and stock.movements.filter(reference=reference).exists():
        return stock
    if stock.count + pieces < 0:
        raise StockNegative(left=stock.count)
    change = told(actor=actor, at=at, reason=reason, reference=reference)
    Stock.objects.filter(pk=stock.pk).update(count=F("count") + pieces, change=change)
    stock.refresh_from_db()
    return stock


def take(*, redemption: Redemption, actor: Actor, at: datetime) -> None:
    """Take an order's pieces out of the stock, where they are counted. The last thing a transaction does.

    Fewer pieces than asked for are refused by the law stock_not_negative, as an IntegrityError.
    """
    change = _told_for(redemption, gettext_noop("redeemed"), actor, at)
    _move(_TAKE, [redemption.quantity, change, redemption.reward_id, redemption.variant_id])


def put_back(*, redemption: Redemption, actor: Actor, at: datetime) -> None:
    """Put the pieces of an undone order back where they were taken from. The last thing a transaction does.

    What was ordered while nobody counted was never taken, so it does not come back either.
    """
    change = _told_for(redemption, gettext_noop("put back"), actor, at)
    _move(_PUT_BACK, [redemption.quantity, change, str(redemption.key)])


def _told_for(redemption: Redemption, reason: str, actor: Actor, at: datetime) -> str:
    """Return what a movement of an order's pieces says of itself."""
    return json.dumps(told(actor=actor, at=at, reason=reason, reference=str(redemption.key)))


# A variant has its own count or shares that of the reward, as in reports.PiecesLeft.
_TAKE = """
UPDATE rewards_stock SET count = count - %s, change = %s::jsonb
WHERE count IS NOT NULL AND id = (
    SELECT id FROM rewards_stock WHERE reward_id = %s AND (variant_id IS NULL OR variant_id = %s)
    ORDER BY variant_id NULLS LAST LIMIT 1
)
"""
_PUT_BACK = """
UPDATE rewards_stock SET count = count + %s, change = %s::jsonb
WHERE count IS NOT NULL AND id = (SELECT stock_id FROM rewards_stockmovement WHERE reference = %s AND pieces < 0)
"""


def _move(statement: str, values: list[Any]) -> None:
    """Change the count and commit in one message to the server.

    The row is shared by strangers, and its lock lasts till the commit. Were the commit a message of its own, everybody
    in the queue would wait for the network and for this process between the two. Inside somebody else's transaction,
    whose end is not ours to say, the lock lasts until theirs.
    """
    is_outermost = len(connection.atomic_blocks) == 1
    with connection.cursor() as cursor:
        cursor.execute(statement + ("; COMMIT" if is_outermost else ""), values)
