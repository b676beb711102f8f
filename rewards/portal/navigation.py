"""Where a member can go, and which place the page at hand belongs to."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Place:
    """A destination of the portal; on a phone only some have a tab, the others are reached through one of those."""

    name: str
    label: Any
    icon: str
    pages: frozenset[str]
    tab: str


@dataclass(frozen=True, slots=True)
class Section:
    """A place as one page shows it."""

    url: str
    label: Any
    icon: str
    is_tab: bool
    is_current: bool
    is_current_tab: bool


def _place(name: str, label: Any, icon: str, *pages: str, tab: str = "") -> Place:
    return Place(name, label, icon, frozenset({name, *pages}), tab or name)


PLACES = (
    _place("home", _("Home"), "home", "card"),
    _place("history", _("History"), "history", "entry", "lots"),
    _place("catalogue", _("Rewards"), "gift", "reward", "redeem"),
    _place("coupons", _("Coupons"), "coupon", "coupon"),
    _place("orders", _("Orders"), "box", "order", "cancel_order", "book_order", tab="profile"),
    _place("spending", _("Spending"), "chart", tab="profile"),
    _place("invite", _("Invite friends"), "friends", tab="profile"),
    _place("profile", _("My details"), "person", "change_password"),
)


def sections(page: str) -> list[Section]:
    """Return the places in order, marking the one the named page belongs to."""
    current = next((place for place in PLACES if page in place.pages), None)
    return [
        Section(
            url=reverse(place.name),
            label=place.label,
            icon=place.icon,
            is_tab=place.tab == place.name,
            is_current=place is current,
            is_current_tab=current is not None and current.tab == place.name,
        )
        for place in PLACES
    ]
