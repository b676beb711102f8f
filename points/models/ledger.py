"""The books: entries between accounts, the lots they open, and the draws that name them."""

import uuid

import pgtrigger
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now
from django.db.models.lookups import In
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from members.models import Member, MemberOwned
from points.querysets import EntryQuerySet, HoldQuerySet, LotQuerySet

from .journal import Event
from .laws import append_only, function_only, refuse_if
from .programme import EarningRule, PointType


class Account(models.TextChoices):
    """Where points of one member and type can stand; the sum over all accounts is always 0."""

    ISSUED = "issued", _("Issued")
    PENDING = "pending", _("Pending")
    AVAILABLE = "available", _("Available")
    HELD = "held", _("Held")
    OWED = "owed", _("Owed")
    REDEEMED = "redeemed", _("Redeemed")
    EXPIRED = "expired", _("Expired")
    TRANSFER = "transfer", _("In transfer")


class EntryKind(models.TextChoices):
    """What an entry does; each kind moves only between its own accounts."""

    ACCRUAL = "accrual", _("Earned")
    MATURITY = "maturity", _("Became available")
    HOLD = "hold", _("Held")
    RELEASE = "release", _("Released")
    REDEMPTION = "redemption", _("Redeemed")
    RESTORATION = "restoration", _("Restored")
    EXPIRY = "expiry", _("Expired")
    REINSTATEMENT = "reinstatement", _("Reinstated")
    CLAWBACK = "clawback", _("Clawed back")
    SETTLEMENT = "settlement", _("Settled what was owed")
    ADJUSTMENT = "adjustment", _("Adjusted")
    TRANSFER = "transfer", _("Transferred")


#: (kind, from, to): the only movements there are. The CHECK on the table and the posting function read this list.
MOVEMENTS: tuple[tuple[str, str, str], ...] = (
    ("accrual", "issued", "available"),
    ("accrual", "issued", "pending"),
    ("maturity", "pending", "available"),
    ("hold", "available", "held"),
    ("release", "held", "available"),
    ("redemption", "available", "redeemed"),
    ("redemption", "held", "redeemed"),
    ("restoration", "redeemed", "available"),
    ("expiry", "available", "expired"),
    ("reinstatement", "expired", "available"),
    ("clawback", "pending", "issued"),
    ("clawback", "available", "issued"),
    ("clawback", "owed", "issued"),
    ("settlement", "available", "owed"),
    ("adjustment", "issued", "available"),
    ("adjustment", "available", "issued"),
    ("transfer", "available", "transfer"),
    ("transfer", "transfer", "available"),
)


def _movement_allowed() -> In:
    """One short expression: a CHECK is read anew for each INSERT, and eighteen triples took a seventh of an award."""
    words = ("kind", Value(" "), "from_account", Value(" "), "to_account")
    movement = Func(*words, arg_joiner=" || ", output_field=models.TextField(), template="(%(expressions)s)")
    return In(movement, [" ".join(each) for each in MOVEMENTS])


class LedgerRow(MemberOwned):
    """A row of the books. Its member and type are those of a balance row, which the one foreign key to it holds.

    Checking member, type and rule each by a key of its own would cost a third of every batch and add nothing: the
    balance row cannot be without its member and type, and a rule that has been in force cannot be deleted.
    """

    member = models.ForeignKey(
        Member,
        models.PROTECT,
        verbose_name=_("member"),
        db_index=False,
        db_constraint=False,
        related_name="%(class)s_set",
    )

    class Meta(MemberOwned.Meta):
        abstract = True


class Entry(LedgerRow):
    """One movement of points from one account of a member to another: never changed, never deleted."""

    seq = models.BigIntegerField(pgettext_lazy("in a sequence", "number"), help_text=_("Gapless per member."))
    point_type = models.ForeignKey(
        PointType, models.PROTECT, verbose_name=_("point type"), db_index=False, db_constraint=False
    )
    kind = models.CharField(_("kind"), max_length=13, choices=EntryKind)
    from_account = models.CharField(_("from"), max_length=9, choices=Account)
    to_account = models.CharField(_("to"), max_length=9, choices=Account)
    points = models.BigIntegerField(_("points"))
    source = models.CharField(_("source"), max_length=64)
    reference = models.CharField(_("reference"), max_length=100)
    line = models.BigIntegerField(
        _("line"), default=0, db_default=0, help_text=_("Tells apart the entries of one reference and kind.")
    )
    event_id = models.BigIntegerField(_("event"), null=True, blank=True)
    event = models.ForeignObject(
        Event,
        models.PROTECT,
        from_fields=["member", "event_id"],
        to_fields=["member", "id"],
        related_name="entries",
        null=True,
    )
    rule = models.ForeignKey(
        EarningRule, models.PROTECT, verbose_name=_("rule"), null=True, blank=True, db_index=False, db_constraint=False
    )
    corrects = models.BigIntegerField(
        _("corrects"), null=True, blank=True, help_text=_("The id of the entry this one undoes or continues.")
    )
    actor = models.CharField(_("actor"), max_length=100)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")
    note = models.CharField(_("note for the member"), max_length=500, blank=True, default="", db_default="")
    occurred_at = models.DateTimeField(_("occurred at"))
    recorded_at = models.DateTimeField(_("recorded at"))
    available_after = models.BigIntegerField(_("available after"))
    digest = models.BinaryField(_("digest"), max_length=32, help_text=_("Chains this entry to the one before it."))

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering = ("member", "-seq")
        constraints = (
            models.UniqueConstraint(fields=["member", "seq"], name="entry_seq"),
            models.UniqueConstraint(fields=["member", "source", "kind", "reference", "line"], name="entry_reference"),
            models.CheckConstraint(name="entry_points_positive", condition=Q(points__gt=0)),
            models.CheckConstraint(name="entry_movement", condition=_movement_allowed()),
            models.CheckConstraint(name="entry_available_not_negative", condition=Q(available_after__gte=0)),
        )
        indexes = (
            BrinIndex(autosummarize=True, fields=["recorded_at"], name="entry_recorded"),
            models.Index(fields=["member", "corrects"], name="entry_corrections", condition=Q(corrects__isnull=False)),
        )
        triggers = append_only()

    def __str__(self) -> str:
        return f"#{self.seq} {self.get_kind_display()} {self.points}"

    @property
    def is_credit(self) -> bool:
        """Whether the member can spend more after this entry than before."""
        return self.to_account == Account.AVAILABLE


class Lot(LedgerRow):
    """One credit with its own end: what of it is left, and when the rest expires (null: never)."""

    point_type = models.ForeignKey(
        PointType, models.PROTECT, verbose_name=_("point type"), db_index=False, db_constraint=False
    )
    entry_id = models.BigIntegerField(_("origin entry"))
    entry = models.ForeignObject(
        Entry,
        models.PROTECT,
        from_fields=["member", "entry_id"],
        to_fields=["member", "id"],
        related_name="opened_lots",
    )
    points = models.BigIntegerField(_("points"))
    remaining = models.BigIntegerField(_("remaining"))
    is_pending = models.BooleanField(_("pending"), default=False, db_default=False)
    is_open = models.GeneratedField(
        expression=models.ExpressionWrapper(Q(remaining__gt=0), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
        verbose_name=_("open"),
    )
    available_at = models.DateTimeField(_("available at"))
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("The first moment the points are gone; empty: never.")
    )

    objects = LotQuerySet.as_manager()

    class Meta:
        verbose_name = _("lot")
        verbose_name_plural = _("lots")
        ordering = ("member", F("expires_at").asc(nulls_last=True), "id")
        constraints = (
            models.CheckConstraint(name="lot_points_positive", condition=Q(points__gt=0)),
            models.CheckConstraint(name="lot_remaining_in_range", condition=Q(remaining__range=(0, F("points")))),
        )
        indexes = (
            models.Index(
                fields=["member", "point_type", "expires_at", "id"], name="lot_draw_order", condition=Q(is_open=True)
            ),
            models.Index(fields=["expires_at"], name="lot_expiring", condition=Q(is_open=True)),
            models.Index(fields=["available_at"], name="lot_maturing", condition=Q(is_open=True, is_pending=True)),
            models.Index(fields=["member", "entry_id"], name="lot_origin"),
        )
        triggers = function_only()

    def __str__(self) -> str:
        return f"{self.remaining}/{self.points}"


class Draw(LedgerRow):
    """How many points an entry took from a lot, or gave back to it."""

    entry_id = models.BigIntegerField(_("entry"))
    entry = models.ForeignObject(
        Entry, models.PROTECT, from_fields=["member", "entry_id"], to_fields=["member", "id"], related_name="draws"
    )
    lot_id = models.BigIntegerField(_("lot"))
    lot = models.ForeignObject(
        Lot, models.PROTECT, from_fields=["member", "lot_id"], to_fields=["member", "id"], related_name="draws"
    )
    points = models.BigIntegerField(_("points"))
    is_return = models.BooleanField(_("given back"), default=False, db_default=False)

    class Meta:
        verbose_name = _("draw")
        verbose_name_plural = _("draws")
        constraints = (
            models.UniqueConstraint(fields=["member", "entry_id", "lot_id"], name="draw_once"),
            models.CheckConstraint(name="draw_points_positive", condition=Q(points__gt=0)),
        )
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.entry_id} {'→' if self.is_return else '←'} {self.lot_id}: {self.points}"


class Balance(MemberOwned):
    """What a member has of one point type, made with the member; the newest is the head of the hash chain."""

    point_type = models.ForeignKey(PointType, models.PROTECT, verbose_name=_("point type"), db_index=False)
    available = models.BigIntegerField(_("available"), default=0, db_default=0)
    pending = models.BigIntegerField(_("pending"), default=0, db_default=0)
    held = models.BigIntegerField(_("held"), default=0, db_default=0)
    owed = models.BigIntegerField(_("owed"), default=0, db_default=0)
    issued = models.BigIntegerField(_("issued in all"), default=0, db_default=0)
    redeemed = models.BigIntegerField(_("redeemed in all"), default=0, db_default=0)
    expired = models.BigIntegerField(_("expired in all"), default=0, db_default=0)
    transferred = models.BigIntegerField(_("transferred in all"), default=0, db_default=0)
    head_seq = models.BigIntegerField(_("last entry"), default=0, db_default=0)
    head_digest = models.BinaryField(_("chain head"), max_length=32, default=b"", db_default=b"")

    class Meta:
        verbose_name = _("balance")
        verbose_name_plural = _("balances")
        permissions = (
            ("propose_adjustment", _("Can adjust points")),
            ("export_books", _("Can take the books along as files")),
        )
        constraints = (
            models.UniqueConstraint(fields=["member", "point_type"], name="balance_once"),
            models.CheckConstraint(name="balance_available_not_negative", condition=Q(available__gte=0)),
            models.CheckConstraint(name="balance_pending_not_negative", condition=Q(pending__gte=0)),
            models.CheckConstraint(name="balance_held_not_negative", condition=Q(held__gte=0)),
            models.CheckConstraint(name="balance_owed_not_negative", condition=Q(owed__gte=0)),
            models.CheckConstraint(
                name="balance_sums_to_zero",
                condition=Q(
                    issued=F("available")
                    + F("pending")
                    + F("held")
                    - F("owed")
                    + F("redeemed")
                    + F("expired")
                    + F("transferred")
                ),
            ),
        )
        triggers = function_only()

    def __str__(self) -> str:
        return f"{self.point_type_id}: {self.available}"


class HoldStatus(models.TextChoices):
    """The life of a hold."""

    HELD = "held", _("Held")
    CAPTURED = "captured", _("Captured")
    VOIDED = "voided", _("Voided")
    EXPIRED = "expired", _("Timed out")


class Hold(MemberOwned):
    """Points set aside for a purchase in progress, until captured, voided or timed out."""

    key = models.UUIDField(_("id"), default=uuid.uuid4, editable=False)
    point_type = models.ForeignKey(PointType, models.PROTECT, verbose_name=_("point type"), db_index=False)
    entry_id = models.BigIntegerField(_("hold entry"))
    points = models.BigIntegerField(_("points"))
    captured = models.BigIntegerField(_("captured"), default=0, db_default=0)
    status = models.CharField(
        _("status"), max_length=8, choices=HoldStatus, default=HoldStatus.HELD, db_default="held"
    )
    source = models.CharField(_("source"), max_length=64)
    reference = models.CharField(_("reference"), max_length=100)
    expires_at = models.DateTimeField(_("expires at"))
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=["member", "source", "reference"], name="hold_reference"),
            models.CheckConstraint(name="hold_points_positive", condition=Q(points__gt=0)),
            models.CheckConstraint(name="hold_captured_in_range", condition=Q(captured__range=(0, F("points")))),
            models.CheckConstraint(
                name="hold_closed_once",
                condition=Q(status="held", closed_at__isnull=True) | (~Q(status="held") & Q(closed_at__isnull=False)),
            ),
        )
        indexes = (
            models.Index(fields=["key"], name="hold_key"),
            models.Index(fields=["expires_at"], name="hold_stale", condition=Q(status="held")),
        )
        triggers = (
            *MemberOwned.Meta.triggers,
            pgtrigger.Trigger(
                name="closed_once",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=f"""
                    IF TG_OP = 'INSERT' THEN
                        {refuse_if("hold_begins", "NEW.status <> 'held' OR NEW.captured <> 0", "it is closed later")}
                    ELSE
                        {refuse_if("hold_closes_once", "OLD.status <> 'held'", "what is closed stays so")}
                        {refuse_if("hold_closes_once", "NEW.status = 'held'", "nothing else changes")}
                        {refuse_if("hold_captures", "(NEW.status = 'captured') <> (NEW.captured > 0)", "all or some")}
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.ReadOnly(name="keeps_hold", exclude=["captured", "status", "closed_at"]),
            pgtrigger.Protect(name="no_delete", operation=pgtrigger.Delete),
        )

    def __str__(self) -> str:
        return f"{self.key}: {self.points} ({self.get_status_display()})"
