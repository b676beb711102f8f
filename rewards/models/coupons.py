"""Coupons: the right to a discount, the code that stands for it, and every step of its life."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from members.models import Member
from rewards.querysets import CouponQuerySet

from .catalogue import Reward
from .laws import change_field, history, judges_states, keeps_history, never_deleted, refuse, rows


class CouponState(models.TextChoices):
    """The life of a coupon."""

    ISSUED = "issued", _("Issued")
    ASSIGNED = "assigned", _("Assigned")
    RESERVED = "reserved", _("Reserved")
    REDEEMED = "redeemed", pgettext_lazy("coupon", "Redeemed")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    EXPIRED = "expired", _("Expired")
    VOID = "void", pgettext_lazy("coupon", "Void")


#: The states a coupon can be used from.
USABLE_COUPON_STATES = ("issued", "assigned", "rolled_back")

#: (from, to): the only steps there are; the trigger on the table is made from this list.
COUPON_TRANSITIONS: tuple[tuple[str, str], ...] = (
    ("issued", "assigned"),
    *((state, step) for state in USABLE_COUPON_STATES for step in ("reserved", "redeemed", "expired", "void")),
    ("reserved", "redeemed"),
    ("reserved", "rolled_back"),
    ("reserved", "expired"),
    ("reserved", "void"),
    ("redeemed", "rolled_back"),
)


def new_code() -> models.Func:
    """Return the expression that draws a fresh code in the database."""
    return models.Func(function="rewards_new_code", output_field=models.CharField())


def _terms_whole() -> Q:
    """A value or a percentage. That each is there is said, for a CHECK lets pass what is unknown."""
    value = Q(value_minor__isnull=False, value_minor__gt=0, percent__isnull=True)
    return value | Q(value_minor__isnull=True, percent__isnull=False, percent__range=(1, 100))


def terms_hold(table: str) -> tuple[models.CheckConstraint, ...]:
    """Return the constraints of the terms, named for the table they stand on."""
    return (
        models.CheckConstraint(
            name=f"{table}_terms_whole",
            condition=_terms_whole(),
            violation_error_message=_("A coupon has either a value or a percentage from 1 to 100."),
        ),
        models.CheckConstraint(name=f"{table}_currency_code", condition=Q(currency__regex="^[A-Z]{3}$")),
        models.CheckConstraint(
            name=f"{table}_period_ordered",
            condition=Q(valid_from__isnull=True) | Q(expires_at__isnull=True) | Q(expires_at__gt=F("valid_from")),
            violation_error_message=_("The period must end after it begins."),
        ),
    )


class CouponTerms(models.Model):
    """What a coupon is worth and for how long; kept on each coupon, for a promise given is not edited."""

    value_minor = models.PositiveBigIntegerField(_("value (minor units)"), null=True, blank=True)
    percent = models.PositiveSmallIntegerField(_("percent off"), null=True, blank=True)
    minimum_minor = models.PositiveBigIntegerField(_("minimum spend (minor units)"), default=0, db_default=0)
    currency = models.CharField(_("currency"), max_length=3)
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("The first moment it is no longer good; empty: never.")
    )

    class Meta:
        abstract = True


class CouponBatch(CouponTerms):
    """Codes made in one go under the same terms, to be printed or given out."""

    name = models.CharField(_("name"), max_length=150)
    quantity = models.PositiveIntegerField(_("number of codes"))
    created_by = models.CharField(_("created by"), max_length=160)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("coupon batch")
        verbose_name_plural = _("coupon batches")
        ordering = ("-id",)
        constraints = (
            *terms_hold("couponbatch"),
            models.CheckConstraint(name="couponbatch_quantity_in_range", condition=Q(quantity__range=(1, 1_000_000))),
            models.CheckConstraint(name="couponbatch_actor_given", condition=~Q(created_by="")),
        )
        triggers = never_deleted()

    def __str__(self) -> str:
        return self.name


class Coupon(CouponTerms):
    """One code that is worth a discount once; a member's own, or anybody's who brings it.

    Not a member-owned table, because a printed code has no member yet: like stock it stands beside the ledger. Its
    code is unique by `CouponKey`, which the trigger writes with it.
    """

    code = models.CharField(_("code"), max_length=16, db_default=new_code(), editable=False)
    batch = models.ForeignKey(
        CouponBatch, models.PROTECT, verbose_name=_("batch"), related_name="coupons", null=True, blank=True
    )
    reward = models.ForeignKey(
        Reward, models.PROTECT, verbose_name=_("reward"), related_name="coupons", null=True, blank=True, db_index=False
    )
    member = models.ForeignKey(
        Member,
        models.PROTECT,
        verbose_name=_("member"),
        related_name="coupons",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    state = models.CharField(
        _("status"), max_length=11, choices=CouponState, default=CouponState.ISSUED, db_default=CouponState.ISSUED
    )
    issued_at = models.DateTimeField(_("issued at"))
    change = change_field()

    objects = CouponQuerySet.as_manager()

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        ordering = ("-id",)
        constraints = (
            *terms_hold("coupon"),
            models.CheckConstraint(name="coupon_state_known", condition=Q(state__in=CouponState.values)),
            models.CheckConstraint(
                name="coupon_code_checked",
                condition=models.Func(F("code"), function="rewards_is_code", output_field=models.BooleanField()),
            ),
            models.CheckConstraint(
                name="coupon_assigned_has_member",
                condition=(~Q(state="assigned") | Q(member__isnull=False))
                & (~Q(state="issued") | Q(member__isnull=True)),
            ),
        )
        indexes = (
            models.Index(fields=["member", "-id"], name="coupon_member", condition=Q(member__isnull=False)),
            models.Index(
                fields=["expires_at"],
                name="coupon_expiring",
                condition=Q(state__in=[*USABLE_COUPON_STATES, "reserved"]),
            ),
        )
        triggers = (
            keeps_history(
                of="coupon",
                watched="state",
                judge=judges_states(
                    law="coupon_transition",
                    first="NEW.state IN ('issued', 'assigned')",
                    step=f"(OLD.state, NEW.state) IN ({rows(COUPON_TRANSITIONS)})",
                ),
                into="rewards_couponevent",
                values={
                    "coupon_id": "NEW.id",
                    "member_id": "NEW.member_id",
                    "from_state": "coalesce(OLD.state, '')",
                    "to_state": "NEW.state",
                    "amount_minor": "(NEW.change ->> 'amount_minor')::bigint",
                    "discount_minor": "(NEW.change ->> 'discount_minor')::bigint",
                    "source": "coalesce(NEW.change ->> 'source', '')",
                    "reference": "coalesce(NEW.change ->> 'reference', '')",
                },
                also="""
                    IF TG_OP = 'INSERT' THEN
                        INSERT INTO rewards_couponkey (code, coupon_id) VALUES (NEW.code, NEW.id);
                    END IF;
                """,
            ),
            pgtrigger.Trigger(
                name="keeps_member",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.member_id IS NOT NULL AND NEW.member_id IS DISTINCT FROM OLD.member_id"
                ),
                func=refuse("coupon_keeps_member", "coupon % belongs to a member", "OLD.id"),
            ),
            pgtrigger.ReadOnly(
                name="keeps_terms",
                fields=[
                    "code", "batch", "reward", "value_minor", "percent", "minimum_minor", "currency", "valid_from",
                    "issued_at",
                ],
            ),
            *never_deleted(),
        )  # fmt: skip

    def __str__(self) -> str:
        return self.grouped_code

    @property
    def grouped_code(self) -> str:
        """The code as people copy it: 7KQM-2V9D-XRTA-B4HE."""
        return "-".join(self.code[start : start + 4] for start in range(0, len(self.code), 4))


class CouponKey(models.Model):
    """A code and the one coupon it stands for; the only table that makes codes unique. Written with the coupon."""

    code = models.CharField(_("code"), max_length=16, unique=True)
    coupon = models.OneToOneField(Coupon, models.PROTECT, verbose_name=_("coupon"), related_name="key")

    class Meta:
        verbose_name = _("coupon key")
        verbose_name_plural = _("coupon keys")
        default_permissions = ("view",)
        triggers = history()

    def __str__(self) -> str:
        return self.code


class CouponEvent(models.Model):
    """One step in the life of a coupon; never changed, never deleted."""

    coupon = models.ForeignKey(Coupon, models.PROTECT, verbose_name=_("coupon"), related_name="events", db_index=False)
    member_id = models.BigIntegerField(_("member"), null=True)
    from_state = models.CharField(_("from"), max_length=11, choices=CouponState, blank=True, default="", db_default="")
    to_state = models.CharField(_("to"), max_length=11, choices=CouponState)
    amount_minor = models.BigIntegerField(_("amount (minor units)"), null=True)
    discount_minor = models.BigIntegerField(_("discount (minor units)"), null=True)
    source = models.CharField(_("source"), max_length=64, blank=True, default="", db_default="")
    reference = models.CharField(_("reference"), max_length=100, blank=True, default="", db_default="")
    actor = models.CharField(_("actor"), max_length=160)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("coupon event")
        verbose_name_plural = _("coupon events")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = (models.Index(fields=["coupon", "-id"], name="couponevent_coupon"),)
        triggers = history()

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"
