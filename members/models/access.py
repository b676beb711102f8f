"""Who may come in: people who sign in, and client systems with a key."""

from datetime import datetime

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from members.models.people import Member

#: Sources the programme itself writes under: a client of such a name could take the references of the night.
RESERVED_SOURCES = ("admin", "close", "complete-journey", "demo", "laurel", "portal", "referral", "system")


class User(AbstractUser):
    """A sign-in: somebody of the back office, or a member.

    The link to the member stands here and not on the member, so that the member's table needs no unique key without
    itself and no foreign key to a table that is not distributed.
    """

    member = models.OneToOneField(
        Member,
        models.PROTECT,
        verbose_name=_("member"),
        related_name="user",
        null=True,
        blank=True,
        db_constraint=False,
    )

    must_change_password = models.BooleanField(
        _("must change the password"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("The password was given at a counter: nothing else is open before the member has chosen another."),
    )

    class Meta(AbstractUser.Meta):
        constraints = (
            models.CheckConstraint(
                # Only the portal asks for another password; nobody of the back office would ever be led to it.
                name="user_must_change_is_of_member",
                condition=Q(must_change_password=False) | Q(member__isnull=False),
            ),
            models.CheckConstraint(
                name="user_member_is_not_staff",
                condition=Q(member__isnull=True) | Q(is_staff=False, is_superuser=False),
            ),
            models.CheckConstraint(
                # Names and addresses of members are sealed on the member; these columns are plain.
                name="user_member_has_no_plain_data",
                condition=Q(member__isnull=True) | Q(first_name="", last_name="", email=""),
            ),
        )


class Scope(models.TextChoices):
    """What a client system may do; the list of the API's contract."""

    MEMBERS_READ = "members:read", _("Read members")
    MEMBERS_WRITE = "members:write", _("Enrol and change members")
    EVENTS_WRITE = "events:write", _("Send events")
    POINTS_READ = "points:read", _("Read points")
    POINTS_SPEND = "points:spend", _("Hold and spend points")
    REWARDS_READ = "rewards:read", _("Read rewards")
    REWARDS_REDEEM = "rewards:redeem", _("Redeem rewards and coupons")
    STATISTICS_READ = "statistics:read", _("Read statistics")


class Client(models.Model):
    """A system that calls the API; its code is the source of what it writes."""

    name = models.CharField(_("name"), max_length=100)
    code = models.SlugField(_("code"), max_length=50, unique=True)
    scopes = ArrayField(
        models.CharField(max_length=20, choices=Scope),
        verbose_name=_("scopes"),
        default=list,
        db_default=[],
        blank=True,
    )
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("client system")
        verbose_name_plural = _("client systems")
        ordering = ("code",)
        default_permissions = ("add", "change", "view")
        constraints = (
            models.CheckConstraint(name="client_scopes_known", condition=Q(scopes__contained_by=list(Scope.values))),
            models.CheckConstraint(
                name="client_code_not_reserved",
                condition=~Q(code__in=RESERVED_SOURCES) & ~Q(code__startswith="complete-journey"),
            ),
        )

    def __str__(self) -> str:
        return self.name


class KeyState(models.TextChoices):
    """Where a key stands. One that is being replaced works beside its successor until its own end."""

    CURRENT = "current", _("in use")
    RETIRING = "retiring", _("being replaced")
    ENDED = "ended", _("ended")


class ClientKey(models.Model):
    """A key of a client system: its public half and the hash of its secret. At most two of a system work at a time."""

    client = models.ForeignKey(Client, models.PROTECT, verbose_name=_("client system"), related_name="keys")
    key_id = models.CharField(_("key id"), max_length=16, unique=True)
    secret_hash = models.BinaryField(_("secret hash"))
    state = models.CharField(
        _("state"), max_length=10, choices=KeyState, default=KeyState.CURRENT, db_default=KeyState.CURRENT
    )
    created_at = models.DateTimeField(_("created"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    last_used_on = models.DateField(_("last used on"), null=True, blank=True)

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")
        ordering = ("-id",)
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(
                name="clientkey_two_at_most", fields=["client", "state"], condition=~Q(state=KeyState.ENDED)
            ),
            models.CheckConstraint(
                name="clientkey_replaced_has_end", condition=~Q(state=KeyState.RETIRING) | Q(expires_at__isnull=False)
            ),
            models.CheckConstraint(
                name="clientkey_end_is_dated",
                condition=Q(state=KeyState.ENDED, ended_at__isnull=False)
                | (~Q(state=KeyState.ENDED) & Q(ended_at__isnull=True)),
            ),
        )
        triggers = (
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="keeps_key", fields=["client", "key_id", "secret_hash", "created_at"]),
            pgtrigger.FSM(
                name="ends_for_good",
                field="state",
                transitions=[
                    (KeyState.CURRENT, KeyState.RETIRING),
                    (KeyState.CURRENT, KeyState.ENDED),
                    (KeyState.RETIRING, KeyState.ENDED),
                ],
            ),
        )

    def __str__(self) -> str:
        return self.key_id

    def works(self, at: datetime) -> bool:
        """Whether it lets its system in at a moment."""
        return self.state != KeyState.ENDED and (self.expires_at is None or self.expires_at > at)
