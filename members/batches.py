"""Writes over many members at once."""

from django.db import connection, transaction

from members import keys
from members.models import Member

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
