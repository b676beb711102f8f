"""Reads over several tables, each as a frozen dataclass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Prefetch, Q, Sum

from config.lib.errors import DomainError
from members.models import Member
from points.calendar import local_date, start_of
from points.reports import balances
from rewards.eligibility import Asker, refusals
from rewards.models import Coupon, LimitPeriod, Redemption, Reward, RewardVariant, Stock
from rewards.querysets import RewardQuerySet

#: The point type that prices are in.
POINT_TYPE = "points"


@dataclass(frozen=True, slots=True)
class VariantOffer:
    """A size or colour that can be chosen, and how many are left (None: without end)."""

    variant: RewardVariant
    left: int | None

    @property
    def available(self) -> bool:
        return self.left is None or self.left > 0


@dataclass(frozen=True, slots=True)
class Offer:
    """One reward as one member sees it: what a piece costs that member, and every reason against it."""

    reward: Reward
    points: int
    left: int | None
    reasons: list[tuple[str, str]]
    variants: list[VariantOffer]

    @property
    def available(self) -> bool:
        return not self.reasons


def catalogue(*, member: Member | None = None, at: datetime, kind: str = "", category: str = "") -> list[Offer]:
    """List what the programme offers or is about to offer, cheapest first; for a member with price and reasons.

    Four statements whatever the number of rewards, four more with a member. What has ended is left out.
    """
    return _offers(Reward.objects.of_kind(kind).in_category(category), member, at)


def offer(*, code: str, member: Member, at: datetime) -> Offer | None:
    """Return one reward as the catalogue shows it to a member; None when it is not in it."""
    return next(iter(_offers(Reward.objects.filter(code=code), member, at)), None)


def reasons_against(
    *, member: Member, reward: Reward, variant: RewardVariant | None, quantity: int, at: datetime
) -> list[DomainError]:
    """Return every reason against so many pieces of a reward for a member, the one to tell first coming first."""
    left = pieces_left([reward], at=at).of(reward.pk, variant.pk if variant else None)
    asker = _asker(member, [reward], at)
    return list(refusals(reward=reward, asker=asker, left=left, at=at, quantity=quantity))


def _offers(chosen: RewardQuerySet, member: Member | None, at: datetime) -> list[Offer]:
    rewards = list(
        chosen.active()
        .select_related("category")
        .filter(Q(valid_until__isnull=True) | Q(valid_until__gt=at))
        .prefetch_related(Prefetch("variants", RewardVariant.objects.filter(is_active=True), "choices"))
    )
    left = pieces_left(rewards, at=at)
    asker = _asker(member, rewards, at) if member else None
    return [_offer(reward, left, asker, at) for reward in rewards]


@dataclass(frozen=True, slots=True)
class PiecesLeft:
    """The counts of stocks by (reward, variant): a variant has its own or shares that of the reward as a whole.

    None, or no count at all, is without end.
    """

    counts: Mapping[tuple[int, int | None], int | None]

    def of(self, reward_id: int, variant_id: int | None = None) -> int | None:
        """Return how many pieces of a reward, or of one variant, are left."""
        return self.counts.get((reward_id, variant_id), self.counts.get((reward_id, None)))

    def of_any(self, reward_id: int, variant_ids: Iterable[int]) -> int | None:
        """Return how many are left of these variants together; what they share is counted once."""
        stocks = {one if (reward_id, one) in self.counts else None for one in variant_ids} or {None}
        counts = [self.of(reward_id, stock) for stock in stocks]
        finite = [count for count in counts if count is not None]
        return sum(finite) if len(finite) == len(counts) else None


def pieces_left(rewards: Sequence[Reward], *, at: datetime) -> PiecesLeft:
    """Return the pieces left of some rewards.

    Of a batch of codes it is only told when none is left, for counting a million takes its time.
    """
    stock = Stock.objects.filter(reward__in=rewards)
    left: dict[tuple[int, int | None], int | None] = {(row.reward_id, row.variant_id): row.count for row in stock}
    if from_batches := [reward.pk for reward in rewards if reward.coupon_batch_id is not None]:
        codes = Coupon.objects.filter(batch=OuterRef("coupon_batch")).free(at)
        empty = Reward.objects.filter(~Exists(codes), pk__in=from_batches)
        left |= {(pk, None): 0 for pk in empty.values_list("pk", flat=True)}
    return PiecesLeft(left)


def redeemed_before(*, member: Member, rewards: Sequence[Reward], at: datetime) -> dict[int, dict[str, int]]:
    """Return how many pieces a member has of each reward, this day, week, month and ever; undone ones not counted."""
    orders = Redemption.objects.filter(member=member, reward__in=rewards).standing().order_by()
    sums = {
        period: Sum("quantity", filter=Q(placed_at__gte=start), default=0)
        for period, start in _starts_of_periods(at).items()
    } | {LimitPeriod.LIFETIME.value: Sum("quantity")}
    found: Iterable[tuple[int, ...]] = orders.values_list("reward_id").annotate(**sums)
    return {reward_id: dict(zip(sums, had, strict=True)) for reward_id, *had in found}


def _starts_of_periods(at: datetime) -> dict[str, datetime]:
    """Return the first moments of the programme's day, week (from Monday on) and month."""
    today = local_date(at)
    return {
        LimitPeriod.DAY.value: start_of(today),
        LimitPeriod.WEEK.value: start_of(today - timedelta(days=today.weekday())),
        LimitPeriod.MONTH.value: start_of(today.replace(day=1)),
    }


def _asker(member: Member, rewards: Sequence[Reward], at: datetime) -> Asker:
    limited = [reward for reward in rewards if reward.limits]
    had = redeemed_before(member=member, rewards=limited, at=at) if limited else {}
    points = next((one.available for one in balances(member=member, at=at) if one.code == POINT_TYPE), 0)
    return Asker.of(member, points=points, had=had)


def _offer(reward: Reward, left: PiecesLeft, asker: Asker | None, at: datetime) -> Offer:
    choices: list[RewardVariant] = reward.choices  # type: ignore[attr-defined]
    total = left.of_any(reward.pk, [variant.pk for variant in choices])
    errors = refusals(reward=reward, asker=asker, left=total, at=at)
    return Offer(
        reward=reward,
        points=reward.price_for(asker.tier) if asker else reward.points,
        left=total,
        reasons=[(error.code, str(error)) for error in errors],
        variants=[VariantOffer(variant, left.of(reward.pk, variant.pk)) for variant in choices],
    )
