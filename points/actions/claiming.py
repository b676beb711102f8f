"""Taking an outside reference for ever."""

import hashlib
import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models


def digest_of(**content: Any) -> bytes:
    """A digest of a request's content: the same content gives the same bytes, whatever the order it came in."""
    text = json.dumps(content, cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()


def draw_id(model: type[models.Model]) -> int:
    """Draw the id of a row before it is written, so that its reference can name it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [model._meta.db_table])
        (value,) = cursor.fetchone()
    return int(value)


def find(*, source: str, operation: str, reference: str) -> tuple[int, bytes] | None:
    """The target and digest that hold a reference, if it was ever used."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT target, digest FROM points_reference WHERE source = %s AND operation = %s AND reference = %s",
            [source, operation, reference],
        )
        row = cursor.fetchone()
    return (int(row[0]), bytes(row[1])) if row else None


def claim(*, source: str, operation: str, reference: str, member_id: int, digest: bytes, target: int) -> int | None:
    """Take a reference; the target that holds it (ours, or the first writer's same content), or None on a conflict.

    Waits for a transaction that is taking the same reference at this moment.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT points_claim(%s, %s, %s, %s, %s, %s)", [source, operation, reference, member_id, digest, target]
        )
        (holder,) = cursor.fetchone()
    return None if holder is None else int(holder)
