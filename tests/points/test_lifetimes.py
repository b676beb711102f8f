"""When points become available and when they end: always at the end of a local day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from points import reports
from points.calendar import end_of, end_of_day
from points.models import ExpiryPolicy, Lot

from .factories import (
    AT,
    PointTypeFactory,
    RuleFactory,
    accounts,
    balance,
    event,
    examples,
    fixed_rule,
    history,
    in_utc,
    local,
    new_member,
    night,
    take,
)

pytestmark = pytest.mark.django_db

END_OF_TUESDAY = local(2026, 3, 10, 23, 59, 59)
MIDNIGHT = local(2026, 3, 11)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    day=st.dates(date(2015, 1, 1), date(2025, 12, 31)),
    zone=st.sampled_from(["Asia/Shanghai", "America/New_York", "Africa/Cairo", "America/Sao_Paulo", "Asia/Beirut"]),
)
def test_a_day_ends_at_the_same_moment_in_sql_and_in_python(day: date, zone: str) -> None:
    """Also where the clocks change at midnight and the moment does not exist."""
    with override_settings(TIME_ZONE=zone), connection.cursor() as cursor:
        cursor.execute("SELECT points_expires_at('fixed_date', NULL, %s, now(), %s)", [day, zone])
        assert cursor.fetchone()[0] == in_utc(end_of(day))
        noon = end_of(day) - timedelta(hours=12)
        cursor.execute("SELECT points_expires_at('days', 0, NULL, %s, %s)", [noon, zone])
        assert cursor.fetchone()[0] == in_utc(end_of(day)) == in_utc(end_of_day(noon))


@pytest.mark.parametrize(
    ("policy", "columns", "earned_at", "good_until"),
    [
        ("never", {}, AT, None),
        ("days", {"expiry_value": 0}, AT, date(2026, 3, 10)),
        ("days", {"expiry_value": 30}, END_OF_TUESDAY, date(2026, 4, 9)),
        ("days", {"expiry_value": 30}, MIDNIGHT, date(2026, 4, 10)),
        ("days", {"expiry_value": 1}, local(2028, 2, 28), date(2028, 2, 29)),
        ("months_end", {"expiry_value": 0}, AT, date(2026, 3, 31)),
        ("months_end", {"expiry_value": 1}, local(2026, 1, 31), date(2026, 2, 28)),
        ("months_end", {"expiry_value": 1}, local(2028, 1, 31), date(2028, 2, 29)),
        ("months_end", {"expiry_value": 12}, AT, date(2027, 3, 31)),
        ("months_end", {"expiry_value": 24}, local(2026, 2, 28, 23, 59, 59), date(2028, 2, 29)),
        ("months_end", {"expiry_value": 1}, local(2026, 3, 31, 23, 59, 59), date(2026, 4, 30)),
        ("months_end", {"expiry_value": 1}, local(2026, 4, 1), date(2026, 5, 31)),
        ("fixed_date", {"expiry_on": date(2026, 12, 31)}, AT, date(2026, 12, 31)),
        ("year_end", {"expiry_value": 0}, AT, date(2026, 12, 31)),
        ("year_end", {"expiry_value": 1}, local(2026, 12, 31, 23, 59, 59), date(2027, 12, 31)),
        ("year_end", {"expiry_value": 1}, local(2027, 1, 1), date(2028, 12, 31)),
    ],
)
def test_points_are_good_until_a_local_day_is_over(
    policy: str, columns: dict[str, Any], earned_at: datetime, good_until: date | None
) -> None:
    fixed_rule(10, expiry_policy=policy, **columns)
    member = new_member()

    take(event(member, occurred_at=earned_at), at=max(earned_at, AT))

    lot = Lot.objects.get(member=member)
    assert lot.expires_at == (in_utc(end_of(good_until)) if good_until else None)
    (line,) = reports.balances(member=member, at=earned_at)
    assert [(one.on, one.points) for one in line.expiring] == ([(good_until, 10)] if good_until else [])


def test_a_rule_without_a_policy_follows_the_point_type_and_one_with_never_does_not() -> None:
    PointTypeFactory.create(code="points", expiry_policy=ExpiryPolicy.DAYS, expiry_value=1)
    fixed_rule(1, code="as-the-type-says")
    fixed_rule(2, code="for-ever", expiry_policy="never")
    member = new_member()

    take(event(member))

    ends = dict(Lot.objects.filter(member=member).values_list("points", "expires_at"))
    assert ends == {1: in_utc(local(2026, 3, 12)), 2: None}


def test_points_wait_until_their_window_closes_at_a_local_midnight() -> None:
    fixed_rule(10, pending_days=7)
    member = new_member()

    (result,) = take(event(member, occurred_at=END_OF_TUESDAY))

    assert result.awards[0].pending
    assert accounts(member) == {"issued": 10, "pending": 10}
    assert Lot.objects.get(member=member).available_at == in_utc(local(2026, 3, 17))
    night(date(2026, 3, 15))
    assert accounts(member) == {"issued": 10, "pending": 10}
    night(date(2026, 3, 16))
    assert accounts(member) == {"issued": 10, "available": 10}
    assert history(member)[-1] == ("maturity", "pending", "available", 10)


def test_a_late_event_whose_window_has_closed_is_available_at_once() -> None:
    fixed_rule(10, pending_days=7)
    member = new_member()

    take(event(member, occurred_at=local(2026, 3, 3, 23, 59)), at=local(2026, 3, 10))

    assert accounts(member) == {"issued": 10, "available": 10}


def test_a_day_pending_begins_anew_at_midnight() -> None:
    fixed_rule(10, pending_days=1)
    early, late = new_member(), new_member()

    take([event(early, occurred_at=END_OF_TUESDAY), event(late, occurred_at=MIDNIGHT)])
    night(date(2026, 3, 10))

    assert (balance(early).available, balance(late).available) == (10, 0)


def test_points_end_with_their_local_day_not_before_and_not_after() -> None:
    fixed_rule(10, expiry_policy="days", expiry_value=0)
    member = new_member()
    take(event(member, occurred_at=END_OF_TUESDAY))

    (at_the_end,) = reports.balances(member=member, at=END_OF_TUESDAY)
    (after_it,) = reports.balances(member=member, at=MIDNIGHT)
    assert (at_the_end.available, after_it.available) == (10, 0)

    night(date(2026, 3, 9))
    assert accounts(member) == {"issued": 10, "available": 10}
    night(date(2026, 3, 10))
    assert accounts(member) == {"issued": 10, "expired": 10}


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    fixed_rule(10, expiry_policy="days", expiry_value=0)
    member = new_member()

    take(event(member, occurred_at=datetime(2026, 3, 10, 16, 0, tzinfo=UTC)))  # midnight in Shanghai

    assert Lot.objects.get(member=member).expires_at == in_utc(local(2026, 3, 12))


def test_what_ended_while_pending_is_matured_and_expired_in_one_night() -> None:
    fixed_rule(10, pending_days=3, expiry_policy="days", expiry_value=1)
    member = new_member()
    take(event(member))

    night(date(2026, 3, 12))

    assert [kind for kind, *_rest in history(member)] == ["accrual", "maturity", "expiry"]
    assert accounts(member) == {"issued": 10, "expired": 10}


def test_points_born_after_their_end_are_never_spendable() -> None:
    RuleFactory.create(expiry_policy="fixed_date", expiry_on=date(2026, 1, 31))
    member = new_member()

    take(event(member, 10))

    assert reports.balances(member=member, at=AT)[0].available == 0
    night(date(2026, 3, 10))
    assert accounts(member) == {"issued": 10, "expired": 10}
    assert not reports.check_books()
