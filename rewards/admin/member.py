"""What this app adds to the screen of a member: orders and coupons."""

from collections.abc import Sequence

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from members.admin import trail
from members.admin.base import shown_moment
from members.admin.screen import Cell, Panel, screen
from members.models import Member
from points.admin.member import purposes
from points.admin.reading import count, last_day
from points.models import Entry, EntryKind
from rewards.admin import coupons, redemption
from rewards.models import Coupon, Redemption

SHOWN = 10


def _redemptions(request: HttpRequest, member: Member) -> Panel:
    """Show the last orders."""
    orders = Redemption.objects.of_member(member).select_related("reward", "variant")[:SHOWN]
    rows = [
        (
            Cell(shown_moment(order.placed_at), href=reverse("admin:rewards_redemption_change", args=[order.pk])),
            order.reward,
            order.variant,
            count(order.quantity),
            count(order.points),
            Cell(order.get_state_display(), label=redemption.STATE_LABELS[order.state]),
        )
        for order in orders
    ]
    headers = (_("placed at"), _("reward"), _("variant"), _("quantity"), _("points"), _("status"))
    page = f"{reverse('admin:rewards_redemption_changelist')}?member__exact={member.pk}"
    return Panel(_("Redemptions"), headers, rows, _("Nothing redeemed yet."), page, "redemptions")


def _coupons(request: HttpRequest, member: Member) -> Panel:
    """Show the coupons, what ends soonest first."""
    rows = [
        (
            Cell(coupon.masked_code, href=reverse("admin:rewards_coupon_change", args=[coupon.pk])),
            coupons.worth(coupon),
            last_day(coupon.expires_at),
            Cell(coupon.get_state_display(), label=coupons.STATE_LABELS[coupon.state]),
        )
        for coupon in Coupon.objects.of_member(member)[:SHOWN]
    ]
    page = f"{reverse('admin:rewards_coupon_changelist')}?member__exact={member.pk}"
    headers = (_("code"), _("worth"), _("last day"), _("status"))
    return Panel(_("Coupons"), headers, rows, _("No coupons."), page, "coupons")


def _rewards_of(member: Member, entries: Sequence[Entry]) -> dict[int, str]:
    """Name the reward of each entry that paid for one or gave it back."""
    paid = {entry.pk: entry.pk for entry in entries if entry.kind == EntryKind.REDEMPTION}
    paid |= {entry.pk: entry.corrects for entry in entries if entry.kind == EntryKind.RESTORATION and entry.corrects}
    if not paid:
        return {}
    orders = Redemption.objects.of_member(member).filter(entry_id__in=set(paid.values())).select_related("reward")
    names = {order.entry_id: str(order.reward) for order in orders}
    return {entry: names[origin] for entry, origin in paid.items() if origin in names}


purposes.append(_rewards_of)
trail.LABELS |= {
    "couponbatch.given": _("Coupons given away"),
    "couponbatch.codes_taken_in": _("Outside codes taken in"),
}
screen.panels += [(40, "rewards.view_redemption", _redemptions), (50, "rewards.view_coupon", _coupons)]
