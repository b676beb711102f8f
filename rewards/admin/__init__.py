"""The back office of rewards; importing it registers the screens."""

from rewards.admin import catalogue, coupons, member, redemption

__all__ = ["catalogue", "coupons", "member", "redemption"]
