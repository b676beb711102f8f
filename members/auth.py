"""Signing in: staff by user name, members by card number, phone or e-mail, all with the same care."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from members import contacts
from members.models import Member, User


class MemberBackend(ModelBackend):
    """The one backend that compares passwords. Only an active member signs in; a session ends with the standing."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        user = find_user(username) if contacts.is_storable(username) else None
        if user is None:
            # As much work as for a wrong password, so that the clock does not tell whether somebody is a member.
            User().set_password(password)
            return None
        matches = user.check_password(password)
        return user if matches and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and (user.member_id is None or user.member.is_active)


def find_user(login: str) -> User | None:
    """Return the sign-in this login names: a user name of the back office, else what a member can be found by."""
    staff = User.objects.filter(username=login, member__isnull=True).first()
    if staff is not None:
        return staff
    member = Member.objects.by_login(login).order_by("pk").first()
    return User.objects.select_related("member").filter(member=member).first() if member else None
