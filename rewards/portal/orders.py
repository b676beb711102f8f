"""What came of redeeming: orders with their steps, coupons with their codes."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from config.lib import actor
from config.lib.errors import DomainError
from rewards.actions import redeeming
from rewards.models import (
    REDEMPTION_TRANSITIONS,
    USABLE_COUPON_STATES,
    Coupon,
    Redemption,
    RedemptionState,
)
from rewards.portal.access import SOURCE, MemberRequest, member_page
from rewards.portal.catalogue import refusal_text

_PAGE_SIZE = 20
_PAST_COUPONS_SHOWN = 50


@member_page
def show_orders(request: MemberRequest) -> HttpResponse:
    """Show a member's orders, newest first."""
    orders = Redemption.objects.of_member(request.member).select_related("reward", "variant", "coupon")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        orders = orders.filter(pk__lt=int(before))
    found = list(orders[: _PAGE_SIZE + 1])
    shown = found[:_PAGE_SIZE]
    older = shown[-1].pk if len(found) > _PAGE_SIZE else None
    return render(request, "portal/orders.html", {"orders": shown, "older": older, "is_first_page": not before})


@member_page
def show_order(request: MemberRequest, key: UUID) -> HttpResponse:
    """Show one order: what to hold up at the counter, where it is, and how it came there."""
    order = _get_order(request, key)
    context = {
        "order": order,
        "changes": order.changes.order_by("id"),
        "can_cancel": can_cancel(order, at=timezone.now()),
    }
    return render(request, "portal/order.html", context)


@require_POST
@member_page
def cancel_order(request: MemberRequest, key: UUID) -> HttpResponse:
    """Take an order back; its points return to where they came from, once."""
    order = _get_order(request, key)
    if not order.is_undone and not can_cancel(order, at=timezone.now()):
        messages.error(request, _("This order can no longer be cancelled."))
        return redirect("order", order.key)
    try:
        redeeming.cancel(
            redemption=order,
            source=SOURCE,
            reference=f"cancel:{order.key}",
            actor=actor.member(request.member.number),
            at=timezone.now(),
        )
    except DomainError as error:
        messages.error(request, refusal_text(error))
    else:
        messages.success(request, _("The order was cancelled and your points are back."))
    return redirect("order", order.key)


@member_page
def show_coupons(request: MemberRequest) -> HttpResponse:
    """Show a member's coupons: those that can be used, what ends soonest first, then the others."""
    now = timezone.now()
    coupons = Coupon.objects.of_member(request.member).select_related("reward", "batch")
    usable = list(coupons.usable(now))
    past = coupons.exclude(pk__in=[coupon.pk for coupon in usable]).order_by("-pk")[:_PAST_COUPONS_SHOWN]
    return render(request, "portal/coupons.html", {"usable": usable, "past": past, "now": now})


@member_page
def show_coupon(request: MemberRequest, pk: int) -> HttpResponse:
    """Show one coupon to hold up at the till."""
    coupons = Coupon.objects.of_member(request.member).select_related("reward", "batch")
    coupon = get_object_or_404(coupons, pk=pk)
    usable = coupons.usable(timezone.now()).filter(pk=pk).exists()
    return render(request, "portal/coupon.html", {"coupon": coupon, "is_usable": usable, "now": timezone.now()})


def can_cancel(order: Redemption, *, at: datetime) -> bool:
    """Tell whether a member may take this order back: while it is on its way, or its coupon still good and unused."""
    if (order.kind, order.state, RedemptionState.CANCELLED) not in REDEMPTION_TRANSITIONS:
        return False
    coupon = order.coupon
    if coupon is None:
        return True
    # Points spent on a coupon that was let expire are gone; cancelling must not be a way to get them back.
    return coupon.state in USABLE_COUPON_STATES and (coupon.expires_at is None or coupon.expires_at > at)


def _get_order(request: MemberRequest, key: UUID) -> Redemption:
    orders = Redemption.objects.of_member(request.member).select_related("reward", "variant", "coupon")
    order = get_object_or_404(orders, key=key)
    order.member = request.member  # whose key opens the address: it is at hand already
    return order
