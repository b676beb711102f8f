"""From the ledger to the outbox: entries become messages for the endpoints that asked for them, without gaps.

Numbers of entries are drawn before their transaction commits, so a later one may be seen before an earlier one.
Whoever reads up to the highest number he sees loses the earlier one for ever. Therefore a fence is raised first: the
highest number drawn by now, and after it the transactions that are writing entries. Each holds a lock on the table
from before it draws a number until what it wrote can be seen; once those are over, nothing up to the fence is missing.
"""

import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from config.lib.sql import read
from members.models import EndpointStatus, WebhookEndpoint, WebhookType
from points.calendar import end_of, local_date

SQL = Path(__file__).parent / "sql"
#: Numbers of entries in one transaction.
CHUNK = 5_000
#: How long a run waits for the writers before its fence; the next run waits for the same ones.
PATIENCE_SECONDS = 1.0
#: Points are told of when so many days are left, counted from the day after today.
DAYS_BEFORE = (30, 7, 1)
#: An installation that stood still makes up for so many days: with more of them, what is seen 7 days before would
#: overlap with what is seen 1 day before, and points of both would be told doubled.
DAYS_MADE_UP_FOR = timedelta(days=6)

# Who is writing entries in another session: what this one wrote it can see.
_WRITING = "SELECT virtualtransaction FROM rewards_entry_writers() WHERE pid <> pg_backend_pid()"
_RAISE_FENCE = f"""
UPDATE members_webhookendpoint SET fence_entry = %s, fence_writers = ARRAY({_WRITING})
WHERE id = ANY (%s) AND status = 'active' AND entries_read >= fence_entry AND fence_entry < %s
"""  # noqa: S608  constant parts
_IS_OVER = f"NOT EXISTS ({_WRITING} AND virtualtransaction = ANY (fence_writers))"
# Also of an endpoint that was stopped: until the fence that was raised then it was active.
_STRETCH = f"""
SELECT e.entries_read, CASE WHEN {_IS_OVER} THEN e.fence_entry ELSE e.entries_read END,
    ARRAY(SELECT t FROM unnest(e.types) t WHERE t LIKE 'points.%%' AND members_webhook_scope(t) = ANY (c.scopes))
FROM members_webhookendpoint e JOIN members_client c ON c.id = e.client_id
WHERE e.id = %s FOR NO KEY UPDATE OF e SKIP LOCKED
"""  # noqa: S608
_PENDING = f"""
SELECT EXISTS (SELECT FROM members_webhookendpoint WHERE entries_read < fence_entry AND NOT {_IS_OVER})
"""  # noqa: S608
_ADVANCE = "UPDATE members_webhookendpoint SET entries_read = %s WHERE id = %s"


def collect(*, at: datetime, patience_seconds: float = PATIENCE_SECONDS) -> int:
    """Put what the ledger has for the endpoints into their outbox, and what is about to expire; how many messages."""
    listening = list(WebhookEndpoint.objects.listening().values_list("pk", flat=True))
    if listening:
        _raise_fences(listening)
    behind = list(WebhookEndpoint.objects.filter(entries_read__lt=F("fence_entry")).values_list("pk", flat=True))
    if behind:
        _wait_for_writers(patience_seconds)
    told = sum(_read_ledger(endpoint_id, at) for endpoint_id in behind)
    return told + sum(_tell_expiring(endpoint_id, at) for endpoint_id in listening)


def _raise_fences(endpoints: list[int]) -> None:
    """Let the endpoints at their fence read on, up to what is drawn by now. Two statements, in this order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rewards_entries_drawn()")
        (drawn,) = cursor.fetchone()
        cursor.execute(_RAISE_FENCE, [drawn, endpoints, drawn])


def _wait_for_writers(seconds: float) -> None:
    """Wait a moment for the transactions that were under way when the fences were raised."""
    deadline = time.monotonic() + seconds
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_PENDING)
            (is_pending,) = cursor.fetchone()
            if not is_pending or time.monotonic() > deadline:
                return
            time.sleep(0.02)


def _read_ledger(endpoint_id: int, at: datetime) -> int:
    """Read the ledger up to the fence, a stretch a transaction; a killed run left whole stretches behind it."""
    told = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_STRETCH, [endpoint_id])
            row = cursor.fetchone()
            if row is None or row[0] >= row[1]:
                return told
            after, fence, types = row
            until = min(after + CHUNK, fence) if types else fence
            if types:
                asked: dict[str, Any] = {"endpoint": endpoint_id, "types": types, "at": at}
                asked |= {"after": after, "until": until}
                cursor.execute(read(SQL / "read_ledger.sql"), asked)
                told += cursor.rowcount
            cursor.execute(_ADVANCE, [until, endpoint_id])


@transaction.atomic
def _tell_expiring(endpoint_id: int, at: datetime) -> int:
    """Once a day, tell an endpoint of points whose last day is 30, 7 or 1 days away."""
    today = local_date(at)
    endpoint = (
        WebhookEndpoint.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .select_related("client")
        .filter(pk=endpoint_id, status=EndpointStatus.ACTIVE, expiring_told_on__lt=today)
        .first()
    )
    if endpoint is None:
        return 0
    told_on = max(endpoint.expiring_told_on, today - DAYS_MADE_UP_FOR)
    endpoint.expiring_told_on = today
    endpoint.save(update_fields=["expiring_told_on"])
    if not endpoint.may_hear(WebhookType.POINTS_EXPIRING):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(read(SQL / "tell_expiring.sql"), _sight(endpoint_id, told_on, today, at))
        return int(cursor.rowcount)


def _sight(endpoint_id: int, told_on: date, today: date, at: datetime) -> dict[str, Any]:
    """Return the stretches of time whose end of points was not in sight on the day told last, and is now."""
    return {
        "endpoint": endpoint_id,
        "at": at,
        "today": today,
        "zone": settings.TIME_ZONE,
        "starts": [end_of(told_on + timedelta(days=days)) for days in DAYS_BEFORE],
        "ends": [end_of(today + timedelta(days=days)) for days in DAYS_BEFORE],
    }
