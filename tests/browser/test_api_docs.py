"""The API's documentation in a real browser: drawn from our own files, under the strict policy, in both languages."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import DESK, Window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    ("locale", "language", "words"), [("en-GB", "en", "Sign in first."), ("zh-CN", "zh-hans", "请先登录。")]
)
def test_every_call_is_shown(open_window: Callable[..., Window], locale: str, language: str, words: str) -> None:
    window = open_window(**DESK, locale=locale, is_mobile=False)

    window.visit("/api/v1/docs/")
    window.page.locator(".opblock").nth(20).wait_for()

    assert window.page.locator("html").get_attribute("lang") == language
    window.page.locator(".opblock-summary", has_text="/holds/").first.click()
    window.page.get_by_text(words).first.wait_for()
    assert "insufficient_points" in window.page.locator(".opblock.is-open").inner_text()
