"""What holds for every page: nothing inline, nothing from elsewhere, nothing cached, a language, and a way on."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django.urls import get_resolver
from django.utils import translation

from rewards.actions import redeeming
from rewards.models import Coupon, Reward
from rewards.portal import navigation
from rewards.urls import urlpatterns
from tests.members.factories import TESTER

from .portal_scene import set_scene

pytestmark = pytest.mark.django_db

TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").glob("portal/*.html"))
TEMPLATES += sorted((Path(settings.BASE_DIR) / "templates").glob("*.html"))
NOT_SHOWN = {"sign_out", "redeem", "cancel_order", "book_order", "choose_language"}  # answer a form, show nothing


def addresses() -> tuple[Client, dict[str, str]]:
    """Return a member's browser and an address for every page of the portal."""
    scene = set_scene(points=2_000)
    done = redeeming.redeem(
        member=scene.member,
        reward=Reward.objects.get(code="coupon-1"),
        source="shop",
        reference="r-1",
        actor=TESTER,
        at=scene.now,
    )
    parts = {
        "<int:seq>": "1",
        "<uuid:key>": str(done.redemption.key),
        "<int:pk>": str(Coupon.objects.get().pk),
        "invited/<slug:code>": f"invited/{scene.member.referral_code}",
        "<slug:code>": "coupon-1",
    }
    found = {}
    for pattern in urlpatterns:
        route = f"/{pattern.pattern}"
        for part, value in parts.items():
            route = route.replace(part, value)
        found[str(pattern.name)] = route
    return scene.signed_in(), {name: route for name, route in found.items() if name not in NOT_SHOWN}


def test_every_page_is_shown_in_both_languages_and_is_never_cached() -> None:
    browser, pages = addresses()

    for language, html in (("en", "en"), ("zh-hans", "zh-Hans")):
        browser.cookies["django_language"] = language
        for name, address in pages.items():
            response = browser.get(address, follow=True)
            assert response.status_code == 200, name
            assert f'<html lang="{html}">' in response.text, name
            assert 'name="viewport"' in response.text, name
            assert response.text.count("<h1") == 1, name
            if name != "invitation":
                assert "no-store" in response["Cache-Control"], name


def test_every_page_has_a_strict_policy_and_needs_no_exception_from_it() -> None:
    browser, pages = addresses()

    for name, address in pages.items():
        response = browser.get(address, follow=True)
        policy = response["Content-Security-Policy"]
        assert "unsafe" not in policy, name
        assert "script-src 'self'" in policy, name
        for forbidden in (r"<[^>]+\sstyle=", r"<style", r"<script(?![^>]*\ssrc=)", r"\son[a-z]+=", r"javascript:"):
            assert not re.search(forbidden, response.text), (name, forbidden)
        outside = re.findall(r'(?:src|href|action)="(https?:|//)[^"]*"', response.text)
        assert outside == [], name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_untranslated(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    shown = re.sub(r"(?s){% blocktranslate.*?{% endblocktranslate %}|{#.*?#}|{%.*?%}|{{.*?}}", " ", text)

    words = set(re.findall(r"[A-Za-z]{3,}", re.sub(r"<[^>]*>", " ", shown))) - {"Laurel", "doctype", "html"}

    assert words == set()


def test_every_destination_leads_to_a_page_of_the_portal() -> None:
    names = {pattern.name for pattern in urlpatterns}

    for place in navigation.PLACES:
        assert place.pages <= names
        assert place.tab in names
    assert set(get_resolver().reverse_dict) >= names


def test_a_missing_page_is_friendly_and_says_nothing_of_the_machinery(client: Client) -> None:
    response = client.get("/no-such-page/")

    assert response.status_code == 404
    assert "There is no such page" in response.text
    assert "no-such-page" not in response.text


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "405", "500"])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_pages_of_failure_need_nothing_but_themselves(name: str, language: str) -> None:
    with translation.override(language):
        text = render_to_string(f"{name}.html")

    assert f'lang="{"en" if language == "en" else "zh-Hans"}"' in text
    assert name[:3] in text
    assert "<form" not in text
