"""What templates of the portal say often: an icon, a number with its thousands, an amount, the places to go."""

from datetime import date, datetime, timedelta
from typing import Any

import segno
from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from config.lib import money as money_lib
from rewards.portal import navigation as places

register = template.Library()

_SYMBOLS = {"CNY": "¥", "EUR": "€", "GBP": "£", "USD": "$"}
# BCP 47 names a script with a capital, and fonts choose their glyphs by it.
_HTML_LANGUAGES = {"zh-hans": "zh-Hans"}


@register.filter
def html_language(code: str) -> str:
    """Return the language as the `lang` attribute wants it."""
    return _HTML_LANGUAGES.get(code, code)


@register.filter
def thousands(number: Any) -> str:
    """Return 12,345 in every language; Django's own format for Chinese has no separators."""
    return f"{int(number):,}" if number is not None and number != "" else ""


@register.filter
def money(minor: Any, currency: str = "") -> str:
    """Return minor units as people read them: ¥1,234.50."""
    if minor is None:
        return ""
    code = currency or settings.LAUREL_CURRENCY
    whole, point, decimals = money_lib.to_decimal_string(int(minor), code).partition(".")
    sign = "−" if whole.startswith("-") else ""
    return f"{sign}{_SYMBOLS.get(code, f'{code} ')}{int(whole.lstrip('-')):,}{point}{decimals}"


@register.filter
def signed(number: int) -> str:
    """Return a change with its sign, a real minus: +217, −100."""
    return f"{'+' if number > 0 else '−' if number < 0 else ''}{abs(number):,}"


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """Draw an icon of the sprite; it says nothing that the words beside it do not say."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>', classes, static("img/icons.svg"), name
    )


@register.simple_tag(takes_context=True)
def navigation(context: template.Context) -> list[places.Section]:
    """Return the places to go, with the page at hand marked."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    return places.sections(match.url_name if match else "")


@register.filter
def last_day(ends_at: datetime) -> date:
    """Return the last local day that still counts of a period that ends at this moment."""
    return timezone.localdate(ends_at - timedelta(microseconds=1))


@register.simple_tag
def qr(text: str) -> SafeString:
    """Draw a code in black; the white around it is the page's part (class `qr`), in the dark too."""
    drawing = segno.make(text, error="m", micro=False).svg_inline(
        omitsize=True, border=2, dark="#000", svgclass=None, lineclass=None
    )
    # Drawn by us from our own text into a path of digits: there is nothing in it to escape.
    return mark_safe(drawing.replace("<svg ", '<svg aria-hidden="true" shape-rendering="crispEdges" ', 1))  # noqa: S308


@register.filter
def minutes(span: timedelta) -> int:
    """Return a length of time in whole minutes, rounded up."""
    return -(-int(span.total_seconds()) // 60)
