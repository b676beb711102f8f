"""Refunds of purchases with what was used on them: points by the books, and the uses of coupons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from config.lib.actor import Actor
from points.actions import claiming, refunding
from points.actions.awarding import FUTURE_TOLERANCE
from points.actions.refunding import Refunded, RefundReason
from points.models import COUPON_USES, Event, Operation
from rewards.actions import coupons
from rewards.models import Coupon, CouponUse

#: Uses are given back under a source of the programme's own, so that no client's reference is in the way.
SOURCE = "laurel"


@dataclass(frozen=True, slots=True)
class RefundedPurchase:
    """The refund, and the references of the uses of coupons that came back with it."""

    refund: Refunded
    coupons: list[str]


@transaction.atomic
def refund(
    *,
    event: Event,
    source: str,
    reference: str,
    occurred_at: datetime,
    actor: Actor,
    at: datetime,
    amount_minor: int | None = None,
    items: Sequence[Mapping[str, Any]] | None = None,
    reason: str = RefundReason.RETURN,
) -> RefundedPurchase:
    """Refund an event; the return that completes it gives back the coupons the event names, once.

    A part gives back none, nor does a purchase of which a part was charged back: whoever disputed the payment has kept
    the advantage. A use that was given back before stays as it is, and so does what the coupon was used for since.
    Raises what `points.actions.refunding.refund` raises.
    """
    uses = lock_coupons(event=event)
    refunded = refunding.refund(
        event=event,
        source=source,
        reference=reference,
        occurred_at=occurred_at,
        amount_minor=amount_minor,
        items=items,
        reason=reason,
        actor=actor,
        at=at,
    )
    if refunded.replayed:
        return RefundedPurchase(refunded, [use.reference for use in uses if _was_given_back(refunded, use)])
    given_back = []
    if uses and refunding.is_returned(event=event):
        for use in uses:
            if CouponUse.objects.standing().filter(pk=use.pk).exists():
                given_back.append(use.reference)
                coupons.rollback(
                    code=use.coupon.code,
                    source=SOURCE,
                    reference=_reference(refunded, use),
                    use=use.reference,
                    user=use.source,
                    actor=actor,
                    at=at,
                )
    return RefundedPurchase(refunded, given_back)


def lock_coupons(*, event: Event) -> list[CouponUse]:
    """Lock the coupons an event names, before the member's balance, and return their uses in the order of the names.

    References that are no use of a coupon by the system that sent the event are passed over, and so is a use by
    another member or one that an earlier event names: it was used on that purchase.
    """
    named = event.attributes.get(COUPON_USES)
    targets = {
        use: known[0]
        for use in (named if isinstance(named, list) else ())
        if isinstance(use, str)
        and (known := claiming.find(source=event.source, operation=Operation.COUPON, reference=use))
    }
    if not targets:
        return []
    locked = {each.pk for each in Coupon.objects.select_for_update().filter(pk__in=targets.values()).order_by("pk")}
    uses = CouponUse.objects.select_related("coupon").filter(
        Q(member_id=None) | Q(member_id=event.member_id),
        coupon__in=locked,
        source=event.source,
        reference__in=targets,
        gives_back__isnull=True,
    )
    return sorted(_first_named_by(event, list(uses)), key=lambda use: list(targets).index(use.reference))


def _first_named_by(event: Event, uses: list[CouponUse]) -> list[CouponUse]:
    """Keep the uses that no event of this source named before this one did, counted from when the use was made.

    What names a use comes with it or after it, so the journal is read from there on alone: by the time of its rows.
    """
    since = {
        use.reference: use.at - FUTURE_TOLERANCE for use in uses if use.at - FUTURE_TOLERANCE <= event.recorded_at
    }
    if not since:
        return []
    earlier = Event.objects.filter(
        source=event.source,
        pk__lt=event.pk,
        recorded_at__gte=min(since.values()),
        **{f"attributes__{COUPON_USES}__has_any_keys": list(since)},
    ).values_list("member_id", "recorded_at", f"attributes__{COUPON_USES}")
    return [
        use
        for use in uses
        if use.reference in since
        and not any(
            use.reference in named and recorded_at >= since[use.reference] and use.member_id in (None, member_id)
            for member_id, recorded_at, named in earlier
        )
    ]


def _was_given_back(refunded: Refunded, use: CouponUse) -> bool:
    reference = _reference(refunded, use)
    return claiming.find(source=SOURCE, operation=coupons.ROLLBACK, reference=reference) is not None


def _reference(refunded: Refunded, use: CouponUse) -> str:
    return f"refund-{refunded.event_id}-{use.pk}"
