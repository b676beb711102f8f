"""Who may come in: people who sign in, and client systems with a key."""

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

    class Meta(AbstractUser.Meta):
        constraints = (
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
    """A system that calls the API; its code is the source of what it writes. Only a hash of its secret is kept."""

    name = models.CharField(_("name"), max_length=100)
    code = models.SlugField(_("code"), max_length=50, unique=True)
    key_id = models.CharField(_("key id"), max_length=16, unique=True, editable=False)
    secret_hash = models.BinaryField(_("secret hash"))
    scopes = ArrayField(
        models.CharField(max_length=20, choices=Scope),
        verbose_name=_("scopes"),
        default=list,
        db_default=[],
        blank=True,
    )
    is_active = models.BooleanField(_("active"), default=True, db_default=True)
    last_used_on = models.DateField(_("last used on"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)

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
