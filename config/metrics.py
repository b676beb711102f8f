"""Counters for Prometheus: requests by view, and how long ago a worker showed itself."""

import os
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Whoever calls makes up methods as he likes, and each would be a line of its own for as long as the process lives.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter("laurel_requests", "Requests answered", ["method", "view", "status"])
SECONDS = Histogram("laurel_request_seconds", "Time to answer", ["view"], buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10))


def count_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Count every request under the name of its view: paths hold numbers and codes, which do not belong in metrics."""

    def middleware(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = get_response(request)
        view = request.resolver_match.view_name if request.resolver_match else "none"
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(method, view or "unnamed", response.status_code).inc()
        SECONDS.labels(view or "unnamed").observe(time.perf_counter() - started)
        return response

    return middleware


def render(*, worker_age_seconds: float | None) -> bytes:
    """Return the counters as text, of all web processes where they share a folder for it."""
    now = CollectorRegistry()
    if worker_age_seconds is not None:
        Gauge("laurel_worker_age_seconds", "Seconds since a worker showed itself", registry=now).set(
            worker_age_seconds
        )
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shared = CollectorRegistry()
        MultiProcessCollector(shared)
        return generate_latest(shared) + generate_latest(now)
    return generate_latest(REGISTRY) + generate_latest(now)
