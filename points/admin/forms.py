"""What staff fill in about points: adjustments, rules, previews and checks."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import DataError, ProgrammingError, connection, transaction
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from config.lib import money
from config.lib.errors import DomainError
from members.admin.forms import reason_field, split_words
from members.admin.styling import StyledForm, dress
from members.models import Member, Tier
from points.models import EarningRule, EventType, PointType, RuleStatus

MOST_POINTS = 1_000_000_000_000
EARNING_TYPES = [choice for choice in EventType.choices if choice[0] != EventType.REFUND]


class AdjustForm(StyledForm):
    """A credit or a debit of one member."""

    point_type: Any = forms.ModelChoiceField(PointType.objects.none(), label=_("point type"), empty_label=None)
    direction = forms.ChoiceField(
        label=_("direction"),
        choices=[("credit", _("Credit: the member gets points")), ("debit", _("Debit: points are taken away"))],
        widget=forms.RadioSelect,
    )
    points = forms.IntegerField(label=_("points"), min_value=1, max_value=MOST_POINTS)
    reason = reason_field()
    note = forms.CharField(
        label=_("note for the member"),
        max_length=500,
        required=False,
        help_text=_("The member reads it in the history."),
    )
    reference = forms.CharField(max_length=100, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["point_type"].queryset = PointType.objects.all()  # type: ignore[attr-defined]

    def clean_points(self) -> int:
        """Refuse what is too much for one person to decide."""
        points: int = self.cleaned_data["points"]
        if points > settings.LAUREL_ADJUSTMENT_LIMIT:
            limit = f"{settings.LAUREL_ADJUSTMENT_LIMIT:,}"
            raise ValidationError(_("One person adjusts at most %(limit)s points at once."), params={"limit": limit})
        return points

    def signed_points(self) -> int:
        """Return the points with the sign the balance will see."""
        points: int = self.cleaned_data["points"]
        return points if self.cleaned_data["direction"] == "credit" else -points


class MemberField(forms.CharField):
    """A member named by card number, phone, e-mail or referral code."""

    def clean(self, value: Any) -> Member | None:
        term = super().clean(value).strip()
        if not term:
            return None
        found = list(Member.objects.search(term)[:2])
        if len(found) != 1:
            raise ValidationError(
                _("More than one member fits; give the card number.") if found else _("There is no such member.")
            )
        return found[0]


class CheckForm(StyledForm):
    """Whose books to check."""

    member = MemberField(
        label=_("member"), required=False, help_text=_("Card number, phone or e-mail. Empty: everybody.")
    )


class MoneyField(forms.DecimalField):
    """Minor units in the database, a decimal amount on the screen."""

    currency = settings.LAUREL_CURRENCY

    def prepare_value(self, value: Any) -> Any:
        return money.to_decimal_string(value, self.currency) if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.to_python(self.prepare_value(initial)), data)

    def clean(self, value: Any) -> int | None:
        amount = super().clean(value)
        try:
            return None if amount is None else money.to_minor(amount, self.currency)
        except DomainError as refusal:
            raise ValidationError(str(refusal)) from refusal


class WordsField(SimpleArrayField):
    """Words with commas or lines between them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(forms.CharField(max_length=64), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return super().to_python(split_words(value) if isinstance(value, str) else value)


class ObjectField(forms.CharField):
    """A JSON object; what cannot be read is shown by line and column."""

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False, indent=2) if isinstance(value, dict) else value or ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> dict[str, Any] | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            read = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            where = {"line": error.lineno, "column": error.colno, "problem": error.msg}
            raise ValidationError(
                _("Line %(line)s, column %(column)s: this is not JSON (%(problem)s)."), params=where
            ) from error
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if not isinstance(read, dict):
            raise ValidationError(_('A JSON object is needed, such as {"paid_with": "card"}.'))
        if "\\u0000" in text:
            raise ValidationError(_("The character NUL cannot be stored."))
        return read


def _refuse_constant(name: str) -> None:
    raise ValueError(_("%(name)s is not a number JSON knows.") % {"name": name})


class TierLinesField(forms.CharField):
    """Something for some tiers, a line each: gold = 1.5."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{code} = {said}" for code, said in value.items()) if isinstance(value, dict) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial or {}), (data or "").replace("\r\n", "\n"))

    def clean(self, value: Any) -> dict[str, Any]:
        text = super().clean(value)
        known = set(Tier.objects.values_list("code", flat=True))
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        return dict(self._line(number, line, known) for number, line in lines)

    def _line(self, number: int, line: str, known: set[str]) -> tuple[str, Any]:
        code, _equals, said = (part.strip() for part in line.replace(":", "=").partition("="))
        if code not in known:
            raise ValidationError(
                _("Line %(line)s: there is no tier “%(tier)s”. Known: %(known)s."),
                params={"line": number, "tier": code, "known": ", ".join(sorted(known))},
            )
        try:
            return code, self.read(said)
        except ValueError as error:
            raise ValidationError(
                _("Line %(line)s: %(problem)s"), params={"line": number, "problem": error}
            ) from error

    def read(self, text: str) -> Any:
        """Return what a line says of its tier, or raise ValueError with a sentence."""
        raise NotImplementedError


class FactorsField(TierLinesField):
    """A factor for some tiers."""

    def read(self, text: str) -> str:
        try:
            factor = Decimal(text)
        except InvalidOperation:
            factor = Decimal(0)
        if not factor.is_finite() or not Decimal("0.01") <= factor <= 100:
            raise ValueError(_("the factor must be a number from 0.01 to 100."))
        return str(factor)


class PricesField(TierLinesField):
    """A price in points for some tiers."""

    def read(self, text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= MOST_POINTS:
            raise ValueError(_("the price must be a whole number of points."))
        return int(text)


def check_path(path: str) -> None:
    """Ask PostgreSQL whether it can read an SQL/JSON path; if not, say where it stumbles."""
    if said := _path_problem(path):
        told = _("Position %(place)s: %(said)s")
        raise ValidationError(told, code="invalid_path", params={"place": _place(path, said), "said": said})


def _path_problem(path: str) -> str:
    """Return PostgreSQL's word on a path that it cannot read, or nothing."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT %s::jsonpath", [path])
    except (DataError, ProgrammingError) as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        return str(getattr(diagnosis, "message_primary", "") or error)
    return ""


def _place(path: str, said: str) -> int:
    """Return the position of the word that PostgreSQL names: there the path breaks, and just before it did not yet."""
    word = said.split('"')[1] if said.count('"') >= 2 else ""
    start = path.find(word) if word else -1
    while start >= 0:
        if word in _path_problem(path[: start + len(word)]) and f'"{word}"' not in _path_problem(path[:start]):
            return start + 1
        start = path.find(word, start + 1)
    return len(path) + 1


#: What a number of a rule can be, as the laws of its table say: the least and the most.
_BOUNDS: dict[str, tuple[Any, Any]] = {
    "points": (Decimal("0.0001"), None),
    "hour_from": (0, 23),
    "hour_below": (1, 24),
    "cap_day": (1, None),
    "cap_week": (1, None),
    "cap_month": (1, None),
    "cap_lifetime": (1, None),
    "budget": (1, None),
}


class EarningRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A version of an earning rule, as a person would say it rather than as the columns keep it."""

    event_types = forms.MultipleChoiceField(
        label=_("event types"), choices=EARNING_TYPES, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    weekdays = forms.TypedMultipleChoiceField(
        label=_("weekdays"),
        coerce=int,
        choices=[
            (1, _("Monday")),
            (2, _("Tuesday")),
            (3, _("Wednesday")),
            (4, _("Thursday")),
            (5, _("Friday")),
            (6, _("Saturday")),
            (7, _("Sunday")),
        ],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    tiers = forms.MultipleChoiceField(label=_("tiers"), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget)
    channels = WordsField(label=_("channels"), required=False, widget=UnfoldAdminTextInputWidget)
    stores = WordsField(label=_("stores"), required=False, widget=UnfoldAdminTextInputWidget)
    categories = WordsField(label=_("line item categories"), required=False, widget=UnfoldAdminTextInputWidget)
    segments = WordsField(label=_("segments"), required=False, widget=UnfoldAdminTextInputWidget)
    amount_from_minor = MoneyField(label=_("amount from"), min_value=0, required=False)
    amount_below_minor = MoneyField(label=_("amount below"), min_value=0, required=False)
    per_minor = MoneyField(label=_("for each"), help_text=_("A rate gives its points for this much money."))
    attributes_contain = ObjectField(
        label=_("attributes contain"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_('A JSON object the event\'s attributes must contain, such as {"paid_with": "card"}.'),
    )
    tier_multipliers = FactorsField(
        label=_("tier multipliers"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("A line for each tier, such as gold = 1.5"),
    )

    class Meta:
        model = EarningRule
        fields = (
            "name_en",
            "name_zh_hans",
            "description_en",
            "description_zh_hans",
            "code",
            "priority",
            "valid_from",
            "valid_until",
            "point_type",
            "award_kind",
            "points",
            "per_minor",
            "amount_basis",
            "rounding",
            "is_base",
            "stacking_group",
            "tier_multipliers",
            "event_types",
            "currency",
            "amount_from_minor",
            "amount_below_minor",
            "channels",
            "stores",
            "categories",
            "tiers",
            "segments",
            "weekdays",
            "hour_from",
            "hour_below",
            "first_ever",
            "birthday_month",
            "attributes_contain",
            "attributes_path",
            "cap_day",
            "cap_week",
            "cap_month",
            "cap_lifetime",
            "budget",
            "pending_days",
            "expiry_policy",
            "expiry_value",
            "expiry_on",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "tiers" in self.fields:
            self.fields["tiers"].choices = [(t.code, f"{t}") for t in Tier.objects.all()]  # type: ignore[attr-defined]
        currency = self._currency()
        for name, field in self.fields.items():
            field.label = capfirst(field.label)
            if isinstance(field, MoneyField):
                field.currency = currency
                field.label = f"{field.label} ({currency})"
                dress(field)
            if name.startswith("description") or name == "attributes_path":
                field.widget.attrs["rows"] = 2 if name.startswith("description") else 3
        for name in _BOUNDS.keys() & self.fields.keys():
            _bound(self.fields[name], *_BOUNDS[name])
        if isinstance(points := self.initial.get("points"), Decimal):
            self.initial["points"] = Decimal(f"{points.normalize():f}")  # without the zeros its column carries
        if self.instance.pk is None and "valid_from" in self.fields:
            self.fields["valid_from"].initial = timezone.now

    def _currency(self) -> str:
        """Return the currency the amounts are in: the rule's, else the programme's."""
        given = self.data.get("currency")
        code = str(given or self.instance.currency or settings.LAUREL_CURRENCY).upper()
        try:
            money.exponent_of(code)
        except DomainError:
            return str(settings.LAUREL_CURRENCY)
        return code

    def clean_currency(self) -> str:
        code: str = self.cleaned_data["currency"].strip().upper()
        if code:
            try:
                money.exponent_of(code)
            except DomainError as refusal:
                raise ValidationError(str(refusal)) from refusal
        return code

    def clean_attributes_path(self) -> str:
        path: str = self.cleaned_data["attributes_path"].strip()
        if path:
            check_path(path)
        return path

    def clean_per_minor(self) -> int | None:
        per: int | None = self.cleaned_data["per_minor"]
        if per is not None and per <= 0:
            raise ValidationError(_("The money points are given for must be more than nothing."))
        return per

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        least, below = cleaned.get("amount_from_minor"), cleaned.get("amount_below_minor")
        if least is not None and below is not None and least >= below:
            self.add_error(
                "amount_below_minor",
                _("“Amount from” must be less than “amount below”."),
            )
        return cleaned

    def clean_valid_until(self) -> Any:
        """A version in force may be ended ahead of time or later, never in the past."""
        end, before = self.cleaned_data["valid_until"], self.instance.valid_until
        settled = self.instance.pk and self.instance.status in (RuleStatus.ACTIVE, RuleStatus.RETIRED)
        if settled and end != before:
            now = timezone.now()
            if (before and before <= now) or (end and end <= now):
                raise ValidationError(_("The rule has decided about events until then: its end must lie ahead."))
        return end


def _bound(field: forms.Field, least: Any, most: Any) -> None:
    """Refuse a number out of reach beside its field, and let the browser know the bounds."""
    field.widget.attrs["min"] = least
    field.validators.append(MinValueValidator(least))
    if most is not None:
        field.widget.attrs["max"] = most
        field.validators.append(MaxValueValidator(most))


class PreviewForm(StyledForm):
    """An event that did not happen."""

    member = MemberField(label=_("member"), help_text=_("Card number, phone, e-mail or referral code."))
    type = forms.ChoiceField(label=_("event type"), choices=EARNING_TYPES)
    amount = forms.DecimalField(label=_("amount"), min_value=0, required=False)
    currency = forms.CharField(label=_("currency"), max_length=3, required=False)
    channel = forms.CharField(label=_("channel"), max_length=64, required=False)
    store = forms.CharField(label=_("store"), max_length=64, required=False)
    category = forms.CharField(
        label=_("category of goods"),
        max_length=64,
        required=False,
        help_text=_("As if all of it were of this category."),
    )
    occurred_at = forms.SplitDateTimeField(label=_("occurred at"), initial=timezone.now)
    attributes = ObjectField(
        label=_("attributes"), required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text=_("A JSON object.")
    )

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"] or settings.LAUREL_CURRENCY).upper()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("amount") is not None and cleaned.get("currency"):
            try:
                cleaned["amount_minor"] = money.to_minor(cleaned["amount"], cleaned["currency"])
            except DomainError as refusal:
                self.add_error("amount", str(refusal))
        return cleaned


class RetireForm(StyledForm):
    """When a rule ends, and why."""

    until = forms.SplitDateTimeField(label=_("valid until"), required=False, help_text=_("Empty: now."))
    reason = reason_field()
