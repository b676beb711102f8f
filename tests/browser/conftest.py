"""A real Chromium over a real server; without one these tests are skipped and say so."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from points.actions import catalogue

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}

#: Tells of everything the content security policy refused.
_WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error("refused by policy: " + event.violatedDirective + " " + event.blockedURI);
});
"""


@dataclass  # without slots: Playwright hangs its own wrappers on the object
class Window:
    """One tab and every error it met."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)

    def visit(self, address: str) -> None:
        """Go to an address of the portal."""
        self.page.goto(f"{self.url}{address}")

    def hear(self, message: ConsoleMessage) -> None:
        """Keep what the console calls an error."""
        if message.type == "error":
            self.errors.append(message.text)

    @property
    def overflow(self) -> int:
        """How many pixels the page is wider than the screen."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))


def find_chromium() -> str | None:
    """Return the browser that LAUREL_CHROMIUM names, else one of the usual names on the path."""
    named = os.environ.get("LAUREL_CHROMIUM")
    return named or next((found for name in CHROMIUMS if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the browser once for all tests of a process."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install one or name it in LAUREL_CHROMIUM")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread; the tests' own queries run between its turns.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium: Browser, live_server: LiveServer) -> Iterator[Callable[..., Window]]:
    """Open windows on the portal: a phone unless told otherwise. Any error in a console fails the test."""
    windows: list[Window] = []

    def opened(**options: Any) -> Window:
        context = chromium.new_context(**{"locale": "en-GB", **PHONE, **options})
        context.add_init_script(_WATCH_POLICY)
        page = context.new_page()
        page.set_default_timeout(15_000)
        window = Window(page, live_server.url)
        page.on("console", window.hear)
        page.on("pageerror", lambda error: window.errors.append(str(error)))
        windows.append(window)
        return window

    yield opened
    for window in windows:
        window.page.context.close()
    assert [error for window in windows for error in window.errors] == []


@pytest.fixture(autouse=True)
def _portal_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live server speaks HTTP, and point types of earlier tests are gone."""
    monkeypatch.setattr(settings, "SESSION_COOKIE_SECURE", False)
    monkeypatch.setattr(settings, "CSRF_COOKIE_SECURE", False)
    catalogue.forget()
