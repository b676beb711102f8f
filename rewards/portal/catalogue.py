"""The catalogue and the way from a reward to an order."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.lib import actor
from config.lib.errors import DomainError
from members.models import Member
from points.actions import claiming
from points.actions.spending import InsufficientPoints
from points.models import Operation
from points.reports import MemberBalance
from rewards import reports
from rewards.actions import redeeming
from rewards.actions.redeeming import Price
from rewards.models import LimitPeriod, Redemption, RewardCategory, RewardKind
from rewards.portal.access import SOURCE, MemberRequest, member_page, sent_from
from rewards.portal.forms import AgreedForm, OrderForm, delivery_of
from rewards.portal.standing import standing
from rewards.reports import Offer


@dataclass(frozen=True, slots=True)
class Shown:
    """An offer with the reasons against it in a member's words."""

    offer: Offer
    reasons: list[str]


@member_page
def show_catalogue(request: MemberRequest) -> HttpResponse:
    """Show what points buy, with the price for this member, and exactly why something cannot be had."""
    now, kind = timezone.now(), request.GET.get("kind", "")
    kind = kind if kind in RewardKind.values else ""
    categories = list(RewardCategory.objects.filter(rewards__is_active=True).distinct())
    category = next((one.code for one in categories if one.code == request.GET.get("category")), "")
    wallet = standing(member=request.member, at=now).wallet
    offers = reports.catalogue(member=request.member, at=now, kind=kind, category=category)
    context = {
        "shown": [Shown(offer, _reasons(offer, wallet)) for offer in offers],
        "wallet": wallet,
        "kinds": [("", _("All")), *((one.value, one.label) for one in RewardKind)],
        "kind": kind,
        "categories": [("", _("All categories")), *((one.code, str(one)) for one in categories)] if categories else [],
        "category": category,
    }
    return render(request, "portal/catalogue.html", context)


@member_page
def show_reward(request: MemberRequest, code: str) -> HttpResponse:
    """Show one reward and the form to order it."""
    offer = reports.offer(code=code, member=request.member, at=timezone.now())
    if offer is None:
        raise Http404
    return _render_reward(request, offer, _form(request, offer))


@sent_from("reward")
def redeem(request: MemberRequest, code: str) -> HttpResponse:
    """Ask once more, then redeem. The same form sent again, by a double click or by going back, is the same order."""
    offer = reports.offer(code=code, member=request.member, at=timezone.now())
    form = _form(request, offer) if offer else None
    if (form is None or not form.is_valid()) and (order := _find_order(request)):
        # What it chose is not offered any more, perhaps because it took the last of it.
        return redirect("order", order.key)
    if offer is None or form is None:
        raise Http404
    if not form.is_valid():
        return _render_reward(request, offer, form, status=422)
    agreed = AgreedForm(request.POST)
    if not agreed.is_valid():
        return _ask(request, offer, form)
    try:
        done = _redeem(request, offer, form, agreed.price)
    except redeeming.PriceChanged as error:
        return _render_confirmation(request, offer, form, status=422, refusal=str(error))
    except DomainError as error:
        return _render_reward(request, offer, _form(request, offer), status=422, refusal=refusal_text(error))
    return redirect("order", done.redemption.key)


def _ask(request: MemberRequest, offer: Offer, form: OrderForm) -> HttpResponse:
    """Ask whether to redeem, unless what stands against it beside the points is known already."""
    errors = reports.reasons_against(
        member=request.member,
        reward=offer.reward,
        variant=form.cleaned_data.get("variant"),
        quantity=form.cleaned_data.get("quantity", 1),
        at=timezone.now(),
    )
    refusal = next((error for error in errors if not isinstance(error, InsufficientPoints)), None)
    if refusal is None:
        return _render_confirmation(request, offer, form)
    if order := _find_order(request):
        return redirect("order", order.key)
    return _render_reward(request, offer, form, status=422, refusal=refusal_text(refusal))


def _redeem(request: MemberRequest, offer: Offer, form: OrderForm, price: Price) -> redeeming.Redeemed:
    member = request.member
    return redeeming.redeem(
        member=member,
        reward=offer.reward,
        variant=form.cleaned_data.get("variant"),
        quantity=form.cleaned_data.get("quantity", 1),
        address=form.shipping_address,
        booking=form.booking,
        price=price,
        source=SOURCE,
        reference=_reference(member, form.cleaned_data["reference"]),
        actor=actor.member(member.number),
        at=timezone.now(),
    )


def _reference(member: Member, sent: str) -> str:
    """With the card number in it, nobody can use up the reference of somebody else's form."""
    return f"{member.number}:{sent}"


def _find_order(request: MemberRequest) -> Redemption | None:
    """Return the order that this form has placed before."""
    sent = request.POST.get("reference", "")
    if not sent.isalnum():
        return None
    reference = _reference(request.member, sent)
    known = claiming.find(source=SOURCE, operation=Operation.REDEMPTION, reference=reference)
    return Redemption.objects.of_member(request.member).filter(pk=known[0]).first() if known else None


def refusal_text(error: DomainError) -> str:
    """Say a refusal to a member: the numbers with their thousands, the reference as what it was, a form sent twice."""
    if isinstance(error, InsufficientPoints):
        return _missing(int(error.facts["needed"]) - int(error.facts["available"]))
    if error.code == "reference_conflict":
        return _("This form was used already, for something else. Please look at your orders, then begin anew.")
    return str(error)


def _reasons(offer: Offer, wallet: MemberBalance | None) -> list[str]:
    """Say every reason against an offer; of points, how many are missing rather than how many there are."""
    have = wallet.available if wallet else 0
    return [_missing(offer.points - have) if code == InsufficientPoints.code else text for code, text in offer.reasons]


def _limit(period: str, limit: int) -> str:
    texts = {
        LimitPeriod.DAY: ngettext("At most %(number)s a day", "At most %(number)s a day", limit),
        LimitPeriod.WEEK: ngettext("At most %(number)s a week", "At most %(number)s a week", limit),
        LimitPeriod.MONTH: ngettext("At most %(number)s a month", "At most %(number)s a month", limit),
        LimitPeriod.LIFETIME: ngettext(
            "At most %(number)s for each member", "At most %(number)s for each member", limit
        ),
    }
    return texts[LimitPeriod(period)] % {"number": limit}


def _missing(points: int) -> str:
    text = ngettext("%(missing)s more point needed.", "%(missing)s more points needed.", points)
    return text % {"missing": f"{points:,}"}


def _form(request: MemberRequest, offer: Offer) -> OrderForm:
    """Bind what was sent; otherwise begin a new order with a fresh reference."""
    member = request.member
    given: dict[str, Any] = {"data": request.POST} if request.method == "POST" else {}
    fresh = {
        "reference": uuid.uuid4().hex,
        "quantity": 1,
        "delivery": delivery_of(member),
        "address": member.address,
    }
    variants = [one.variant for one in offer.variants if one.available]
    reward = offer.reward
    return OrderForm(**given, initial=fresh, variants=variants, kind=reward.kind, places=reward.booking_places)


def _render_reward(
    request: MemberRequest, offer: Offer, form: OrderForm, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    wallet = standing(member=request.member, at=timezone.now()).wallet
    reasons = _reasons(offer, wallet)
    context = {
        "offer": offer,
        "form": form,
        "wallet": wallet,
        "refusal": refusal,
        "reasons": reasons,
        "limits": [_limit(period, limit) for period, limit in offer.reward.limits.items()],
    }
    return _render(request, "portal/reward.html", "order", context, status=status)


def _render_confirmation(
    request: MemberRequest, offer: Offer, form: OrderForm, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    wallet = standing(member=request.member, at=timezone.now()).wallet
    quantity = form.cleaned_data.get("quantity", 1)
    points, have = offer.points * quantity, wallet.available if wallet else 0
    context = {
        "offer": offer,
        "form": form,
        "agreed": AgreedForm(initial={"points": offer.points, "money_minor": offer.reward.money_minor}),
        "refusal": refusal,
        "variant": form.cleaned_data.get("variant"),
        "quantity": quantity,
        "points": points,
        "address": form.shipping_address,
        "booking": form.booking,
        "money_minor": offer.reward.money_minor * quantity if offer.reward.money_minor is not None else None,
        "wallet": wallet,
        "left": max(0, have - points),
        "missing": max(0, points - have),
    }
    return _render(request, "portal/confirm.html", "panel", context, status=status)


def _render(
    request: MemberRequest, template: str, part: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Answer htmx with the part of the page it puts in, so that the way back is the reward and not a sent form."""
    response = render(request, f"{template}#{part}" if request.htmx else template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
