"""What happened in the business, and who told us."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from members.models import MemberOwned
from points.querysets import EventQuerySet

from .laws import append_only, function_only
from .programme import EarningRule, EventType

#: The attribute of an event that names the coupons used with it, by the references of their uses.
COUPON_USES = "coupon_uses"


class Operation(models.TextChoices):
    """The kinds of write that carry an outside reference."""

    EVENT = "event", _("Event")
    REFUND = "refund", _("Refund")
    SPEND = "spend", _("Spend")
    HOLD = "hold", _("Hold")
    CAPTURE = "capture", _("Capture")
    VOID = "void", _("Void")
    ADJUSTMENT = "adjustment", _("Adjustment")
    REDEMPTION = "redemption", _("Redemption")
    CANCELLATION = "cancellation", _("Cancellation")
    BOOKING = "booking", _("Booking")
    PAYMENT = "payment", _("Payment")
    WRITE_OFF = "write_off", _("Write-off")
    COUPON = "coupon", _("Coupon use")
    ROLLBACK = "rollback", _("Coupon rollback")


class Reference(models.Model):
    """One outside write, for ever: (source, operation, reference) → what it made. The one key across all members."""

    # No foreign key: this table is found by its key, not by its member (design §8).
    member_id = models.BigIntegerField(_("member"))
    source = models.CharField(_("source"), max_length=64)
    operation = models.CharField(_("operation"), max_length=12, choices=Operation)
    reference = models.CharField(_("reference"), max_length=100)
    digest = models.BinaryField(_("content digest"), max_length=32)
    target = models.BigIntegerField(_("target"), help_text=_("The id of the event, hold, entry or order it made."))

    class Meta:
        verbose_name = _("reference")
        verbose_name_plural = _("references")
        constraints = (
            models.UniqueConstraint(fields=["source", "operation", "reference"], name="reference_once"),
            models.CheckConstraint(name="reference_not_empty", condition=~Q(reference="") & ~Q(source="")),
        )
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.source}/{self.operation}/{self.reference}"


class Event(MemberOwned):
    """The business fact as it was told: never changed, never deleted."""

    type = models.CharField(_("type"), max_length=20, choices=EventType)
    occurred_at = models.DateTimeField(_("occurred at"))
    recorded_at = models.DateTimeField(_("recorded at"))
    amount_minor = models.BigIntegerField(
        _("amount (minor units)"), null=True, blank=True, help_text=_("The net amount paid.")
    )
    gross_minor = models.BigIntegerField(_("gross amount (minor units)"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    channel = models.CharField(_("channel"), max_length=64, blank=True, default="", db_default="")
    store = models.CharField(_("store"), max_length=64, blank=True, default="", db_default="")
    attributes = models.JSONField(
        _("attributes"), default=dict, db_default=models.Value({}, models.JSONField()), blank=True
    )
    items = models.JSONField(
        _("line items"),
        null=True,
        blank=True,
        help_text=_("A list of {sku, category, quantity, amount_minor}."),
    )
    source = models.CharField(_("source"), max_length=64)
    reference = models.CharField(_("reference"), max_length=100)
    refund_of = models.BigIntegerField(
        _("refund of"), null=True, blank=True, help_text=_("The event this one refunds.")
    )
    # What the rules saw of the member then: an explanation years later must not depend on today's tier.
    tier = models.CharField(_("tier then"), max_length=64, blank=True, default="", db_default="")
    labels = models.JSONField(_("labels then"), null=True, blank=True)
    is_first = models.BooleanField(_("first of its type"), default=False, db_default=False)
    is_birthday = models.BooleanField(_("in the birthday month then"), default=False, db_default=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="event_amount_not_negative", condition=Q(amount_minor__isnull=True) | Q(amount_minor__gte=0)
            ),
            models.CheckConstraint(
                name="event_gross_not_negative", condition=Q(gross_minor__isnull=True) | Q(gross_minor__gte=0)
            ),
            models.CheckConstraint(
                name="event_money_whole",
                condition=Q(amount_minor__isnull=True, currency="")
                | Q(amount_minor__isnull=False, currency__regex="^[A-Z]{3}$"),
            ),
            models.CheckConstraint(
                name="event_refund_names_event",
                condition=Q(type="refund", refund_of__isnull=False) | (~Q(type="refund") & Q(refund_of__isnull=True)),
            ),
        )
        indexes = (
            models.Index(fields=["member", "type", "occurred_at"], name="event_member_type"),
            models.Index(fields=["member", "refund_of"], name="event_refunds", condition=Q(refund_of__isnull=False)),
            BrinIndex(autosummarize=True, fields=["recorded_at"], name="event_recorded"),
        )
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.get_type_display()} {self.source}/{self.reference}"


class RuleUsage(MemberOwned):
    """Points a rule has given a member in one period: what the caps count."""

    class Period(models.TextChoices):
        DAY = "day", _("Day")
        WEEK = "week", _("Week")
        MONTH = "month", _("Month")
        LIFETIME = "lifetime", _("Lifetime")

    rule = models.ForeignKey(EarningRule, models.PROTECT, verbose_name=_("rule"), db_index=False)
    period = models.CharField(pgettext_lazy("of a cap", "period"), max_length=8, choices=Period)
    starts_on = models.DateField(_("starts on"), help_text=_("Local date; 0001-01-01 for the lifetime."))
    points = models.BigIntegerField(_("points"), default=0, db_default=0)

    class Meta:
        verbose_name = _("rule usage")
        verbose_name_plural = _("rule usage")
        constraints = (
            models.UniqueConstraint(fields=["member", "rule", "period", "starts_on"], name="ruleusage_once"),
            models.CheckConstraint(name="ruleusage_not_negative", condition=Q(points__gte=0)),
        )
        triggers = (*MemberOwned.Meta.triggers, *function_only())

    def __str__(self) -> str:
        return f"{self.rule_id}/{self.period}/{self.starts_on}: {self.points}"


class RuleBudget(models.Model):
    """Points a rule with a budget has given to everybody; its own table because it is the one hot row."""

    rule = models.OneToOneField(EarningRule, models.PROTECT, primary_key=True, verbose_name=_("rule"))
    used = models.BigIntegerField(_("used"), default=0, db_default=0)

    class Meta:
        verbose_name = _("rule budget")
        verbose_name_plural = _("rule budgets")
        constraints = (models.CheckConstraint(name="rulebudget_not_negative", condition=Q(used__gte=0)),)
        triggers = function_only()

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.used}"
