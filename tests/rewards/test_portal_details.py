"""Own data, language, password, spending, invitations."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from config.lib.sql import read
from members.models import Member
from points.actions import referring
from points.models import EarningRule, MemberMonth, ReferralProgramme
from points.reports import SQL
from tests.members.factories import TESTER, MemberFactory
from tests.points.factories import AT, buy

from .portal_scene import Scene, set_scene

pytestmark = pytest.mark.django_db

PASSWORD = "/profile/password/"


@pytest.fixture
def scene() -> Scene:
    return set_scene(address="上海市淮海中路 1045 号", birthday=None)


@pytest.fixture
def browser(scene: Scene) -> Client:
    return scene.signed_in()


def roll_up(scene: Scene) -> None:
    """Bring the month figures up to date, as the night does."""
    with connection.cursor() as cursor:
        span = {"start": scene.now - timedelta(days=800), "end": scene.now + timedelta(days=1)}
        cursor.execute(
            read(SQL / "member_months.sql"), {"zone": settings.TIME_ZONE, "currency": settings.LAUREL_CURRENCY, **span}
        )


def test_members_see_their_own_data_in_the_clear(browser: Client, scene: Scene) -> None:
    text = browser.get("/profile/").text

    for shown in ("李明", "+8613800138000", "Li.Ming@example.com", "上海市淮海中路", scene.member.grouped_number):
        assert shown in text


def test_the_language_is_kept_on_the_profile_and_in_the_browser(browser: Client, scene: Scene) -> None:
    response = browser.post("/profile/language/", {"language": "zh-hans"}, follow=True)

    scene.member.refresh_from_db()
    assert scene.member.language == "zh-hans"
    assert '<html lang="zh-Hans">' in response.text


def test_an_unknown_language_is_refused_and_changes_nothing(browser: Client, scene: Scene) -> None:
    response = browser.post("/profile/language/", {"language": "tlh"})

    scene.member.refresh_from_db()
    assert response.status_code == 422
    assert "The portal does not speak this language." in response.text
    assert scene.member.language == "en"


def test_a_new_password_ends_the_other_sessions_and_not_this_one(browser: Client, scene: Scene) -> None:
    elsewhere = scene.signed_in()
    new = "a quite different phrase"

    response = browser.post(PASSWORD, {"old": scene.password, "new": new, "again": new}, follow=True)

    assert "Your password was changed." in response.text
    assert browser.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    assert Client().post("/sign-in/", {"username": scene.member.number, "password": new}).status_code == 302


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Enter your present password."),
        ({"old": "wrong", "new": "a quite different phrase", "again": "x"}, "This is not your present password."),
        ({"old": "right", "new": "short", "again": "short"}, "This password is too short."),
        ({"old": "right", "new": "a quite different phrase", "again": "another"}, "The two new passwords differ."),
        ({"old": "right", "new": "12345678901", "again": "12345678901"}, "This password is entirely numeric."),
    ],
)
def test_a_refused_password_names_the_field_and_the_reason(
    browser: Client, scene: Scene, given: dict[str, str], said: str
) -> None:
    given = {name: scene.password if value == "right" else value for name, value in given.items()}

    response = browser.post(PASSWORD, given)

    assert response.status_code == 422
    assert said in response.text
    scene.user.refresh_from_db()
    assert scene.user.check_password(scene.password)


def test_spending_is_shown_by_month_and_by_category(browser: Client, scene: Scene) -> None:
    items = [
        {"sku": "a", "category": "Coffee", "quantity": 1, "amount_minor": 15_000},
        {"sku": "b", "category": "Bread", "quantity": 2, "amount_minor": 5_000},
    ]
    scene.buys("200", items=items)
    scene.buys("17.40")
    roll_up(scene)

    response = browser.get("/spending/")

    (year,) = response.context["found"]
    assert (year.amount_minor, year.purchases, year.earned) == (21_740, 2, 217)
    assert [(one.name, one.amount_minor, one.percent) for one in year.categories] == [
        ("Coffee", 15_000, 100),
        ("Bread", 5_000, 33),
    ]
    assert max(month.height for month in year.months) == year.chart_height
    assert "¥217.40" in response.text
    assert "<table" in response.text


def test_each_year_has_its_own_figures(browser: Client, scene: Scene) -> None:
    scene.buys("10")
    scene.buys("20", at=scene.now - timedelta(days=370))
    roll_up(scene)

    newest, before = browser.get("/spending/").context["years"]
    response = browser.get(f"/spending/?year={before}")

    assert newest > before
    assert [year.amount_minor for year in response.context["found"]] == [2_000]


def test_points_of_a_year_are_shown_once_under_the_money_they_belong_to(browser: Client, scene: Scene) -> None:
    for month, currency, earned in ((1, "USD", 30), (1, "CNY", 10), (2, "", 5)):
        MemberMonth.objects.create(
            member=scene.member,
            month=scene.now.date().replace(month=month, day=1),
            currency=currency,
            events=bool(currency),
            amount_minor=100_000 if currency == "USD" else 1_000 if currency else 0,
            earned=earned,
        )

    found = browser.get("/spending/").context["found"]

    assert [(year.currency, year.earned) for year in found] == [("USD", 30), ("CNY", 15)]


def test_without_spending_the_page_says_when_there_will_be_some(browser: Client) -> None:
    assert "No purchases yet." in browser.get("/spending/?year=nonsense").text


def test_friends_are_invited_by_code_and_link(browser: Client, scene: Scene) -> None:
    MemberFactory.create(tier="member", referral_code=scene.member.referral_code)

    response = browser.get("/invite/")

    link = response.context["link"]
    assert link.endswith(f"/invited/{scene.member.referral_code}/")
    assert "1 friend has joined with your code." in response.text
    greeting = Client().get(link)
    assert scene.member.referral_code in greeting.text
    assert "李明" not in greeting.text
    assert scene.member.number not in greeting.text


def test_an_invitation_tells_where_its_reward_stands_and_nothing_of_the_friend(browser: Client, scene: Scene) -> None:
    invited = {"tier": "member", "referral_code": scene.member.referral_code, "name": "王芳"}
    open_, bought, odd = (MemberFactory.create(**invited) for _ in range(3))
    Member.objects.filter(pk__in=[odd.pk, scene.member.pk]).update(attributes={"device": "d"})
    for friend in (bought, odd):
        buy(friend, 10)
    referring.convert_referrals(actor=TESTER, at=scene.now)

    page = browser.get("/invite/")

    words = [(one.word, one.colour) for one in page.context["invitations"]]
    assert sorted(words) == [("Being checked", "badge-warn"), ("Open", ""), ("Rewarded", "badge-good")]
    assert "3 friends have joined with your code. 1 of these invitations is rewarded." in page.text
    assert "makes a first purchase" in page.text
    for friend in (open_, bought, odd):
        assert friend.number not in page.text
    assert "王" not in page.text


def test_an_invitation_without_a_reward_does_not_point_at_the_history(browser: Client, scene: Scene) -> None:
    EarningRule.objects.filter(code="referral").update(status="retired", valid_until=AT)
    invited = {"tier": "member", "referral_code": scene.member.referral_code}
    _late, unpaid = (MemberFactory.create(**invited) for _ in range(2))
    buy(unpaid, 10)
    referring.convert_referrals(actor=TESTER, at=scene.now)
    ReferralProgramme.objects.update(within_days=1)

    page = browser.get("/invite/")

    assert sorted(one.word for one in page.context["invitations"]) == ["No points", "Not rewarded"]
    assert "The points are in your history." not in page.text


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"converts_on": "enrolment", "within_days": 3}, "You are rewarded when a friend joins with your code."),
        (
            {"converts_on": "attendance", "within_days": 1},
            "takes part in an event. There is 1 day for it from joining.",
        ),
        (
            {"amount_from_minor": 10_000, "currency": "CNY", "within_days": 30},
            "buys for 100.00 CNY or more at once. There are 30 days for it from joining.",
        ),
        ({"wait_days": 1}, "makes a first purchase. The reward comes 1 day later."),
        ({"valid_until": AT}, "Invitations are not rewarded at the moment."),
    ],
)
def test_the_page_says_what_a_friend_has_to_do(browser: Client, terms: dict[str, Any], sentence: str) -> None:
    ReferralProgramme.objects.update(**terms)

    assert sentence in browser.get("/invite/").text


def test_an_invitation_of_nobody_is_not_found(client: Client) -> None:
    assert client.get("/invited/NOSUCH12/").status_code == 404


def test_details_keep_to_their_queries(
    browser: Client, scene: Scene, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    scene.buys("10")
    roll_up(scene)

    for address, most in {"/profile/": 4, PASSWORD: 4, "/spending/": 6, "/invite/": 5, "/card/": 10}.items():
        with django_assert_max_num_queries(most):
            browser.get(address)
