"""Webhooks: where client systems want to be told what happened, and what they were told."""

import uuid

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from members.models.access import Client, Scope
from members.models.people import Member
from members.querysets import WebhookDeliveryQuerySet, WebhookEndpointQuerySet


class WebhookType(models.TextChoices):
    """What happened; the list of the API's contract, and the one that staff send to try an address."""

    POINTS_ACCRUED = "points.accrued", _("Points earned")
    POINTS_REDEEMED = "points.redeemed", _("Points redeemed")
    POINTS_EXPIRED = "points.expired", _("Points expired")
    POINTS_EXPIRING = "points.expiring", _("Points about to expire")
    TIER_CHANGED = "tier.changed", _("Tier changed")
    REDEMPTION_PLACED = "redemption.placed", _("Order placed")
    REDEMPTION_COMPLETED = "redemption.completed", _("Order completed")
    COUPON_REDEEMED = "coupon.redeemed", _("Coupon used")
    MEMBER_ENROLLED = "member.enrolled", _("Member enrolled")
    MEMBER_CLOSED = "member.closed", _("Membership closed")
    TEST = "webhook.test", _("Test")


#: What an endpoint can ask for.
OFFERED_TYPES = tuple(each for each in WebhookType if each != WebhookType.TEST)

#: What a system must be allowed to read before it is told; the SQL function members_webhook_listeners says the same.
SCOPE_BY_TOPIC: dict[str, Scope] = {
    "points": Scope.POINTS_READ,
    "redemption": Scope.REWARDS_READ,
    "coupon": Scope.REWARDS_READ,
    "member": Scope.MEMBERS_READ,
    "tier": Scope.MEMBERS_READ,
}


def scope_of(webhook_type: str) -> Scope:
    """Return what a system must be allowed to read before it is told of this."""
    return SCOPE_BY_TOPIC[webhook_type.partition(".")[0]]


class EndpointStatus(models.TextChoices):
    """Whether an endpoint is told anything; all but the first are ends, until somebody makes it active again."""

    ACTIVE = "active", _("Active")
    DISABLED = "disabled", _("Disabled")
    FAILED = "failed", _("Stopped after failing for days")
    GONE = "gone", _("Stopped: the receiver answered 410 Gone")


class WebhookEndpoint(models.Model):
    """An address at which a client system is told what happened. Its secret is kept sealed and shown once.

    The ledger is its own outbox: `entries_read` is the entry up to which the endpoint was told of it. `fence_entry`
    and `fence_writers` say how far it may be read next: up to that entry, once the transactions that were writing
    entries then are over.
    """

    client = models.ForeignKey(
        Client, models.PROTECT, verbose_name=_("client system"), related_name="webhook_endpoints"
    )
    name = models.CharField(_("name"), max_length=100)
    url = models.CharField(_("address"), max_length=500)
    types = ArrayField(
        models.CharField(max_length=30, choices=[(each.value, each.label) for each in OFFERED_TYPES]),
        verbose_name=_("told of"),
    )
    status = models.CharField(
        _("status"),
        max_length=8,
        choices=EndpointStatus,
        default=EndpointStatus.ACTIVE,
        db_default=EndpointStatus.ACTIVE,
    )
    secret = models.BinaryField(_("secret"))
    previous_secret = models.BinaryField(_("previous secret"), null=True)
    previous_until = models.DateTimeField(_("previous secret good until"), null=True, blank=True)
    entries_read = models.BigIntegerField(_("told up to entry"), default=0, db_default=0, editable=False)
    fence_entry = models.BigIntegerField(default=0, db_default=0, editable=False)
    fence_writers = ArrayField(models.CharField(max_length=40), default=list, db_default=[], editable=False)
    expiring_told_on = models.DateField(_("told of expiring points on"), editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, db_default=0, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    rests_until = models.DateTimeField(_("rests until"), null=True, blank=True, editable=False)
    sending_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ("id",)
        default_permissions = ("add", "change", "view")
        constraints = (
            models.CheckConstraint(
                name="webhookendpoint_types_known",
                condition=Q(types__contained_by=[each.value for each in OFFERED_TYPES]) & Q(types__len__gt=0),
                violation_error_message=_("An endpoint wants at least one kind of event."),
            ),
            models.CheckConstraint(
                name="webhookendpoint_url_secure",
                condition=Q(url__startswith="https://") | Q(url__regex=r"^http://127\.0\.0\.1([:/?]|$)"),
                violation_error_message=_("The address must begin with https://."),
            ),
            models.CheckConstraint(name="webhookendpoint_status_known", condition=Q(status__in=EndpointStatus.values)),
            models.CheckConstraint(
                name="webhookendpoint_previous_secret_ends",
                condition=Q(previous_secret__isnull=True, previous_until__isnull=True)
                | Q(previous_secret__isnull=False, previous_until__isnull=False),
            ),
            models.CheckConstraint(
                name="webhookendpoint_failing_since_first",
                condition=Q(failures=0, failing_since__isnull=True) | Q(failures__gt=0, failing_since__isnull=False),
            ),
        )
        triggers = (
            pgtrigger.ReadOnly(name="keeps_client", fields=["client"]),
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        """Whether staff and receiver let it be told."""
        return self.status == EndpointStatus.ACTIVE

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped by failing, which somebody should look at."""
        return self.status in (EndpointStatus.FAILED, EndpointStatus.GONE)

    def may_hear(self, webhook_type: str) -> bool:
        """Whether it asked for this and its system may read it; a test is for everybody."""
        if webhook_type == WebhookType.TEST:
            return True
        return webhook_type in self.types and scope_of(webhook_type) in self.client.scopes


class DeliveryState(models.TextChoices):
    """What became of a message."""

    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")


class WebhookDelivery(models.Model):
    """One message to one endpoint: written with the fact it tells, or from the ledger, and sent until it is answered.

    `place` is the member's last entry at the time. An endpoint hears of a member in the order of place, of the entry
    itself first, one message after another, and of nothing before the ledger was read up to its place.
    """

    endpoint = models.ForeignKey(
        WebhookEndpoint, models.PROTECT, verbose_name=_("endpoint"), related_name="deliveries", db_index=False
    )
    key = models.UUIDField(_("message id"), default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    member = models.ForeignKey(
        Member,
        models.DO_NOTHING,
        verbose_name=_("member"),
        related_name="webhook_deliveries",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    type = models.CharField(_("kind"), max_length=30, choices=WebhookType)
    data = models.JSONField(_("data"))
    at = models.DateTimeField(_("time"))
    place = models.BigIntegerField(_("place"), default=0, db_default=0)
    entry_id = models.BigIntegerField(_("entry"), null=True, blank=True)
    state = models.CharField(
        _("status"),
        max_length=9,
        choices=DeliveryState,
        default=DeliveryState.WAITING,
        db_default=DeliveryState.WAITING,
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, db_default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"))
    attempted_at = models.DateTimeField(_("last attempt"), null=True, blank=True)
    answer_status = models.PositiveSmallIntegerField(_("answer"), null=True, blank=True)
    answer = models.TextField(_("text of the answer"), blank=True, default="", db_default="")
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("resend_webhookdelivery", _("Can send webhook messages again")),)
        constraints = (
            models.UniqueConstraint(fields=["endpoint", "entry_id"], name="webhookdelivery_entry_once"),
            models.UniqueConstraint(fields=["key"], name="webhookdelivery_key"),
            models.CheckConstraint(name="webhookdelivery_type_known", condition=Q(type__in=WebhookType.values)),
            models.CheckConstraint(
                name="webhookdelivery_finished_once",
                condition=Q(state="waiting", finished_at__isnull=True)
                | Q(state__in=["delivered", "failed"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="webhookdelivery_place", condition=Q(entry_id__isnull=True) | Q(place=F("entry_id"))
            ),
        )
        indexes = (
            models.Index(
                fields=["endpoint", "next_attempt_at", "id"], name="webhookdelivery_due", condition=Q(state="waiting")
            ),
            models.Index(
                fields=["endpoint", "member", "place", "id"], name="webhookdelivery_line", condition=Q(state="waiting")
            ),
            models.Index(fields=["-id"], name="webhookdelivery_failed", condition=Q(state="failed")),
            models.Index(fields=["member", "-id"], name="webhookdelivery_member", condition=Q(member__isnull=False)),
            models.Index(
                fields=["finished_at"], name="webhookdelivery_finished", condition=Q(finished_at__isnull=False)
            ),
        )
        triggers = (
            # The same id is always the same message.
            pgtrigger.ReadOnly(
                name="keeps_message", fields=["endpoint", "key", "member", "type", "data", "at", "place", "entry_id"]
            ),
        )

    def __str__(self) -> str:
        return self.message_id

    @property
    def message_id(self) -> str:
        """The id by which the receiver knows a message it has seen."""
        return f"msg_{self.key.hex}"
