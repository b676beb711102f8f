"""The sign-in of a member: made with the first password, changed with the next."""

from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing
from members.models import Member, User


class PasswordRefused(DomainError):
    code = "password_refused"
    message = _("password: %(reasons)s")


class SignInRefused(DomainError):
    code = "sign_in_refused"
    message = _("member: only an active member can have a sign-in.")


@transaction.atomic
def set_password(*, member: Member, password: str, actor: Actor, at: datetime) -> User:
    """Let an active member sign in with this password from now on; card number, phone and e-mail are the login."""
    # The member's row is locked, for a sign-in that does not exist yet could not be.
    locked = Member.objects.select_for_update().get(pk=member.pk)
    if not locked.is_active:
        raise SignInRefused
    user = User.objects.filter(member=locked).first() or User(member=locked, username=locked.number)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(reasons=" ".join(error.messages)) from error
    user.set_password(password)
    user.save()
    auditing.record(actor=actor, action="member.password_set", subject=locked, at=at)
    return user
