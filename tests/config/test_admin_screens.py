"""Every screen of the back office: renders in both languages, costs the same at any length, keeps the books shut."""

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from points.models import Balance, Draw, Entry, Event, Hold, Lot, Reference, RuleUsage
from tests.config.admin_scene import populate, staff
from tests.members.factories import StaffFactory

pytestmark = pytest.mark.django_db

#: Session, person and rights take a handful; the rest is for rows, what they point at, and filters.
MOST_QUERIES = 20
LEDGER = (Entry, Event, Lot, Draw, Balance, Reference, RuleUsage, Hold)
PAGES = (
    "admin:index",
    "admin:points_balance_trial",
    "admin:points_balance_check",
    "admin:points_earningrule_preview",
    "admin:members_member_enrol",
    "admin:members_client_new",
    "admin:members_webhookendpoint_new",
    "admin:rewards_couponbatch_new",
    "admin:rewards_couponbatch_outside",
    "admin:rewards_redemption_write_off",
    "admin:password_change",
)


def screens() -> list[Any]:
    return sorted(admin.site._registry.values(), key=lambda screen: screen.opts.label)


def list_address(screen: Any) -> str:
    return reverse(f"admin:{screen.opts.app_label}_{screen.opts.model_name}_changelist")


def row_address(screen: Any, row: Any) -> str:
    return reverse(f"admin:{screen.opts.app_label}_{screen.opts.model_name}_change", args=[row.pk])


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(StaffFactory.create())
    return client


def queries_of(boss: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert boss.get(address).status_code == 200, address
    return len(captured)


def test_a_list_costs_the_same_with_five_rows_and_with_thirty(boss: Client) -> None:
    populate(5)
    for screen in screens():
        boss.get(list_address(screen))  # what a process remembers is not the list's cost
    few = {list_address(screen): queries_of(boss, list_address(screen)) for screen in screens()}

    populate(25)

    many = {address: queries_of(boss, address) for address in few}
    assert many == few
    assert {address: queries for address, queries in many.items() if queries > MOST_QUERIES} == {}


def test_no_list_counts_more_rows_than_its_bound(boss: Client) -> None:
    populate(2)
    for screen in screens():
        with CaptureQueriesContext(connection) as captured:
            boss.get(list_address(screen))
        table = screen.model._meta.db_table
        counts = [
            query["sql"] for query in captured if "COUNT(*)" in query["sql"] and f'FROM "{table}"' in query["sql"]
        ]
        assert [sql for sql in counts if "LIMIT" not in sql] == [], screen


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_list_every_row_and_every_form_renders(boss: Client, language: str) -> None:
    populate(2)
    boss.cookies["django_language"] = language
    for screen in screens():
        row = screen.model._default_manager.order_by("-pk").first()
        assert row is not None, f"nothing to show on {screen}"
        request = boss.get(list_address(screen)).wsgi_request
        addresses = [list_address(screen), f"{list_address(screen)}?q=nothing", row_address(screen, row)]
        if screen.has_add_permission(request):
            addresses.append(reverse(f"admin:{screen.opts.app_label}_{screen.opts.model_name}_add"))
        for address in addresses:
            response = boss.get(address, follow=True)
            page = response.content.decode()
            assert response.status_code == 200, address
            assert f'lang="{language}"' in page, address
            assert "(&#x27;" not in page, f"{address} shows a pair as Python writes it"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_beside_the_lists_renders(boss: Client, page: str, language: str) -> None:
    boss.cookies["django_language"] = language

    response = boss.get(reverse(page))

    assert response.status_code == 200


@pytest.mark.parametrize("model", LEDGER, ids=lambda model: model.__name__)
def test_the_books_are_written_by_nobody(boss: Client, model: Any) -> None:
    populate(1)
    screen = admin.site._registry[model]
    row = model._default_manager.first()
    names = f"admin:{screen.opts.app_label}_{screen.opts.model_name}"
    before = model._default_manager.count()

    for address in (reverse(f"{names}_add"), reverse(f"{names}_delete", args=[row.pk])):
        assert boss.get(address).status_code == 403
        assert boss.post(address, {"post": "yes"}).status_code == 403
    assert boss.post(row_address(screen, row), {"points": 1}).status_code == 403

    page = boss.get(row_address(screen, row)).content.decode()
    assert 'name="_save"' not in page
    assert model._default_manager.count() == before


def test_only_staff_come_in(client: Client) -> None:
    assert client.get(reverse("admin:index")).status_code == 302

    client.force_login(staff())

    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    assert page.context["points"] is None
    assert client.get(reverse("admin:points_entry_changelist")).status_code == 403
    assert client.get(reverse("admin:points_balance_trial")).status_code == 403


def test_the_sidebar_shows_what_a_person_may_open(client: Client) -> None:
    client.force_login(staff("clerk"))
    clerk = client.get(reverse("admin:index")).content.decode()
    client.force_login(staff("operator"))
    operator = client.get(reverse("admin:index")).content.decode()

    members, clients = reverse("admin:members_member_changelist"), reverse("admin:members_client_changelist")
    assert f'href="{members}"' in clerk
    assert f'href="{clients}"' not in clerk
    assert f'href="{clients}"' in operator
    assert f'href="{members}"' not in operator


def test_the_policy_is_wider_here_than_in_the_portal_and_no_wider_than_needed(client: Client) -> None:
    for address in (reverse("admin:login"), reverse("admin:index")):
        policy = client.get(address).headers["Content-Security-Policy"]
        assert "'unsafe-eval'" in policy
        assert "script-src 'self'" in policy
        assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert "'unsafe-eval'" not in client.get("/health/live").headers["Content-Security-Policy"]


def test_the_overview_tells_the_day_the_queue_and_the_balance(boss: Client) -> None:
    populate(2)

    page = boss.get(reverse("admin:index"))

    assert page.context["waiting"] == {
        "count": "2",
        "address": reverse("admin:rewards_redemption_changelist"),
        "is_any": True,
    }
    assert page.context["points"].is_balanced
    assert page.context["members"].value == "2"
