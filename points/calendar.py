"""Days, as the programme counts them: in its own time zone, whatever the clock of the machine."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings


def zone() -> ZoneInfo:
    """The programme's time zone."""
    return ZoneInfo(settings.TIME_ZONE)


def local_date(at: datetime) -> date:
    """The programme's date at a moment."""
    return at.astimezone(zone()).date()


def start_of(day: date) -> datetime:
    """The first moment of a local day."""
    return datetime.combine(day, time.min, tzinfo=zone())


def end_of(day: date) -> datetime:
    """The first moment after a local day."""
    return start_of(day + timedelta(days=1))


def end_of_day(at: datetime) -> datetime:
    """The first moment after the local day of a moment: what expires then is good until that day is over."""
    return end_of(local_date(at))
