"""What came of redeeming: orders with their steps, coupons with their codes."""

from datetime import datetime
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from config.lib import actor
from config.lib.errors import DomainError
from rewards.actions import booking, paying, redeeming
from rewards.models import (
    REDEMPTION_TRANSITIONS,
    USABLE_COUPON_STATES,
    Coupon,
    Redemption,
    RedemptionState,
)
from rewards.portal.access import SOURCE, MemberRequest, member_page, sent_from
from rewards.portal.catalogue import refusal_text
from rewards.portal.forms import BookingForm

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
    return _render_order(request, order, _booking_form(request, order))


@sent_from("order")
def book_order(request: MemberRequest, key: UUID) -> HttpResponse:
    """Book a service, or move its booking. The same form sent again changes nothing more."""
    order = _get_order(request, key)
    form = _booking_form(request, order)
    if form is None:
        is_due = order.is_due(timezone.now())
        messages.error(request, booking.TIME_HAS_COME if is_due else _("This order can no longer be rescheduled."))
        return redirect("order", order.key)
    if not form.is_valid():
        return _render_order(request, order, form, status=422)
    try:
        booking.reschedule(
            redemption=order,
            booking=form.booking,
            source=SOURCE,
            reference=f"book:{order.key}:{form.cleaned_data['reference']}",
            actor=actor.member(request.member.number),
            at=timezone.now(),
        )
    except booking.BookingUnchanged:
        pass  # what the member wants is so already
    except DomainError as error:
        messages.error(request, refusal_text(error))
        return redirect("order", order.key)
    messages.success(request, _("Your booking is kept. We look forward to seeing you."))
    return redirect("order", order.key)


@sent_from("order")
def cancel_order(request: MemberRequest, key: UUID) -> HttpResponse:
    """Take an order back; its points return to where they came from, once."""
    order, now = _get_order(request, key), timezone.now()
    if not order.is_undone and not can_cancel(order, at=now):
        is_due = order.is_due(now)
        messages.error(request, booking.TIME_HAS_COME if is_due else _("This order can no longer be cancelled."))
        return redirect("order", order.key)
    try:
        redeeming.cancel(
            redemption=order,
            source=SOURCE,
            reference=f"cancel:{order.key}",
            actor=actor.member(request.member.number),
            at=now,
            unpaid_only=True,
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
    coupons = Coupon.objects.of_member(request.member).select_related("reward")
    usable = list(coupons.usable(now))
    past = coupons.exclude(pk__in=[coupon.pk for coupon in usable]).order_by("-pk")[:_PAST_COUPONS_SHOWN]
    return render(request, "portal/coupons.html", {"usable": usable, "past": past, "now": now})


@member_page
def show_coupon(request: MemberRequest, pk: int) -> HttpResponse:
    """Show one coupon to hold up at the till."""
    coupons = Coupon.objects.of_member(request.member).select_related("reward")
    coupon = get_object_or_404(coupons, pk=pk)
    usable = coupons.usable(timezone.now()).filter(pk=pk).exists()
    return render(request, "portal/coupon.html", {"coupon": coupon, "is_usable": usable, "now": timezone.now()})


def can_cancel(order: Redemption, *, at: datetime) -> bool:
    """Tell whether a member may take this order back: before it is sent or due, while its coupon is good and unused.

    Once money was paid the shop cancels, for it has the money to give back.
    """
    if order.paid_at is not None or order.is_due(at):
        return False
    if (order.kind, order.state, RedemptionState.CANCELLED) not in REDEMPTION_TRANSITIONS:
        return False
    coupon = order.coupon
    if coupon is None:
        return True
    # Points spent on a coupon that was let expire are gone; cancelling must not be a way to get them back.
    is_unused = coupon.state in USABLE_COUPON_STATES and coupon.used == 0
    return is_unused and (coupon.expires_at is None or coupon.expires_at > at)


def _booking_form(request: MemberRequest, order: Redemption) -> BookingForm | None:
    """Return the form for the time and place of a service that is still to be had, if it can be booked at all."""
    if not order.can_be_booked or order.is_due(timezone.now()) or not order.reward.booking_places:
        return None
    now = {"reference": uuid4().hex, "time": order.booked_for, "place": order.booked_place}
    data = request.POST if request.method == "POST" else None
    return BookingForm(data, initial=now, places=order.reward.booking_places)


def _render_order(
    request: MemberRequest, order: Redemption, form: BookingForm | None, *, status: int = 200
) -> HttpResponse:
    context = {
        "order": order,
        "changes": order.changes.order_by("id"),
        "can_cancel": can_cancel(order, at=timezone.now()),
        "pay_by": order.placed_at + paying.TIME_TO_PAY,
        "time_has_come": booking.TIME_HAS_COME if order.is_due(timezone.now()) else "",
        "form": form,
    }
    return render(request, "portal/order.html", context, status=status)


def _get_order(request: MemberRequest, key: UUID) -> Redemption:
    orders = Redemption.objects.of_member(request.member).select_related("reward", "variant", "coupon")
    order = get_object_or_404(orders, key=key)
    order.member = request.member  # whose key opens the address: it is at hand already
    return order
