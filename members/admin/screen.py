"""What other apps add to the screen of a member: figures, panels, columns and actions.

Imports point down, so this app cannot know of points and rewards; they register here what a clerk wants beside the
person.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from members.models import Member


@dataclass(frozen=True, slots=True)
class Figure:
    """One number at the head of the page."""

    label: Any
    value: Any
    detail: Any = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: a text, perhaps a link, perhaps a label in colour, perhaps set to the right."""

    text: Any
    href: str = ""
    label: str | None = None
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A table of what a member has: its rows, what to say when there are none, and where all of them are."""

    title: Any
    headers: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    empty: Any
    href: str = ""
    slug: str = ""

    @property
    def columns(self) -> list[tuple[Any, bool]]:
        """Return each header, and whether numbers stand below it."""
        first = self.rows[0] if self.rows else [None] * len(self.headers)
        return [(title, getattr(cell, "is_number", False)) for title, cell in zip(self.headers, first, strict=True)]


@dataclass(frozen=True, slots=True)
class MemberAction:
    """A button on the page of a member, leading to a page of the app that offers it."""

    label: Any
    icon: str
    url_name: str
    permission: str
    is_offered: Callable[[Member], bool] = lambda member: True

    def address(self, member: Member) -> str:
        """Return the page of this action for this member."""
        return reverse(self.url_name, args=[member.pk])


type Figures = Callable[[HttpRequest, Member], Sequence[Figure]]
type Panels = Callable[[HttpRequest, Member], Panel]


@dataclass(slots=True)
class Screen:
    """Everything registered, in the order it is shown."""

    figures: list[tuple[str, Figures]] = field(default_factory=list)
    panels: list[tuple[int, str, Panels]] = field(default_factory=list)
    actions: list[MemberAction] = field(default_factory=list)
    #: What the list of members shows of other apps: a title, a function of the member, and the relations it reads.
    columns: list[tuple[Any, Callable[[Member], Any], Sequence[Any]]] = field(default_factory=list)

    def figures_of(self, request: HttpRequest, member: Member) -> list[Figure]:
        """Return the figures this person may see."""
        return [
            each
            for permission, figures in self.figures
            if request.user.has_perm(permission)
            for each in figures(request, member)
        ]

    def panels_of(self, request: HttpRequest, member: Member) -> list[Panel]:
        """Return the panels this person may see."""
        offered = sorted(self.panels, key=lambda entry: entry[0])
        return [panel(request, member) for _order, permission, panel in offered if request.user.has_perm(permission)]

    def actions_of(self, request: HttpRequest, member: Member) -> list[dict[str, Any]]:
        """Return the buttons this person may press for this member."""
        return [
            {"title": each.label, "icon": each.icon, "link": each.address(member)}
            for each in self.actions
            if request.user.has_perm(each.permission) and each.is_offered(member)
        ]


screen = Screen()
