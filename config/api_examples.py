"""What the description of the API shows for each call: a request, its answer, and every refusal of its own by code.

Keyed by operation. `tests/api/test_examples.py` holds the values to the schemas they illustrate, and the random tests
hold the code to the refusals named here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from config.lib.errors import DomainError
from points.actions import awarding, refunding
from points.actions.awarding import IncomingEvent
from rewards import discounts

NUMBER, AT, LATER = "804412345678", "2026-03-01T12:00:00+08:00", "2026-03-01T12:10:00+08:00"
HOLD, ORDER = "7a3c1a52-6d0e-4c55-9b7e-0a5f6f1f2f0d", "0d9a1f0e-31f4-4b56-8f4e-5f1f2a9c7b11"
YUAN: dict[str, str] = {"amount": "196.00", "currency": "CNY"}
FIVE: dict[str, str] = {"amount": "5.00", "currency": "CNY"}

type Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what is sent, what comes back, and the facts of each refusal by its code."""

    answer: Any
    body: Any = None
    refusals: Mapping[str, Facts] = field(default_factory=dict)
    #: Refusals whose code another call uses with other words: the class that speaks here.
    speakers: tuple[type[DomainError], ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as the description shows it."""

    status: int
    code: str
    detail: str
    facts: Facts


def _page(*results: Any) -> dict[str, Any]:
    return {"next": None, "previous": None, "results": list(results)}


_MEMBER = {
    "number": NUMBER,
    "status": "active",
    "tier": "member",
    "name": "王小明",
    "phone": "+8613800138000",
    "email": "xiaoming@example.com",
    "birthday": "1990-05-04",
    "language": "zh-hans",
    "referral_code": "KWXRTNPL",
    "joined_at": AT,
    "attributes": {"branch": "west"},
}
_EVENT = {
    "reference": "bill-1",
    "member": NUMBER,
    "type": "purchase",
    "occurred_at": AT,
    "money": YUAN,
    "channel": "in-store",
    "store": "356",
    "items": [{"sku": "tea", "category": "DRINKS", "quantity": 2, "money": YUAN}],
}
_RESULT = {
    "reference": "bill-1",
    "status": "accepted",
    "points": {"points": 196},
    "entries": [
        {
            "id": 4711,
            "kind": "accrual",
            "type": "points",
            "points": 196,
            "rule": "purchase-points",
            "pending": False,
            "expires_on": "2027-03-31",
        }
    ],
}
_VERDICTS = {
    "points": {"points": 196},
    "rules": [
        {
            "rule": "purchase-points",
            "name": "Purchases: 1 point for each yuan",
            "type": "points",
            "matched": True,
            "points": 196,
            "rounded": 196,
            "conditions": [
                {
                    "name": "event_type",
                    "label": "Event type",
                    "expected": ["purchase"],
                    "actual": "purchase",
                    "holds": True,
                }
            ],
            "arithmetic": {
                "award": "rate",
                "basis": "net",
                "basis_minor": 19600,
                "points": 1.0,
                "per_minor": 100,
                "exact": 196.0,
                "rounding": "floor",
                "rounded": 196,
            },
            "limits": {"day": {"used": 0, "limit": 500}, "trimmed": 0},
            "sentence": "1 Points per CNY 1.00 of CNY 196.00 = 196.",
        }
    ],
}
_ENTRY = {
    "id": 4711,
    "kind": "accrual",
    "type": "points",
    "points": 196,
    "from": "issued",
    "to": "available",
    "available_after": 196,
    "occurred_at": AT,
    "recorded_at": AT,
    "reference": "bill-1",
    "event": "bill-1",
    "rule": "purchase-points",
    "note": "",
    "lots": [{"lot": 12, "points": 196, "expires_on": "2027-03-31"}],
}
_CLAWBACK = _ENTRY | {
    "id": 4712,
    "kind": "clawback",
    "points": 98,
    "from": "available",
    "to": "issued",
    "available_after": 98,
    "reference": "refund-1",
    "rule": None,
}
_HOLD = {
    "id": HOLD,
    "status": "held",
    "member": NUMBER,
    "type": "points",
    "points": 500,
    "captured": 0,
    "expires_at": LATER,
    "reference": "hold-1",
}
_ORDER = {
    "id": ORDER,
    "status": "completed",
    "member": NUMBER,
    "reward": "coupon-5",
    "kind": "coupon",
    "variant": None,
    "quantity": 1,
    "points": 500,
    "reference": "order-1",
    "placed_at": AT,
    "coupon": {
        "code": "7KQ2M9XWRT4HBNVC",
        "status": "assigned",
        "value": FIVE,
        "percent": None,
        "minimum": {"amount": "0.00", "currency": "CNY"},
        "expires_on": "2026-05-30",
    },
}
_BOOKED = {"at": "2026-03-14T10:00:00+08:00", "place": "Pudong"}
_SERVICE = {name: value for name, value in _ORDER.items() if name != "coupon"} | {
    "status": "ready",
    "reward": "lounge",
    "kind": "service",
    "points": 10000,
    "booking": _BOOKED,
    "pickup_code": "H4KT9RWQ",
}
_CHECKED = {"member": NUMBER, "money": YUAN}
_USED = {"reference": "use-1", "code": "7KQ2M9XWRT4HBNVC", "status": "redeemed", "discount": FIVE}

_RESERVED = {
    "reference": "basket-1",
    "code": "7KQ2M9XWRT4HBNVC",
    "status": "held",
    "expires_at": LATER,
    "discount": FIVE,
}

_USED_BEFORE: dict[str, Facts] = {"reference_conflict": {"reference": "bill-1"}}
_NO_MEMBER: dict[str, Facts] = {"unknown_member": {}, "member_not_active": {}}
_PROFILE: dict[str, Facts] = {
    "phone_malformed": {},
    "phone_taken": {},
    "email_malformed": {},
    "email_taken": {},
    "birthday_impossible": {"birthday": "2990-01-01"},
    "language_unknown": {"language": "tlh", "known": "en, zh-hans"},
    "text_missing": {"field": "name"},
    "text_unusable": {"field": "name", "limit": 150},
    "attributes_unusable": {"limit": 32768},
}
#: An event is judged by `points.actions.awarding`, whose refusals carry codes of their own: what draws each of them.
_SOUND = IncomingEvent(reference="bill-1", member=NUMBER, type="purchase", occurred_at=datetime.fromisoformat(AT))
BAD_EVENTS: dict[str, IncomingEvent] = {
    "invalid_reference": replace(_SOUND, reference="x" * 101),
    "unknown_type": replace(_SOUND, type="barter"),
    "reserved_type": replace(_SOUND, type="referral"),
    "reserved_attribute": replace(_SOUND, type="custom", attributes={"referral": True}),
    "future_time": replace(_SOUND, occurred_at=_SOUND.occurred_at + timedelta(days=1)),
    "absurd_time": replace(_SOUND, occurred_at=datetime(1970, 1, 1, tzinfo=UTC)),
    "invalid_channel": replace(_SOUND, channel="x" * 65),
    "invalid_store": replace(_SOUND, store="x" * 65),
    "invalid_attributes": replace(_SOUND, attributes={"note": "x" * 40_000}),
    "invalid_items": replace(_SOUND, items=[{"sku": "x" * 101}]),
}
_EVENT_REFUSALS: dict[str, Facts] = {code: {} for code in BAD_EVENTS}
_BOOKING_REFUSALS: dict[str, Facts] = {
    "not_bookable": {},
    "booking_in_past": {},
    "booking_too_far": {},
    "place_unknown": {"places": "Pudong, Hongqiao"},
}
_COUPON_REFUSALS: dict[str, Facts] = _USED_BEFORE | {
    "unknown_member": {},
    "coupon_unusable": {},
    "below_minimum": {"minimum": "200.00", "currency": "CNY"},
    "currency_mismatch": {"currency": "CNY"},
    "channel_mismatch": {"channels": "online, in-store"},
    "item_missing": {"item": "tea"},
    "not_combinable": {},
    "member_required": {},
    "member_limit_reached": {"limit": 1},
}
_OF_COUPONS = (discounts.CurrencyMismatch,)

CALLS: dict[str, Call] = {
    "enrol_member": Call(
        _MEMBER,
        {"reference": "enrol-1", "name": "王小明", "phone": "13800138000", "birthday": "1990-05-04"},
        _USED_BEFORE
        | _PROFILE
        | {"tier_unknown": {"tier": "diamond"}, "referral_code_unknown": {"referral_code": "NOBODY"}},
    ),
    "find_members": Call(_page(_MEMBER)),
    "get_member": Call(_MEMBER),
    "change_member": Call(
        _MEMBER, {"email": "xiaoming@example.com"}, _PROFILE | {"member_not_open": {"state": "closed"}}
    ),
    "get_balance": Call(
        [
            {
                "type": "points",
                "name": "Points",
                "available": 196,
                "pending": 0,
                "held": 0,
                "owed": 0,
                "expiring": [{"on": "2027-03-31", "points": 196}],
            }
        ]
    ),
    "list_entries": Call(_page(_ENTRY)),
    "list_lots": Call(
        _page(
            {
                "lot": 12,
                "type": "points",
                "points": 196,
                "remaining": 96,
                "pending": False,
                "available_at": AT,
                "expires_on": "2027-03-31",
            }
        )
    ),
    "list_member_months": Call(
        _page(
            {"month": "2026-03", "category": "DRINKS", "events": 1, "money": YUAN, "earned": 196, "redeemed": 0},
        )
    ),
    "send_events": Call(_RESULT, _EVENT, _USED_BEFORE | _NO_MEMBER | _EVENT_REFUSALS),
    "preview_events": Call({"reference": "bill-1", **_VERDICTS}, _EVENT, {"unknown_member": {}} | _EVENT_REFUSALS),
    "explain_event": Call(
        {
            "reference": "bill-1",
            "member": NUMBER,
            "type": "purchase",
            "occurred_at": AT,
            "money": YUAN,
            **_VERDICTS,
        }
    ),
    "refund_event": Call(
        {"reference": "refund-1", "event": "bill-1", "entries": [_CLAWBACK], "coupons": []},
        {"reference": "refund-1", "occurred_at": LATER, "money": {"amount": "98.00", "currency": "CNY"}},
        _USED_BEFORE
        | {
            "already_refunded": {},
            "refund_exceeds_event": {"amount_minor": 19600, "refunded_before": 9800, "left": "98.00 CNY"},
            "refund_of_refund": {"event": "refund-0"},
            "unknown_event": {},
            "amount_not_positive": {},
            "event_without_amount": {},
            "invalid_time": {},
            "invalid_items": {"line": 1, "problem": "the amount is missing."},
            "currency_mismatch": {"currency": "CNY"},
            "unknown_item": {"sku": "gold"},
            "category_mismatch": {"sku": "tea", "sold": "DRINKS", "category": "FOOD"},
            "refund_exceeds_line": {"sku": "tea", "left": "98.00 CNY", "wanted": "196.00 CNY"},
            "line_without_amount": {"sku": "tea"},
        },
        (refunding.RefundCurrency,),
    ),
    "hold_points": Call(
        _HOLD,
        {"reference": "hold-1", "member": NUMBER, "points": 500, "expires_in": 600},
        _USED_BEFORE
        | _NO_MEMBER
        | {
            "insufficient_points": {"needed": 500, "available": 320},
            "points_not_redeemable": {},
            "unknown_point_type": {"type": "gold"},
        },
    ),
    "capture_hold": Call(
        _HOLD | {"status": "captured", "captured": 300},
        {"reference": "capture-1", "points": 300, "event": "bill-1"},
        _USED_BEFORE
        | {"hold_closed": {"state": "voided"}, "hold_exceeded": {"held": 500, "needed": 600}, "unknown_event": {}}
        | {"event_refunded": {}},
    ),
    "void_hold": Call(
        _HOLD | {"status": "voided"}, {"reference": "void-1"}, _USED_BEFORE | {"hold_closed": {"state": "captured"}}
    ),
    "list_rewards": Call(
        _page(
            {
                "code": "coupon-5",
                "kind": "coupon",
                "name": "Coupon of 5 yuan",
                "description": "5 yuan off any purchase, good for 90 days.",
                "picture": None,
                "points": 500,
                "money": None,
                "category": {"code": "shopping", "name": "Shopping"},
                "limits": {"day": None, "week": None, "month": 2, "lifetime": None},
                "places": [],
                "variants": [],
                "available": False,
                "unavailable_reasons": ["insufficient_points"],
                "unavailable_details": ["500 points are needed and 320 are available."],
            }
        )
    ),
    "redeem_reward": Call(
        _ORDER,
        {"reference": "order-1", "member": NUMBER, "reward": "coupon-5"},
        _USED_BEFORE
        | _NO_MEMBER
        | {
            "insufficient_points": {"needed": 500, "available": 320},
            "reward_unknown": {"reward": "coupon-6"},
            "reward_unavailable": {},
            "variant_unknown": {"variant": "blue"},
            "variant_required": {"variants": "natural, green"},
            "quantity_out_of_range": {"most": 1},
            "not_yet": {"valid_from": "2026-04-01"},
            "ended": {},
            "tier_too_low": {"tiers": "Gold, Platinum"},
            "not_in_segment": {},
            "limit_reached": {"limit": 2, "had": 2},
            "out_of_stock": {"left": 1},
        }
        | _BOOKING_REFUSALS,
    ),
    "get_redemption": Call(_ORDER),
    "cancel_redemption": Call(
        _ORDER | {"status": "cancelled"},
        {"reference": "cancel-1", "reason": "ordered by mistake"},
        _USED_BEFORE | {"cannot_cancel": {"state": "shipped"}, "coupon_over": {"state": "redeemed"}},
    ),
    "reschedule_redemption": Call(
        _SERVICE,
        {"reference": "move-1", "booking": _BOOKED, "reason": "asked on the phone"},
        _USED_BEFORE | _BOOKING_REFUSALS | {"booking_unchanged": {}, "cannot_reschedule": {"state": "completed"}},
    ),
    "pay_redemption": Call(
        {name: _SERVICE[name] for name in ("id", "status", "reward", "quantity")} | {"money": FIVE, "paid_at": AT},
        {"reference": "payment-1", "money": FIVE},
        _USED_BEFORE
        | {
            "nothing_to_pay": {},
            "wrong_amount": {"due": "5.00", "currency": "CNY"},
            "already_paid": {},
            "cannot_pay": {"state": "cancelled"},
        },
    ),
    "write_off_redemption": Call(
        {name: _SERVICE[name] for name in ("id", "member", "reward", "kind", "variant", "quantity", "booking")}
        | {"status": "completed"},
        {"reference": "counter-1", "code": "H4KT-9RWQ"},
        _USED_BEFORE
        | {
            "pickup_code_unknown": {},
            "pickup_code_over": {"reward": "Lounge", "state": "completed", "since": "10:05"},
        },
    ),
    "validate_coupon": Call(
        {"valid": True, "discount": FIVE, "reasons": [], "details": []}, _CHECKED, {"unknown_member": {}}
    ),
    "reserve_coupon": Call(
        _RESERVED, {"reference": "basket-1", "expires_in": 600, **_CHECKED}, _COUPON_REFUSALS, _OF_COUPONS
    ),
    "release_coupon": Call(
        _RESERVED | {"status": "released", "discount": None}, {"reference": "basket-1"}, {"coupon_unusable": {}}
    ),
    "redeem_coupon": Call(_USED, {"reference": "use-1", **_CHECKED}, _COUPON_REFUSALS, _OF_COUPONS),
    "roll_back_coupon": Call(
        _USED | {"reference": "back-1", "status": "rolled_back"},
        {"reference": "back-1"},
        _USED_BEFORE | {"coupon_unusable": {}, "coupon_not_redeemed": {}, "use_required": {}},
    ),
    "list_daily_statistics": Call(
        _page(
            {
                "day": "2026-03-01",
                "type": "points",
                "kind": "accrual",
                "rule": "purchase-points",
                "channel": "in-store",
                "tier": "member",
                "entries": 1,
                "points": 196,
            }
        )
    ),
}


def refusals_of(operation: str) -> Iterator[Refusal]:
    """Tell the refusals of a call as its callers meet them, in the language of the reader."""
    known = dict(_codes(DomainError)) | {speaker.code: speaker for speaker in CALLS[operation].speakers}
    for code, facts in CALLS[operation].refusals.items():
        is_of_event = operation in ("send_events", "preview_events") and code in BAD_EVENTS
        if is_of_event and (judged := awarding.problem_of(BAD_EVENTS[code], _SOUND.occurred_at, source="till")):
            yield Refusal(422, *judged, {})
        else:
            error = known[code](**facts)
            yield Refusal(error.status, code, str(error), facts)


def _codes(error: type[DomainError]) -> Iterator[tuple[str, type[DomainError]]]:
    """Walk through every refusal but those of rows in files; of one code the most general comes last."""
    for subclass in error.__subclasses__():
        yield from _codes(subclass)
        if not subclass.__module__.startswith("points.imports."):
            yield subclass.code, subclass
