"""What may stand in an address: anything else is an address that leads nowhere, before a database is asked."""

from django.urls import register_converter


class CardNumber:
    """A member's card number, with the spaces or dashes people write it with."""

    regex = r"[0-9][0-9 -]{0,30}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class CallersReference(CardNumber):
    """A reference as a client system made it: up to 100 characters, slashes among them."""

    regex = r"[^\x00-\x1f\x7f]{1,100}"


class TypedCode(CardNumber):
    """A coupon's code however it was typed; a wrong one must look like an unknown one, not like a wrong address."""

    regex = r"[^/\x00-\x1f\x7f]{1,100}"


register_converter(CardNumber, "card")
register_converter(CallersReference, "reference")
register_converter(TypedCode, "coupon")
