"""The night, as Celery's beat starts it."""

from celery import shared_task
from django.utils import timezone

from points import closing


@shared_task(name="points.close_day")
def close_day() -> list[str]:
    """Close every business date that is over and not closed yet."""
    return [day.isoformat() for day in closing.close_due(at=timezone.now())]
