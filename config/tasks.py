"""The installation's own tasks."""

from celery import shared_task
from django.utils import timezone

from config.models import WorkerHeartbeat


@shared_task(name="config.heartbeat")
def heartbeat() -> None:
    """Write down that a worker lives; /health/ready shows how long ago."""
    WorkerHeartbeat.objects.update_or_create(name="worker", defaults={"beat_at": timezone.now()})
