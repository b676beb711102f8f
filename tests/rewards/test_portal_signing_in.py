"""The door of the portal: who comes in, what the others are told, and in which language."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from members.actions import signing_in
from members.models import User
from tests.members.factories import TESTER, StaffFactory

from .portal_scene import Scene, set_scene

pytestmark = pytest.mark.django_db

SIGN_IN = "/sign-in/"


@pytest.fixture
def scene() -> Scene:
    return set_scene()


def sign_in(browser: Client, login: str, password: str, **more: str) -> int:
    return browser.post(SIGN_IN, {"username": login, "password": password, **more}).status_code


def is_signed_in(browser: Client) -> bool:
    return "_auth_user_id" in browser.session


def test_a_stranger_is_led_to_the_sign_in_and_back(client: Client, scene: Scene) -> None:
    asked = client.get("/history/?type=growth")

    assert asked.status_code == 302
    assert asked["Location"] == f"{SIGN_IN}?next=/history/%3Ftype%3Dgrowth"
    done = client.post(
        asked["Location"],
        {"username": scene.member.number, "password": scene.password, "next": "/history/?type=growth"},
    )
    assert done["Location"] == "/history/?type=growth"


def test_a_part_of_a_page_is_not_replaced_by_the_sign_in(client: Client) -> None:
    response = client.get("/history/1/", headers={"HX-Request": "true"})

    assert (response.status_code, response["HX-Redirect"]) == (200, SIGN_IN)


@pytest.mark.parametrize("login", ["13800138000", "+86 138-0013-8000", "li.ming@EXAMPLE.com", "number", "grouped"])
def test_card_number_phone_and_email_all_open_the_door(client: Client, scene: Scene, login: str) -> None:
    login = {"number": scene.member.number, "grouped": scene.member.grouped_number}.get(login, login)

    assert sign_in(client, login, scene.password) == 302

    assert is_signed_in(client)


def test_a_wrong_password_says_what_to_check_and_opens_nothing(client: Client, scene: Scene) -> None:
    response = client.post(SIGN_IN, {"username": scene.member.number, "password": "wrong"})

    assert "The card number, phone or e-mail and the password do not match." in response.text
    assert not is_signed_in(client)


def test_an_unknown_login_is_answered_like_a_wrong_password(client: Client, scene: Scene) -> None:
    answers = [
        client.post(SIGN_IN, {"username": login, "password": "wrong"}).context["form"].errors
        for login in ("13800138000", "13800138009")
    ]

    assert answers[0] == answers[1]


def test_empty_fields_are_named(client: Client) -> None:
    text = client.post(SIGN_IN, {}).text

    assert "Enter your card number, phone or e-mail." in text
    assert "Enter your password." in text
    assert text.count('aria-invalid="true"') == 2


def test_a_suspended_member_does_not_come_in(client: Client, scene: Scene) -> None:
    scene.member.status = "suspended"
    scene.member.save(update_fields=["status"])

    assert sign_in(client, scene.member.number, scene.password) == 200
    assert not is_signed_in(client)


def test_too_many_attempts_are_told_to_wait_however_the_number_is_spelt(
    client: Client, scene: Scene, settings: Settings
) -> None:
    settings.AXES_ENABLED = True

    for spelling in ("13800138000", "138 0013 8000", "138-0013-8000", "(138) 00138000", "1380013 8000"):
        response = client.post(SIGN_IN, {"username": spelling, "password": "wrong"})

    assert response.status_code == 429
    assert "Too many attempts" in response.text
    assert "15 minutes" in response.text
    assert sign_in(client, "13800138000", scene.password) == 429


def test_signing_in_speaks_the_members_language(client: Client) -> None:
    scene = set_scene(language="zh-hans")

    response = client.post(SIGN_IN, {"username": scene.member.number, "password": scene.password})

    assert response.cookies[settings.LANGUAGE_COOKIE_NAME].value == "zh-hans"
    assert 'lang="zh-Hans"' in client.get("/").text


def test_a_language_chosen_in_this_browser_stays(client: Client) -> None:
    scene = set_scene(language="zh-hans")
    client.post(reverse("set_language"), {"language": "en", "next": SIGN_IN})

    client.post(SIGN_IN, {"username": scene.member.number, "password": scene.password})

    assert '<html lang="en">' in client.get("/").text


def test_the_language_switch_works_before_signing_in_and_stays_on_the_page(client: Client) -> None:
    response = client.post(reverse("set_language"), {"language": "zh-hans", "next": "/sign-in/?next=/spending/"})

    assert response["Location"] == "/sign-in/?next=/spending/"
    assert '<html lang="zh-Hans">' in client.get(SIGN_IN).text


def test_staff_at_the_members_door_are_shown_their_own(client: Client) -> None:
    user: User = StaffFactory.create(username="alice")
    client.force_login(user)

    for path in ("/", "/history/"):
        text = client.get(path).text
        assert 'href="/admin/"' in text
        assert "alice" in text


def test_signing_out_ends_the_session(scene: Scene) -> None:
    browser = scene.signed_in()

    assert browser.get("/sign-out/").status_code == 405  # a link or picture elsewhere cannot do it
    assert browser.post("/sign-out/")["Location"] == SIGN_IN

    assert not is_signed_in(browser)


def test_a_session_ends_when_the_member_is_suspended(scene: Scene) -> None:
    browser = scene.signed_in()
    scene.member.status = "suspended"
    scene.member.save(update_fields=["status"])

    assert browser.get("/").status_code == 302


def given_password(scene: Scene) -> str:
    return signing_in.give_password(member=scene.member, actor=TESTER, reason="forgotten", at=scene.now)


OWN_PASSWORD = "/profile/password/"


def test_somebody_with_a_given_password_has_to_choose_another_before_anything_else(
    client: Client, scene: Scene
) -> None:
    given = given_password(scene)
    login = {"username": scene.member.number, "password": given, "next": "/history/"}

    arrived = client.post(SIGN_IN, login, follow=True)

    assert arrived.redirect_chain[-1][0] == OWN_PASSWORD
    assert "Choose your own password" in arrived.text
    for path in ("/", "/history/", "/rewards/", "/profile/", "/card/"):
        assert client.get(path)["Location"] == OWN_PASSWORD
    assert client.post("/profile/language/", {"language": "zh-hans"})["Location"] == OWN_PASSWORD
    assert client.get("/history/1/", headers={"HX-Request": "true"})["HX-Redirect"] == OWN_PASSWORD
    assert client.get("/api/v1/rewards/").status_code == 401

    new = "a quite different phrase"
    done = client.post(OWN_PASSWORD, {"old": given, "new": new, "again": new}, follow=True)

    assert done.redirect_chain[-1][0] == "/"
    assert "Your password was changed." in done.text
    assert client.get("/history/").status_code == 200
    assert sign_in(Client(), scene.member.number, given) == 200
    assert sign_in(Client(), scene.member.number, new) == 302


def test_the_given_password_is_not_kept_for_good(client: Client, scene: Scene) -> None:
    given = given_password(scene)
    sign_in(client, scene.member.number, given)

    response = client.post(OWN_PASSWORD, {"old": given, "new": given, "again": given})

    assert response.status_code == 422
    assert "choose another one than you were given." in response.text
    assert client.get("/")["Location"] == OWN_PASSWORD


def test_the_first_sign_in_can_be_left_and_speaks_both_languages(client: Client, scene: Scene) -> None:
    sign_in(client, scene.member.number, given_password(scene))

    client.post(reverse("set_language"), {"language": "zh-hans", "next": OWN_PASSWORD})
    assert '<html lang="zh-Hans">' in client.get(OWN_PASSWORD).text

    client.post("/sign-out/")
    assert not is_signed_in(client)
