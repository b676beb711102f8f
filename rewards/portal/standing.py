"""How a member stands: what there is to spend, what ends when, and how far the next tier is."""

from dataclasses import dataclass
from datetime import datetime

from members.models import Member, Tier
from points import reports
from points.models import PointType
from points.reports import MemberBalance


@dataclass(frozen=True, slots=True)
class TierProgress:
    """The tier a member is in, and the growth that leads to the next; no next one means the top is reached."""

    tier: Tier
    growth: int
    growth_name: str
    next_tier: Tier | None

    @property
    def missing(self) -> int:
        """Growth points still to earn."""
        return max(0, self.next_tier.threshold - self.growth) if self.next_tier else 0

    @property
    def share(self) -> int:
        """How much of the way from this tier to the next is done, in percent."""
        if self.next_tier is None:
            return 100
        start = min(self.tier.threshold, self.next_tier.threshold)
        way = self.next_tier.threshold - start
        return min(100, max(0, self.growth - start) * 100 // way) if way else 100


@dataclass(frozen=True, slots=True)
class Standing:
    """What the member's home shows first."""

    wallet: MemberBalance | None
    others: list[MemberBalance]
    progress: TierProgress | None


def standing(*, member: Member, at: datetime) -> Standing:
    """Read a member's balances and the way to the next tier; the wallet is the first point type that can be spent."""
    types = {one.code: one for one in PointType.objects.all()}
    found = reports.balances(member=member, at=at)
    spendable = [one for one in found if types[one.code].is_redeemable]
    growth = next((one for one in found if types[one.code].is_qualifying), None)
    return Standing(
        wallet=spendable[0] if spendable else None,
        others=spendable[1:],
        progress=_progress(member, growth) if growth else None,
    )


def _progress(member: Member, growth: MemberBalance) -> TierProgress:
    higher = Tier.objects.filter(is_active=True, rank__gt=member.tier.rank).order_by("rank").first()
    return TierProgress(member.tier, growth.available, growth.name, higher)
