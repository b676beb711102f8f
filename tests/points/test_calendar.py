"""Days begin at the same moment for Python and for PostgreSQL, also where the clock goes over midnight."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from points import calendar, closing

pytestmark = pytest.mark.django_db

#: Clocks go back over midnight in the first three, forward over it in the others; the last skipped a whole day.
ZONES = [
    ("Atlantic/Azores", 2026),
    ("America/Havana", 2026),
    ("America/Scoresbysund", 2023),
    ("Africa/Cairo", 2026),
    ("Asia/Beirut", 2026),
    ("America/Santiago", 2026),
    ("America/Sao_Paulo", 2018),
    ("Asia/Shanghai", 2026),
    ("Pacific/Apia", 2011),
]


@pytest.mark.parametrize(("zone", "year"), ZONES)
def test_every_day_of_a_year_begins_when_postgresql_says(settings: Settings, zone: str, year: int) -> None:
    settings.TIME_ZONE = zone
    days = [date(year, 1, 1) + timedelta(days=number) for number in range(366)]

    with connection.cursor() as cursor:
        cursor.execute("SELECT d::timestamp AT TIME ZONE %s FROM unnest(%s::date[]) AS d ORDER BY d", [zone, days])
        expected = [moment.astimezone(UTC) for (moment,) in cursor.fetchall()]

    assert [calendar.start_of(day).astimezone(UTC) for day in days] == expected
    assert [calendar.end_of(day).astimezone(UTC) for day in days[:-1]] == expected[1:]


def test_a_day_is_over_when_the_second_of_two_midnights_strikes(settings: Settings) -> None:
    settings.TIME_ZONE = "Atlantic/Azores"
    saturday = date(2026, 10, 24)
    between = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert calendar.local_date(between) == date(2026, 10, 25)
    assert calendar.last_day_over(between) == date(2026, 10, 23)
    assert calendar.last_day_over(between + timedelta(minutes=30)) == saturday
    with pytest.raises(closing.DayNotOver):
        closing.close(business_date=saturday, at=between)
