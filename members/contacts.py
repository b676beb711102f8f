"""Phone numbers and e-mail addresses: one spelling for each, the index they are found by, and a mask for screens."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from members import keys

HOME_PREFIX = "+86"
_SEPARATORS = re.compile(r"[\s().\-–—/]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")


class PhoneMalformed(DomainError):
    code = "phone_malformed"
    message = _("phone: this is not a telephone number.")


class EmailMalformed(DomainError):
    code = "email_malformed"
    message = _("email: this is not an e-mail address.")


def is_storable(text: str) -> bool:
    """Whether the database can keep the text and a screen can show it: no control characters, no half characters."""
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


def without_gaps(text: str) -> str:
    """Return a card number or code as it is kept, however people group it."""
    return re.sub(r"[\s-]+", "", text)


def normalise_phone(text: str) -> str:
    """Return the number as +<country><number>; one without a country code is of mainland China."""
    digits = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text))
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    elif re.fullmatch(r"861[0-9]{10}", digits):
        digits = "+" + digits
    elif not digits.startswith("+"):
        digits = HOME_PREFIX + digits.removeprefix("0")
    if not _PHONE.fullmatch(digits):
        raise PhoneMalformed
    return digits


def normalise_email(text: str) -> str:
    """Return the address in the one spelling it is compared in; its case carries no meaning for anybody's mail."""
    address = unicodedata.normalize("NFKC", text).strip().casefold()
    try:
        if not is_storable(address):
            raise EmailMalformed
        validate_email(address)
    except ValidationError as error:
        raise EmailMalformed from error
    return address


def phone_key(text: str) -> str:
    """Return the blind index of a phone number however it is written."""
    return keys.blind("phone", normalise_phone(text))


def email_key(text: str) -> str:
    """Return the blind index of an e-mail address however it is written."""
    return keys.blind("email", normalise_email(text))


def mask_phone(phone: str) -> str:
    """Show enough of a number to recognise it: +86138****8000."""
    return f"{phone[:-8]}****{phone[-4:]}" if len(phone) > 9 else "*" * len(phone)


def mask_email(email: str) -> str:
    """Show enough of an address to recognise it: m***@example.com."""
    local, at, domain = email.partition("@")
    return f"{local[:1]}***{at}{domain}" if at else "*" * len(email)


def mask_name(name: str) -> str:
    """Show the first letter of each part of a name: 王**, M*** L***."""
    return " ".join(f"{part[:1]}{'*' * (len(part) - 1)}" for part in name.split())
