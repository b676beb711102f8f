"""The pages in Chinese in a real Chromium: they fit, on the narrowest phone and at a desk."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.members.factories import PASSWORD, StaffFactory
from tests.rewards.portal_scene import set_scene

from .conftest import DESK, Window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

type Opener = Callable[..., Window]

SMALL_PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}
PORTAL = (
    *("/", "/card/", "/history/", "/history/lots/", "/rewards/", "/rewards/gift-mug/"),
    *("/coupons/", "/orders/", "/spending/", "/invite/", "/profile/", "/profile/password/"),
)
SCREENS = (
    *("", "members/member/", "members/member/enrol/", "points/earningrule/add/", "points/balance/trial/"),
    *("points/earningrule/preview/", "rewards/redemption/write-off/", "rewards/reward/"),
)
#: Texts that are cut off.
CUT = """() => [...document.querySelectorAll("button, .button, nav a, th, dt, label, h1, h2")]
  .filter((e) => e.checkVisibility() && !e.closest(".sr-only") && !e.querySelector("input"))
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "hidden")
  .map((e) => e.textContent.trim())"""


@pytest.mark.parametrize("screen", [SMALL_PHONE, DESK], ids=["phone", "desk"])
def test_the_portal_fits_in_chinese(open_window: Opener, screen: dict[str, Any]) -> None:
    scene, window = set_scene(points=12_345, language="zh-hans"), open_window(**screen, locale="zh-CN")
    page = window.page
    window.visit("/sign-in/")
    page.get_by_label("卡号、手机号或电子邮箱").fill(scene.member.grouped_number)
    page.get_by_label("密码").first.fill(scene.password)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_test_id("balance")).to_have_text("12,345")

    for address in PORTAL:
        window.visit(address)
        assert window.overflow <= 0, address
        assert page.evaluate(CUT) == [], address
        assert page.locator("html").get_attribute("lang") == "zh-Hans", address


def test_the_back_office_fits_in_chinese(open_window: Opener) -> None:
    set_scene(points=100)
    StaffFactory.create(username="zhang.wei")
    window = open_window(**DESK, locale="zh-CN")
    page = window.page
    window.visit("/admin/")
    page.locator("input[name=username]").fill("zhang.wei")
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="概览").first).to_be_visible()

    for address in SCREENS:
        window.visit(f"/admin/{address}")
        assert window.overflow <= 0, address
        assert page.evaluate(CUT) == [], address
