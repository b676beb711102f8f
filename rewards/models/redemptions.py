"""Orders: what a member redeemed points for, and how it reaches the member."""

import uuid
from datetime import datetime

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from members.models import MemberOwned
from rewards.fields import OwnerSealedTextField
from rewards.querysets import RedemptionQuerySet

from .catalogue import Reward, RewardKind, RewardVariant
from .coupons import Coupon
from .laws import change_field, history, judges_states, keeps_history, never_deleted, refuse, rows


class RedemptionState(models.TextChoices):
    """Where an order stands on its way to the member."""

    PLACED = "placed", _("Placed")
    APPROVED = "approved", _("Approved")
    SHIPPED = "shipped", _("Shipped")
    READY = "ready", _("Ready for pick-up")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")
    RETURNED = "returned", _("Returned")
    NO_SHOW = "no_show", _("No-show")


class RedemptionTopic(models.TextChoices):
    """What a step of an order is about."""

    STATE = "state", _("Status")
    BOOKING = "booking", _("Booking")
    PAYMENT = "payment", _("Payment")


#: (kind, state): how an order begins. A coupon is there at once, a service waits for its write-off code, and what
#: costs money too waits for the payment.
FIRST_STATES: tuple[tuple[str, str], ...] = (
    ("gift", "placed"),
    ("service", "ready"),
    ("service", "placed"),
    ("coupon", "completed"),
)

#: (kind, from, to): the only steps there are; the trigger on the table is made from this list.
REDEMPTION_TRANSITIONS: tuple[tuple[str, str, str], ...] = (
    ("gift", "placed", "approved"),
    ("gift", "placed", "cancelled"),
    ("gift", "approved", "shipped"),
    ("gift", "approved", "ready"),
    ("gift", "approved", "cancelled"),
    ("gift", "ready", "completed"),
    ("gift", "ready", "cancelled"),
    ("gift", "shipped", "completed"),
    ("gift", "shipped", "returned"),
    ("gift", "completed", "returned"),
    ("service", "placed", "ready"),
    ("service", "placed", "cancelled"),
    ("service", "ready", "completed"),
    ("service", "ready", "cancelled"),
    ("service", "ready", "no_show"),
    ("service", "no_show", "returned"),
    ("service", "completed", "returned"),
    ("coupon", "completed", "cancelled"),
)

#: The points are back with the member, and the piece counts against no limit.
UNDONE_STATES = ("cancelled", "returned")

#: Somebody of the back office has something to do.
OPEN_STATES = ("placed", "approved", "shipped", "ready")

#: A service is still to be had, so its time and place can change.
BOOKABLE_STATES = ("placed", "ready")

_JUDGE_STEP = judges_states(
    law="redemption_transition",
    first=f"""(NEW.kind, NEW.state) IN ({rows(FIRST_STATES)}) AND NEW.paid_at IS NULL
        AND (NEW.kind <> 'service' OR (NEW.state = 'placed') = (NEW.money_minor IS NOT NULL))""",
    step=f"NEW.state = OLD.state OR (NEW.kind, OLD.state, NEW.state) IN ({rows(REDEMPTION_TRANSITIONS)})",
)
_JUDGE_PAYMENT_AND_BOOKING = f"""
    IF TG_OP = 'UPDATE' AND NEW.paid_at IS DISTINCT FROM OLD.paid_at
        AND (OLD.paid_at IS NOT NULL OR OLD.state <> 'placed') THEN
        {refuse("redemption_paid_once", "an order is paid once, while it is placed")}
    ELSIF TG_OP = 'UPDATE' AND (NEW.booked_for, NEW.booked_place) IS DISTINCT FROM (OLD.booked_for, OLD.booked_place)
        AND OLD.state NOT IN ({", ".join(f"'{state}'" for state in BOOKABLE_STATES)}) THEN
        {refuse("redemption_booking_while_open", "the booking of what is % stays", "OLD.state")}
    ELSIF TG_OP = 'UPDATE' AND NEW.kind = 'service' AND OLD.state <> NEW.state AND NEW.state = 'returned'
        AND coalesce(NEW.change ->> 'reason', '') = '' THEN
        {refuse("redemption_excuse_has_reason", "the points of a service come back for a reason only")}
    END IF;
"""


class Redemption(MemberOwned):
    """An order of a member: the reward, the points it took, and how it is delivered. Made by `actions.redeeming`."""

    key = models.UUIDField(_("id"), default=uuid.uuid4, editable=False)
    reward = models.ForeignKey(Reward, models.PROTECT, verbose_name=_("reward"), related_name="redemptions")
    kind = models.CharField(_("kind"), max_length=7, choices=RewardKind, editable=False)
    variant = models.ForeignKey(
        RewardVariant, models.PROTECT, verbose_name=_("variant"), null=True, blank=True, db_index=False
    )
    quantity = models.PositiveIntegerField(_("quantity"), default=1, db_default=1)
    points = models.BigIntegerField(_("points"), help_text=_("What the whole order took."))
    entry_id = models.BigIntegerField(_("points entry"))
    coupon = models.ForeignKey(
        Coupon,
        models.PROTECT,
        verbose_name=_("coupon"),
        related_name="redemptions",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    state = models.CharField(_("status"), max_length=9, choices=RedemptionState)
    money_minor = models.PositiveBigIntegerField(
        _("money (minor units)"), null=True, blank=True, help_text=_("What the member pays besides the points.")
    )
    money_currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    booked_for = models.DateTimeField(_("booked for"), null=True, blank=True)
    booked_place = models.CharField(_("place"), max_length=100, blank=True, default="", db_default="")
    address = OwnerSealedTextField(_("address"), max_length=500)
    carrier = models.CharField(_("carrier"), max_length=100, blank=True, default="", db_default="")
    tracking = models.CharField(_("tracking number"), max_length=100, blank=True, default="", db_default="")
    pickup_code = models.CharField(
        _("write-off code"), max_length=16, blank=True, default="", db_default="", editable=False
    )
    source = models.CharField(_("source"), max_length=64)
    reference = models.CharField(_("reference"), max_length=100)
    placed_at = models.DateTimeField(_("placed at"))
    changed_at = models.DateTimeField(_("changed at"), editable=False)
    change = change_field()

    objects = RedemptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        ordering = ("-id",)
        default_permissions = ("change", "view")
        constraints = (
            models.UniqueConstraint(fields=["member", "source", "reference"], name="redemption_reference"),
            models.UniqueConstraint(
                fields=["member", "coupon"], name="redemption_coupon_once", condition=Q(coupon__isnull=False)
            ),
            models.UniqueConstraint(fields=["member", "entry_id"], name="redemption_entry_once"),
            models.CheckConstraint(name="redemption_state_known", condition=Q(state__in=RedemptionState.values)),
            models.CheckConstraint(name="redemption_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="redemption_points_positive", condition=Q(points__gt=0)),
            models.CheckConstraint(
                name="redemption_coupon_fits",
                condition=Q(kind="coupon", coupon__isnull=False, quantity=1)
                | (~Q(kind="coupon") & Q(coupon__isnull=True)),
            ),
            models.CheckConstraint(name="redemption_ready_has_code", condition=~Q(state="ready") | ~Q(pickup_code="")),
            models.CheckConstraint(
                name="redemption_shipped_names_carrier",
                condition=~Q(state="shipped") | (~Q(carrier="") & ~Q(tracking="")),
            ),
            models.CheckConstraint(
                name="redemption_carriage_whole",
                condition=Q(carrier="", tracking="") | (~Q(carrier="") & ~Q(tracking="")),
            ),
            models.CheckConstraint(
                name="redemption_money_whole",
                condition=Q(money_minor__isnull=True, money_currency="")
                | Q(money_minor__isnull=False, money_minor__gt=0, money_currency__regex="^[A-Z]{3}$"),
            ),
            models.CheckConstraint(
                name="redemption_paid_first",
                condition=Q(money_minor__isnull=True)
                | Q(paid_at__isnull=False)
                | Q(state__in=("placed", "cancelled")),
            ),
            models.CheckConstraint(
                name="redemption_paid_is_due", condition=Q(paid_at__isnull=True) | Q(money_minor__isnull=False)
            ),
            models.CheckConstraint(
                name="redemption_booking_whole",
                condition=Q(booked_for__isnull=True, booked_place="")
                | (Q(booked_for__isnull=False, kind="service") & ~Q(booked_place="")),
            ),
            models.CheckConstraint(
                name="redemption_no_show_was_due",
                condition=~Q(state="no_show") | Q(booked_for__isnull=False, booked_for__lte=F("changed_at")),
            ),
        )
        indexes = (
            models.Index(fields=["member", "-id"], name="redemption_member"),
            models.Index(fields=["key"], name="redemption_key"),
            models.Index(fields=["pickup_code"], name="redemption_pickup", condition=~Q(pickup_code="")),
            models.Index(fields=["coupon"], name="redemption_coupon", condition=Q(coupon__isnull=False)),
            models.Index(fields=["state", "changed_at"], name="redemption_queue", condition=Q(state__in=OPEN_STATES)),
        )
        triggers = (
            keeps_history(
                of="redemption",
                watched=("state", "paid_at", "booked_for", "booked_place"),
                judge=_JUDGE_STEP + _JUDGE_PAYMENT_AND_BOOKING,
                into="rewards_redemptionchange",
                values={
                    "member_id": "NEW.member_id",
                    "redemption_id": "NEW.id",
                    "from_state": "coalesce(OLD.state, '')",
                    "to_state": "NEW.state",
                    "topic": """CASE WHEN TG_OP = 'INSERT' THEN 'state'
                        WHEN NEW.paid_at IS DISTINCT FROM OLD.paid_at THEN 'payment'
                        WHEN NEW.state = OLD.state THEN 'booking' ELSE 'state' END""",
                    "booked_for": "NEW.booked_for",
                    "booked_place": "NEW.booked_place",
                    "source": "coalesce(NEW.change ->> 'source', '')",
                    "reference": "coalesce(NEW.change ->> 'reference', '')",
                },
                # A new booking does not send an order to the end of the queue.
                also="""IF TG_OP = 'INSERT' OR NEW.state <> OLD.state THEN
                    NEW.changed_at := (NEW.change ->> 'at')::timestamptz;
                END IF;""",
            ),
            pgtrigger.ReadOnly(
                name="keeps_order",
                fields=[
                    "member", "key", "reward", "kind", "variant", "quantity", "points", "entry_id", "coupon", "source",
                    "reference", "placed_at", "money_minor", "money_currency",
                ],
            ),
            *never_deleted(),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.reward} × {self.quantity} ({self.get_state_display()})"

    @property
    def grouped_pickup_code(self) -> str:
        """The write-off code as people read it aloud."""
        return "-".join(self.pickup_code[start : start + 4] for start in range(0, len(self.pickup_code), 4))

    @property
    def is_undone(self) -> bool:
        """Whether the points went back to the member."""
        return self.state in UNDONE_STATES

    @property
    def is_unpaid(self) -> bool:
        """Whether it costs money that nobody has said is paid."""
        return self.money_minor is not None and self.paid_at is None

    @property
    def can_be_booked(self) -> bool:
        """Whether its time and place can be said or changed."""
        return self.kind == RewardKind.SERVICE and self.state in BOOKABLE_STATES

    def is_due(self, at: datetime) -> bool:
        """Whether the time it is booked for has come, and nobody has said yet whether the member did too."""
        return self.can_be_booked and self.booked_for is not None and self.booked_for <= at


class RedemptionChange(MemberOwned):
    """One step of an order, who made it and why; never changed, never deleted."""

    redemption_id = models.BigIntegerField(_("redemption"))
    redemption = models.ForeignObject(
        Redemption,
        models.PROTECT,
        from_fields=["member", "redemption_id"],
        to_fields=["member", "id"],
        related_name="changes",
    )
    from_state = models.CharField(
        _("from"), max_length=9, choices=RedemptionState, blank=True, default="", db_default=""
    )
    to_state = models.CharField(_("to"), max_length=9, choices=RedemptionState)
    topic = models.CharField(
        _("topic"),
        max_length=7,
        choices=RedemptionTopic,
        default=RedemptionTopic.STATE,
        db_default=RedemptionTopic.STATE.value,
    )
    booked_for = models.DateTimeField(_("booked for"), null=True, blank=True)
    booked_place = models.CharField(_("place"), max_length=100, blank=True, default="", db_default="")
    source = models.CharField(_("source"), max_length=64, blank=True, default="", db_default="")
    reference = models.CharField(_("reference"), max_length=100, blank=True, default="", db_default="")
    actor = models.CharField(_("actor"), max_length=160)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="", db_default="")
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("redemption change")
        verbose_name_plural = _("redemption changes")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = (models.Index(fields=["member", "redemption_id", "-id"], name="redemptionchange_order"),)
        triggers = history()

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"

    @property
    def title(self) -> str:
        """What happened, in a word or two."""
        if self.topic == RedemptionTopic.BOOKING:
            return str(_("Booked"))
        return str(_("Paid")) if self.topic == RedemptionTopic.PAYMENT else self.get_to_state_display()
