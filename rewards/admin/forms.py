"""What staff fill in about rewards: the catalogue, stock, coupons and orders."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from config.lib.errors import DomainError
from members.admin.base import blame
from members.admin.forms import reason_field
from members.admin.styling import StyledForm, dress
from members.models import Tier
from points.admin.forms import MemberField, MoneyField, PricesField, WordsField
from rewards import batches, code_files
from rewards.models import Coupon, CouponBatch, CouponGiving, Redemption, Reward, RewardKind, RewardVariant
from rewards.querysets import CouponQuerySet


class RewardForm(forms.ModelForm):  # type: ignore[type-arg]
    """An item of the catalogue."""

    points_by_tier = PricesField(
        label=_("price by tier"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("A line for each tier that pays something else, such as gold = 900"),
    )
    tiers = forms.MultipleChoiceField(
        label=_("tiers"), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget, help_text=_("None: all.")
    )
    segments = WordsField(
        label=_("segments"), required=False, widget=UnfoldAdminTextInputWidget, help_text=_("Empty: everybody.")
    )
    coupon_value_minor = MoneyField(label=_("coupon: value"), min_value=0, required=False)
    coupon_minimum_minor = MoneyField(label=_("coupon: minimum spend"), min_value=0, required=False)
    money_minor = MoneyField(
        label=_("price in money"),
        min_value=0,
        required=False,
        help_text=_("What a piece costs besides the points. Empty: points alone."),
    )
    booking_places = WordsField(
        label=_("places"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Where a service is to be had, separated by commas; a booking names one of them."),
    )

    class Meta:
        model = Reward
        fields = (
            "name_en",
            "name_zh_hans",
            "description_en",
            "description_zh_hans",
            "code",
            "kind",
            "category",
            "points",
            "money_minor",
            "points_by_tier",
            "picture",
            "is_active",
            "valid_from",
            "valid_until",
            "tiers",
            "segments",
            "limit_day",
            "limit_week",
            "limit_month",
            "per_member_limit",
            "booking_places",
            "coupon_value_minor",
            "coupon_percent",
            "coupon_minimum_minor",
            "coupon_currency",
            "coupon_valid_days",
            "coupon_batch",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = capfirst(field.label)
            if isinstance(field, MoneyField):
                foreign = self.instance.coupon_currency if name.startswith("coupon") else ""
                field.currency = foreign or settings.LAUREL_CURRENCY
                field.label = f"{field.label} ({field.currency})"
                dress(field)
            if name.startswith("description"):
                field.widget.attrs["rows"] = 3
        if "tiers" in self.fields:
            self.fields["tiers"].choices = [(t.code, str(t)) for t in Tier.objects.all()]  # type: ignore[attr-defined]

    def clean_coupon_minimum_minor(self) -> int:
        return self.cleaned_data["coupon_minimum_minor"] or 0

    def clean(self) -> dict[str, Any]:
        """Judge what depends on the kind, which a reward that exists keeps and the form does not ask again."""
        cleaned: dict[str, Any] = super().clean() or {}
        kind = cleaned.get("kind") or self.instance.kind
        if kind == RewardKind.COUPON and cleaned.get("money_minor") is not None:
            self.add_error("money_minor", _("A coupon costs points alone."))
        if kind != RewardKind.SERVICE and cleaned.get("booking_places"):
            self.add_error("booking_places", _("Only a service has places where it is booked."))
        return cleaned


class StockForm(StyledForm):
    """A change of a stock; `reference` makes the same form sent twice one delivery."""

    variant = forms.ModelChoiceField(
        RewardVariant.objects.none(),
        label=_("variant"),
        required=False,
        empty_label=_("The reward as a whole"),
        help_text=_("Variants that are not counted themselves share the count of the reward as a whole."),
    )
    change = forms.ChoiceField(
        label=_("change"),
        choices=[
            ("add", _("Pieces came in")),
            ("remove", _("Pieces went out")),
            ("count", _("Counted: this many are there")),
            ("endless", _("Without end")),
        ],
        widget=forms.RadioSelect,
    )
    pieces = forms.IntegerField(label=_("pieces"), min_value=0, max_value=1_000_000_000, required=False)
    reason = reason_field()
    reference = forms.CharField(max_length=100, widget=forms.HiddenInput)

    def __init__(self, *args: Any, reward: Reward, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        variants = RewardVariant.objects.filter(reward=reward)
        if variants.exists():
            self.fields["variant"].queryset = variants  # type: ignore[attr-defined]
        else:
            del self.fields["variant"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        pieces = cleaned.get("pieces")
        if cleaned.get("change") in ("add", "remove") and not pieces:
            self.add_error("pieces", _("Say how many."))
        if cleaned.get("change") == "count" and pieces is None:
            self.add_error("pieces", _("Say how many there are."))
        return cleaned


class ShipForm(StyledForm):
    """Who carries an order, under which number."""

    carrier = forms.CharField(label=_("carrier"), max_length=100)
    tracking = forms.CharField(label=_("tracking number"), max_length=100)


class PaymentForm(StyledForm):
    """That the money of an order was paid, by the number of the receipt."""

    reference = forms.CharField(
        label=_("receipt number"), max_length=100, help_text=_("Each receipt pays for one order.")
    )


class BookingForm(StyledForm):
    """When and where a member comes for a service."""

    booking = forms.SplitDateTimeField(label=_("time"))
    place = forms.CharField(label=_("place"), max_length=100)
    reason = forms.CharField(label=_("reason"), max_length=500, required=False)
    reference = forms.CharField(max_length=100, widget=forms.HiddenInput)

    def __init__(self, *args: Any, redemption: Redemption, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if places := redemption.reward.booking_places:
            choices = [(place, place) for place in places]
            self.fields["place"] = forms.ChoiceField(label=capfirst(_("place")), choices=choices)
            dress(self.fields["place"])


class NoShowForm(StyledForm):
    """That a member did not come, and whether the points go back all the same."""

    restore = forms.BooleanField(
        label=_("give the points back"), required=False, help_text=_("Only with a reason, which is kept.")
    )
    reason = forms.CharField(
        label=_("reason"), max_length=500, required=False, strip=True, widget=forms.Textarea(attrs={"rows": 2})
    )


class WriteOffForm(StyledForm):
    """The code a member shows."""

    code = forms.CharField(
        label=_("write-off code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"}),
    )


class ReasonForOrderForm(StyledForm):
    """Why an order is taken back."""

    reason = reason_field()


class ReturnForm(ReasonForOrderForm):
    """Why an order came back, and whether its pieces can be given out again."""

    restock = forms.BooleanField(label=_("put the pieces back into stock"), required=False, initial=True)


class AssignForm(StyledForm):
    """Who gets a coupon."""

    member = MemberField(label=_("member"), help_text=_("Card number, phone, e-mail or referral code."))
    reason = reason_field()


class TermsForm(StyledForm):
    """What the coupons of a batch promise."""

    name = forms.CharField(label=_("name"), max_length=150)
    value_minor = MoneyField(label=_("value"), min_value=0, required=False)
    percent = forms.IntegerField(label=_("percent off"), min_value=1, max_value=100, required=False)
    free_sku = forms.CharField(
        label=_("free item"), max_length=100, required=False, help_text=_("Its article number on the bill.")
    )
    free_category = forms.CharField(
        label=_("free item of a category"),
        max_length=100,
        required=False,
        help_text=_("One piece; of several kinds on the bill the cheapest."),
    )
    most_minor = MoneyField(
        label=_("at most"),
        min_value=0,
        required=False,
        help_text=_("The most a percentage or a free item takes off."),
    )
    minimum_minor = MoneyField(label=_("minimum spend"), min_value=0, required=False)
    channels = WordsField(
        label=_("channels"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Where it can be used, separated by commas. Empty: everywhere."),
    )
    combinable = forms.BooleanField(
        label=_("can be combined with other coupons on one bill"), required=False, initial=True
    )
    uses = forms.IntegerField(
        label=_("uses of a code"),
        min_value=1,
        max_value=1_000_000,
        initial=1,
        required=False,
        help_text=_("A printed code such as SPRING may be good for many."),
    )
    uses_per_member = forms.IntegerField(
        label=_("uses by one member"),
        min_value=1,
        max_value=1_000_000,
        required=False,
        help_text=_("Empty: no limit. With one, the till has to say who the member is."),
    )
    valid_from = forms.SplitDateTimeField(label=_("valid from"), required=False)
    expires_at = forms.SplitDateTimeField(
        label=_("expires at"), required=False, help_text=_("The first moment it is no longer good; empty: never.")
    )
    valid_days = forms.IntegerField(
        label=_("days of validity"),
        min_value=1,
        max_value=3_650,
        required=False,
        help_text=_(
            "Counted from the day a member gets it, or from its first day if later; it never outlives the end above."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, MoneyField):
                field.label = f"{field.label} ({field.currency})"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        worth = [cleaned.get(name) for name in ("value_minor", "percent", "free_sku", "free_category")]
        if sum(bool(one) for one in worth) != 1 and not self.errors:
            self.add_error("value_minor", _("Give a value, a percentage or a free item: one of them."))
        if cleaned.get("most_minor") and cleaned.get("value_minor"):
            self.add_error("most_minor", _("A coupon of a value takes off no more than that anyway."))
        if cleaned.get("uses_per_member") and cleaned["uses_per_member"] > (cleaned.get("uses") or 1):
            self.add_error("uses_per_member", _("One member cannot use a code more often than it can be used."))
        begins, ends = cleaned.get("valid_from"), cleaned.get("expires_at")
        if begins and ends and ends <= begins:
            self.add_error("expires_at", _("The period must end after it begins."))
        if ends and ends <= timezone.now():
            self.add_error("expires_at", _("This is in the past: nobody could use the coupons."))
        for name in ("value_minor", "most_minor"):
            cleaned[name] = cleaned.get(name) or None
        cleaned["uses"] = cleaned.get("uses") or 1
        cleaned["minimum_minor"] = cleaned.get("minimum_minor") or 0
        cleaned["currency"] = settings.LAUREL_CURRENCY
        return cleaned

    def terms(self) -> dict[str, Any]:
        """Return the name and the promise, as a batch keeps them."""
        return {name: self.cleaned_data[name] for name in (*TermsForm.base_fields, "currency")}


class BatchForm(TermsForm):
    """Codes to be made in one go."""

    quantity = forms.IntegerField(label=_("number of codes"), min_value=1, max_value=1_000_000)
    field_order = ("name", "quantity")


class CodesForm(StyledForm):
    """Codes from outside, as a file or typed."""

    file = forms.FileField(
        label=_("CSV file"),
        required=False,
        help_text=_("One code a row, in the column “code” or else the first one; at most 50,000 rows."),
    )
    codes = forms.CharField(
        label=_("codes"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Or typed, one a line: 4 to 40 letters, digits and signs. Capitals and dashes do not matter."),
    )
    rows: Sequence[tuple[int, str]] = ()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        file, typed = cleaned.get("file"), (cleaned.get("codes") or "").strip()
        if self.errors:
            return cleaned
        if bool(file) == bool(typed):
            self.add_error("file", _("Give a file or type the codes: one of them."))
            return cleaned
        try:
            self.rows = code_files.read(file.read() if file else typed.encode())
        except DomainError as refusal:
            blame(self, refusal)
        return cleaned


class OutsideBatchForm(CodesForm, TermsForm):
    """Codes from outside, and what they promise here."""

    field_order = ("name", "file", "codes")

    def terms(self) -> dict[str, Any]:
        """Return the name and the promise, as a batch keeps them."""
        return TermsForm.terms(self)


class GiveForm(StyledForm):
    """Who gets a code of a batch each; a giving to nobody or of nothing is a mistake."""

    tier = forms.ModelChoiceField(Tier.objects.none(), label=_("tier"), required=False, empty_label=_("All tiers"))
    segment = forms.CharField(
        label=_("segment"), max_length=64, required=False, help_text=_("Empty: whatever segments they are in.")
    )
    reason = reason_field()

    def __init__(self, *args: Any, batch: CouponBatch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batch = batch
        self.fields["tier"].queryset = Tier.objects.all()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        if not batches.audience(CouponGiving(tier=cleaned["tier"], segment=cleaned["segment"])).exists():
            self.add_error("segment" if cleaned["segment"] else "tier", _("No active member is in it."))
        elif self.batch.is_made and not self.free_codes().exists():
            self.add_error(None, _("This batch has no code left that could be used."))
        return cleaned

    def free_codes(self) -> CouponQuerySet:
        """Return the codes of the batch that can still be given out."""
        return Coupon.objects.filter(batch=self.batch).free(timezone.now())
