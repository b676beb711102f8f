"""Client systems, staff and roles on screen: keys shown once, nobody lifts himself up, the trail is only read."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from members.actions import clients
from members.admin.trail import action_of
from members.models import AuditRecord, User
from members.models import Client as ClientSystem
from tests.config.admin_scene import staff
from tests.members.factories import PASSWORD, StaffFactory, client_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(staff("operator", username="olga"))
    return client


def test_a_new_client_system_shows_its_key_once(operator: Client) -> None:
    answers = {"name": "Online shop", "code": "", "scopes": ["events:write", "points:read"]}

    response = operator.post(reverse("admin:members_client_new"), answers)

    key = re.search(r"lk_[^<\s]+", response.content.decode())
    assert key
    made = ClientSystem.objects.get()
    assert (made.code, sorted(made.scopes)) == ("online-shop", ["events:write", "points:read"])
    assert clients.authenticate(key[0], timezone.now()) == made
    page = operator.get(reverse("admin:members_client_change", args=[made.pk])).content.decode()
    assert key[0].partition(".")[2] not in page
    assert AuditRecord.objects.filter(action="client.created", actor="staff:olga").exists()


def test_a_code_that_is_taken_is_refused_beside_its_field(operator: Client) -> None:
    client_key("till")

    response = operator.post(
        reverse("admin:members_client_new"), {"name": "Till", "code": "till", "scopes": ["points:read"]}
    )

    assert "code" in response.context["form"].errors
    assert ClientSystem.objects.count() == 1


@pytest.mark.parametrize(("grace", "goes_on"), [(0, False), (24, True)])
def test_a_new_key_is_shown_once_and_the_old_one_has_its_grace(operator: Client, grace: int, goes_on: bool) -> None:
    system, old = client_key("till", "events:write", "points:read")
    address = reverse("admin:members_client_new_key", args=[system.pk])

    response = operator.post(address, {"grace": grace, "reason": "it was in a chat"})

    key = re.search(r"lk_[^<\s]+", response.content.decode())
    assert key
    assert clients.authenticate(key[0], timezone.now()) == system
    assert (clients.authenticate(old, timezone.now()) is not None) == goes_on
    record = AuditRecord.objects.get(action="client.key_renewed")
    assert (record.actor, record.reason) == ("staff:olga", "it was in a chat")


def test_a_third_key_is_refused_beside_the_grace(operator: Client) -> None:
    system, _key = client_key("till", "events:write", "points:read")
    address = reverse("admin:members_client_new_key", args=[system.pk])
    operator.post(address, {"grace": 24, "reason": "yearly"})

    response = operator.post(address, {"grace": 24, "reason": "again"})

    assert "grace" in response.context["form"].errors
    assert system.keys.count() == 2


def test_a_key_is_withdrawn_from_the_page_of_its_system(operator: Client) -> None:
    system, key = client_key("till")  # it spends; to stop it needs no more than to look after systems
    other = client_key("shop")[0]
    page = operator.get(reverse("admin:members_client_change", args=[system.pk])).content.decode()
    address = reverse("admin:members_client_withdraw", args=[system.pk, system.keys.get().pk])
    assert address in page

    foreign = operator.post(reverse("admin:members_client_withdraw", args=[other.pk, system.keys.get().pk]))
    silent = operator.post(address, {})
    assert (foreign.status_code, "reason" in silent.context["form"].errors) == (404, True)
    assert clients.authenticate(key, timezone.now()) == system

    response = operator.post(address, {"reason": "the till was stolen"}, follow=True)

    assert system.keys.get().key_id in response.content.decode()
    assert address not in response.content.decode()
    assert clients.authenticate(key, timezone.now()) is None
    assert AuditRecord.objects.filter(action="client.key_withdrawn", reason="the till was stolen").exists()
    again = operator.post(address, {"reason": "again"})
    assert again.context["form"].non_field_errors()


def test_scopes_are_changed_as_checkboxes_and_the_change_is_audited(operator: Client) -> None:
    system, _key = client_key("till", "events:write", "points:read")
    address = reverse("admin:members_client_change", args=[system.pk])
    assert 'type="checkbox" name="scopes"' in operator.get(address).content.decode()

    response = operator.post(address, {"name": "Till", "is_active": "on", "scopes": ["points:read"]})

    assert response.status_code == 302
    system.refresh_from_db()
    assert system.scopes == ["points:read"]
    assert AuditRecord.objects.filter(action="client.changed", actor="staff:olga").exists()


def test_a_new_user_is_staff_and_comes_in(operator: Client) -> None:
    answers = {"username": "carl", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    response = operator.post(reverse("admin:members_user_add"), answers)

    assert response.status_code == 302, response.context["adminform"].form.errors
    carl = User.objects.get(username="carl")
    assert (carl.is_staff, carl.is_superuser, carl.check_password(PASSWORD)) == (True, False, True)


def test_an_operator_makes_nobody_a_superuser(operator: Client) -> None:
    carl = StaffFactory.create(is_superuser=False)
    answers = {"username": "carl", "is_active": "on", "is_superuser": "on", "groups": []}

    response = operator.post(reverse("admin:members_user_change", args=[carl.pk]), answers)

    assert response.status_code == 302
    carl.refresh_from_db()
    assert (carl.username, carl.is_superuser) == ("carl", False)


def test_nobody_changes_his_own_roles_nor_a_superuser(operator: Client) -> None:
    olga, boss = User.objects.get(username="olga"), StaffFactory.create()
    manager = Group.objects.get(name="programme manager")

    operator.post(reverse("admin:members_user_change", args=[olga.pk]), {"username": "olga", "groups": [manager.pk]})
    refused = operator.post(reverse("admin:members_user_change", args=[boss.pk]), {"username": "mine"})

    assert refused.status_code == 403
    assert [group.name for group in olga.groups.all()] == ["operator"]
    assert User.objects.get(pk=olga.pk).is_active


def test_nobody_gives_a_role_with_rights_he_lacks(operator: Client) -> None:
    carl = StaffFactory.create(is_superuser=False)
    address = reverse("admin:members_user_change", args=[carl.pk])
    clerk, operators = (Group.objects.get(name=name) for name in ("clerk", "operator"))
    person = {"username": "carl", "is_active": "on"}

    refused = operator.post(address, person | {"groups": [clerk.pk]})
    given = operator.post(address, person | {"groups": [operators.pk]})

    assert "groups" in refused.context["adminform"].form.errors
    assert given.status_code == 302
    assert [group.name for group in carl.groups.all()] == ["operator"]


@pytest.mark.parametrize("is_active", [True, False])
def test_nobody_takes_over_the_sign_in_of_somebody_who_may_more(operator: Client, is_active: bool) -> None:
    clerk = staff("clerk", username="carl", is_active=is_active)

    form = operator.post(reverse("admin:members_user_change", args=[clerk.pk]), {"username": "mine"})
    password = operator.post(reverse("admin:auth_user_password_change", args=[clerk.pk]), {"password1": "x"})

    assert (form.status_code, password.status_code) == (403, 403)
    assert User.objects.get(pk=clerk.pk).username == "carl"


def test_a_superuser_gives_any_role_and_any_scope(client: Client) -> None:
    client.force_login(StaffFactory.create(username="boss"))
    carl = staff(username="carl")
    clerk = Group.objects.get(name="clerk")

    client.post(
        reverse("admin:members_user_change", args=[carl.pk]),
        {"username": "carl", "is_active": "on", "groups": [clerk.pk]},
    )
    client.post(reverse("admin:members_client_new"), {"name": "Shop", "code": "", "scopes": ["points:spend"]})

    assert carl.groups.get() == clerk
    assert ClientSystem.objects.get().scopes == ["points:spend"]


def test_an_operator_lets_no_system_spend(operator: Client) -> None:
    for scope in ("points:spend", "rewards:redeem"):
        refused = operator.post(reverse("admin:members_client_new"), {"name": "Shop", "code": "", "scopes": [scope]})
        assert "scopes" in refused.context["form"].errors
    assert not ClientSystem.objects.exists()


def test_an_operator_neither_widens_a_system_nor_takes_the_key_of_one_that_spends(operator: Client) -> None:
    till, key = client_key("till")
    reader, _key = client_key("reader", "points:read")

    widened = operator.post(
        reverse("admin:members_client_change", args=[reader.pk]),
        {"name": "Reader", "is_active": "on", "scopes": ["points:spend"]},
    )
    stopped = operator.post(reverse("admin:members_client_change", args=[till.pk]), {"name": "Till", "scopes": []})
    taken = operator.post(reverse("admin:members_client_new_key", args=[till.pk]), {"grace": 0, "reason": "mine"})

    assert "scopes" in widened.context["adminform"].form.errors
    assert (stopped.status_code, taken.status_code) == (302, 403)
    assert "new-key" not in operator.get(reverse("admin:members_client_change", args=[till.pk])).text
    before = set(till.scopes)
    till.refresh_from_db()
    assert (till.is_active, set(till.scopes)) == (False, before)
    assert clients.authenticate(key, timezone.now()) is None


def test_the_trail_is_searched_by_who_what_and_whom(client: Client) -> None:
    client.force_login(staff("auditor", username="ada"))
    client_key("till")
    address = reverse("admin:members_auditrecord_changelist")

    found = client.get(address, {"q": "client.created"}).context["cl"].result_list
    missed = client.get(address, {"q": "client"}).context["cl"].result_list

    assert [record.action for record in found] == ["client.created"]
    assert list(missed) == []


def test_every_action_of_the_trail_has_a_name(client: Client) -> None:
    written = Path(__file__).parents[2]
    codes = {
        code
        for app in ("members", "points", "rewards")
        for path in (written / app).rglob("*.py")
        for code in re.findall(r'action="([a-z_]+\.[a-z_]+)"', path.read_text(encoding="utf-8"))
    }

    unnamed = [code for code in codes if action_of(AuditRecord(action=code)) == code]

    assert len(codes) > 15
    assert unnamed == []
    assert action_of(AuditRecord(action="earningrule.changed")) == "Earning rule: changed"
