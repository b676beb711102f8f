"""What the programme promises: kinds of points and the rules that give them."""

from datetime import date
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from points.querysets import EarningRuleQuerySet


class ExpiryPolicy(models.TextChoices):
    """When the points of one credit end; always at the end of a local day."""

    NEVER = "never", _("Never")
    DAYS = "days", _("N days after earning")
    MONTHS_END = "months_end", _("N months after earning, at month end")
    FIXED_DATE = "fixed_date", _("On a fixed date")
    YEAR_END = "year_end", _("At the end of year N after earning")


class ClawbackPolicy(models.TextChoices):
    """What a refund does when the points it takes back are already spent."""

    OWE = "owe", _("The member owes them")
    CLAMP = "clamp", _("Take what is left")


def _expiry_in_reach() -> Q:
    """A year nobody can read is a mistake: within a hundred years, and within what every client can hold."""
    value = Q(expiry_value__isnull=True)
    for policy, most in (("days", 36_500), ("months_end", 1_200), ("year_end", 100)):
        value |= Q(expiry_policy=policy, expiry_value__lte=most)
    value |= Q(expiry_policy__in=["", "never", "fixed_date"])
    return value & (Q(expiry_on__isnull=True) | Q(expiry_on__lt=date(2200, 1, 1)))


class PointType(models.Model):
    """A currency of the programme: points to spend, or growth that only measures a tier."""

    code = models.SlugField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=100)
    is_redeemable = models.BooleanField(_("redeemable"), default=True, db_default=True)
    is_qualifying = models.BooleanField(_("qualifying"), default=False, db_default=False)
    expiry_policy = models.CharField(
        _("expiry policy"),
        max_length=12,
        choices=ExpiryPolicy,
        default=ExpiryPolicy.NEVER,
        db_default=ExpiryPolicy.NEVER,
    )
    expiry_value = models.PositiveSmallIntegerField(_("expiry: N"), null=True, blank=True)
    expiry_on = models.DateField(_("expiry: fixed date"), null=True, blank=True)
    clawback_policy = models.CharField(
        _("clawback policy"),
        max_length=8,
        choices=ClawbackPolicy,
        default=ClawbackPolicy.OWE,
        db_default=ClawbackPolicy.OWE,
    )
    cost_per_point = models.DecimalField(
        _("cost per point"),
        max_digits=12,
        decimal_places=6,
        default=0,
        db_default=0,
        help_text=_("What one point costs the programme, in the programme's currency."),
    )

    class Meta:
        verbose_name = _("point type")
        verbose_name_plural = _("point types")
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                name="pointtype_expiry_complete",
                condition=(
                    Q(expiry_policy="never")
                    | Q(expiry_policy="fixed_date", expiry_on__isnull=False)
                    | Q(expiry_policy__in=["days", "months_end", "year_end"], expiry_value__isnull=False)
                ),
                violation_error_message=_("This expiry policy needs its number or its date."),
            ),
            models.CheckConstraint(
                name="pointtype_expiry_in_reach",
                condition=_expiry_in_reach(),
                violation_error_message=_("The expiry must lie within a hundred years."),
            ),
        )

    def __str__(self) -> str:
        return str(self.name or self.code)


class EventType(models.TextChoices):
    """The business events the programme knows."""

    PURCHASE = "purchase", _("Purchase")
    TOP_UP = "top_up", _("Top-up")
    TRANSFER = "transfer", _("Transfer")
    INVESTMENT = "investment", _("Investment")
    LOAN = "loan", _("Loan")
    ACCOUNT_OPENING = "account_opening", _("Account opening")
    REVIEW = "review", _("Review")
    REFERRAL = "referral", _("Referral")
    EVENT_ATTENDANCE = "event_attendance", _("Event attendance")
    SIGN_IN = "sign_in", _("Daily sign-in")
    BIRTHDAY = "birthday", _("Birthday")
    CUSTOM = "custom", _("Custom")
    REFUND = "refund", _("Refund")


class RuleStatus(models.TextChoices):
    """Where a rule version stands in its life."""

    DRAFT = "draft", _("Draft")
    SHADOW = "shadow", _("Shadow (evaluated, not awarded)")
    ACTIVE = "active", pgettext_lazy("rule", "Active")
    RETIRED = "retired", _("Retired")


class AwardKind(models.TextChoices):
    """How a rule arrives at its points."""

    RATE = "rate", _("Rate per money")
    FIXED = "fixed", _("Fixed points")
    MULTIPLIER = "multiplier", _("Multiplier of the base points")


class AmountBasis(models.TextChoices):
    """Which money a rate is applied to."""

    NET = "net", _("Net amount paid")
    GROSS = "gross", _("Gross amount")
    ITEMS = "items", _("Matching line items")


class Rounding(models.TextChoices):
    """How a fraction of a point becomes whole points."""

    FLOOR = "floor", _("Down")
    HALF_UP = "half_up", _("Half up")
    CEIL = "ceil", _("Up")


def _text_list(label: Any, help_text: Any) -> "ArrayField[Any, Any]":
    return ArrayField(
        models.CharField(max_length=64),
        verbose_name=label,
        default=list,
        db_default=[],
        blank=True,
        help_text=help_text,
    )


_ANY = _("Empty: any.")


def _limits_whole() -> Q:
    """A limit of nothing would be a rule that gives nothing to anybody."""
    whole = Q()
    for name in ("cap_day", "cap_week", "cap_month", "cap_lifetime", "budget"):
        whole &= Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": 1})
    return whole


def _unless_retired(law: Q) -> Q:
    """What was put into force before there was this law keeps its terms for ever, and can be ended."""
    return Q(status="retired") | law


class EarningRule(models.Model):
    """One version of one earning rule; an active version is never edited, a new one follows it."""

    code = models.SlugField(_("code"), max_length=64)
    version = models.PositiveIntegerField(_("version"), default=1, db_default=1)
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True, default="", db_default="")
    status = models.CharField(
        _("status"), max_length=8, choices=RuleStatus, default=RuleStatus.DRAFT, db_default=RuleStatus.DRAFT
    )
    valid_from = models.DateTimeField(_("valid from"))
    valid_until = models.DateTimeField(
        _("valid until"), null=True, blank=True, help_text=_("The first moment the rule no longer holds.")
    )

    # Conditions: every filled column must hold.
    event_types = _text_list(_("event types"), _ANY)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="", help_text=_ANY)
    amount_from_minor = models.BigIntegerField(_("amount from (minor units)"), null=True, blank=True)
    amount_below_minor = models.BigIntegerField(_("amount below (minor units)"), null=True, blank=True)
    channels = _text_list(_("channels"), _ANY)
    stores = _text_list(_("stores"), _ANY)
    categories = _text_list(_("line item categories"), _ANY)
    tiers = _text_list(_("tiers"), _ANY)
    segments = _text_list(_("segments"), _ANY)
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(),
        verbose_name=_("weekdays"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("1 is Monday, 7 is Sunday. Empty: any."),
    )
    hour_from = models.PositiveSmallIntegerField(_("hour from"), null=True, blank=True)
    hour_below = models.PositiveSmallIntegerField(_("hour below"), null=True, blank=True)
    first_ever = models.BooleanField(_("first event of its type"), default=False, db_default=False)
    birthday_month = models.BooleanField(_("in the birthday month"), default=False, db_default=False)
    attributes_contain = models.JSONField(
        _("attributes contain"),
        null=True,
        blank=True,
        help_text=_("A JSON object the event's attributes must contain."),
    )
    attributes_path = models.TextField(
        _("attributes path"),
        blank=True,
        default="",
        db_default="",
        help_text=_("An SQL/JSON path predicate over the attributes, e.g. $.weight > 2"),
    )

    # The award.
    point_type = models.ForeignKey(PointType, models.PROTECT, verbose_name=_("point type"))
    award_kind = models.CharField(_("award"), max_length=10, choices=AwardKind, default=AwardKind.RATE)
    is_base = models.BooleanField(
        _("base points"),
        default=True,
        db_default=True,
        help_text=_("Base points are what a campaign multiplies; bonus points are not."),
    )
    points = models.DecimalField(
        _("points"),
        max_digits=14,
        decimal_places=4,
        help_text=_("Points per money unit, fixed points, or the multiplier."),
    )
    per_minor = models.BigIntegerField(
        _("per amount (minor units)"),
        default=100,
        db_default=100,
        help_text=_("A rate gives its points for this much money."),
    )
    amount_basis = models.CharField(
        _("amount basis"), max_length=5, choices=AmountBasis, default=AmountBasis.NET, db_default=AmountBasis.NET
    )
    rounding = models.CharField(
        _("rounding"), max_length=7, choices=Rounding, default=Rounding.FLOOR, db_default=Rounding.FLOOR
    )
    tier_multipliers = models.JSONField(
        _("tier multipliers"),
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text=_('Tier code to factor, e.g. {"gold": "1.5"}.'),
    )

    # Limits: what goes beyond is trimmed.
    cap_day = models.BigIntegerField(_("cap per day"), null=True, blank=True)
    cap_week = models.BigIntegerField(_("cap per week"), null=True, blank=True)
    cap_month = models.BigIntegerField(_("cap per month"), null=True, blank=True)
    cap_lifetime = models.BigIntegerField(_("cap per member"), null=True, blank=True)
    budget = models.BigIntegerField(_("budget of the rule"), null=True, blank=True)

    # What the points become.
    pending_days = models.PositiveSmallIntegerField(_("pending days"), default=0, db_default=0)
    expiry_policy = models.CharField(
        _("expiry policy"),
        max_length=12,
        choices=ExpiryPolicy,
        blank=True,
        default="",
        db_default="",
        help_text=_("Empty: as the point type says."),
    )
    expiry_value = models.PositiveSmallIntegerField(_("expiry: N"), null=True, blank=True)
    expiry_on = models.DateField(_("expiry: fixed date"), null=True, blank=True)

    priority = models.IntegerField(_("priority"), default=0, db_default=0)
    stacking_group = models.CharField(
        _("stacking group"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of the rules of one group only the best is awarded."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = EarningRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("earning rule")
        verbose_name_plural = _("earning rules")
        ordering = ("code", "-version")
        constraints = (
            models.UniqueConstraint(fields=["code", "version"], name="earningrule_version"),
            models.CheckConstraint(
                name="earningrule_points_positive",
                condition=Q(points__gt=0),
                violation_error_message=_("The points must be more than nothing."),
            ),
            models.CheckConstraint(
                name="earningrule_per_minor_positive",
                condition=Q(per_minor__gt=0),
                violation_error_message=_("The money points are given for must be more than nothing."),
            ),
            models.CheckConstraint(
                name="earningrule_limits_whole",
                condition=_unless_retired(_limits_whole()),
                violation_error_message=_("A limit is at least 1; leave it empty for none."),
            ),
            models.CheckConstraint(
                name="earningrule_amounts_ordered",
                condition=_unless_retired(
                    Q(amount_from_minor__isnull=True)
                    | Q(amount_below_minor__isnull=True)
                    | Q(amount_from_minor__lt=F("amount_below_minor"))
                ),
                violation_error_message=_("“Amount from” must be less than “amount below”."),
            ),
            models.CheckConstraint(
                name="earningrule_period_ordered",
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                violation_error_message=_("The period must end after it begins."),
            ),
            models.CheckConstraint(
                name="earningrule_retired_has_end",
                condition=~Q(status="retired") | Q(valid_until__isnull=False),
                violation_error_message=_("A retired rule needs the moment it ended: late events still ask it."),
            ),
            models.CheckConstraint(
                name="earningrule_multiplier_is_bonus",
                condition=~Q(award_kind="multiplier") | Q(is_base=False, points__gt=1),
                violation_error_message=_("A multiplier is a bonus and more than 1."),
            ),
            models.CheckConstraint(
                name="earningrule_hours",
                condition=(Q(hour_from__isnull=True) | Q(hour_from__lte=23))
                & (Q(hour_below__isnull=True) | Q(hour_below__range=(1, 24))),
                violation_error_message=_("The hours run from 0 to 23, and end with 1 to 24."),
            ),
            ExclusionConstraint(
                name="earningrule_one_version_at_a_time",
                expressions=[
                    ("code", RangeOperators.EQUAL),
                    (
                        models.Func(
                            "valid_from", "valid_until", function="tstzrange", output_field=DateTimeRangeField()
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                condition=Q(status__in=["active", "retired"]),
                violation_error_message=_("Another version of this rule is in force in that period."),
            ),
            models.CheckConstraint(
                name="earningrule_expiry_in_reach",
                condition=_expiry_in_reach(),
                violation_error_message=_("The expiry must lie within a hundred years."),
            ),
            models.CheckConstraint(
                name="earningrule_expiry_complete",
                condition=Q(expiry_policy__in=["", "never"])
                | Q(expiry_policy="fixed_date", expiry_on__isnull=False)
                | Q(expiry_policy__in=["days", "months_end", "year_end"], expiry_value__isnull=False),
                violation_error_message=_("This expiry policy needs its number or its date."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name or self.code} v{self.version}"
