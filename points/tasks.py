"""The night, as Celery's beat starts it."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from config.lib import actor
from points import batches, closing, reports
from points.actions import referring


@shared_task(name="points.close_day")
def close_day() -> list[str]:
    """Close every business date that is over and not closed yet."""
    return [day.isoformat() for day in closing.close_due(at=timezone.now())]


@shared_task(name="points.check_books")
def check_all_books() -> None:
    """Look at every row of the books, which a night does only for its own day; a break fails the task by name."""
    if breaks := reports.check_books():
        raise closing.BooksBroken(breaks="; ".join(str(one) for one in breaks[:5]))


@shared_task(name="points.void_stale_holds")
def void_stale_holds() -> dict[str, int]:
    """Give back the points of holds whose time is over, minutes after it and not only at night."""
    return batches.void_stale_holds(at=timezone.now(), actor=actor.system("holds"))


@shared_task(name="points.convert_referrals")
def convert_referrals() -> dict[str, int]:
    """Reward invitations of those who joined lately, minutes after it and not only at night."""
    at = timezone.now()
    return referring.convert_referrals(actor=actor.system("referrals"), at=at, joined_since=at - timedelta(days=2))
