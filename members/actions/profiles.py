"""What a member says about himself: checked and brought into one spelling, whatever door it came by."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypedDict

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from members import contacts
from members.models import Member

#: The attribute in which a client system tells the device somebody joined from.
DEVICE = "device"
_OLDEST_BIRTHDAY = date(1900, 1, 1)
_LABEL_LIMIT = 64
_ATTRIBUTES_LIMIT = 10_000


class TextUnusable(DomainError):
    code = "text_unusable"
    message = _("%(field)s: at most %(limit)s characters, without control characters.")


class BirthdayImpossible(DomainError):
    code = "birthday_impossible"
    message = _("birthday: %(birthday)s is not the birthday of a living person.")


class LanguageUnknown(DomainError):
    code = "language_unknown"
    message = _("language: %(language)s is not one of %(known)s.")


class AttributesUnusable(DomainError):
    code = "attributes_unusable"
    message = _("attributes: expected a JSON object of at most %(limit)s bytes.")


class Profile(TypedDict, total=False):
    """The parts of a profile a door may hand over; a part left out is left as it is."""

    name: str | None
    phone: str | None
    email: str | None
    birthday: date | None
    address: str | None
    language: str | None
    attributes: Mapping[str, Any] | None
    labels: Sequence[str]


def clean(profile: Profile, *, at: datetime) -> dict[str, Any]:
    """Return the given parts in their stored spelling, or refuse the profile by the first part that cannot be."""
    return {part: _CLEANERS[part](value, at) for part, value in profile.items()}


def clean_text(field: str, text: str, *, limit: int, lines: bool = False) -> str:
    """Return the text without outer blanks; refuse what is too long or could not be shown."""
    text = text.strip().replace("\r\n", "\n")
    shown = text.replace("\n", "") if lines else text
    if len(text) > limit or not contacts.is_storable(shown):
        raise TextUnusable(field=field, limit=limit)
    return text


def birth_month(birthday: date | None) -> int | None:
    """Return the one part of a birthday that earning rules may see."""
    return birthday.month if birthday else None


def _limit(field: str) -> int:
    return int(getattr(Member._meta.get_field(field), "max_length", None) or 0)


def _name(name: str | None, _at: datetime) -> str:
    return clean_text("name", name or "", limit=_limit("name"))


def _phone(phone: str | None, _at: datetime) -> str:
    return contacts.normalise_phone(phone) if phone and phone.strip() else ""


def _email(email: str | None, _at: datetime) -> str:
    """Keep the spelling the person chose; the index compares the normalised one."""
    email = clean_text("email", email or "", limit=_limit("email"))
    if email:
        contacts.normalise_email(email)
    return email


def _birthday(birthday: date | None, at: datetime) -> date | None:
    if birthday is not None and not _OLDEST_BIRTHDAY <= birthday <= timezone.localdate(at):
        raise BirthdayImpossible(birthday=birthday.isoformat())
    return birthday


def _address(address: str | None, _at: datetime) -> str:
    return clean_text("address", address or "", limit=_limit("address"), lines=True)


def _language(language: str | None, _at: datetime) -> str:
    known = [code for code, _name in settings.LANGUAGES]
    language = (language or "").strip().lower() or settings.LANGUAGE_CODE
    if language not in known:
        raise LanguageUnknown(language=language, known=", ".join(known))
    return language


def _attributes(attributes: Any, _at: datetime) -> dict[str, Any]:
    refusal = AttributesUnusable(limit=_ATTRIBUTES_LIMIT)
    if not isinstance(attributes, Mapping):
        raise refusal
    try:
        text = json.dumps(attributes, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())  # half characters cannot be encoded, nor kept by PostgreSQL
    except (TypeError, ValueError, RecursionError) as error:
        raise refusal from error
    if size > _ATTRIBUTES_LIMIT or "\\u0000" in text:
        raise refusal
    return dict(attributes)


def _labels(labels: Sequence[str], _at: datetime) -> list[str]:
    texts = {clean_text("labels", label, limit=_LABEL_LIMIT) for label in labels}
    return sorted(texts - {""})


_CLEANERS: dict[str, Callable[[Any, datetime], Any]] = {
    "name": _name,
    "phone": _phone,
    "email": _email,
    "birthday": _birthday,
    "address": _address,
    "language": _language,
    "attributes": _attributes,
    "labels": _labels,
}
