"""Filters of the back office's templates."""

from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def grouped(value: object) -> str:
    """Show a number with its thousands apart, in the same way in every language."""
    return f"{value:,}" if isinstance(value, int) else str(value)


@register.filter
def money(value: Decimal) -> str:
    """Show an amount with two decimals and its thousands apart."""
    return f"{value:,.2f}"
