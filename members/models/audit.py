"""What was done and looked at, by whom and why."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from members.models.people import Member


class AuditRecord(models.Model):
    """Something a person or a system did, reads of personal data included; never changed, never deleted."""

    at = models.DateTimeField(_("time"), db_default=Now())
    actor = models.CharField(_("actor"), max_length=160)
    action = models.CharField(_("action"), max_length=64)
    subject = models.ForeignKey(
        Member,
        models.DO_NOTHING,
        verbose_name=_("member"),
        related_name="audit_records",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    reason = models.TextField(_("reason"), blank=True, default="", db_default="")
    details = models.JSONField(_("details"), default=dict, db_default={}, blank=True)

    class Meta:
        verbose_name = _("audit record")
        verbose_name_plural = _("audit trail")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=["subject", "-id"], name="auditrecord_subject", condition=Q(subject__isnull=False)),
            models.Index(fields=["at"], name="auditrecord_at"),
        )
        constraints = (models.CheckConstraint(name="auditrecord_actor_given", condition=~Q(actor="") & ~Q(action="")),)
        triggers = (pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),)

    def __str__(self) -> str:
        return f"{self.actor} {self.action}"
