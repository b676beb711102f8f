"""Wrong codes, counted where every process sees the same count: a door that brings in too many has to wait."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from rewards.models import CouponGuess

# A window begins with its first wrong code and is forgotten by the first one after it. One statement: of all who miss
# at once each gets a number of its own, whichever process or machine it came by.
_COUNT = """
INSERT INTO rewards_couponguess AS known (door, began_at, misses) VALUES (%(door)s, %(at)s, 1)
ON CONFLICT (door) DO UPDATE SET
    misses = CASE WHEN known.began_at > %(since)s THEN known.misses + 1 ELSE 1 END,
    began_at = CASE WHEN known.began_at > %(since)s THEN known.began_at ELSE EXCLUDED.began_at END
RETURNING misses, began_at
"""


def window() -> timedelta:
    """How long wrong codes are remembered."""
    return timedelta(minutes=settings.LAUREL_COUPON_MISSES_MINUTES)


def seconds_to_wait(*, door: str, at: datetime) -> float:
    """Return how long this door has to wait before it may try a code again; nought for whoever never guesses."""
    limit = settings.LAUREL_COUPON_MISSES
    full = CouponGuess.objects.filter(door=door, began_at__gt=at - window(), misses__gte=limit)
    began_at = full.values_list("began_at", flat=True).first()
    return 0 if began_at is None else (began_at + window() - at).total_seconds()


def count_miss(*, door: str, at: datetime) -> float:
    """Count a wrong code of this door; how long it has to wait when it is one too many, whose answer nobody may hear.

    Committed by itself: never call it inside the transaction that the wrong code undoes.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"door": door, "at": at, "since": at - window()})
        misses, began_at = cursor.fetchone()
    return 0 if misses <= settings.LAUREL_COUPON_MISSES else (began_at + window() - at).total_seconds()
