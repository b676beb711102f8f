"""The filter by day of the back office takes whatever stands in an address."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.config.admin_scene import staff

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("since", ["0001-01-01", "1899-12-31", "2026-02-30", "x"])
@pytest.mark.parametrize("until", ["9999-12-31", "2201-01-01", "2200-12-31", "0001-01-01", ""])
@pytest.mark.parametrize("screen", ["points_entry", "points_dailystatistic"])
def test_a_day_that_cannot_be_is_no_filter(client: Client, screen: str, since: str, until: str) -> None:
    client.force_login(staff("auditor"))
    field = "recorded_at" if screen == "points_entry" else "day"

    page = client.get(reverse(f"admin:{screen}_changelist"), {f"{field}_from": since, f"{field}_to": until})

    assert page.status_code == 200
