"""Coupons: the right to a discount, the code that stands for it, every use of it, and every step of its life."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from members.models import Member, Tier
from rewards.querysets import CouponQuerySet, CouponUseQuerySet

from .catalogue import MOST_DAYS, Reward
from .laws import change_field, history, judges_states, keeps_history, never_deleted, refuse, rows, written_by_trigger

#: A code that was not drawn by us: no space, dash or slash, for a typed code loses the first two and an address ends
#: at the third.
OUTSIDE_CODE = r"^[^[:space:][:cntrl:]/\-–—]{4,40}$"


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
    ("reserved", "issued"),
    ("reserved", "assigned"),
    ("reserved", "redeemed"),
    ("redeemed", "rolled_back"),
    ("rolled_back", "assigned"),
)


def new_code() -> models.Func:
    """Return the expression that draws a fresh code in the database."""
    return models.Func(function="rewards_new_code", output_field=models.CharField())


def _terms_whole() -> Q:
    """A value, a percentage or a free item. That each is there is said, for a CHECK lets pass what is unknown."""
    no_item = Q(free_sku="", free_category="")
    one_item = (~Q(free_sku="") & Q(free_category="")) | (Q(free_sku="") & ~Q(free_category=""))
    value = Q(value_minor__isnull=False, value_minor__gt=0, percent__isnull=True, most_minor__isnull=True) & no_item
    percent = Q(value_minor__isnull=True, percent__isnull=False, percent__range=(1, 100)) & no_item
    return value | percent | (Q(value_minor__isnull=True, percent__isnull=True) & one_item)


def terms_hold(table: str) -> tuple[models.CheckConstraint, ...]:
    """Return the constraints of the terms, named for the table they stand on."""
    return (
        models.CheckConstraint(
            name=f"{table}_terms_whole",
            condition=_terms_whole(),
            violation_error_message=_("A coupon is worth a value, a percentage from 1 to 100, or a free item."),
        ),
        models.CheckConstraint(name=f"{table}_currency_code", condition=Q(currency__regex="^[A-Z]{3}$")),
        models.CheckConstraint(
            name=f"{table}_period_ordered",
            condition=Q(valid_from__isnull=True) | Q(expires_at__isnull=True) | Q(expires_at__gt=F("valid_from")),
            violation_error_message=_("The period must end after it begins."),
        ),
        models.CheckConstraint(
            name=f"{table}_limits_positive",
            condition=Q(uses__range=(1, 1_000_000))
            & (Q(uses_per_member__isnull=True) | Q(uses_per_member__gt=0))
            & (Q(most_minor__isnull=True) | Q(most_minor__gt=0))
            & (Q(valid_days__isnull=True) | Q(valid_days__gt=0)),
            violation_error_message=_("A code has 1 to 1,000,000 uses, and no limit of a coupon is nought."),
        ),
        models.CheckConstraint(
            name=f"{table}_days_in_range",
            condition=Q(valid_days__isnull=True) | Q(valid_days__lte=MOST_DAYS),
            violation_error_message=_("A coupon is good for at most 36,500 days."),
        ),
    )


class CouponTerms(models.Model):
    """What a coupon is worth, where, how often and for how long; kept on each coupon, for a promise is not edited."""

    value_minor = models.PositiveBigIntegerField(_("value (minor units)"), null=True, blank=True)
    percent = models.PositiveSmallIntegerField(_("percent off"), null=True, blank=True)
    free_sku = models.CharField(_("free item"), max_length=100, blank=True, default="", db_default="")
    free_category = models.CharField(
        _("free item of a category"), max_length=100, blank=True, default="", db_default=""
    )
    most_minor = models.PositiveBigIntegerField(
        _("at most (minor units)"),
        null=True,
        blank=True,
        help_text=_("The most a percentage or a free item takes off."),
    )
    minimum_minor = models.PositiveBigIntegerField(_("minimum spend (minor units)"), default=0, db_default=0)
    currency = models.CharField(_("currency"), max_length=3)
    channels = ArrayField(
        models.CharField(max_length=64),
        verbose_name=_("channels"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("Channels it can be used in, separated by commas. Empty: all."),
    )
    combinable = models.BooleanField(
        _("can be combined"), default=True, db_default=True, help_text=_("With other coupons on one bill.")
    )
    uses = models.PositiveIntegerField(_("uses of a code"), default=1, db_default=1)
    uses_per_member = models.PositiveIntegerField(
        _("uses by one member"), null=True, blank=True, help_text=_("Empty: as many as the code has.")
    )
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("The first moment it is no longer good; empty: never.")
    )
    valid_days = models.PositiveIntegerField(
        _("days of validity"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_DAYS)],
        help_text=_(
            "Counted from the day a member gets it, or from its first day if later; it never outlives the end above."
        ),
    )

    class Meta:
        abstract = True


#: The columns of the promise but for its end, which begins to run when a member gets the coupon.
PROMISE = tuple(field.name for field in CouponTerms._meta.local_fields if field.name != "expires_at")


class CodeOrigin(models.TextChoices):
    """Where the codes of a batch come from."""

    DRAWN = "drawn", _("Drawn by us")
    OUTSIDE = "outside", _("From outside")


class CouponBatch(CouponTerms):
    """Codes made or taken in under the same terms, to be printed or given out."""

    name = models.CharField(_("name"), max_length=150)
    origin = models.CharField(
        _("origin"), max_length=7, choices=CodeOrigin, default=CodeOrigin.DRAWN, db_default=CodeOrigin.DRAWN
    )
    quantity = models.PositiveIntegerField(_("number of codes"))
    made = models.PositiveIntegerField(_("codes made"), default=0, db_default=0, editable=False)
    created_by = models.CharField(_("created by"), max_length=160)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("coupon batch")
        verbose_name_plural = _("coupon batches")
        ordering = ("-id",)
        permissions = (("export_couponbatch", _("Can take the codes of a batch along as a file")),)
        constraints = (
            *terms_hold("couponbatch"),
            models.CheckConstraint(name="couponbatch_quantity_in_range", condition=Q(quantity__range=(1, 1_000_000))),
            models.CheckConstraint(name="couponbatch_made_in_range", condition=Q(made__lte=F("quantity"))),
            models.CheckConstraint(name="couponbatch_origin_known", condition=Q(origin__in=CodeOrigin.values)),
            models.CheckConstraint(name="couponbatch_actor_given", condition=~Q(created_by="")),
        )
        triggers = (
            pgtrigger.ReadOnly(name="keeps_terms", fields=[*PROMISE, "expires_at", "origin", "created_by"]),
            pgtrigger.Trigger(
                name="keeps_quantity",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "NEW.made < OLD.made OR (OLD.origin = 'drawn' AND NEW.quantity <> OLD.quantity)"
                ),
                func=refuse("couponbatch_keeps_quantity", "batch % keeps its codes", "OLD.id"),
            ),
            *never_deleted(),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_made(self) -> bool:
        """Whether every code is there."""
        return self.made == self.quantity


class GivingState(models.TextChoices):
    """How far a giving has come."""

    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    SHORT = "short", _("Out of codes")


class CouponGiving(models.Model):
    """A batch given to many: every active member of a tier or segment gets one code, and none gets two."""

    batch = models.ForeignKey(CouponBatch, models.PROTECT, verbose_name=_("batch"), related_name="givings")
    tier = models.ForeignKey(
        Tier, models.PROTECT, verbose_name=_("tier"), null=True, blank=True, db_index=False, related_name="+"
    )
    segment = models.CharField(_("segment"), max_length=64, blank=True, default="", db_default="")
    wanted = models.PositiveIntegerField(_("members"), help_text=_("How many were meant when it was asked for."))
    given = models.PositiveIntegerField(_("given"), default=0, db_default=0)
    last_member_id = models.BigIntegerField(_("come as far as"), default=0, db_default=0)
    state = models.CharField(
        _("status"), max_length=7, choices=GivingState, default=GivingState.RUNNING, db_default=GivingState.RUNNING
    )
    reason = models.CharField(_("reason"), max_length=500)
    created_by = models.CharField(_("created by"), max_length=160)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("coupon giving")
        verbose_name_plural = _("coupon givings")
        ordering = ("-id",)
        default_permissions = ("view",)
        constraints = (
            models.CheckConstraint(name="coupongiving_state_known", condition=Q(state__in=GivingState.values)),
            models.CheckConstraint(name="coupongiving_actor_given", condition=~Q(created_by="")),
        )
        triggers = (
            pgtrigger.ReadOnly(name="keeps_order", fields=["batch", "tier", "segment", "created_by", "created_at"]),
            pgtrigger.Trigger(
                name="goes_forward",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("NEW.given < OLD.given OR NEW.last_member_id < OLD.last_member_id"),
                func=refuse("coupongiving_goes_forward", "giving % does not go back", "OLD.id"),
            ),
            *never_deleted(),
        )

    def __str__(self) -> str:
        return f"{self.batch_id}: {self.given}/{self.wanted}"


#: What follows from one more use or reservation, or one less. `who` may be nobody.
_COUNTS_USES = f"""
    IF NEW.used = OLD.used AND NEW.held = OLD.held THEN
        RETURN NEW;
    END IF;
    IF (NEW.used - OLD.used, NEW.held - OLD.held) NOT IN ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1)) THEN
        {refuse("coupon_one_use_at_a_time", "coupon % is used, reserved or given back once at a time", "OLD.id")}
    END IF;
    IF coalesce(said ->> 'actor', '') = '' OR said ->> 'at' IS NULL THEN
        {refuse("coupon_change_names_actor", "a use of coupon % must say who and when in its column change", "OLD.id")}
    END IF;
    IF NEW.used + NEW.held > OLD.used + OLD.held THEN
        IF OLD.state NOT IN ({", ".join(f"'{state}'" for state in USABLE_COUPON_STATES)}) THEN
            {refuse("coupon_transition", "a coupon that is % is not used", "OLD.state")}
        END IF;
        IF (said ->> 'at')::timestamptz < NEW.valid_from OR (said ->> 'at')::timestamptz >= NEW.expires_at THEN
            {refuse("coupon_in_its_time", "coupon % is not good at this time", "OLD.id")}
        END IF;
        IF NEW.uses_per_member <= (
            SELECT count(*) FROM rewards_couponuse u
            WHERE u.coupon_id = NEW.id AND u.member_id = who AND u.gives_back_id IS NULL
                AND NOT EXISTS (SELECT FROM rewards_couponuse r WHERE r.gives_back_id = u.id)
        ) + (
            SELECT count(*) FROM rewards_couponreservation r
            WHERE r.coupon_id = NEW.id AND r.member_id = who AND r.state = 'held'
        ) OR (NEW.uses_per_member IS NOT NULL AND who IS NULL) THEN
            {refuse("coupon_member_uses", "coupon % has no use left for this member", "OLD.id")}
        END IF;
    END IF;
    IF NEW.used > OLD.used OR NEW.held > OLD.held THEN
        IF cardinality(NEW.channels) > 0 AND coalesce(said ->> 'channel', '') <> ALL (NEW.channels) THEN
            {refuse("coupon_keeps_channels", "coupon % is not for this channel", "OLD.id")}
        END IF;
    END IF;
    IF NEW.used > OLD.used THEN
        IF (said ->> 'amount_minor')::bigint < NEW.minimum_minor THEN
            {refuse("coupon_keeps_minimum", "coupon % is not for so small a purchase", "OLD.id")}
        END IF;
        IF (said ->> 'discount_minor')::bigint > coalesce(NEW.value_minor, NEW.most_minor, 9223372036854775807)
            OR NEW.percent * (said ->> 'amount_minor')::numeric < (said ->> 'discount_minor')::numeric * 100 THEN
            {refuse("coupon_keeps_worth", "coupon % does not take that much off", "OLD.id")}
        END IF;
        INSERT INTO rewards_couponuse (
            coupon_id, member_id, amount_minor, discount_minor, channel, bill, source, reference, actor, reason, at)
        VALUES (
            NEW.id, who, (said ->> 'amount_minor')::bigint, (said ->> 'discount_minor')::bigint,
            coalesce(said ->> 'channel', ''), coalesce(said ->> 'bill', ''), coalesce(said ->> 'source', ''),
            coalesce(said ->> 'reference', ''), said ->> 'actor', coalesce(said ->> 'reason', ''),
            (said ->> 'at')::timestamptz);
        IF coalesce(said ->> 'bill', '') <> '' THEN
            INSERT INTO rewards_couponbill AS bill (source, bill, uses, is_alone)
            VALUES (coalesce(said ->> 'source', ''), said ->> 'bill', 1, NOT NEW.combinable)
            ON CONFLICT (source, bill) DO UPDATE
                SET uses = bill.uses + 1, is_alone = bill.is_alone OR EXCLUDED.is_alone;
        END IF;
    ELSIF NEW.used < OLD.used THEN
        INSERT INTO rewards_couponuse (
            coupon_id, member_id, gives_back_id, amount_minor, discount_minor, channel, bill, source, reference, actor,
            reason, at)
        SELECT coupon_id, member_id, id, amount_minor, discount_minor, channel, bill, coalesce(said ->> 'source', ''),
            coalesce(said ->> 'reference', ''), said ->> 'actor', coalesce(said ->> 'reason', ''),
            (said ->> 'at')::timestamptz
        FROM rewards_couponuse
        WHERE id = (said ->> 'gives_back')::bigint AND coupon_id = NEW.id AND gives_back_id IS NULL;
        IF NOT FOUND THEN
            {refuse("coupon_use_unknown", "coupon % has no such use to give back", "OLD.id")}
        END IF;
        UPDATE rewards_couponbill b SET uses = b.uses - 1, is_alone = false
        FROM rewards_couponuse u
        WHERE u.id = (said ->> 'gives_back')::bigint AND u.bill <> '' AND (b.source, b.bill) = (u.source, u.bill);
    END IF;
    IF NEW.held > OLD.held THEN
        INSERT INTO rewards_couponreservation (
            coupon_id, member_id, state, expires_at, channel, source, reference, actor, at)
        VALUES (
            NEW.id, who, 'held', (said ->> 'until')::timestamptz, coalesce(said ->> 'channel', ''),
            coalesce(said ->> 'source', ''), coalesce(said ->> 'reference', ''), said ->> 'actor',
            (said ->> 'at')::timestamptz);
    ELSIF NEW.held < OLD.held THEN
        UPDATE rewards_couponreservation
        SET state = CASE WHEN NEW.used > OLD.used THEN 'used' ELSE 'released' END, ended_by = said ->> 'actor',
            ended_reason = coalesce(said ->> 'reason', ''), ended_at = (said ->> 'at')::timestamptz
        WHERE id = (said ->> 'reservation')::bigint AND coupon_id = NEW.id AND state = 'held';
        IF NOT FOUND THEN
            {refuse("coupon_reservation_unknown", "coupon % has no such reservation", "OLD.id")}
        END IF;
    END IF;
    NEW.state := CASE
        WHEN NEW.used = NEW.uses THEN 'redeemed'
        WHEN NEW.used + NEW.held = NEW.uses THEN 'reserved'
        WHEN OLD.state = 'redeemed' THEN 'rolled_back'
        WHEN OLD.state = 'reserved' AND NEW.member_id IS NULL THEN 'issued'
        WHEN OLD.state = 'reserved' THEN 'assigned'
        ELSE NEW.state END;
    RETURN NEW;
"""  # noqa: S608 - made of constants of this app


class Coupon(CouponTerms):
    """One code and what it promises; a member's own, or anybody's who brings it. Most are good for one use.

    Not a member-owned table, because a printed code has no member yet: like stock it stands beside the ledger. Its
    code is unique by `CouponKey`, which the trigger writes with it. `used` and `held` are moved by one, with who and
    why in `change`; the trigger writes the use or the reservation, and the state follows the counts.
    """

    code = models.CharField(pgettext_lazy("coupon", "code"), max_length=40, db_default=new_code(), editable=False)
    is_outside = models.BooleanField(_("from outside"), default=False, db_default=False, editable=False)
    batch = models.ForeignKey(
        CouponBatch, models.PROTECT, verbose_name=_("batch"), related_name="coupons", null=True, blank=True
    )
    reward = models.ForeignKey(
        Reward, models.PROTECT, verbose_name=_("reward"), related_name="coupons", null=True, blank=True, db_index=False
    )
    giving = models.ForeignKey(
        CouponGiving,
        models.PROTECT,
        verbose_name=_("giving"),
        related_name="coupons",
        null=True,
        blank=True,
        db_index=False,
        editable=False,
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
    used = models.PositiveIntegerField(_("uses so far"), default=0, db_default=0, editable=False)
    held = models.PositiveIntegerField(_("uses reserved"), default=0, db_default=0, editable=False)
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
                condition=Q(
                    models.Func(F("code"), function="rewards_is_code", output_field=models.BooleanField()),
                    is_outside=False,
                )
                | Q(is_outside=True, batch__isnull=False, code__regex=OUTSIDE_CODE),
            ),
            models.CheckConstraint(
                name="coupon_assigned_has_member",
                condition=(~Q(state="assigned") | Q(member__isnull=False))
                & (~Q(state="issued") | Q(member__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["giving", "member"], name="coupon_given_once", condition=Q(giving__isnull=False)
            ),
            models.CheckConstraint(
                name="coupon_days_have_an_end",
                condition=Q(valid_days__isnull=True) | Q(member__isnull=True) | Q(expires_at__isnull=False),
            ),
            models.CheckConstraint(name="coupon_uses_in_range", condition=Q(uses__gte=F("used") + F("held"))),
            models.CheckConstraint(
                name="coupon_state_counts",
                condition=(Q(state="redeemed", used=F("uses")) | (~Q(state="redeemed") & Q(used__lt=F("uses"))))
                & (Q(state="redeemed") | ~Q(state="reserved") | Q(uses=F("used") + F("held")))
                & (Q(state__in=["redeemed", "reserved"]) | Q(uses__gt=F("used") + F("held")))
                & (~Q(state__in=["expired", "void"]) | Q(held=0)),
            ),
        )
        indexes = (
            models.Index(fields=["member", "-id"], name="coupon_member", condition=Q(member__isnull=False)),
            models.Index(fields=["batch", "id"], name="coupon_free", condition=Q(state="issued")),
            models.Index(
                fields=["expires_at"],
                name="coupon_expiring",
                condition=Q(state__in=[*USABLE_COUPON_STATES, "reserved"]),
            ),
        )
        triggers = (
            # Before `keeps_history`, by its name: that one writes the state down and empties the change.
            pgtrigger.Trigger(
                name="counts_uses",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                declare=[
                    ("said", "jsonb := NEW.change"),
                    ("who", "bigint := coalesce(NEW.member_id, (NEW.change ->> 'member_id')::bigint)"),
                ],
                func=_COUNTS_USES,
            ),
            keeps_history(
                of="coupon",
                watched="state",
                judge=judges_states(
                    law="coupon_transition",
                    first="NEW.state IN ('issued', 'assigned') AND NEW.used = 0 AND NEW.held = 0",
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
            pgtrigger.Trigger(
                name="given_unused",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.member_id IS NULL AND NEW.member_id IS NOT NULL AND (NEW.used > 0 OR NEW.held > 0)"
                ),
                func=refuse("coupon_given_unused", "coupon % is used by others and given to nobody", "OLD.id"),
            ),
            pgtrigger.ReadOnly(
                name="keeps_terms", fields=[*PROMISE, "code", "is_outside", "batch", "reward", "issued_at"]
            ),
            pgtrigger.Trigger(
                name="keeps_end",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                # Days begin to run when a member gets the coupon, and only then; they bring the end nearer.
                condition=pgtrigger.Condition(
                    "NEW.expires_at IS DISTINCT FROM OLD.expires_at AND NOT coalesce("
                    "OLD.member_id IS NULL AND NEW.state = 'assigned' AND NEW.valid_days IS NOT NULL "
                    "AND NEW.expires_at < coalesce(OLD.expires_at, 'infinity'), false)"
                ),
                func=refuse("coupon_keeps_end", "coupon % keeps its last day", "OLD.id"),
            ),
            *never_deleted(),
        )

    def __str__(self) -> str:
        return self.masked_code

    @property
    def masked_code(self) -> str:
        """Enough of the code to tell it from others, and too little to use it: the last four letters or a quarter."""
        return f"****-{self.code[-min(4, len(self.code) // 4) :]}"

    @property
    def grouped_code(self) -> str:
        """The code as people copy it: 7KQM-2V9D-XRTA-B4HE; one from outside stays as it was printed."""
        if self.is_outside:
            return self.code
        return "-".join(self.code[start : start + 4] for start in range(0, len(self.code), 4))

    @property
    def uses_left(self) -> int:
        """How often it can still be used, reservations not counted as free."""
        return self.uses - self.used - self.held


class CouponKey(models.Model):
    """A code and the one coupon it stands for; the only table that makes codes unique. Written with the coupon."""

    code = models.CharField(pgettext_lazy("coupon", "code"), max_length=40, unique=True)
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


class CouponUse(models.Model):
    """One use of a coupon, or the return of one, which names the use it gives back; never changed, never deleted."""

    coupon = models.ForeignKey(Coupon, models.PROTECT, verbose_name=_("coupon"), related_name="+", db_index=False)
    member_id = models.BigIntegerField(_("member"), null=True)
    gives_back = models.OneToOneField(
        "self", models.PROTECT, verbose_name=_("gives back"), related_name="given_back_by", null=True
    )
    amount_minor = models.BigIntegerField(_("amount (minor units)"))
    discount_minor = models.BigIntegerField(_("discount (minor units)"))
    channel = models.CharField(_("channel"), max_length=64, blank=True, default="", db_default="")
    bill = models.CharField(_("bill"), max_length=100, blank=True, default="", db_default="")
    source = models.CharField(_("source"), max_length=64, blank=True, default="", db_default="")
    reference = models.CharField(_("reference"), max_length=100, blank=True, default="", db_default="")
    actor = models.CharField(_("actor"), max_length=160)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")
    at = models.DateTimeField(_("time"))

    objects = CouponUseQuerySet.as_manager()

    class Meta:
        verbose_name = _("coupon use")
        verbose_name_plural = _("coupon uses")
        ordering = ("-id",)
        default_permissions = ("view",)
        constraints = (
            models.CheckConstraint(
                name="couponuse_within_amount",
                condition=Q(discount_minor__gte=0, discount_minor__lte=F("amount_minor")),
            ),
        )
        indexes = (
            models.Index(fields=["coupon", "-id"], name="couponuse_coupon"),
            models.Index(fields=["coupon", "source", "reference"], name="couponuse_reference"),
            models.Index(
                fields=["coupon", "member_id"], name="couponuse_member", condition=Q(member_id__isnull=False)
            ),
        )
        triggers = history()

    def __str__(self) -> str:
        return f"{self.source}/{self.reference}"


class CouponBill(models.Model):
    """The coupons used on one bill of one source: one that cannot be combined is alone on it."""

    source = models.CharField(_("source"), max_length=64)
    bill = models.CharField(_("bill"), max_length=100)
    uses = models.PositiveIntegerField(_("uses"))
    is_alone = models.BooleanField(_("alone"))

    class Meta:
        verbose_name = _("bill with coupons")
        verbose_name_plural = _("bills with coupons")
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=["source", "bill"], name="couponbill_once"),
            models.CheckConstraint(name="couponbill_alone", condition=Q(is_alone=False) | Q(uses__lte=1)),
        )
        triggers = written_by_trigger()

    def __str__(self) -> str:
        return f"{self.source}/{self.bill}"


class ReservationState(models.TextChoices):
    """What became of a reservation."""

    HELD = "held", _("Reserved")
    USED = "used", _("Used")
    RELEASED = "released", _("Released")


class CouponReservation(models.Model):
    """A use of a coupon kept for one checkout until its time is over; used or released once."""

    coupon = models.ForeignKey(Coupon, models.PROTECT, verbose_name=_("coupon"), related_name="+", db_index=False)
    member_id = models.BigIntegerField(_("member"), null=True)
    state = models.CharField(_("status"), max_length=8, choices=ReservationState)
    expires_at = models.DateTimeField(_("until"))
    channel = models.CharField(_("channel"), max_length=64, blank=True, default="", db_default="")
    source = models.CharField(_("source"), max_length=64)
    reference = models.CharField(_("reference"), max_length=100)
    actor = models.CharField(_("actor"), max_length=160)
    at = models.DateTimeField(_("time"))
    ended_by = models.CharField(_("ended by"), max_length=160, blank=True, default="", db_default="")
    ended_reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta:
        verbose_name = _("coupon reservation")
        verbose_name_plural = _("coupon reservations")
        ordering = ("-id",)
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=["coupon", "source", "reference"], name="couponreservation_reference"),
            models.CheckConstraint(name="couponreservation_ends", condition=Q(expires_at__gt=F("at"))),
            models.CheckConstraint(
                name="couponreservation_state_known", condition=Q(state__in=ReservationState.values)
            ),
            models.CheckConstraint(
                name="couponreservation_end_told",
                condition=Q(state="held", ended_by="", ended_at__isnull=True)
                | (~Q(state="held") & ~Q(ended_by="") & Q(ended_at__isnull=False)),
            ),
        )
        indexes = (
            models.Index(fields=["expires_at"], name="couponreservation_stale", condition=Q(state="held")),
            models.Index(fields=["coupon"], name="couponreservation_held", condition=Q(state="held")),
        )
        triggers = (
            *written_by_trigger(),
            pgtrigger.ReadOnly(name="keeps_promise", exclude=["state", "ended_by", "ended_reason", "ended_at"]),
            pgtrigger.Trigger(
                name="ends_once",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.state <> 'held'"),
                func=refuse("couponreservation_ends_once", "reservation % has ended", "OLD.id"),
            ),
        )

    def __str__(self) -> str:
        return f"{self.source}/{self.reference}"


class CouponGuess(models.Model):
    """Wrong codes that one door brought in since its window began; one row a door, counted by one statement."""

    door = models.CharField(_("door"), max_length=160, unique=True)
    began_at = models.DateTimeField(_("since"), db_index=True)
    misses = models.PositiveIntegerField(_("wrong codes"))

    class Meta:
        verbose_name = _("wrong codes")
        verbose_name_plural = _("wrong codes")
        default_permissions = ("view",)
        constraints = (
            models.CheckConstraint(name="couponguess_counts", condition=Q(misses__gt=0)),
            models.CheckConstraint(name="couponguess_door_given", condition=~Q(door="")),
        )

    def __str__(self) -> str:
        return self.door
