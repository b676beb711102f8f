"""Health for machines: is the process alive, may it get traffic, how is it doing."""

import hmac
import ipaddress
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config import metrics
from config.models import WorkerHeartbeat

_is_migrated = False  # once true it stays true: this process knows no later migrations


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process can answer at all."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database is there and migrated, else 503; the worker's age is told, not judged."""
    facts: dict[str, Any] = {"status": "ready", "database": "ok", "migrations": "applied", "worker_age_seconds": None}
    try:
        missing = count_missing_migrations()
        if missing:
            facts.update(status="not_ready", migrations=f"{missing} missing")
        else:
            facts["worker_age_seconds"] = worker_age_seconds()
    except DatabaseError:
        facts.update(status="not_ready", database="unreachable", migrations="unknown")
    return JsonResponse(facts, status=200 if facts["status"] == "ready" else 503)


@never_cache
@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Show counters to Prometheus: to the bearer of the token, or where none is set to this machine alone."""
    if not may_see_metrics(request):
        return JsonResponse({"detail": "Metrics need the bearer token LAUREL_METRICS_TOKEN."}, status=403)
    try:
        age = worker_age_seconds()
    except DatabaseError:
        age = None
    return HttpResponse(metrics.render(worker_age_seconds=age), content_type=metrics.CONTENT_TYPE)


def count_missing_migrations() -> int:
    """Return how many migrations the database lacks."""
    global _is_migrated
    if _is_migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return 0
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _is_migrated = missing == 0
    return missing


def worker_age_seconds() -> float | None:
    """Return how long ago a worker last showed itself; None before the first time."""
    beat = WorkerHeartbeat.objects.filter(name="worker").first()
    return None if beat is None else round(beat.age_seconds(timezone.now()), 1)


def may_see_metrics(request: HttpRequest) -> bool:
    """Tell whether the caller holds the token or, where none is set, sits on this machine and not behind a proxy."""
    if token := settings.LAUREL_METRICS_TOKEN:
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return address.is_loopback and "X-Forwarded-For" not in request.headers
