import pytest
from django.contrib.auth.models import Group, Permission

from members.actions import staffing
from members.actions.staffing import StaffRole
from members.models import User

from .factories import StaffFactory

pytestmark = pytest.mark.django_db


def person(role: StaffRole) -> User:
    user = StaffFactory.create(is_superuser=False)
    user.groups.add(Group.objects.get(name=role.value))
    return user


def test_every_role_is_made_and_may_see_members() -> None:
    staffing.ensure_staff_roles()

    assert set(Group.objects.values_list("name", flat=True)) == set(StaffRole.values)
    for role in set(StaffRole) - {StaffRole.OPERATOR}:
        assert person(role).has_perm("members.view_member")


def test_nobody_both_proposes_and_approves_value() -> None:
    for wanted in staffing.PERMISSIONS.values():
        assert not {"points.propose_adjustment", "points.approve_adjustment"} <= set(wanted)


def test_an_auditor_only_looks() -> None:
    staffing.ensure_staff_roles()

    may = Permission.objects.filter(group__name=StaffRole.AUDITOR).values_list("codename", flat=True)

    assert "view_auditrecord" in may
    assert all(codename.startswith(("view_", "export_")) for codename in may)


def test_an_operator_sees_no_personal_data() -> None:
    staffing.ensure_staff_roles()

    operator = person(StaffRole.OPERATOR)

    assert operator.has_perm("members.add_client")
    assert not operator.has_perm("members.view_member")
    assert not operator.has_perm("members.read_personal_data")


def test_a_role_is_brought_back_to_its_permissions() -> None:
    staffing.ensure_staff_roles()
    clerks = Group.objects.get(name=StaffRole.CLERK)
    clerks.permissions.set(Permission.objects.filter(codename="add_client"))

    staffing.ensure_staff_roles()

    assert not clerks.permissions.filter(codename="add_client").exists()
    assert clerks.permissions.filter(codename="change_member").exists()
