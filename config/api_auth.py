"""Who may call the API: client systems by their key, members by the portal's session."""

import re
from typing import Any

import structlog
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from members.actions import clients
from members.api.callers import Caller
from members.models import Client, Member

CHALLENGE = 'Bearer realm="laurel"'
_CREDENTIALS = re.compile(r"Bearer +(?P<key>[A-Za-z0-9_.~+/=-]{1,200})", re.IGNORECASE)


class ClientKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer lk_<id>.<secret>`, the key of a client system."""

    def authenticate(self, request: Request) -> tuple[Caller, Client] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        credentials = _CREDENTIALS.fullmatch(header.strip())
        client = clients.authenticate(credentials["key"], timezone.now()) if credentials else None
        if client is None:
            raise AuthenticationFailed(_("The key is unknown, withdrawn or expired."))
        structlog.contextvars.bind_contextvars(client=client.code)
        return Caller(client=client), client

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class MemberSessionAuthentication(BaseAuthentication):
    """The session of a member who is signed in to the portal. It only reads, so there is no token to check."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        user: Any = getattr(request._request, "user", None)
        member: Member | None = getattr(user, "member", None)
        if member is None or not user.is_active or not member.is_active or user.must_change_password:
            return None
        return Caller(member=member), None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
