"""Money: integer minor units and an ISO 4217 code inside, decimal strings outside."""

from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError

# Every currency has two decimals but these (ISO 4217); a code is three capital letters.
EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
LARGEST_MINOR = 10**15  # ten thousand billion yuan: anything above is a mistake


class InvalidMoney(DomainError):
    """The amount or the currency cannot be read as money."""

    code = "invalid_money"
    status = 400
    message = _("“%(value)s” is not an amount of money.")


class UnknownCurrency(InvalidMoney):
    """The currency is not a three-letter ISO 4217 code."""

    code = "unknown_currency"
    message = _("“%(currency)s” is not a currency code such as CNY.")


class TooManyDecimals(InvalidMoney):
    """The amount is finer than the currency's smallest unit."""

    code = "too_many_decimals"
    message = _("%(value)s has more decimals than %(currency)s allows (%(exponent)s).")


class AmountTooLarge(InvalidMoney):
    """The amount is beyond anything a programme can mean."""

    code = "amount_too_large"
    message = _("%(value)s is too large an amount.")


def exponent_of(currency: str) -> int:
    """Return how many decimals a currency has: 2 for CNY, 0 for JPY."""
    if len(currency) != 3 or not (currency.isascii() and currency.isupper() and currency.isalpha()):
        raise UnknownCurrency(currency=currency)
    return EXPONENTS.get(currency, 2)


def to_minor(amount: str | Decimal | int, currency: str) -> int:
    """Return an amount in minor units: "196.00" CNY is 19600; refuse what would have to be rounded."""
    exponent = exponent_of(currency)
    if isinstance(amount, (bool, float)):
        raise InvalidMoney(value=amount)  # a float is already rounded
    try:
        exact = Decimal(amount)
    except (InvalidOperation, ValueError, TypeError):
        raise InvalidMoney(value=amount) from None
    if not exact.is_finite():
        raise InvalidMoney(value=amount)
    if exact and exact.adjusted() + exponent > 15:
        raise AmountTooLarge(value=amount)
    shifted = exact.scaleb(exponent)
    if shifted != shifted.to_integral_value():
        raise TooManyDecimals(value=amount, currency=currency, exponent=exponent)
    if abs(shifted) > LARGEST_MINOR:
        raise AmountTooLarge(value=amount)
    return int(shifted)


def to_decimal_string(minor: int, currency: str) -> str:
    """Return minor units as the decimal string the outside sees: 19600 CNY is "196.00"."""
    exponent = exponent_of(currency)
    return format(Decimal(minor).scaleb(-exponent), f".{exponent}f")
