"""What a coupon takes off a purchase, and every reason why it does not fit: asked by validating and using alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from django.utils.translation import gettext_lazy as _

from config.lib import money
from config.lib.errors import DomainError
from members.models import Member
from rewards.models import Coupon, CouponBill, CouponReservation, CouponTerms, CouponUse, ReservationState


class BelowMinimum(DomainError):
    code = "below_minimum"
    message = _("money: this coupon needs a purchase of at least %(minimum)s %(currency)s.")


class CurrencyMismatch(DomainError):
    code = "currency_mismatch"
    message = _("money: this coupon is in %(currency)s.")


class ChannelMismatch(DomainError):
    code = "channel_mismatch"
    message = _("channel: this coupon is for %(channels)s.")


class ItemMissing(DomainError):
    code = "item_missing"
    message = _("items: the item this coupon is for, %(item)s, is not on the bill.")


class NotCombinable(DomainError):
    code = "not_combinable"
    message = _("bill: coupons on this bill cannot be combined.")


class MemberRequired(DomainError):
    code = "member_required"
    message = _("member: this coupon is for members; say who it is.")


class MemberLimitReached(DomainError):
    code = "member_limit_reached"
    message = _("member: this member has used this code as often as one member can (%(limit)s).")


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a bill; the amount is of all its pieces."""

    sku: str
    category: str
    quantity: Fraction
    amount_minor: int

    @property
    def piece_minor(self) -> int:
        """What one piece costs, rounded down; less than one piece is what it is."""
        return self.amount_minor if self.quantity <= 1 else int(self.amount_minor / self.quantity)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a coupon is shown for: the amount in minor units, and as much of the bill as the caller tells.

    `bill` is the caller's name of the bill. Coupons used under the same one count as combined.
    """

    amount_minor: int
    currency: str
    channel: str = ""
    bill: str = ""
    items: Sequence[Item] = field(default_factory=tuple)


def refusals(
    *, coupon: Coupon, purchase: Purchase, member: Member | None, source: str, at: datetime, is_held: bool = False
) -> Iterator[DomainError]:
    """Yield every reason against it, the one to tell first coming first; none means the coupon fits.

    A use that is held for this purchase counts against the member's limit already.
    """
    yield from _of_purchase(coupon, purchase)
    if not is_held:
        yield from _of_member(coupon, member, at)
    if purchase.bill and not _is_combinable(coupon, source, purchase.bill):
        yield NotCombinable()


def discount_of(coupon: CouponTerms, purchase: Purchase) -> int:
    """Return what the coupon takes off in minor units, never more than the purchase; a percentage rounded down.

    A free item is one piece: of several kinds that would do the cheapest.
    """
    amount = purchase.amount_minor
    if coupon.value_minor is not None:
        return min(coupon.value_minor, amount)
    if coupon.percent is not None:
        amount = amount * coupon.percent // 100
    else:
        amount = min([*(item.piece_minor for item in _free_items(coupon, purchase)), amount])
    return amount if coupon.most_minor is None else min(amount, coupon.most_minor)


def _of_purchase(coupon: Coupon, purchase: Purchase) -> Iterator[DomainError]:
    if purchase.currency != coupon.currency:
        yield CurrencyMismatch(currency=coupon.currency)
    elif purchase.amount_minor < coupon.minimum_minor:
        minimum = money.to_decimal_string(coupon.minimum_minor, coupon.currency)
        yield BelowMinimum(minimum=minimum, currency=coupon.currency)
    if coupon.channels and purchase.channel not in coupon.channels:
        yield ChannelMismatch(channels=", ".join(coupon.channels))
    wanted = coupon.free_sku or coupon.free_category
    if wanted and not _free_items(coupon, purchase):
        yield ItemMissing(item=wanted)


def _of_member(coupon: Coupon, member: Member | None, at: datetime) -> Iterator[DomainError]:
    """Judge a limit per member. The trigger on the coupon judges again under its lock."""
    if coupon.uses_per_member is None:
        return
    member_id = coupon.member_id or (member.pk if member else None)
    if member_id is None:
        yield MemberRequired()
        return
    had = CouponUse.objects.standing().filter(coupon=coupon, member_id=member_id).count()
    held = CouponReservation.objects.filter(coupon=coupon, state=ReservationState.HELD, expires_at__gt=at)
    had += held.filter(member_id=member_id).count()
    if had >= coupon.uses_per_member:
        yield MemberLimitReached(limit=coupon.uses_per_member)


def _is_combinable(coupon: Coupon, source: str, name: str) -> bool:
    bill = CouponBill.objects.filter(source=source, bill=name, uses__gt=0).first()
    return bill is None or (coupon.combinable and not bill.is_alone)


def _free_items(coupon: CouponTerms, purchase: Purchase) -> list[Item]:
    """Return the lines of the bill one piece of which may be free; what costs nothing is free anyway."""
    return [
        item
        for item in purchase.items
        if item.amount_minor > 0
        and (item.sku == coupon.free_sku if coupon.free_sku else item.category == coupon.free_category != "")
    ]
