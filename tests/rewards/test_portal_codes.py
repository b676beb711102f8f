"""A member enters a printed code: it becomes the member's own, and guessing soon has to wait."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from members.models import Member
from rewards.actions import coupons
from rewards.models import Coupon, CouponGuess
from tests.members.factories import AT, TESTER, MemberFactory, sign_in_for
from tests.rewards.factories import printed_coupon

pytestmark = pytest.mark.django_db

PAGE = "/coupons/enter/"


@pytest.fixture
def alice() -> Member:
    return MemberFactory.create()


@pytest.fixture
def browser(alice: Member) -> Client:
    browser = Client()
    browser.force_login(sign_in_for(alice))
    return browser


def test_a_printed_code_becomes_the_members_own(browser: Client, alice: Member) -> None:
    coupon = printed_coupon(valid_days=10)

    response = browser.post(PAGE, {"code": f" {coupon.grouped_code.lower()} "}, follow=True)
    again = browser.post(PAGE, {"code": coupon.code}, follow=True)

    coupon.refresh_from_db()
    assert (coupon.member, coupon.state) == (alice, "assigned")
    assert coupon.expires_at is not None
    assert "The coupon is yours." in response.text
    assert coupon.grouped_code in again.text
    assert coupon.events.filter(to_state="assigned").count() == 1
    assert PAGE in browser.get("/coupons/").text


def test_a_code_for_everybody_stays_for_everybody(browser: Client) -> None:
    coupon = printed_coupon(uses=500)

    response = browser.post(PAGE, {"code": coupon.code})

    assert response.status_code == 422
    assert "show it when you pay" in response.text
    assert Coupon.objects.get(pk=coupon.pk).member is None


def test_wrong_used_ended_and_foreign_codes_look_alike_and_soon_have_to_wait(
    browser: Client, alice: Member, settings: Any
) -> None:
    settings.LAUREL_COUPON_MISSES = 4
    used, ended, bobs = printed_coupon(), printed_coupon(expires_at=AT - timedelta(days=9)), printed_coupon()
    good = printed_coupon()
    coupons.assign(coupon=bobs, member=MemberFactory.create(name="Bob"), actor=TESTER, at=AT)
    coupons.redeem(code=used.code, amount_minor=900, currency="CNY", source="till", reference="1", actor=TESTER, at=AT)

    answers = [browser.post(PAGE, {"code": code}) for code in ("nothing", used.code, ended.code, bobs.code)]
    beyond = browser.post(PAGE, {"code": good.code})

    assert {answer.status_code for answer in answers} == {422}
    assert all("This code cannot be used." in answer.text for answer in answers)
    assert beyond.status_code == 429
    assert 1 <= int(beyond["Retry-After"]) <= 600
    assert "Too many wrong codes." in beyond.text
    assert Coupon.objects.get(pk=good.pk).member is None
    assert CouponGuess.objects.get().door == f"member:{alice.number}"


def test_the_field_says_what_is_missing(browser: Client) -> None:
    response = browser.post(PAGE, {"code": " "})

    assert response.status_code == 422
    assert "Enter the code." in response.text
    assert not CouponGuess.objects.exists()


def test_nobody_enters_codes_without_signing_in() -> None:
    assert Client().post(PAGE, {"code": "x"}).status_code == 302
