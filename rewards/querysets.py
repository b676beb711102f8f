"""Chainable ways to find rewards, coupons and redemptions."""

import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import F, Q

if TYPE_CHECKING:
    from members.models import Member
    from rewards.models import Coupon, CouponUse, Redemption, Reward  # noqa: F401

_ENDING = F("expires_at").asc(nulls_last=True)


def normalise_code(text: str) -> str:
    """Read a code as it was typed: capitals, without the spaces and dashes that help people copy it.

    What a Chinese keyboard types at full width is what it looks like.
    """
    return re.sub(r"[\s\-–—]+", "", unicodedata.normalize("NFKC", text)).upper()


class RewardQuerySet(models.QuerySet["Reward"]):
    """The catalogue."""

    def active(self) -> Self:
        """Keep what the programme offers at all."""
        return self.filter(is_active=True)

    def offered(self, at: datetime) -> Self:
        """Keep what can be redeemed at this moment."""
        return self.active().filter(
            Q(valid_from__isnull=True) | Q(valid_from__lte=at), Q(valid_until__isnull=True) | Q(valid_until__gt=at)
        )

    def of_kind(self, kind: str) -> Self:
        """Keep coupons, gifts or services; everything when no kind is given."""
        return self.filter(kind=kind) if kind else self

    def in_category(self, code: str) -> Self:
        """Keep one shelf; everything when none is named."""
        return self.filter(category__code=code) if code else self


class CouponQuerySet(models.QuerySet["Coupon"]):
    """Coupons, found by their code or their member."""

    def by_code(self, code: str) -> Self:
        """Find by code, in any case, with or without dashes."""
        keys = apps.get_model("rewards", "CouponKey")._default_manager
        return self.filter(pk__in=keys.filter(code=normalise_code(code)).values("coupon_id"))

    def of_member(self, member: "Member") -> Self:
        """Keep a member's own, what ends soonest first."""
        return self.filter(member=member).order_by(_ENDING, "id")

    def usable(self, at: datetime) -> Self:
        """Keep those that would be accepted at this moment."""
        return self.filter(
            Q(valid_from__isnull=True) | Q(valid_from__lte=at),
            Q(expires_at__isnull=True) | Q(expires_at__gt=at),
            state__in=("issued", "assigned", "rolled_back"),
        )

    def free(self, at: datetime) -> Self:
        """Keep those that can be given to a member: nobody's, untouched and not over."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=at), state="issued", member__isnull=True, used=0, held=0
        )

    def due_to_expire(self, at: datetime) -> Self:
        """Keep those whose time is over and whose state does not say so yet."""
        return self.filter(state__in=("issued", "assigned", "rolled_back"), held=0, expires_at__lte=at)


class CouponUseQuerySet(models.QuerySet["CouponUse"]):
    """Uses of coupons and their returns."""

    def standing(self) -> Self:
        """Keep the uses that were not given back."""
        return self.filter(gives_back__isnull=True, given_back_by__isnull=True)


class RedemptionQuerySet(models.QuerySet["Redemption"]):
    """Orders of members."""

    def of_member(self, member: "Member") -> Self:
        """Keep a member's own, newest first."""
        return self.filter(member=member).order_by("-id")

    def waiting(self) -> Self:
        """Keep those the back office still has to deal with, longest waiting first."""
        return self.filter(state__in=("placed", "approved", "shipped", "ready")).order_by("changed_at", "id")

    def unpaid_since(self, at: datetime) -> Self:
        """Keep those that wait for their payment since this moment or longer."""
        return self.filter(state="placed", changed_at__lte=at, money_minor__isnull=False, paid_at__isnull=True)

    def standing(self) -> Self:
        """Keep those that were not undone: what a limit counts."""
        return self.exclude(state__in=("cancelled", "returned"))

    def by_pickup_code(self, code: str) -> Self:
        """Find by write-off code, in any case, with or without dashes."""
        wanted = normalise_code(code)
        return self.filter(pickup_code=wanted) if wanted else self.none()
