"""The staff's door: members are strangers there, and wrong passwords are counted by person, not by spelling."""

import pytest
from axes.models import AccessAttempt
from django.test import Client, RequestFactory
from pytest_django import Settings

from members import auth
from members.models import Member
from tests.members.factories import PASSWORD, MemberFactory, StaffFactory, sign_in_for

pytestmark = pytest.mark.django_db

STAFF_DOOR, MEMBERS_DOOR = "/admin/login/", "/sign-in/"


@pytest.fixture
def alice(settings: Settings) -> Member:
    settings.AXES_ENABLED = True
    member = MemberFactory.create(phone="13800138000", email="alice@example.com")
    sign_in_for(member)
    return member


def knock(client: Client, login: str, password: str, door: str = STAFF_DOOR, **headers: str) -> int:
    return client.post(door, {"username": login, "password": password}, headers=headers).status_code


def test_a_members_right_password_is_a_wrong_one_at_the_staffs_door(client: Client, alice: Member) -> None:
    texts = [
        client.post(STAFF_DOOR, {"username": alice.number, "password": password}).context["form"].errors
        for password in (PASSWORD, "wrong")
    ]

    assert texts[0] == texts[1]
    assert AccessAttempt.objects.get().failures_since_start == 2


def test_five_spellings_of_a_member_at_both_doors_are_one_count(client: Client, alice: Member) -> None:
    number = alice.number
    spellings = (number, f"{number[:4]} {number[4:]}", "138-0013-8000", "+86 13800138000", "Alice@example.com")

    answers = [
        knock(client, login, "wrong", door)
        for login, door in zip(spellings, [STAFF_DOOR, MEMBERS_DOOR] * 3, strict=False)
    ]

    assert answers == [200, 200, 200, 200, 429]
    assert knock(client, number, PASSWORD, MEMBERS_DOOR) == 429
    assert AccessAttempt.objects.filter(username=number).count() == 1


def test_spellings_of_a_stranger_are_one_count_too(client: Client, alice: Member) -> None:
    spellings = ("13900139000", "139 0013 9000", "139-0013-9000", "+8613900139000", "(139)00139000")

    assert [knock(client, login, "wrong") for login in spellings] == [200, 200, 200, 200, 429]


def test_staff_come_in_and_their_count_starts_anew(client: Client, alice: Member) -> None:
    StaffFactory.create(username="carla")
    knock(client, "carla", "wrong")

    assert knock(client, "carla", PASSWORD) == 302
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize(
    ("door", "wanted", "page"),
    [
        (STAFF_DOOR, "", "/admin/"),
        (STAFF_DOOR, "/", "/admin/"),
        (STAFF_DOOR, "https://elsewhere.example/", "/admin/"),
        (STAFF_DOOR, "/admin/points/entry/", "/admin/points/entry/"),
    ],
)
def test_staff_who_sign_in_at_the_back_office_stay_there(client: Client, door: str, wanted: str, page: str) -> None:
    StaffFactory.create(username="carla")

    response = client.post(door, {"username": "carla", "password": PASSWORD, "next": wanted})

    assert (response.status_code, response["Location"]) == (302, page)


@pytest.mark.parametrize("row", ["1/1", "999/1", "x/y"])
def test_the_back_office_leads_to_no_page_of_a_row_elsewhere(client: Client, row: str) -> None:
    client.force_login(StaffFactory.create(username="carla"))

    assert client.get(f"/admin/r/{row}/").status_code == 404


@pytest.mark.parametrize(
    ("behind_proxy", "told", "seen"),
    [
        (False, "203.0.113.9", "10.0.0.1"),
        (True, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (True, "", "10.0.0.1"),
        (True, "nonsense", "10.0.0.1"),
    ],
)
def test_the_callers_address_is_the_one_that_cannot_be_made_up(
    settings: Settings, behind_proxy: bool, told: str, seen: str
) -> None:
    settings.BEHIND_PROXY = behind_proxy
    request = RequestFactory().get("/", headers={"X-Forwarded-For": told}, REMOTE_ADDR="10.0.0.1")

    assert auth.client_address(request) == seen


@pytest.mark.parametrize("login", ["", "\x00", "\ud800", "x" * 5_000])
def test_any_text_has_a_name_to_be_counted_under(login: str) -> None:
    name = auth.lockout_name(RequestFactory().post("/"), {"username": login})

    assert len(name) <= 255
    assert "\x00" not in name
