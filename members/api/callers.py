"""Who calls the API: a client system with its scopes, or a member signed in to the portal, who sees only himself."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config.lib import actor
from config.lib.actor import Actor
from members.models import Client, Member


@dataclass(frozen=True, slots=True)
class Caller:
    """One of the two kinds of caller; what the API knows as the user of a request."""

    client: Client | None = None
    member: Member | None = None
    is_authenticated: ClassVar[bool] = True

    @property
    def source(self) -> str:
        """The source of everything this caller writes."""
        return self.client.code if self.client else "portal"

    @property
    def actor(self) -> Actor:
        """The name this caller goes by on every row."""
        if self.client:
            return actor.client(self.client)
        return actor.member(self.member.number if self.member else "")

    def has_one_of(self, scopes: Collection[str]) -> bool:
        """Tell whether a client system was given one of these scopes."""
        return self.client is not None and not set(scopes).isdisjoint(self.client.scopes)


class CallerMay(BasePermission):
    """A client system needs one of the scopes the view names for the method; a member only opens what is his own.

    A method that the view does not have is let through to its answer 405.
    """

    message: Any = _("This key lacks the scope %(scopes)s.")

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        method = "get" if request.method == "HEAD" else str(request.method).lower()
        if not isinstance(caller, Caller):
            return False
        if method not in view.scopes:
            return True
        if caller.member:
            self.message = _("This is for client systems.")
            return method == "get" and view.open_to_members
        scopes = view.scopes[method]
        self.message = CallerMay.message % {"scopes": " / ".join(scopes)}
        return caller.has_one_of(scopes)
