"""What staff fill in about rewards: the catalogue, stock, coupons and orders."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from members.admin.forms import reason_field
from members.admin.styling import StyledForm, dress
from members.models import Tier
from points.admin.forms import MemberField, MoneyField, PricesField, WordsField
from rewards.models import Reward, RewardVariant


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

    class Meta:
        model = Reward
        fields = (
            "name_en",
            "name_zh_hans",
            "description_en",
            "description_zh_hans",
            "code",
            "kind",
            "points",
            "points_by_tier",
            "picture",
            "is_active",
            "valid_from",
            "valid_until",
            "tiers",
            "segments",
            "per_member_limit",
            "coupon_value_minor",
            "coupon_percent",
            "coupon_minimum_minor",
            "coupon_currency",
            "coupon_valid_days",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = capfirst(field.label)
            if isinstance(field, MoneyField):
                field.currency = self.instance.coupon_currency or settings.LAUREL_CURRENCY
                field.label = f"{field.label} ({field.currency})"
                dress(field)
            if name.startswith("description"):
                field.widget.attrs["rows"] = 3
        if "tiers" in self.fields:
            self.fields["tiers"].choices = [(t.code, str(t)) for t in Tier.objects.all()]  # type: ignore[attr-defined]

    def clean_coupon_minimum_minor(self) -> int:
        return self.cleaned_data["coupon_minimum_minor"] or 0


class StockForm(StyledForm):
    """A change of a stock."""

    variant = forms.ModelChoiceField(
        RewardVariant.objects.none(), label=_("variant"), required=False, empty_label=_("The reward as a whole")
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

    def __init__(self, *args: Any, reward: Reward, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        variants = RewardVariant.objects.filter(reward=reward)
        if variants.exists():
            field = self.fields["variant"]
            field.queryset = variants  # type: ignore[attr-defined]
            field.empty_label = None  # type: ignore[attr-defined]
            field.required = True
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


class BatchForm(StyledForm):
    """Codes to be made in one go."""

    name = forms.CharField(label=_("name"), max_length=150)
    quantity = forms.IntegerField(label=_("number of codes"), min_value=1, max_value=1_000_000)
    value_minor = MoneyField(label=_("value"), min_value=0, required=False)
    percent = forms.IntegerField(label=_("percent off"), min_value=1, max_value=100, required=False)
    minimum_minor = MoneyField(label=_("minimum spend"), min_value=0, required=False)
    valid_from = forms.SplitDateTimeField(label=_("valid from"), required=False)
    expires_at = forms.SplitDateTimeField(
        label=_("expires at"), required=False, help_text=_("The first moment it is no longer good; empty: never.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, MoneyField):
                field.label = f"{field.label} ({field.currency})"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if bool(cleaned.get("value_minor")) == bool(cleaned.get("percent")) and not self.errors:
            self.add_error("value_minor", _("Give either a value or a percentage."))
        begins, ends = cleaned.get("valid_from"), cleaned.get("expires_at")
        if begins and ends and ends <= begins:
            self.add_error("expires_at", _("The period must end after it begins."))
        cleaned["minimum_minor"] = cleaned.get("minimum_minor") or 0
        cleaned["currency"] = settings.LAUREL_CURRENCY
        return cleaned
