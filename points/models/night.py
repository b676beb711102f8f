"""The night: which jobs have run for which day, and the figures they leave behind."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from members.models import MemberOwned


class JobRun(models.Model):
    """One job of one business date: how far it came; run twice, it is still one row."""

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    job = models.CharField(_("job"), max_length=64)
    business_date = models.DateField(_("business date"))
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.RUNNING, db_default=State.RUNNING)
    counts = models.JSONField(_("counts"), default=dict, db_default=models.Value({}, models.JSONField()))
    watermark = models.JSONField(_("watermark"), default=dict, db_default=models.Value({}, models.JSONField()))
    error = models.TextField(_("error"), blank=True, default="", db_default="")
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        ordering = ("-business_date", "job")
        constraints = (
            models.UniqueConstraint(fields=["job", "business_date"], name="jobrun_once"),
            models.CheckConstraint(name="jobrun_finished", condition=~Q(state="done") | Q(finished_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.job} {self.business_date}"


class DailyStatistic(models.Model):
    """Points moved on one booking day, by type, kind, rule, channel and tier; rebuilt from the entries of that day."""

    day = models.DateField(_("day"))
    point_type = models.CharField(_("point type"), max_length=32)
    kind = models.CharField(_("kind"), max_length=13)
    rule_id = models.BigIntegerField(_("rule"), default=0, db_default=0)
    channel = models.CharField(_("channel"), max_length=64, blank=True, default="", db_default="")
    tier = models.CharField(_("tier"), max_length=64, blank=True, default="", db_default="")
    entries = models.BigIntegerField(_("entries"))
    points = models.BigIntegerField(_("points"))

    class Meta:
        verbose_name = _("daily statistic")
        verbose_name_plural = _("daily statistics")
        ordering = ("-day", "point_type", "kind")
        constraints = (
            models.UniqueConstraint(
                fields=["day", "point_type", "kind", "rule_id", "channel", "tier"], name="dailystatistic_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.day} {self.point_type} {self.kind}: {self.points}"


class MemberMonth(MemberOwned):
    """What a member spent and earned in one local month, by category of goods ('' is the whole)."""

    month = models.DateField(_("month"), help_text=_("Its first day."))
    category = models.CharField(_("category"), max_length=64, blank=True, default="", db_default="")
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    events = models.BigIntegerField(_("events"))
    amount_minor = models.BigIntegerField(_("amount (minor units)"))
    earned = models.BigIntegerField(_("points earned"), default=0, db_default=0)
    redeemed = models.BigIntegerField(_("points redeemed"), default=0, db_default=0)

    class Meta:
        verbose_name = _("member month")
        verbose_name_plural = _("member months")
        ordering = ("-month",)
        constraints = (
            models.UniqueConstraint(fields=["member", "month", "category", "currency"], name="membermonth_once"),
        )
        triggers = MemberOwned.Meta.triggers

    def __str__(self) -> str:
        return f"{self.month} {self.category}: {self.amount_minor}"
