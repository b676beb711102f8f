"""Addresses of rewards, redemptions, coupons, and of refunds, which give coupons back."""

from django.urls import path

from members.api import paths  # noqa: F401  the converters must be known before the addresses
from rewards.api import catalogue, coupons, redemptions, refunds

urlpatterns = [
    path("events/<reference:reference>/refunds/", refunds.RefundsView.as_view(), name="api-refunds"),
    path("rewards/", catalogue.RewardsView.as_view(), name="api-rewards"),
    path("redemptions/", redemptions.RedemptionsView.as_view(), name="api-redemptions"),
    path("redemptions/write-off/", redemptions.WriteOffView.as_view(), name="api-write-off"),
    path("redemptions/<uuid:key>/", redemptions.RedemptionView.as_view(), name="api-redemption"),
    path("redemptions/<uuid:key>/cancel/", redemptions.CancelView.as_view(), name="api-cancel"),
    path("redemptions/<uuid:key>/reschedule/", redemptions.RescheduleView.as_view(), name="api-reschedule"),
    path("redemptions/<uuid:key>/payment/", redemptions.PaymentView.as_view(), name="api-payment"),
    # Named `code`, so that the log hides it: who has a coupon's code can spend it.
    path("coupons/<coupon:code>/validate/", coupons.ValidateView.as_view(), name="api-coupon-validate"),
    path("coupons/<coupon:code>/redeem/", coupons.RedeemView.as_view(), name="api-coupon-redeem"),
    path("coupons/<coupon:code>/reserve/", coupons.ReserveView.as_view(), name="api-coupon-reserve"),
    path("coupons/<coupon:code>/release/", coupons.ReleaseView.as_view(), name="api-coupon-release"),
    path("coupons/<coupon:code>/rollback/", coupons.RollbackView.as_view(), name="api-coupon-rollback"),
]
