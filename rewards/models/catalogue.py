"""What points buy: rewards with their variants, and how many pieces are left."""

from typing import Any, ClassVar

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import FileExtensionValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rewards.querysets import RewardQuerySet

from .laws import change_field, history, keeps_history, never_deleted


class RewardKind(models.TextChoices):
    """What a member gets for the points."""

    COUPON = "coupon", _("Coupon")
    GIFT = "gift", _("Gift")
    SERVICE = "service", _("Service")


def _codes(label: Any, help_text: Any) -> "ArrayField[Any, Any]":
    return ArrayField(
        models.CharField(max_length=64),
        verbose_name=label,
        default=list,
        db_default=[],
        blank=True,
        help_text=help_text,
    )


def _prices_valid() -> Q:
    """A price by tier is an object of whole numbers from 1 on. Two functions: a template names its column but once."""
    is_object = models.Func(
        F("points_by_tier"),
        template="(jsonb_typeof(%(expressions)s) = 'object')",
        output_field=models.BooleanField(),
    )
    are_whole = models.Func(
        F("points_by_tier"),
        template=(
            "(NOT jsonb_path_exists(%(expressions)s, '$.* ? (@.type() != \"number\" || @ < 1 || @.floor() != @)'))"
        ),
        output_field=models.BooleanField(),
    )
    return Q(is_object) & Q(are_whole)


def _coupon_terms_whole() -> Q:
    """A coupon has a value or a percentage. That each is there is said, for a CHECK lets pass what is unknown."""
    value = Q(coupon_value_minor__isnull=False, coupon_value_minor__gt=0, coupon_percent__isnull=True)
    percent = Q(coupon_value_minor__isnull=True, coupon_percent__isnull=False, coupon_percent__range=(1, 100))
    neither = Q(coupon_value_minor__isnull=True, coupon_percent__isnull=True)
    return (Q(kind="coupon") & (value | percent)) | (~Q(kind="coupon") & neither)


@pghistory.track(
    pghistory.UpdateEvent(row=pghistory.Old),
    pghistory.DeleteEvent(),
    fields=[
        "code", "kind", "points", "points_by_tier", "is_active", "valid_from", "valid_until", "per_member_limit",
        "tiers", "segments", "coupon_value_minor", "coupon_percent", "coupon_minimum_minor", "coupon_currency",
        "coupon_valid_days",
    ],
    model_name="RewardHistory",
    level=pgtrigger.Row,
)  # fmt: skip
class Reward(models.Model):
    """One item of the catalogue: a coupon, a gift or a service, and what it costs in points."""

    code = models.SlugField(_("code"), max_length=64, unique=True)
    kind = models.CharField(_("kind"), max_length=7, choices=RewardKind)
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True, default="", db_default="")
    picture = models.FileField(
        _("picture"),
        upload_to="rewards/",
        blank=True,
        validators=[FileExtensionValidator(["jpg", "jpeg", "png", "webp"])],
    )
    points = models.PositiveBigIntegerField(_("price in points"))
    points_by_tier = models.JSONField(
        _("price by tier"),
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text=_('Tier code to points, e.g. {"gold": 900}. Other tiers pay the price above.'),
    )
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True, help_text=_("Empty: from the start."))
    valid_until = models.DateTimeField(
        _("valid until"), null=True, blank=True, help_text=_("The first moment it can no longer be redeemed.")
    )
    per_member_limit = models.PositiveIntegerField(
        _("limit per member"), null=True, blank=True, help_text=_("Pieces one member can have. Empty: no limit.")
    )
    tiers = _codes(_("tiers"), _("Codes of the tiers that can have it, separated by commas. Empty: all."))
    segments = _codes(_("segments"), _("Segments that can have it, separated by commas. Empty: everybody."))

    coupon_value_minor = models.PositiveBigIntegerField(_("coupon: value (minor units)"), null=True, blank=True)
    coupon_percent = models.PositiveSmallIntegerField(_("coupon: percent off"), null=True, blank=True)
    coupon_minimum_minor = models.PositiveBigIntegerField(
        _("coupon: minimum spend (minor units)"), default=0, db_default=0
    )
    coupon_currency = models.CharField(
        _("coupon: currency"),
        max_length=3,
        blank=True,
        default="",
        db_default="",
        help_text=_("Empty: the currency of the programme."),
    )
    coupon_valid_days = models.PositiveIntegerField(
        _("coupon: days of validity"), null=True, blank=True, help_text=_("Counted from the issue. Empty: no end.")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    # The type is said, because translation replaces the manager at start-up.
    objects: ClassVar[RewardQuerySet] = RewardQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("reward")
        verbose_name_plural = _("rewards")
        ordering = ("points", "code")
        constraints = (
            models.CheckConstraint(name="reward_kind_known", condition=Q(kind__in=RewardKind.values)),
            models.CheckConstraint(
                name="reward_points_positive",
                condition=Q(points__gt=0),
                violation_error_message=_("A reward costs at least one point."),
            ),
            models.CheckConstraint(
                name="reward_points_by_tier_valid",
                condition=_prices_valid(),
                violation_error_message=_('The price by tier is an object of whole numbers, e.g. {"gold": 900}.'),
            ),
            models.CheckConstraint(
                name="reward_period_ordered",
                condition=Q(valid_from__isnull=True)
                | Q(valid_until__isnull=True)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message=_("The period must end after it begins."),
            ),
            models.CheckConstraint(
                name="reward_coupon_terms",
                condition=_coupon_terms_whole(),
                violation_error_message=_("A coupon has either a value or a percentage; other rewards have neither."),
            ),
            models.CheckConstraint(
                name="reward_coupon_currency",
                condition=Q(coupon_currency="") | Q(coupon_currency__regex="^[A-Z]{3}$"),
                violation_error_message=_("A currency is three capital letters, such as CNY."),
            ),
        )

    def __str__(self) -> str:
        return str(self.name or self.code)

    def price_for(self, tier: str) -> int:
        """Return what one piece costs a member of this tier, in points."""
        return int(self.points_by_tier.get(tier, self.points))


class RewardVariant(models.Model):
    """A size or colour of a reward, chosen when it is redeemed."""

    reward = models.ForeignKey(
        Reward, models.PROTECT, verbose_name=_("reward"), related_name="variants", db_index=False
    )
    code = models.SlugField(_("code"), max_length=64)
    name = models.CharField(_("name"), max_length=100)
    is_active = models.BooleanField(_("active"), default=True, db_default=True)

    # The types are said, because translation replaces the managers at start-up.
    objects: ClassVar[models.Manager["RewardVariant"]] = models.Manager()
    _default_manager: ClassVar[models.Manager["RewardVariant"]]

    class Meta:
        verbose_name = _("reward variant")
        verbose_name_plural = _("reward variants")
        ordering = ("reward", "id")
        constraints = (models.UniqueConstraint(fields=["reward", "code"], name="rewardvariant_once"),)

    def __str__(self) -> str:
        return str(self.name or self.code)


class Stock(models.Model):
    """How many pieces of a reward, or of one variant, are left; no number, or no row, is without end."""

    reward = models.ForeignKey(Reward, models.PROTECT, verbose_name=_("reward"), related_name="stock", db_index=False)
    variant = models.ForeignKey(
        RewardVariant, models.PROTECT, verbose_name=_("variant"), related_name="stock", null=True, blank=True
    )
    count = models.BigIntegerField(_("pieces left"), null=True, blank=True, help_text=_("Empty: without end."))
    change = change_field()

    class Meta:
        verbose_name = _("stock")
        verbose_name_plural = _("stock")
        constraints = (
            models.UniqueConstraint(fields=["reward", "variant"], name="stock_once", nulls_distinct=False),
            models.CheckConstraint(name="stock_not_negative", condition=Q(count__isnull=True) | Q(count__gte=0)),
        )
        triggers = (
            keeps_history(
                of="stock",
                watched="count",
                judge="",
                into="rewards_stockmovement",
                values={
                    "stock_id": "NEW.id",
                    "pieces": "coalesce(NEW.count, 0) - coalesce(OLD.count, 0)",
                    "left_after": "NEW.count",
                    "reference": "coalesce(NEW.change ->> 'reference', '')",
                },
            ),
            pgtrigger.ReadOnly(name="keeps_subject", fields=["reward", "variant"]),
            *never_deleted(),
        )

    def __str__(self) -> str:
        return f"{self.reward_id}/{self.variant_id or '-'}: {'∞' if self.count is None else self.count}"


class StockMovement(models.Model):
    """One change of a stock: pieces in (positive) or out (negative), what was left after it, who and why."""

    stock = models.ForeignKey(Stock, models.PROTECT, verbose_name=_("stock"), related_name="movements", db_index=False)
    pieces = models.BigIntegerField(_("pieces"))
    left_after = models.BigIntegerField(_("pieces left after it"), null=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")
    reference = models.CharField(
        _("redemption"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text=_("The key of the redemption."),
    )
    actor = models.CharField(_("actor"), max_length=160)
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = (models.Index(fields=["stock", "-id"], name="stockmovement_stock"),)
        triggers = history()

    def __str__(self) -> str:
        return f"{self.pieces:+d}"
