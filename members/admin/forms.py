"""What staff fill in about members and client systems."""

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from members.admin.styling import StyledForm
from members.models import OFFERED_TYPES, Client, Member, Scope, Tier


def reason_field() -> forms.CharField:
    """The field in which a person says why."""
    return forms.CharField(
        label=_("reason"),
        max_length=500,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept for the audit."),
    )


class ReasonForm(StyledForm):
    """Nothing but the reason."""

    reason = reason_field()


class RevealForm(StyledForm):
    """Why somebody needs to see personal data."""

    PURPOSES = (
        ("call", _("The member is on the telephone")),
        ("counter", _("The member is at the counter")),
        ("complaint", _("Working on a complaint")),
        ("fraud", _("Checking for fraud")),
        ("other", _("Something else (say what)")),
    )

    purpose = forms.ChoiceField(label=_("purpose"), choices=PURPOSES, widget=forms.RadioSelect)
    details = forms.CharField(
        label=_("details"), required=False, max_length=300, help_text=_("A case number, for example.")
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("purpose") == "other" and not cleaned.get("details"):
            self.add_error("details", _("Say what it is for."))
        return cleaned

    def reason(self) -> str:
        """Return purpose and details as the audit trail keeps them: in English, whatever the clerk reads."""
        return ": ".join(filter(None, [self.cleaned_data["purpose"], self.cleaned_data["details"]]))


class ProfileForm(StyledForm):
    """What a member says about himself."""

    name = forms.CharField(label=_("full name"), max_length=150)
    phone = forms.CharField(label=_("phone"), max_length=32, required=False)
    email = forms.CharField(label=_("e-mail"), max_length=254, required=False)
    birthday = forms.DateField(label=_("birthday"), required=False)
    address = forms.CharField(
        label=_("address"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    language = forms.ChoiceField(label=_("language"), choices=settings.LANGUAGES)
    labels = forms.CharField(label=_("segments"), required=False, help_text=_("Separate several with commas."))

    def clean_labels(self) -> list[str]:
        return split_words(self.cleaned_data["labels"])


class EnrolForm(ProfileForm):
    """A new member, and whom to thank for him."""

    referral_code = forms.CharField(
        label=_("referral code"), max_length=12, required=False, help_text=_("Of the member who invited this one.")
    )
    tier = forms.ModelChoiceField(
        Tier.objects.none(), label=_("tier"), required=False, empty_label=_("The tier everybody starts in")
    )
    reference = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["tier"].queryset = Tier.objects.filter(is_active=True)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        has_neither = not cleaned.get("phone") and not cleaned.get("email")
        if has_neither and not {"phone", "email"} & self.errors.keys():
            self.add_error("phone", _("Give a phone number or an e-mail address: the member signs in with it."))
        return cleaned


class EditForm(ProfileForm):
    """Changes to a member's profile, with the reason."""

    reason = reason_field()

    @staticmethod
    def values_of(member: Member) -> dict[str, Any]:
        """Return what stands there now."""
        names = ("name", "phone", "email", "birthday", "address", "language")
        return {name: getattr(member, name) for name in names} | {"labels": ", ".join(member.labels)}


class TierForm(StyledForm):
    """Another tier, by hand."""

    tier = forms.ModelChoiceField(Tier.objects.none(), label=_("tier"))
    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["tier"].queryset = Tier.objects.filter(is_active=True)  # type: ignore[attr-defined]


class ClientForm(StyledForm):
    """A system that will call the API."""

    name = forms.CharField(label=_("name"), max_length=100)
    code = forms.SlugField(
        label=_("code"),
        max_length=50,
        required=False,
        help_text=_("The source of all it writes. Left empty it is made of the name; it never changes."),
    )
    scopes = forms.MultipleChoiceField(label=_("scopes"), choices=Scope, widget=forms.CheckboxSelectMultiple)
    expires_at = forms.SplitDateTimeField(label=_("expires"), required=False, help_text=_("Empty: never."))


class WebhookForm(StyledForm):
    """Where a client system is told, and of what."""

    name = forms.CharField(label=_("name"), max_length=100)
    url = forms.CharField(
        label=_("address"),
        max_length=500,
        help_text=_("Begins with https:// and is reached from the open Internet, on port 443 or 8443."),
    )
    types = forms.MultipleChoiceField(
        label=_("told of"),
        choices=[(each.value, each.label) for each in OFFERED_TYPES],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("The client system needs the scope to read what it is told of."),
    )


class NewWebhookForm(WebhookForm):
    """A new address at which a client system is told."""

    client = forms.ModelChoiceField(Client.objects.none(), label=_("client system"))

    field_order = ("client", "name", "url", "types")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["client"].queryset = Client.objects.filter(is_active=True)  # type: ignore[attr-defined]


class RotateForm(StyledForm):
    """For how long the secret before is still good."""

    GRACES = (
        (24, _("One day")),
        (168, _("One week")),
        (0, _("Not at all: the old secret is known to somebody it should not be")),
    )

    grace_hours = forms.TypedChoiceField(
        label=_("The old secret is still good for"), choices=GRACES, coerce=int, widget=forms.RadioSelect, initial=24
    )


class NewKeyForm(StyledForm):
    """A new key, how long the present one goes on working, and why."""

    GRACES = (
        (0, _("not at all: it ends at once")),
        (1, _("for an hour")),
        (24, _("for a day")),
        (7 * 24, _("for a week")),
        (30 * 24, _("for thirty days")),
    )

    grace = forms.TypedChoiceField(
        label=_("the present key goes on working"),
        choices=GRACES,
        coerce=lambda hours: timedelta(hours=int(hours)),
        initial=7 * 24,
    )
    expires_at = forms.SplitDateTimeField(
        label=_("expires"), required=False, help_text=_("When the new key ends. Empty: never.")
    )
    reason = reason_field()


def split_words(text: str) -> list[str]:
    """Return the words of a list typed by a person: commas of either kind, or lines, between them."""
    for separator in ("，", "、", "\n"):
        text = text.replace(separator, ",")
    return list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
