from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from config import health
from config.lib import queue
from config.models import WorkerHeartbeat


def test_a_process_that_answers_is_live_without_a_database(client: Client) -> None:
    response = client.get("/health/live")

    assert (response.status_code, response.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_a_migrated_database_is_ready_and_tells_the_worker_s_age(client: Client) -> None:
    WorkerHeartbeat.objects.create(name="worker", beat_at=timezone.now() - timedelta(seconds=90))

    response = client.get("/health/ready")

    assert response.status_code == 200
    assert 90 <= response.json()["worker_age_seconds"] < 120


@pytest.mark.django_db
def test_missing_migrations_are_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "count_missing_migrations", lambda: 3)

    response = client.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["migrations"] == "3 missing"


def test_an_unreachable_database_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OperationalError("secret host name")

    monkeypatch.setattr(health, "count_missing_migrations", refuse)

    response = client.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["database"] == "unreachable"
    assert "secret host name" not in response.text


@pytest.mark.django_db
def test_the_heartbeat_task_writes_down_that_a_worker_lives() -> None:
    queue.send("config.heartbeat")

    age = health.worker_age_seconds()
    assert age is not None
    assert age < 5


@pytest.mark.django_db
def test_metrics_are_for_this_machine_alone_unless_a_token_is_set(client: Client, settings: Settings) -> None:
    client.get("/health/live")

    near = client.get("/metrics")
    far = client.get("/metrics", REMOTE_ADDR="203.0.113.7")
    proxied = client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"})

    assert near.status_code == 200
    assert 'laurel_requests_total{method="GET",status="200",view="live"}' in near.text
    assert (far.status_code, proxied.status_code) == (403, 403)


@pytest.mark.django_db
def test_made_up_methods_and_addresses_do_not_grow_the_metrics(client: Client) -> None:
    for number in range(3):
        client.generic(f"BREW{number}", f"/teapot-{number}/")
        client.generic("get", f"/i18n/{number}/")

    counted = [line for line in client.get("/metrics").text.splitlines() if line.startswith("laurel_requests_total")]

    assert any('method="other",status="404",view="none"' in line for line in counted)
    assert not [line for line in counted if "BREW" in line or "teapot" in line or 'method="get"' in line]


@pytest.mark.django_db
def test_with_a_token_metrics_are_for_its_bearer_alone(client: Client, settings: Settings) -> None:
    settings.LAUREL_METRICS_TOKEN = "t0ken"

    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 403
    assert (
        client.get("/metrics", headers={"Authorization": "Bearer t0ken"}, REMOTE_ADDR="203.0.113.7").status_code == 200
    )
