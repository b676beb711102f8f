"""Invitations: on what terms they are rewarded, and what became of each one that met them."""

from typing import ClassVar

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from members.models import Member, MemberOwned
from points.querysets import ReferralQuerySet

from .laws import refuse_if


class ReferralCondition(models.TextChoices):
    """What makes an invitation count."""

    ENROLMENT = "enrolment", _("The friend joins")
    PURCHASE = "purchase", _("The friend makes a first purchase")
    ATTENDANCE = "attendance", _("The friend takes part in an event")


class CapPeriod(models.TextChoices):
    """How long a referrer's rewarded invitations are counted together."""

    DAY = "day", _("Day")
    MONTH = "month", _("Month")
    LIFETIME = "lifetime", _("Lifetime")


class ReferralProgramme(models.Model):
    """The terms for friends who join in a period. How many points there are, the rules for the events say.

    Until the first one begins the built-in terms hold: a first purchase of something, at any time, as often as there
    are friends.
    """

    name = models.CharField(_("name"), max_length=100)
    valid_from = models.DateTimeField(_("valid from"), help_text=_("For friends who join from then on."))
    valid_until = models.DateTimeField(
        _("valid until"), null=True, blank=True, help_text=_("The first moment it no longer holds; empty: no end.")
    )
    converts_on = models.CharField(
        _("condition"),
        max_length=10,
        choices=ReferralCondition,
        default=ReferralCondition.PURCHASE,
        db_default=ReferralCondition.PURCHASE,
    )
    amount_from_minor = models.PositiveBigIntegerField(
        _("purchase of at least (minor units)"),
        default=1,
        db_default=1,
        help_text=_("What is left of it after refunds."),
    )
    currency = models.CharField(
        _("currency"), max_length=3, blank=True, default="", db_default="", help_text=_("Empty: any.")
    )
    within_days = models.PositiveSmallIntegerField(
        _("within so many days of joining"), null=True, blank=True, help_text=_("Empty: at any time.")
    )
    wait_days = models.PositiveSmallIntegerField(
        _("days to wait"),
        default=0,
        db_default=0,
        help_text=_("So long after it the reward comes, if the purchase has not been returned by then; 0: at once."),
    )
    cap = models.PositiveIntegerField(
        _("most rewarded friends"), null=True, blank=True, help_text=_("Of one referrer in a period; empty: no limit.")
    )
    cap_period = models.CharField(
        _("period of the limit"), max_length=8, choices=CapPeriod, default=CapPeriod.MONTH, db_default=CapPeriod.MONTH
    )
    device_limit = models.PositiveSmallIntegerField(
        _("friends from one device"),
        default=3,
        db_default=3,
        help_text=_(
            "If more join from one device in that time, or with one code at any time, somebody looks at them."
        ),
    )
    device_hours = models.PositiveSmallIntegerField(_("hours for the device"), default=24, db_default=24)

    # The types are said, because translation replaces the managers at start-up.
    objects: ClassVar[models.Manager["ReferralProgramme"]] = models.Manager()
    _default_manager: ClassVar[models.Manager["ReferralProgramme"]]

    class Meta:
        verbose_name = _("referral programme")
        verbose_name_plural = _("referral programmes")
        ordering = ("-valid_from",)
        default_permissions = ("add", "change", "view")
        constraints = (
            models.CheckConstraint(
                name="referralprogramme_period_ordered",
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                violation_error_message=_("The period must end after it begins."),
            ),
            ExclusionConstraint(
                name="referralprogramme_one_at_a_time",
                expressions=[
                    (
                        models.Func(
                            "valid_from", "valid_until", function="tstzrange", output_field=DateTimeRangeField()
                        ),
                        RangeOperators.OVERLAPS,
                    )
                ],
                violation_error_message=_("Another referral programme holds in that period."),
            ),
            models.CheckConstraint(
                name="referralprogramme_condition_known", condition=Q(converts_on__in=ReferralCondition.values)
            ),
            models.CheckConstraint(
                name="referralprogramme_cap_whole",
                condition=Q(cap__isnull=True) | Q(cap__gt=0),
                violation_error_message=_("A limit is at least 1; leave it empty for none."),
            ),
            models.CheckConstraint(
                name="referralprogramme_cap_period_known", condition=Q(cap_period__in=CapPeriod.values)
            ),
            models.CheckConstraint(
                name="referralprogramme_within_whole",
                condition=Q(within_days__isnull=True) | Q(within_days__gt=0),
                violation_error_message=_("The days are at least 1; leave them empty for any time."),
            ),
            models.CheckConstraint(
                name="referralprogramme_device_counted",
                condition=Q(device_limit__gt=0, device_hours__range=(1, 720)),
                violation_error_message=_("At least one friend from one device, in 1 to 720 hours."),
            ),
            models.CheckConstraint(
                name="referralprogramme_currency_code",
                condition=Q(currency="") | Q(currency__regex="^[A-Z]{3}$"),
                violation_error_message=_("A currency is three capital letters, such as CNY."),
            ),
        )
        triggers = (pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),)

    def __str__(self) -> str:
        return self.name


class ReferralStatus(models.TextChoices):
    """What became of an invitation whose condition was met."""

    REWARDED = "rewarded", _("Rewarded")
    UNPAID = "unpaid", _("Without points")
    CAPPED = "capped", _("Over the limit")
    OPEN = "open", _("In quarantine")
    RELEASED = "released", _("Released")
    REJECTED = "rejected", _("Rejected")


class Referral(MemberOwned):
    """The one verdict on a friend a member invited: rewarded, over a limit, or held back until somebody has looked.

    The evidence names kinds of likeness and card numbers; what is alike is not written down.
    """

    friend = models.ForeignKey(
        Member,
        models.PROTECT,
        verbose_name=_("friend"),
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    programme = models.ForeignKey(
        ReferralProgramme, models.PROTECT, verbose_name=_("referral programme"), null=True, db_index=False
    )
    status = models.CharField(_("status"), max_length=8, choices=ReferralStatus)
    happened_at = models.DateTimeField(_("condition met"))
    recorded_at = models.DateTimeField(_("recorded at"))
    evidence = models.JSONField(
        _("evidence"),
        default=list,
        db_default=models.Value([], models.JSONField()),
        help_text=_("A list of {kind, members}."),
    )
    enrolled_by = models.CharField(_("friend enrolled by"), max_length=160, blank=True, default="", db_default="")
    decided_by = models.CharField(_("decided by"), max_length=160, blank=True, default="", db_default="")
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")

    objects = ReferralQuerySet.as_manager()

    class Meta:
        verbose_name = _("referral")
        verbose_name_plural = _("referrals")
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("decide_referral", _("Can release and reject referrals in quarantine")),)
        constraints = (
            models.UniqueConstraint(fields=["member", "friend"], name="referral_once"),
            models.CheckConstraint(name="referral_of_another", condition=~Q(member=F("friend"))),
            models.CheckConstraint(name="referral_status_known", condition=Q(status__in=ReferralStatus.values)),
            models.CheckConstraint(
                name="referral_decided_whole",
                condition=Q(status__in=["released", "rejected"], decided_at__isnull=False)
                & ~Q(decided_by="")
                & ~Q(reason="")
                | Q(
                    status__in=["rewarded", "unpaid", "capped", "open"],
                    decided_at__isnull=True,
                    decided_by="",
                    reason="",
                ),
            ),
            models.CheckConstraint(
                name="referral_held_for_evidence",
                condition=Q(status__in=["rewarded", "unpaid", "capped"], evidence=[])
                | Q(status__in=["open", "released", "rejected"]) & ~Q(evidence=[]),
            ),
            models.CheckConstraint(
                name="referral_four_eyes",
                condition=Q(decided_by="") | ~Q(decided_by=F("enrolled_by")),
                violation_error_message=_("Whoever took the friend in does not decide."),
            ),
        )
        indexes = (models.Index(fields=["id"], name="referral_open", condition=Q(status="open")),)
        triggers = (
            *MemberOwned.Meta.triggers,
            pgtrigger.Trigger(
                name="decided_once",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=f"""
                    IF TG_OP = 'INSERT' THEN
                        {refuse_if("referral_begins", "NEW.status IN ('released', 'rejected')", "it is decided later")}
                    ELSE
                        {refuse_if("referral_decided_once", "OLD.status <> 'open'", "the verdict stands")}
                        {refuse_if("referral_decided_once", "NEW.status = 'open'", "nothing else changes")}
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.ReadOnly(
                name="keeps_facts",
                fields=["friend", "programme", "happened_at", "recorded_at", "evidence", "enrolled_by"],
            ),
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
        )

    def __str__(self) -> str:
        return f"#{self.pk}"
