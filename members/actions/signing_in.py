"""The sign-in of a member: made with the first password, changed with the next."""

import secrets
from datetime import datetime

from axes.utils import reset
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing
from members.models import Member, User

#: What nobody takes for another letter when it is read from a slip of paper.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _LETTERS_OF_A_GROUP = 3, 4


class PasswordRefused(DomainError):
    code = "password_refused"
    message = _("password: %(reasons)s")


class SignInRefused(DomainError):
    code = "sign_in_refused"
    message = _("member: only an active member can have a sign-in.")


@transaction.atomic
def set_password(*, member: Member, password: str, actor: Actor, at: datetime) -> User:
    """Let an active member sign in with this password from now on; card number, phone and e-mail are the login."""
    user = _sign_in_of(member)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(reasons=" ".join(error.messages)) from error
    if user.must_change_password and user.check_password(password):
        raise PasswordRefused(_("password: choose another one than you were given."))
    user.set_password(password)
    user.must_change_password = False
    user.save()
    auditing.record(actor=actor, action="member.password_set", subject=member, at=at)
    return user


@transaction.atomic
def give_password(*, member: Member, actor: Actor, reason: str, at: datetime) -> str:
    """Return a new password for an active member, who must choose another with the first sign-in; the old one is dead.

    It is not kept. Open sessions end with the old password, and who was locked out for guessing may try again.
    """
    user = _sign_in_of(member)
    password = _draw_password()
    user.set_password(password)
    user.must_change_password = True
    user.save()
    auditing.record(actor=actor, action="member.password_given", subject=member, reason=reason, at=at)
    # Wrong passwords of somebody who had no sign-in yet are counted under what was typed.
    for name in filter(None, (user.get_username(), member.phone, member.email)):
        reset(username=name)
    return password


def _sign_in_of(member: Member) -> User:
    """Return the sign-in of an active member, a new one if there is none yet, or raise SignInRefused."""
    # The member's row is locked, for a sign-in that does not exist yet could not be.
    locked = Member.objects.select_for_update().get(pk=member.pk)
    if not locked.is_active:
        raise SignInRefused
    return User.objects.filter(member=locked).first() or User(member=locked, username=locked.number)


def _draw_password() -> str:
    """Draw 59 bits of chance, in groups that can be read aloud."""
    groups = ("".join(secrets.choice(_LETTERS) for _letter in range(_LETTERS_OF_A_GROUP)) for _group in range(_GROUPS))
    return "-".join(groups)
