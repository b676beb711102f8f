"""What a member says about himself: checked and brought into one spelling, whatever door it came by."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypedDict

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from members import contacts
from members.models import Member

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

    name: str
    phone: str
    email: str
    birthday: date | None
    address: str
    language: str
    attributes: Mapping[str, Any]
    labels: Sequence[str]


def clean(profile: Profile, *, at: datetime) -> Profile:
    """Return the profile in its stored spelling, or refuse it by the first field that cannot be."""
    cleaned = Profile()
    if "name" in profile:
        cleaned["name"] = clean_text("name", profile["name"], limit=_limit("name"))
    if "phone" in profile:
        cleaned["phone"] = contacts.normalise_phone(profile["phone"]) if profile["phone"].strip() else ""
    if "email" in profile:
        cleaned["email"] = _email(profile["email"])
    if "birthday" in profile:
        cleaned["birthday"] = _birthday(profile["birthday"], at)
    if "address" in profile:
        cleaned["address"] = clean_text("address", profile["address"], limit=_limit("address"), lines=True)
    if "language" in profile:
        cleaned["language"] = _language(profile["language"])
    if "attributes" in profile:
        cleaned["attributes"] = _attributes(profile["attributes"])
    if "labels" in profile:
        labels = (clean_text("labels", label, limit=_LABEL_LIMIT) for label in profile["labels"])
        cleaned["labels"] = sorted({label for label in labels if label})
    return cleaned


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


def _email(text: str) -> str:
    """Keep the spelling the person chose; the index compares the normalised one."""
    text = clean_text("email", text, limit=_limit("email"))
    if text:
        contacts.normalise_email(text)
    return text


def _birthday(birthday: date | None, at: datetime) -> date | None:
    if birthday is not None and not _OLDEST_BIRTHDAY <= birthday <= timezone.localdate(at):
        raise BirthdayImpossible(birthday=birthday.isoformat())
    return birthday


def _language(language: str) -> str:
    known = [code for code, _name in settings.LANGUAGES]
    language = language.strip().lower() or settings.LANGUAGE_CODE
    if language not in known:
        raise LanguageUnknown(language=language, known=", ".join(known))
    return language


def _attributes(attributes: Any) -> dict[str, Any]:
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
