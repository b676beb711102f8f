"""Set-based writes: a million codes, or every coupon whose time is over, in statements of bounded size."""

import json
from datetime import datetime

from django.db import connection, transaction

from config.lib.actor import Actor
from rewards.models import Coupon, CouponBatch, CouponState, told

_CHUNK = 10_000

_ISSUE = """
INSERT INTO rewards_coupon (
    batch_id, state, value_minor, percent, minimum_minor, currency, valid_from, expires_at, issued_at, change)
SELECT id, 'issued', value_minor, percent, minimum_minor, currency, valid_from, expires_at, %s, %s::jsonb
FROM rewards_couponbatch, generate_series(1, %s) WHERE id = %s
"""


def issue_codes(*, batch: CouponBatch, actor: Actor, at: datetime) -> int:
    """Make the codes a batch still lacks, so that a killed run can be run again; the number made."""
    made = 0
    while chunk := _issue_chunk(batch, actor, at):
        made += chunk
    return made


@transaction.atomic
def _issue_chunk(batch: CouponBatch, actor: Actor, at: datetime) -> int:
    """Make at most one chunk; the batch is locked, so that two runs at once do not make twice as many."""
    CouponBatch.objects.select_for_update().get(pk=batch.pk)
    missing = batch.quantity - Coupon.objects.filter(batch=batch).count()
    chunk = max(0, min(_CHUNK, missing))
    if chunk:
        change = json.dumps(told(actor=actor, at=at))
        with connection.cursor() as cursor:
            cursor.execute(_ISSUE, [at, change, chunk, batch.pk])
    return chunk


def expire_coupons(*, at: datetime, actor: Actor) -> int:
    """Say of every coupon whose time is over that it is; their number. Nobody could use them before either."""
    expired = 0
    while True:
        with transaction.atomic():
            due = Coupon.objects.due_to_expire(at).select_for_update(skip_locked=True).order_by("id")
            ids = list(due.values_list("pk", flat=True)[:_CHUNK])
            Coupon.objects.filter(pk__in=ids).update(state=CouponState.EXPIRED, change=told(actor=actor, at=at))
        expired += len(ids)
        if len(ids) < _CHUNK:
            return expired
