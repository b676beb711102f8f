"""The first page: the card, what there is to spend, what ends when, how far the next tier is."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from members.models import Tier
from points.actions import holding
from points.calendar import local_date
from tests.members.factories import TESTER

from .portal_scene import set_scene

pytestmark = pytest.mark.django_db


def test_the_card_shows_number_code_tier_and_balance() -> None:
    scene = set_scene(points=1_217)

    text = scene.signed_in().get("/").text

    assert scene.member.grouped_number in text
    assert "李明" in text
    assert "1,217" in text
    assert text.count('shape-rendering="crispEdges"') == 1
    assert "Member</p>" in text.replace("\n", "").replace("  ", "")


def test_pending_held_and_owed_are_shown_only_when_there_are_any() -> None:
    scene = set_scene(points=500)
    browser = scene.signed_in()
    assert "Set aside" not in browser.get("/").text

    holding.hold(member=scene.member, points=120, source="till", reference="h-1", actor=TESTER, at=scene.now)

    text = browser.get("/").text
    assert "Set aside" in text
    assert '<dd class="text-lg font-semibold tabular-nums">120</dd>' in text
    assert "Owed" not in text


def test_what_expires_next_is_told_with_its_last_day() -> None:
    scene = set_scene(points=300, days_ago=200)

    response = scene.signed_in().get("/")

    (first, *_rest) = response.context["expiring"]
    assert first.points == 300
    assert (first.on + timedelta(days=1)).day == 1  # the seed's points end with a month
    assert first.on > local_date(scene.now)


def test_growth_on_the_way_to_the_next_tier_is_counted() -> None:
    scene = set_scene(points=400)

    response = scene.signed_in().get("/")

    progress = response.context["standing"].progress
    assert (progress.next_tier.code, progress.missing, progress.share) == ("silver", 600, 40)
    assert "<strong" in response.text
    assert "600</strong> more Growth to reach Silver." in response.text


def test_at_the_top_there_is_no_next_tier() -> None:
    scene = set_scene()
    scene.member.tier = Tier.objects.get(code="platinum")
    scene.member.save(update_fields=["tier"])

    assert "You have reached the highest tier." in scene.signed_in().get("/").text


def test_a_new_member_is_told_how_to_begin() -> None:
    text = set_scene().signed_in().get("/").text

    assert "Nothing yet." in text


def test_the_large_card_shows_the_code_and_the_balance() -> None:
    scene = set_scene(points=217)

    text = scene.signed_in().get("/card/").text

    assert scene.member.grouped_number in text
    assert "217" in text


def test_chinese_names_of_points_and_tiers_are_used_and_numbers_keep_their_thousands() -> None:
    scene = set_scene(points=1_217)
    browser = scene.signed_in()
    browser.cookies["django_language"] = "zh-hans"

    text = browser.get("/").text

    assert "积分" in text
    assert "普通会员" in text
    assert "1,217" in text


def test_home_keeps_to_its_queries(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    scene = set_scene(points=100)
    for _ in range(8):
        scene.buys("10")
    browser = scene.signed_in()

    with django_assert_max_num_queries(12):
        browser.get("/")
