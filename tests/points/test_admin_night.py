"""Job runs on screen, those of the night and those that count in their own way."""

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from points.models import JobRun
from tests.config.admin_scene import staff

from .factories import AT

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("language", "baskets", "step"),
    [("en", "baskets", "Points expire"), ("zh-hans", None, None)],
)
@pytest.mark.parametrize(
    "counts",
    [
        {"points": {"points": 4_321, "growth": 17}, "baskets": 1_234, "redeemed": 0, "rejected": {}},
        {"expire": 1_234, "mature": "4,321"},
        {"expire": {"points": 1_234, "members": 1}, "mature": {"points": 4_321, "members": 2}},
    ],
    ids=["a load", "another shape", "a night"],
)
@pytest.mark.parametrize("job", ["close", "journey:demo"])
def test_a_run_is_shown_whatever_it_counted(
    client: Client, job: str, counts: dict[str, Any], language: str, baskets: str | None, step: str | None
) -> None:
    client.force_login(staff("auditor", username="ada"))
    client.cookies["django_language"] = language
    run = JobRun.objects.create(
        job=job, business_date=date(2026, 3, 10), state="done", counts=counts, started_at=AT, finished_at=AT
    )

    listed = client.get(reverse("admin:points_jobrun_changelist"))
    shown = client.get(reverse("admin:points_jobrun_change", args=[run.pk])).content.decode()

    assert listed.status_code == 200
    assert "1,234" in shown
    assert "4,321" in shown
    if baskets and "baskets" in counts:
        assert baskets in shown
    if step and "expire" in counts:
        assert step in shown
