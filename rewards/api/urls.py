"""Addresses of rewards, redemptions and coupons."""

from django.urls import path

from members.api import paths  # noqa: F401  the converters must be known before the addresses
from rewards.api import catalogue, coupons, redemptions

urlpatterns = [
    path("rewards/", catalogue.RewardsView.as_view(), name="api-rewards"),
    path("redemptions/", redemptions.RedemptionsView.as_view(), name="api-redemptions"),
    path("redemptions/<uuid:key>/", redemptions.RedemptionView.as_view(), name="api-redemption"),
    path("redemptions/<uuid:key>/cancel/", redemptions.CancelView.as_view(), name="api-cancel"),
    # Named `code`, so that the log hides it: who has a coupon's code can spend it.
    path("coupons/<coupon:code>/validate/", coupons.ValidateView.as_view(), name="api-coupon-validate"),
    path("coupons/<coupon:code>/redeem/", coupons.RedeemView.as_view(), name="api-coupon-redeem"),
    path("coupons/<coupon:code>/rollback/", coupons.RollbackView.as_view(), name="api-coupon-rollback"),
]
