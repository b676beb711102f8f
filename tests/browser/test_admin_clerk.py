"""The back office as a clerk meets it: finds a member, adjusts points, sees the entry; no error in any console."""

from collections.abc import Callable

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from points.models import Entry
from tests.config.admin_scene import populate, staff
from tests.members.factories import PASSWORD, StaffFactory
from tests.points.factories import fixed_rule, new_member

from .conftest import DESK, Window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

type Opener = Callable[..., Window]


def sign_in(window: Window, username: str) -> None:
    window.visit("/admin/")
    window.page.get_by_label("Username").fill(username)
    window.page.locator("#id_password").fill(PASSWORD)
    window.page.get_by_role("button", name="Log in").click()
    expect(window.page.get_by_role("heading", name="Overview").first).to_be_visible()


def test_a_clerk_finds_a_member_adjusts_points_and_sees_the_entry(open_window: Opener) -> None:
    staff("clerk", username="clara")
    member = new_member(name="王小明", phone="13800138000")
    window = open_window(**DESK)
    page = window.page
    sign_in(window, "clara")

    page.get_by_label("Find a member").fill("138 0013 8000")
    page.get_by_label("Find a member").press("Enter")
    expect(page.get_by_role("heading", name=member.grouped_number)).to_be_visible()
    expect(page.get_by_text("王**")).to_be_visible()

    page.get_by_role("link", name="Adjust points").click()
    page.locator("#id_points").fill("500")
    page.locator("#id_reason").fill("a lost receipt")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("0 → 500")).to_be_visible()
    page.get_by_role("button", name="Confirm").click()

    expect(page.get_by_text("Available now: 500")).to_be_visible()
    expect(page.locator("#entries").get_by_text("+500")).to_be_visible()
    assert Entry.objects.get().actor == "staff:clara"


def test_a_clerk_reveals_personal_data_for_a_reason(open_window: Opener) -> None:
    staff("clerk", username="clara")
    member = new_member(name="王小明", phone="13800138000")
    window = open_window(**DESK)
    page = window.page
    sign_in(window, "clara")
    window.visit(reverse("admin:members_member_change", args=[member.pk]))

    page.get_by_role("link", name="Show", exact=True).click()
    page.get_by_label("The member is on the telephone").check()
    page.get_by_role("button", name="Show", exact=True).click()

    expect(page.get_by_text("王小明")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name=member.grouped_number)).to_be_visible()


def test_a_manager_previews_a_draft(open_window: Opener) -> None:
    staff("programme manager", username="maria")
    new_member(phone="13800138000")
    draft = fixed_rule(30, name_en="Tried out", status="draft", channels=["app"])
    window = open_window(**DESK)
    page = window.page
    sign_in(window, "maria")
    window.visit(reverse("admin:points_earningrule_change", args=[draft.pk]))

    page.get_by_role("link", name="Preview").click()
    page.locator("#id_member").fill("13800138000")
    page.get_by_role("button", name="Preview").click()

    expect(page.get_by_text("This draft alone would give")).to_be_visible()
    expect(page.locator("#own .lr-verdict-points")).to_have_text("30 Points")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_no_screen_upsets_the_browser(open_window: Opener, language: str) -> None:
    populate(1)
    StaffFactory.create(username="boss")
    window = open_window(**DESK)
    sign_in(window, "boss")
    window.page.context.add_cookies([{"name": "django_language", "value": language, "url": window.url}])

    for name in ("members_member", "points_entry", "points_event", "points_earningrule", "rewards_redemption"):
        window.visit(reverse(f"admin:{name}_changelist"))
        expect(window.page.locator("#result_list")).to_be_visible()
        window.page.locator("#result_list tbody th a").first.click()
        expect(window.page.locator("#content")).to_be_visible()
        assert window.overflow == 0, window.page.url
    for name in ("points_balance_trial", "points_balance_check", "points_earningrule_add", "members_client_new"):
        window.visit(reverse(f"admin:{name}"))
        expect(window.page.locator("#content")).to_be_visible()
        assert window.overflow == 0, window.page.url


def test_every_filter_of_the_entries_can_be_used(open_window: Opener) -> None:
    populate(1)
    StaffFactory.create(username="boss")
    window = open_window(**DESK)
    page = window.page
    sign_in(window, "boss")
    window.visit(reverse("admin:points_entry_changelist"))

    page.locator(".filter-open-button").click()
    page.locator("select[name=kind__exact]").select_option("hold")
    page.get_by_role("button", name="Apply Filters").click()

    expect(page.locator("#result_list tbody tr")).to_have_count(1)
