"""For what: the catalogue with its stock, coupons and their codes, and what members redeemed."""

from .catalogue import Reward, RewardKind, RewardVariant, Stock, StockMovement
from .coupons import (
    COUPON_TRANSITIONS,
    USABLE_COUPON_STATES,
    Coupon,
    CouponBatch,
    CouponEvent,
    CouponKey,
    CouponState,
    new_code,
)
from .laws import told
from .redemptions import (
    FIRST_STATES,
    OPEN_STATES,
    REDEMPTION_TRANSITIONS,
    UNDONE_STATES,
    Redemption,
    RedemptionChange,
    RedemptionState,
)

__all__ = [
    "COUPON_TRANSITIONS",
    "FIRST_STATES",
    "OPEN_STATES",
    "REDEMPTION_TRANSITIONS",
    "UNDONE_STATES",
    "USABLE_COUPON_STATES",
    "Coupon",
    "CouponBatch",
    "CouponEvent",
    "CouponKey",
    "CouponState",
    "Redemption",
    "RedemptionChange",
    "RedemptionState",
    "Reward",
    "RewardKind",
    "RewardVariant",
    "Stock",
    "StockMovement",
    "new_code",
    "told",
]
