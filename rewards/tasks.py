"""Work for later, each safe to be delivered twice."""

from celery import shared_task
from django.utils import timezone

from config.lib import actor
from rewards import batches
from rewards.models import CouponBatch


@shared_task(name="rewards.issue_codes")
def issue_codes(batch_id: int) -> int:
    """Make the codes a batch still lacks."""
    batch = CouponBatch.objects.get(pk=batch_id)
    return batches.issue_codes(batch=batch, actor=actor.system("issue_codes"), at=timezone.now())


@shared_task(name="rewards.expire_coupons")
def expire_coupons() -> int:
    """Say of the coupons whose time is over that it is."""
    return batches.expire_coupons(at=timezone.now(), actor=actor.system("expire_coupons"))
