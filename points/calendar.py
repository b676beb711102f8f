"""Days, as the programme counts them: in its own time zone, whatever the clock of the machine."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings


def zone() -> ZoneInfo:
    """The programme's time zone."""
    return ZoneInfo(settings.TIME_ZONE)


def local_date(at: datetime) -> date:
    """The programme's date at a moment."""
    return at.astimezone(zone()).date()


def start_of(day: date) -> datetime:
    """The midnight a local day begins with; where the clock goes over it twice or not at all, what PostgreSQL takes.

    The later of the two readings, that is. Rules say in PostgreSQL when points mature, and another midnight here would
    leave them to the next night.
    """
    midnight = datetime.combine(day, time.min, tzinfo=zone())
    return max(midnight, midnight.replace(fold=1), key=datetime.timestamp)


def end_of(day: date) -> datetime:
    """The first moment after a local day."""
    return start_of(day + timedelta(days=1))


def last_day_over(at: datetime) -> date:
    """The last local day that is over at a moment."""
    yesterday = local_date(at) - timedelta(days=1)
    # In the hour between two midnights the date is new already and the day before is not over yet.
    return yesterday if end_of(yesterday).astimezone(UTC) <= at else yesterday - timedelta(days=1)


def end_of_day(at: datetime) -> datetime:
    """The first moment after the local day of a moment: what expires then is good until that day is over."""
    return end_of(local_date(at))
