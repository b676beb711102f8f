"""Webhooks, as the queue starts them: each safe to be delivered twice, or to be lost until the next minute."""

from celery import shared_task
from django.utils import timezone

from config.lib import queue
from members import batches, delivering

#: A retry so near is waited for; later ones are found by the minute.
SOON_SECONDS = 60


@shared_task(name="members.send_webhooks")
def send_webhooks(endpoint_id: int) -> dict[str, int]:
    """Send what is due to one endpoint, and come back for the rest."""
    report = delivering.send(endpoint_id=endpoint_id, clock=timezone.now)
    wait = report.shortest_wait.total_seconds()
    if report.has_more:
        queue.send("members.send_webhooks", endpoint_id=endpoint_id)
    elif report.failed and wait < SOON_SECONDS:
        queue.send_in(wait, "members.send_webhooks", endpoint_id=endpoint_id)
    return {"delivered": report.delivered, "failed": report.failed}


@shared_task(name="members.purge_webhooks")
def purge_webhooks() -> int:
    """Forget messages that were answered or given up long ago."""
    return batches.purge_webhooks(at=timezone.now())
