"""What points buy: rewards in their categories, with their variants, and how many pieces are left."""

from typing import Any, ClassVar

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import FileExtensionValidator, MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Sign
from django.utils.translation import gettext_lazy as _

from rewards.pictures import picture_name, refuse_false_picture
from rewards.querysets import RewardQuerySet

from .laws import change_field, history, keeps_history, never_deleted

#: The most one movement of points takes, and so the most a piece can cost, in points as in minor units.
MOST_POINTS = 10**12

#: A hundred years: what is good for longer has no end.
MOST_DAYS = 36_500


class RewardKind(models.TextChoices):
    """What a member gets for the points."""

    COUPON = "coupon", _("Coupon")
    GIFT = "gift", _("Gift")
    SERVICE = "service", _("Service")


class LimitPeriod(models.TextChoices):
    """In which time a limit counts what a member has had; days, weeks and months are the programme's."""

    DAY = "day", _("Day")
    WEEK = "week", _("Week")
    MONTH = "month", _("Month")
    LIFETIME = "lifetime", _("Lifetime")


def _codes(label: Any, help_text: Any, *, length: int = 64) -> "ArrayField[Any, Any]":
    return ArrayField(
        models.CharField(max_length=length),
        verbose_name=label,
        default=list,
        db_default=[],
        blank=True,
        help_text=help_text,
    )


def _limit(label: Any) -> "models.PositiveIntegerField[Any, Any]":
    return models.PositiveIntegerField(label, null=True, blank=True, help_text=_("Pieces. Empty: no limit."))


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


def _prices_in_range() -> Q:
    """No price is more than can be paid, whatever the tier."""
    are_too_high = models.Func(
        F("points_by_tier"),
        template=f"(jsonb_path_exists(%(expressions)s, '$.* ? (@ > {MOST_POINTS})'))",
        output_field=models.BooleanField(),
    )
    is_money_fine = Q(money_minor__isnull=True) | Q(money_minor__lte=MOST_POINTS)
    return Q(points__lte=MOST_POINTS) & is_money_fine & ~Q(are_too_high)


def _coupon_terms_whole() -> Q:
    """A coupon has a value, a percentage or a batch. That each is there is said: a CHECK lets pass what is unknown."""
    value = Q(coupon_value_minor__isnull=False, coupon_value_minor__gt=0, coupon_percent__isnull=True)
    percent = Q(coupon_value_minor__isnull=True, coupon_percent__isnull=False, coupon_percent__range=(1, 100))
    neither = Q(coupon_value_minor__isnull=True, coupon_percent__isnull=True)
    own = (value | percent) & Q(coupon_batch__isnull=True)
    from_batch = neither & Q(coupon_batch__isnull=False)
    return (Q(kind="coupon") & (own | from_batch)) | (~Q(kind="coupon") & neither & Q(coupon_batch__isnull=True))


class RewardCategory(models.Model):
    """A shelf of the catalogue; a reward stands on one or on none."""

    code = models.SlugField(_("code"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=100)
    position = models.PositiveIntegerField(
        _("position"), default=0, db_default=0, help_text=_("Smaller numbers come first.")
    )

    # The types are said, because translation replaces the managers at start-up.
    objects: ClassVar[models.Manager["RewardCategory"]] = models.Manager()
    _default_manager: ClassVar[models.Manager["RewardCategory"]]

    class Meta:
        verbose_name = _("reward category")
        verbose_name_plural = _("reward categories")
        ordering = ("position", "code")

    def __str__(self) -> str:
        return str(self.name or self.code)


@pghistory.track(
    pghistory.UpdateEvent(row=pghistory.Old),
    pghistory.DeleteEvent(),
    fields=[
        "code", "kind", "points", "points_by_tier", "is_active", "valid_from", "valid_until", "per_member_limit",
        "tiers", "segments", "coupon_value_minor", "coupon_percent", "coupon_minimum_minor", "coupon_currency",
        "coupon_valid_days", "coupon_batch", "category", "money_minor", "limit_day", "limit_week", "limit_month",
        "booking_places",
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
    category = models.ForeignKey(
        RewardCategory,
        models.PROTECT,
        verbose_name=_("category"),
        related_name="rewards",
        null=True,
        blank=True,
    )
    picture = models.FileField(
        _("picture"),
        upload_to=picture_name,
        blank=True,
        validators=[FileExtensionValidator(["jpg", "jpeg", "png", "webp"]), refuse_false_picture],
        help_text=_("JPEG, PNG or WebP, at most 2 MB."),
    )
    points = models.PositiveBigIntegerField(_("price in points"), validators=[MaxValueValidator(MOST_POINTS)])
    points_by_tier = models.JSONField(
        _("price by tier"),
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text=_('Tier code to points, e.g. {"gold": 900}. Other tiers pay the price above.'),
    )
    money_minor = models.PositiveBigIntegerField(
        _("price in money (minor units)"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_POINTS)],
        help_text=_("What a piece costs besides the points. Empty: points alone."),
    )
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True, help_text=_("Empty: from the start."))
    valid_until = models.DateTimeField(
        _("valid until"), null=True, blank=True, help_text=_("The first moment it can no longer be redeemed.")
    )
    per_member_limit = models.PositiveIntegerField(
        _("limit per member"), null=True, blank=True, help_text=_("Pieces one member can have. Empty: no limit.")
    )
    limit_day = _limit(_("limit per member and day"))
    limit_week = _limit(_("limit per member and week"))
    limit_month = _limit(_("limit per member and month"))
    tiers = _codes(_("tiers"), _("Codes of the tiers that can have it, separated by commas. Empty: all."))
    segments = _codes(_("segments"), _("Segments that can have it, separated by commas. Empty: everybody."))
    booking_places = _codes(
        _("places"),
        _("Where a service is to be had, separated by commas; a booking names one of them."),
        length=100,
    )

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
        _("coupon: days of validity"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_DAYS)],
        help_text=_("Counted from the issue. Empty: no end."),
    )
    coupon_batch = models.ForeignKey(
        "CouponBatch",
        models.PROTECT,
        verbose_name=_("coupon: from the batch"),
        related_name="rewards",
        null=True,
        blank=True,
        db_index=False,
        help_text=_("Its codes are given out under its terms, as long as there are any."),
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
                name="reward_prices_in_range",
                condition=_prices_in_range(),
                violation_error_message=_("A price is at most 1,000,000,000,000."),
            ),
            models.CheckConstraint(
                name="reward_days_in_range",
                condition=Q(coupon_valid_days__isnull=True) | Q(coupon_valid_days__lte=MOST_DAYS),
                violation_error_message=_("A coupon is good for at most 36,500 days."),
            ),
            models.CheckConstraint(
                name="reward_money_valid",
                condition=Q(money_minor__isnull=True) | (Q(money_minor__gt=0) & ~Q(kind="coupon")),
                violation_error_message=_("Money besides the points is more than nothing, and never for a coupon."),
            ),
            models.CheckConstraint(
                name="reward_places_of_service",
                condition=Q(kind="service") | Q(booking_places__len=0),
                violation_error_message=_("Only a service has places where it is booked."),
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
                violation_error_message=_("A coupon has a value, a percentage or a batch; other rewards have none."),
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

    @property
    def limits(self) -> dict[str, int]:
        """The pieces one member can have, by the period they are counted in; the shortest period first."""
        found = {
            LimitPeriod.DAY: self.limit_day,
            LimitPeriod.WEEK: self.limit_week,
            LimitPeriod.MONTH: self.limit_month,
            LimitPeriod.LIFETIME: self.per_member_limit,
        }
        return {period.value: limit for period, limit in found.items() if limit is not None}


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
        _("reference"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text=_("The id of the order, or of the form by which pieces came in."),
    )
    actor = models.CharField(_("actor"), max_length=160)
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        ordering = ("-id",)
        default_permissions = ("view",)
        constraints = (
            # Of one order, or one delivery, the pieces leave a stock once and come back once.
            models.UniqueConstraint(
                F("reference"), Sign("pieces"), name="stockmovement_once", condition=~Q(reference="")
            ),
        )
        indexes = (models.Index(fields=["stock", "-id"], name="stockmovement_stock"),)
        triggers = history()

    def __str__(self) -> str:
        return f"{self.pieces:+d}"
