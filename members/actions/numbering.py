"""Card numbers and referral codes: random, so that knowing one tells nothing about the next."""

import secrets

NUMBER_DIGITS = 12  # neither a mobile number (11) nor a bank card (13 to 19), so a login is never mistaken
REFERRAL_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # nothing that looks or sounds like something else
REFERRAL_LENGTH = 8


def new_number() -> str:
    """Draw a card number; whether it is free is for the key table to say."""
    lowest = 10 ** (NUMBER_DIGITS - 2)
    body = str(lowest + secrets.randbelow(9 * lowest))
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """Return the Luhn digit that completes these digits."""
    total = 0
    for place, character in enumerate(reversed(body)):
        digit = int(character) * (2 if place % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return str(-total % 10)


def is_number(text: str) -> bool:
    """Whether a text is a card number without a slip of the pen."""
    return text.isascii() and text.isdigit() and 9 <= len(text) <= 16 and check_digit(text[:-1]) == text[-1]


def new_referral_code() -> str:
    """Draw a code a member can dictate to a friend."""
    return "".join(secrets.choice(REFERRAL_ALPHABET) for _ in range(REFERRAL_LENGTH))
