"""Signing in: staff by user name, members by card number, phone or e-mail, all with the same care."""

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from config.lib.errors import DomainError
from members import contacts
from members.models import Member, User


class MemberBackend(ModelBackend):
    """The one backend that compares passwords. Only an active member signs in; a session ends with the standing."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        staff_only: bool = False,
        **kwargs: Any,
    ) -> User | None:
        """Return whose login and password these are; at the staff's door (`staff_only`) a member's are wrong ones."""
        if username is None or password is None:
            return None
        user = find_user(username)
        if user is None or (staff_only and not user.is_staff):
            # As much work as for a wrong password, so that the clock does not tell whether somebody is a member.
            User().set_password(password)
            return None
        matches = user.check_password(password)
        return user if matches and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and (user.member_id is None or user.member.is_active)


def find_user(login: str) -> User | None:
    """Return the sign-in this login names: a user name of the back office, else what a member can be found by."""
    if not contacts.is_storable(login):
        return None
    staff = User.objects.filter(username=login, member__isnull=True).first()
    if staff is not None:
        return staff
    member = Member.objects.by_login(login).order_by("pk").first()
    return User.objects.select_related("member").filter(member=member).first() if member else None


def lockout_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Return the name under which wrong passwords are counted: one for a person, however the login is spelt.

    Of somebody unknown it is the login in one spelling, so that the count tells nobody who is a member.
    """
    login = str((credentials or request.POST).get("username") or "")
    user = find_user(login)
    return user.get_username() if user else _one_spelling(login)


def client_address(request: HttpRequest) -> str | None:
    """Return who calls: behind our own proxy what it wrote last into X-Forwarded-For, else the other end of the line.

    Whatever else stands in that header the caller may have made up.
    """
    address: str | None = request.META.get("REMOTE_ADDR")
    if settings.BEHIND_PROXY:
        told = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        try:
            return str(ipaddress.ip_address(told))
        except ValueError:
            return address
    return address


def _one_spelling(login: str) -> str:
    for normalise in (contacts.normalise_phone, contacts.normalise_email):
        try:
            return normalise(login)[:255]
        except DomainError:
            continue
    return "".join(filter(contacts.is_storable, "".join(login.casefold().split())))[:255]
