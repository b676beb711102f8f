"""The roles of the back office, what each may do, and what one person may grant another."""

from django.contrib.auth.models import Group, Permission
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from members.models import Scope, User

#: Scopes that spend members' points: only a superuser gives them to a system.
SPENDING_SCOPES = frozenset([Scope.POINTS_SPEND, Scope.REWARDS_REDEEM])


class StaffRole(models.TextChoices):
    """Groups of the back office. Who proposes value and who approves it are different people."""

    CLERK = "clerk", _("Clerk")
    PROGRAMME_MANAGER = "programme manager", _("Programme manager")
    CHECKER = "checker", _("Checker")
    AUDITOR = "auditor", _("Auditor")
    OPERATOR = "operator", _("Operator")


_READING = ("members.view_member", "members.view_tier", "points.view_*", "rewards.view_*")

PERMISSIONS: dict[StaffRole, tuple[str, ...]] = {
    StaffRole.CLERK: (
        *_READING,
        "members.add_member",
        "members.change_member",
        "members.give_password",
        "members.read_personal_data",
        "rewards.change_redemption",
        "points.propose_adjustment",
    ),
    StaffRole.PROGRAMME_MANAGER: (
        *_READING,
        "members.add_tier",
        "members.change_tier",
        "points.*earningrule",
        "points.*pointtype",
        "points.*referralprogramme",
        "points.propose_adjustment",
        "members.export_members",
        "points.export_books",
        "rewards.*",
    ),
    StaffRole.CHECKER: (
        *_READING,
        "members.change_standing",
        "members.give_password",
        "members.read_personal_data",
        "points.approve_adjustment",
        "points.decide_referral",
    ),
    StaffRole.AUDITOR: (
        "members.view_*",
        "members.export_members",
        "points.view_*",
        "points.export_books",
        "rewards.view_*",
    ),
    StaffRole.OPERATOR: (
        "members.view_client",
        "members.add_client",
        "members.change_client",
        "members.*webhookendpoint",
        "members.*webhookdelivery",
        "members.view_user",
        "members.add_user",
        "members.change_user",
        "auth.view_group",
        "points.view_jobrun",
        "config.*",
    ),
}


@transaction.atomic
def ensure_staff_roles() -> None:
    """Make every role with its permissions, or bring it back to them; what no app offers is passed over."""
    for role, wanted in PERMISSIONS.items():
        group, _created = Group.objects.get_or_create(name=role.value)
        group.permissions.set(Permission.objects.filter(_matching(wanted)))


def grantable_roles(user: User) -> QuerySet[Group]:
    """Return the roles this person may give: those without any right he lacks."""
    if user.is_superuser:
        return Group.objects.all()
    return Group.objects.exclude(permissions__in=Permission.objects.exclude(pk__in=_rights_of(user)))


def grantable_scopes(user: User) -> list[Scope]:
    """Return the scopes this person may give a client system."""
    return [scope for scope in Scope if user.is_superuser or scope not in SPENDING_SCOPES]


def may_manage(user: User, other: User) -> bool:
    """Whether this person may change another's sign-in: nobody's who has a right he lacks, for a password is a right.

    What somebody inactive had counts too, for he can be made active.
    """
    if user.is_superuser:
        return True
    return not other.is_superuser and not _rights_of(other).exclude(pk__in=_rights_of(user)).exists()


def may_renew_key(user: User, scopes: list[str]) -> bool:
    """Whether this person may hold a key to a system with these scopes."""
    return set(scopes) <= set(grantable_scopes(user))


def _rights_of(user: User) -> QuerySet[Permission]:
    return Permission.objects.filter(Q(group__user=user) | Q(user=user))


def _matching(wanted: tuple[str, ...]) -> Q:
    """Match permissions `app.codename`; a star stands for any letters at either end of the code name."""
    condition = Q(pk__in=[])
    for permission in wanted:
        app, codename = permission.split(".", 1)
        if codename.endswith("*"):
            named = Q(codename__startswith=codename.removesuffix("*"))
        elif codename.startswith("*"):
            named = Q(codename__endswith=codename.removeprefix("*"))
        else:
            named = Q(codename=codename)
        condition |= Q(content_type__app_label=app) & named
    return condition
