"""Work for later, each safe to be delivered twice."""

from celery import shared_task
from django.utils import timezone

from config.lib import actor, queue
from members.models import WebhookEndpoint
from rewards import batches, outbox
from rewards.models import CouponBatch, CouponGiving


@shared_task(name="rewards.issue_codes")
def issue_codes(batch_id: int) -> int:
    """Make the codes a batch still lacks."""
    batch = CouponBatch.objects.get(pk=batch_id)
    return batches.issue_codes(batch=batch, actor=actor.system("issue_codes"), at=timezone.now())


@shared_task(name="rewards.give_coupons")
def give_coupons(giving_id: int) -> int:
    """Give a batch to the members who still lack their code."""
    giving = CouponGiving.objects.get(pk=giving_id)
    return batches.give(giving=giving, actor=actor.Actor(giving.created_by), at=timezone.now())


@shared_task(name="rewards.release_reservations")
def release_reservations() -> int:
    """Release coupons whose checkout never came to an end, minutes after their time and not only at night."""
    return batches.release_stale(at=timezone.now(), actor=actor.system("reservations"))


@shared_task(name="rewards.expire_coupons")
def expire_coupons() -> int:
    """Say of the coupons whose time is over that it is."""
    return batches.expire_coupons(at=timezone.now(), actor=actor.system("expire_coupons"))


@shared_task(name="rewards.cancel_unpaid")
def cancel_unpaid() -> dict[str, int]:
    """Take back the orders whose payment did not come in time, so that they keep no piece from anybody."""
    return batches.cancel_unpaid(at=timezone.now(), actor=actor.system("unpaid"))


@shared_task(name="rewards.forget_guesses")
def forget_guesses() -> int:
    """Forget wrong codes of long ago."""
    return batches.forget_guesses(at=timezone.now())


@shared_task(name="rewards.collect_webhooks")
def collect_webhooks() -> int:
    """Take what the ledger has for client systems into the outbox, and have sent whatever waits there."""
    collected = outbox.collect(at=timezone.now())
    for endpoint_id in WebhookEndpoint.objects.with_work(timezone.now()).values_list("pk", flat=True):
        queue.send("members.send_webhooks", endpoint_id=endpoint_id)
    return collected
