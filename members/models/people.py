"""Members, their tiers, the keys that are unique across members, and the mixin of everything a member owns."""

import json
from typing import ClassVar

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from members import contacts
from members.fields import SealedDateField, SealedTextField
from members.querysets import MemberQuerySet


def _is_object(column: str) -> Exact:
    return Exact(models.Func(F(column), function="jsonb_typeof", output_field=models.TextField()), Value("object"))


def _is_card_number(column: str) -> models.Func:
    return models.Func(F(column), function="members_is_card_number", output_field=models.BooleanField())


@pghistory.track(
    pghistory.UpdateEvent(row=pghistory.Old),
    pghistory.DeleteEvent(),
    fields=["code", "rank", "threshold", "is_active"],
    model_name="TierHistory",
    level=pgtrigger.Row,
)
class Tier(models.Model):
    """A status band of the programme, reached with growth points."""

    code = models.SlugField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=100)
    rank = models.PositiveSmallIntegerField(_("rank"), unique=True, help_text=_("0 is the tier everybody starts in."))
    threshold = models.PositiveBigIntegerField(
        _("threshold"), default=0, db_default=0, help_text=_("Growth points that earn this tier.")
    )
    is_active = models.BooleanField(_("active"), default=True, db_default=True)

    objects: ClassVar[models.Manager["Tier"]] = models.Manager()  # said, because translation replaces it at start-up

    class Meta:
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        ordering = ("rank",)

    def __str__(self) -> str:
        return str(self.name or self.code)


class MemberStatus(models.TextChoices):
    """Where a membership stands; only an active member earns, spends and signs in."""

    ACTIVE = "active", _("Active")
    SUSPENDED = "suspended", _("Suspended")
    CLOSED = "closed", _("Closed")
    MERGED = "merged", _("Merged into another")


@pghistory.track(
    pghistory.UpdateEvent(row=pghistory.Old),
    fields=["status", "tier", "labels"],
    model_name="MemberHistory",
    level=pgtrigger.Row,
)
class Member(models.Model):
    """A person in the programme. Personal data is sealed under the member's own data key.

    `birth_month` alone stays plain, because earning rules match it in SQL; it tells one month in twelve.
    The primary key is drawn before the row is written, for the ciphertext is bound to it: rows are made by
    `members.actions.enrolling`, never by `Member.objects.create`.
    """

    number = models.CharField(_("card number"), max_length=16, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=MemberStatus, default=MemberStatus.ACTIVE, db_default=MemberStatus.ACTIVE
    )
    tier = models.ForeignKey(Tier, models.PROTECT, verbose_name=_("tier"), related_name="members")
    referral_code = models.CharField(_("referral code"), max_length=12, editable=False)
    referred_by = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("referred by"),
        related_name="referrals",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    data_key = models.BinaryField(_("data key"), null=True)
    name = SealedTextField(_("full name"), max_length=150)
    phone = SealedTextField(_("phone"), max_length=32)
    email = SealedTextField(_("e-mail"), max_length=254)
    birthday = SealedDateField(_("birthday"))
    address = SealedTextField(_("address"), max_length=500)
    earlier = SealedTextField(_("earlier contacts"), max_length=50_000, editable=False)
    birth_month = models.PositiveSmallIntegerField(
        _("birth month"),
        null=True,
        blank=True,
        editable=False,
        validators=[MinValueValidator(1), MaxValueValidator(12)],
    )
    language = models.CharField(_("language"), max_length=10, default="en", db_default="en")
    attributes = models.JSONField(_("attributes"), default=dict, db_default={}, blank=True)
    labels = ArrayField(
        models.TextField(),
        verbose_name=_("segments"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("Segments the member is in, separated by commas."),
    )
    joined_at = models.DateTimeField(_("joined"), db_default=Now())
    recorded_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)
    source = models.CharField(_("source"), max_length=50, blank=True, default="", db_default="", editable=False)
    reference = models.CharField(_("reference"), max_length=100, blank=True, default="", db_default="", editable=False)

    objects = MemberQuerySet.as_manager()

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        ordering = ("id",)
        default_permissions = ("add", "change", "view")
        permissions = (
            ("read_personal_data", _("Can read personal data in the clear")),
            ("give_password", _("Can give members a password to sign in with")),
            ("change_standing", _("Can suspend, reinstate and close memberships")),
            ("export_members", _("Can take lists of members along as files")),
        )
        indexes = (
            models.Index(fields=["joined_at"], name="member_joined_at"),
            models.Index(fields=["number"], name="member_number"),
            models.Index(fields=["referred_by"], name="member_referred_by", condition=Q(referred_by__isnull=False)),
        )
        constraints = (
            models.CheckConstraint(name="member_number_checked", condition=_is_card_number("number")),
            models.CheckConstraint(name="member_status_known", condition=Q(status__in=MemberStatus.values)),
            models.CheckConstraint(name="member_refers_another", condition=~Q(referred_by=F("id"))),
            models.CheckConstraint(
                name="member_birth_month_real", condition=Q(birth_month__isnull=True) | Q(birth_month__range=(1, 12))
            ),
            models.CheckConstraint(name="member_attributes_object", condition=_is_object("attributes")),
            models.CheckConstraint(
                name="member_forgotten_is_empty",
                condition=Q(data_key__isnull=False)
                | Q(
                    name__isnull=True,
                    phone__isnull=True,
                    email__isnull=True,
                    birthday__isnull=True,
                    address__isnull=True,
                    earlier__isnull=True,
                    birth_month__isnull=True,
                ),
            ),
        )

    def __str__(self) -> str:
        return self.number

    @property
    def is_active(self) -> bool:
        """Whether the member may earn, spend and sign in."""
        return self.status == MemberStatus.ACTIVE

    @property
    def grouped_number(self) -> str:
        """The card number as people read it aloud: 8412 3057 1936."""
        return " ".join(self.number[start : start + 4] for start in range(0, len(self.number), 4))

    def ever(self, contact: str) -> list[str]:
        """The phones, e-mails or addresses the member has and had: by them somebody is known again."""
        return [getattr(self, contact), *json.loads(self.earlier or "{}").get(contact, [])]

    @property
    def masked_name(self) -> str:
        return contacts.mask_name(self.name)

    @property
    def masked_phone(self) -> str:
        return contacts.mask_phone(self.phone)

    @property
    def masked_email(self) -> str:
        return contacts.mask_email(self.email)


class MemberKeyKind(models.TextChoices):
    """What a member can be found by."""

    NUMBER = "number", _("Card number")
    PHONE = "phone", _("Phone")
    EMAIL = "email", _("E-mail")
    REFERRAL_CODE = "referral_code", _("Referral code")
    EXTERNAL = "external", _("Outside id")
    REFERENCE = "reference", _("Enrolment reference")


class MemberKey(models.Model):
    """One thing that belongs to one member in the whole programme; the only table that makes it so.

    `scope` is the source that gave an outside id or an enrolment reference, and empty otherwise. Phone and e-mail
    are kept as blind indexes, the rest as they are.
    """

    member = models.ForeignKey(Member, models.PROTECT, verbose_name=_("member"), related_name="keys")
    kind = models.CharField(_("kind"), max_length=13, choices=MemberKeyKind)
    scope = models.CharField(_("scope"), max_length=50, blank=True, default="", db_default="")
    key = models.CharField(_("key"), max_length=100)
    digest = models.BinaryField(_("content digest"), null=True)

    class Meta:
        verbose_name = _("member key")
        verbose_name_plural = _("member keys")
        default_permissions = ("view",)
        constraints = (
            # Key before scope: staff look an outside id up without knowing which source gave it.
            models.UniqueConstraint(fields=["kind", "key", "scope"], name="memberkey_taken"),
            models.CheckConstraint(name="memberkey_kind_known", condition=Q(kind__in=MemberKeyKind.values)),
            models.CheckConstraint(name="memberkey_key_given", condition=~Q(key="")),
            models.CheckConstraint(
                name="memberkey_scope_fits",
                condition=(Q(kind__in=["external", "reference"]) & ~Q(scope=""))
                | (~Q(kind__in=["external", "reference"]) & Q(scope="")),
            ),
            models.CheckConstraint(
                name="memberkey_reference_has_digest",
                condition=Q(kind="reference", digest__isnull=False) | (~Q(kind="reference") & Q(digest__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.scope}"


class MemberOwned(models.Model):
    """A row that lives and stays with one member: the column every such table can be distributed by.

    It has no index of its own, because every index and every unique key of such a table starts with the member.
    Inherit `MemberOwned.Meta`, or repeat its trigger, so that a row can never change hands.
    """

    member = models.ForeignKey(
        Member, models.PROTECT, verbose_name=_("member"), db_index=False, related_name="%(class)s_set"
    )

    class Meta:
        abstract = True
        triggers = (pgtrigger.ReadOnly(name="keeps_member", fields=["member"]),)


class TierChange(MemberOwned):
    """A tier a member came into, and the moment from which it holds; never changed, never deleted.

    Of the changes that hold by a moment the one told last counts. The database writes what no action wrote.
    """

    tier = models.ForeignKey(Tier, models.PROTECT, verbose_name=_("tier"), db_index=False, related_name="+")
    since = models.DateTimeField(_("holds from"))
    recorded_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)
    actor = models.CharField(_("actor"), max_length=160, blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("tier change")
        verbose_name_plural = _("tier changes")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = (models.Index(fields=["member", "id"], name="tierchange_member"),)
        triggers = (pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),)

    def __str__(self) -> str:
        return f"{self.member_id}: {self.tier_id} since {self.since:%Y-%m-%d}"
