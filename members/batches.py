"""Writes over many members at once."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from members import keys
from members.models import Member, WebhookEndpoint

_OUTDATED = """
SELECT id, data_key FROM members_member
WHERE id > %s AND substr(data_key, 1, %s) <> %s
ORDER BY id LIMIT %s
"""
_REWRAP = """
UPDATE members_member AS member SET data_key = fresh.data_key
FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[]) AS fresh (id, was, data_key)
WHERE member.id = fresh.id AND member.data_key = fresh.was
"""

_COUNT_OUTDATED = """
SELECT count(*) FROM (
    SELECT data_key AS sealed FROM members_member
    UNION ALL SELECT secret FROM members_webhookendpoint
    UNION ALL SELECT previous_secret FROM members_webhookendpoint) AS found
WHERE length(sealed) > 0 AND substr(sealed, 1, %(length)s) <> %(prefix)s
"""


def rewrap_data_keys(*, after: int, limit: int) -> tuple[int, int]:
    """Wrap the next data keys under the current master key; return the last id seen and how many were wrapped.

    Only wrapping changes, never the data, and a key erased meanwhile stays erased. The one loop over rows outside SQL:
    master keys never reach the database.
    """
    prefix = keys.current_prefix()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_OUTDATED, [after, len(prefix), prefix, limit])
        rows = [(row_id, bytes(wrapped)) for row_id, wrapped in cursor.fetchall()]
        if rows:
            fresh = [keys.rewrap(wrapped, Member._meta.db_table, row_id) for row_id, wrapped in rows]
            cursor.execute(_REWRAP, [[row_id for row_id, _was in rows], [was for _row_id, was in rows], fresh])
    return (rows[-1][0] if rows else after), len(rows)


def count_outdated_keys() -> int:
    """Return how many data keys and secrets of webhooks are not under the current master key."""
    prefix = keys.current_prefix()
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_OUTDATED, {"length": len(prefix), "prefix": prefix})
        return int(cursor.fetchone()[0])


@transaction.atomic
def rewrap_webhook_secrets() -> int:
    """Seal the secrets of every webhook endpoint under the current master key; how many endpoints there are."""
    table = WebhookEndpoint._meta.db_table
    endpoints = list(WebhookEndpoint.objects.select_for_update(no_key=True).order_by("id"))
    for endpoint in endpoints:
        for column in ("secret", "previous_secret"):
            if sealed := getattr(endpoint, column):
                secret = keys.open_secret(bytes(sealed), table, column, endpoint.pk)
                setattr(endpoint, column, keys.seal_secret(secret, table, column, endpoint.pk))
        endpoint.save(update_fields=["secret", "previous_secret"])
    return len(endpoints)


_PURGE = """
DELETE FROM members_webhookdelivery WHERE id IN (
    SELECT id FROM members_webhookdelivery WHERE finished_at < %s LIMIT %s FOR UPDATE SKIP LOCKED)
"""
_PURGE_WAITING = """
DELETE FROM members_webhookdelivery WHERE id IN (
    SELECT id FROM members_webhookdelivery
    WHERE endpoint_id = ANY (%s) AND state = 'waiting' AND created_at < %s LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def purge_webhooks(*, at: datetime, days: int | None = None, limit: int = 10_000) -> int:
    """Forget messages finished so many days ago, and as old ones that wait for an endpoint that cannot be reached.

    It was stopped, or its system was switched off or has no key that works. Each chunk is a statement of its own, so
    this may be killed anywhere and run twice at once.
    """
    before = at - timedelta(days=settings.LAUREL_WEBHOOK_DAYS if days is None else days)
    endpoints = WebhookEndpoint.objects.all()
    silent = list(endpoints.exclude(pk__in=endpoints.reachable(at)).values_list("pk", flat=True))
    asked: tuple[tuple[str, list[Any]], ...] = ((_PURGE, [before, limit]), (_PURGE_WAITING, [silent, before, limit]))
    purged = 0
    for statement, arguments in asked:
        while True:
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                purged += cursor.rowcount
                if cursor.rowcount < limit:
                    break
    return purged
