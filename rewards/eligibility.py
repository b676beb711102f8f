"""Whether a member can have a reward, and every reason why not: asked by the catalogue and by redeeming alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from members.models import Member, Tier
from points.actions.posting import InsufficientPoints, MemberNotActive
from rewards.models import LimitPeriod, Reward


class RewardUnavailable(DomainError):
    """The reward cannot be redeemed; the subclasses say why."""

    code = "reward_unavailable"
    message = _("This reward is not offered.")


class RewardNotYet(RewardUnavailable):
    code = "not_yet"
    message = _("This reward can be redeemed from %(valid_from)s on.")


class RewardEnded(RewardUnavailable):
    code = "ended"
    message = _("This reward is no longer offered.")


class TierTooLow(RewardUnavailable):
    code = "tier_too_low"
    message = _("This reward is for the tiers %(tiers)s.")


class NotInSegment(RewardUnavailable):
    code = "not_in_segment"
    message = _("This reward is for invited members.")


class LimitReached(RewardUnavailable):
    code = "limit_reached"
    message = _("A member can have %(limit)s of this reward and you have had %(had)s.")


_LIMIT_MESSAGES = {
    LimitPeriod.DAY: _("A member can have %(limit)s of this reward a day and you have had %(had)s today."),
    LimitPeriod.WEEK: _("A member can have %(limit)s of this reward a week and you have had %(had)s this week."),
    LimitPeriod.MONTH: _("A member can have %(limit)s of this reward a month and you have had %(had)s this month."),
    LimitPeriod.LIFETIME: LimitReached.message,
}


class OutOfStock(RewardUnavailable):
    code = "out_of_stock"
    message = _("Of this reward %(left)s are left.")


class SoldOut(OutOfStock):
    message = _("This reward is out of stock.")


@dataclass(frozen=True)
class Asker:
    """What of a member decides: tier, segments, points at hand (None: not asked), and what was redeemed before.

    `had` gives for a reward's id the pieces that stand, by the period of a limit.
    """

    is_active: bool
    tier: str
    segments: frozenset[str]
    points: int | None = None
    had: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, member: Member, *, points: int | None = None, had: Mapping[int, Mapping[str, int]] | None = None
    ) -> "Asker":
        """Return what is known of a member."""
        return cls(member.is_active, member.tier.code, frozenset(member.labels), points, had or {})

    @cached_property
    def tier_names(self) -> dict[str, str]:
        """The tiers as people know them, lowest first: read once, and only when a reward is not for the asker's."""
        return {tier.code: str(tier) for tier in Tier.objects.all()}


def refusals(
    *, reward: Reward, asker: Asker | None, left: int | None, at: datetime, quantity: int = 1
) -> Iterator[DomainError]:
    """Yield every reason against it, the one to tell first coming first; none means the member can have it."""
    yield from _of_reward(reward, at)
    if asker is not None:
        yield from _of_asker(reward, asker, quantity)
    if left is not None and left < quantity:
        yield OutOfStock(left=left) if left else SoldOut()
    if asker is not None and asker.points is not None:
        needed = reward.price_for(asker.tier) * quantity
        if asker.points < needed:
            yield InsufficientPoints(needed=needed, available=asker.points)


def _of_reward(reward: Reward, at: datetime) -> Iterator[DomainError]:
    if not reward.is_active:
        yield RewardUnavailable()
    if reward.valid_from is not None and at < reward.valid_from:
        yield RewardNotYet(valid_from=date_format(localtime(reward.valid_from), "DATETIME_FORMAT"))
    if reward.valid_until is not None and at >= reward.valid_until:
        yield RewardEnded()


def _of_asker(reward: Reward, asker: Asker, quantity: int) -> Iterator[DomainError]:
    if not asker.is_active:
        yield MemberNotActive()
    if reward.tiers and asker.tier not in reward.tiers:
        yield TierTooLow(tiers=_names(reward.tiers, asker.tier_names))
    if reward.segments and asker.segments.isdisjoint(reward.segments):
        yield NotInSegment()
    yield from _of_limits(reward, asker.had.get(reward.pk, {}), quantity)


def _of_limits(reward: Reward, had: Mapping[str, int], quantity: int) -> Iterator[DomainError]:
    """Yield the limit that will last longest of those that are reached: one reason is enough."""
    reached = [
        LimitReached(_LIMIT_MESSAGES[LimitPeriod(period)], limit=limit, had=had.get(period, 0), period=period)
        for period, limit in reward.limits.items()
        if had.get(period, 0) + quantity > limit
    ]
    yield from reached[-1:]


def _names(codes: list[str], names: Mapping[str, str]) -> str:
    """Return tiers by their names; a code that no tier has stays as it is."""
    known = [name for code, name in names.items() if code in codes]
    return ", ".join([*known, *(code for code in codes if code not in names)])
