"""What members fill in; every error names its field and the reason in the member's language."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from members.models import Member, User
from rewards.actions.booking import LONGEST_AHEAD, Booking
from rewards.actions.redeeming import Price
from rewards.models import RewardKind, RewardVariant

_LARGEST_QUANTITY = 99


def dress(form: forms.BaseForm) -> None:
    """Give every control the look of the portal."""
    for field in form.fields.values():
        if not isinstance(field.widget, (forms.RadioSelect, forms.CheckboxInput)):
            field.widget.attrs.setdefault("class", "field")


class SignInForm(AuthenticationForm):
    """Card number, phone or e-mail, and the password."""

    error_messages = {
        "invalid_login": _(
            "The card number, phone or e-mail and the password do not match. Check both and try again."
        ),
        "inactive": _("This membership is not active."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login, password = self.fields["username"], self.fields["password"]
        login.label = _("Card number, phone or e-mail")
        login.error_messages["required"] = _("Enter your card number, phone or e-mail.")
        login.widget.attrs.update(autocomplete="username", autocapitalize="none", spellcheck="false", maxlength=254)
        password.error_messages["required"] = _("Enter your password.")
        dress(self)

    def clean_username(self) -> str:
        """Bring a login into one spelling, so that a lock-out cannot be walked round with spaces and dashes."""
        login = str(self.cleaned_data["username"]).strip()
        if "@" in login:
            return login.casefold()
        return re.sub(r"[\s().\-–—/]+", "", login) if re.fullmatch(r"[\d\s+().\-–—/]+", login) else login


class PasswordForm(forms.Form):
    """A new password, by somebody who knows the old one."""

    old = forms.CharField(
        label=_("Present password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": _("Enter your present password.")},
    )
    new = forms.CharField(
        label=_("New password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters; a few words in a row are easy to remember and hard to guess."),
        error_messages={"required": _("Enter a new password.")},
    )
    again = forms.CharField(
        label=_("New password again"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": _("Enter the new password a second time.")},
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        dress(self)

    def clean_old(self) -> str:
        old: str = self.cleaned_data["old"]
        if not self.user.check_password(old):
            raise forms.ValidationError(_("This is not your present password."), code="password_wrong")
        return old

    def clean_new(self) -> str:
        new: str = self.cleaned_data["new"]
        validate_password(new, self.user)
        return new

    def clean_again(self) -> str:
        again: str = self.cleaned_data["again"]
        if "new" in self.cleaned_data and again != self.cleaned_data["new"]:
            raise forms.ValidationError(_("The two new passwords differ."), code="password_differs")
        return again


class LanguageForm(forms.Form):
    """The language the programme speaks with the member."""

    language = forms.ChoiceField(
        label=_("Language"),
        choices=settings.LANGUAGES,
        error_messages={"invalid_choice": _("The portal does not speak this language.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        dress(self)


class BookingForm(forms.Form):
    """When and where a member comes for a service; `reference` makes the same form sent twice one booking."""

    reference = forms.RegexField(regex=r"^[0-9a-f]{32}$", widget=forms.HiddenInput)
    time = forms.DateTimeField(
        label=_("Date and time"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"required": _("Choose a date and a time."), "invalid": _("Enter a date and a time.")},
    )
    place = forms.ChoiceField(
        label=_("Place"),
        error_messages={
            "required": _("Choose one of the places."),
            "invalid_choice": _("Choose one of the places."),
        },
    )

    def __init__(self, *args: Any, places: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = cast("forms.ChoiceField", self.fields["place"])
        choices.choices = [(place, place) for place in places]
        dress(self)

    def clean_time(self) -> datetime | None:
        return _still_to_come(self.cleaned_data["time"])

    @property
    def booking(self) -> Booking:
        """What was chosen."""
        return Booking(at=self.cleaned_data["time"], place=self.cleaned_data["place"])


def _still_to_come(time: datetime | None) -> datetime | None:
    if time is not None and time <= timezone.now():
        raise forms.ValidationError(_("Choose a time that is still to come."), code="booking_in_past")
    if time is not None and time > timezone.now() + LONGEST_AHEAD:
        raise forms.ValidationError(_("Choose a time within a year."), code="booking_too_far")
    return time


class OrderForm(forms.Form):
    """What exactly to redeem; `reference` makes the same form sent twice one order."""

    reference = forms.RegexField(regex=r"^[0-9a-f]{32}$", widget=forms.HiddenInput)
    variant = forms.ModelChoiceField(
        label=_("Choose"),
        queryset=RewardVariant.objects.none(),
        to_field_name="code",
        empty_label=None,
        error_messages={
            "required": _("Choose one of them."),
            "invalid_choice": _("This choice is not offered any more."),
        },
    )
    quantity = forms.IntegerField(
        label=_("Quantity"),
        min_value=1,
        max_value=_LARGEST_QUANTITY,
        error_messages={
            "required": _("Enter how many you want."),
            "invalid": _("Enter a whole number."),
            "min_value": _("Quantity: at least %(limit_value)s."),
            "max_value": _("Quantity: at most %(limit_value)s at a time."),
        },
    )
    delivery = forms.ChoiceField(
        label=_("Delivery"),
        choices=[("pick_up", _("I pick it up")), ("post", _("Send it to me"))],
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose how it reaches you."),
            "invalid_choice": _("Choose how it reaches you."),
        },
    )
    address = forms.CharField(
        label=_("Delivery address"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"}),
        error_messages={"max_length": _("Delivery address: at most %(limit_value)d characters.")},
    )
    time = forms.DateTimeField(
        label=_("Date and time"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("Leave it empty to book later."),
        error_messages={"invalid": _("Enter a date and a time.")},
    )
    place = forms.ChoiceField(
        label=_("Place"), required=False, error_messages={"invalid_choice": _("Choose one of the places.")}
    )

    def __init__(
        self, *args: Any, variants: list[RewardVariant], kind: str, places: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if variants:
            choice = cast("forms.ModelChoiceField[RewardVariant]", self.fields["variant"])
            choice.queryset = RewardVariant.objects.filter(pk__in=[variant.pk for variant in variants])
        else:
            del self.fields["variant"]
        if kind != RewardKind.GIFT:  # one code for each coupon and each visit, so one at a time
            for name in ("quantity", "delivery", "address"):
                del self.fields[name]
        if places:
            choices = cast("forms.ChoiceField", self.fields["place"])
            choices.choices = [(place, place) for place in places]
        else:
            del self.fields["time"], self.fields["place"]
        dress(self)

    def clean_time(self) -> datetime | None:
        return _still_to_come(self.cleaned_data["time"])

    def clean_address(self) -> str:
        """Keep the lines of an address, whatever the browser sends between them, and nothing that cannot be shown."""
        address = str(self.cleaned_data["address"]).replace("\r\n", "\n").replace("\r", "\n").strip()
        if any(ord(letter) < 32 and letter != "\n" for letter in address):
            raise forms.ValidationError(_("Delivery address: it has characters that cannot be shown."), code="invalid")
        return address

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("delivery") == "post" and not cleaned.get("address") and "address" not in self.errors:
            self.add_error("address", forms.ValidationError(_("Enter the address to send it to."), code="required"))
        if cleaned.get("time") and not cleaned.get("place") and "place" not in self.errors:
            self.add_error("place", forms.ValidationError(_("Choose one of the places."), code="required"))
        return cleaned

    @property
    def booking(self) -> Booking | None:
        """When and where the member will come; None when that is said later."""
        time = self.cleaned_data.get("time")
        return Booking(at=time, place=self.cleaned_data["place"]) if time else None

    @property
    def shipping_address(self) -> str:
        """Where to send it; empty when the member picks it up."""
        is_posted = self.cleaned_data.get("delivery") == "post"
        return str(self.cleaned_data.get("address", "")) if is_posted else ""


class AgreedForm(forms.Form):
    """What one piece costs, as the member read it when asked once more: without it nothing was agreed to."""

    points = forms.IntegerField(widget=forms.HiddenInput)
    money_minor = forms.IntegerField(required=False, widget=forms.HiddenInput)

    @property
    def price(self) -> Price:
        """The price that was agreed to."""
        return Price(**self.cleaned_data)


def delivery_of(member: Member) -> str:
    """Return the way a gift most likely reaches this member."""
    return "post" if member.address else "pick_up"
