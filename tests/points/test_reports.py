"""What the books tell: balances now and then, what an entry did to which lots, and accounts that sum to nought."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from points import reports
from points.actions import holding, refunding, spending
from points.models import Entry

from .factories import (
    AT,
    SOURCE,
    TESTER,
    PointTypeFactory,
    RuleFactory,
    accounts,
    buy,
    expiring_lot,
    give,
    growth,
    new_member,
    night,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_a_balance_of_then_is_what_was_recorded_by_then() -> None:
    RuleFactory.create()
    member = new_member()
    told: list[tuple[int, int, int, int]] = []

    def now() -> tuple[int, int, int, int]:
        found = accounts(member)
        return tuple(found.get(name, 0) for name in ("available", "pending", "held", "owed"))  # type: ignore[return-value]

    bought = buy(member, 100, occurred_at=AT - 90 * HOUR, recorded_at=AT)
    told.append(now())
    spent = spending.spend(member=member, points=60, source=SOURCE, reference="s", actor=TESTER, at=AT + HOUR)
    told.append(now())
    held = holding.hold(member=member, points=30, source=SOURCE, reference="h", actor=TESTER, at=AT + 2 * HOUR).hold
    told.append(now())
    holding.void(hold=held, source=SOURCE, reference="v", actor=TESTER, at=AT + 3 * HOUR)
    told.append(now())
    refunding.refund(event=bought, source=SOURCE, reference="r", occurred_at=AT, actor=TESTER, at=AT + 4 * HOUR)
    told.append(now())
    spending.restore(
        member=member,
        entry_id=spent.entry_id,
        points=60,
        source=SOURCE,
        reference="b",
        actor=TESTER,
        at=AT + 5 * HOUR,
    )
    told.append(now())

    for hours, expected in enumerate(told):
        (line,) = reports.balances_as_of(member=member, at=AT + hours * HOUR)
        assert (line.available, line.pending, line.held, line.owed) == expected
    (before,) = reports.balances_as_of(member=member, at=AT - HOUR)
    assert (before.available, before.owed) == (0, 0)


def test_the_trial_balance_sums_every_account_of_every_type_to_nought() -> None:
    RuleFactory.create(channels=["shop"])
    RuleFactory.create(point_type=growth(), channels=["shop"])
    PointTypeFactory.create(code="unused")
    for _ in range(3):
        member = new_member()
        bought = buy(member, 50, channel="shop")
        expiring_lot(member, 5, AT.date())
        spending.spend(member=member, points=40, source=SOURCE, reference="s", actor=TESTER, at=AT)
        refunding.refund(event=bought, source=SOURCE, reference=f"r-{member.pk}", occurred_at=AT, actor=TESTER, at=AT)
    night(AT.date())

    lines = {line.code: line for line in reports.trial_balance()}

    assert {code: line.total for code, line in lines.items()} == {"points": 0, "growth": 0, "unused": 0}
    points = lines["points"]
    assert (points.issued, points.redeemed, points.owed, points.available) == (15, 120, 105, 0)
    assert lines["growth"].issued == 0


def test_entries_tell_their_lots_in_two_statements_however_many_they_are() -> None:
    member = new_member()
    give(member, 10)
    expiring_lot(member, 20, date(2026, 6, 30))
    spent = spending.spend(member=member, points=25, source=SOURCE, reference="s", actor=TESTER, at=AT)
    entries = list(Entry.objects.history(member))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        lots = reports.entry_lots(entries)

    assert len(queries) <= 2
    assert [(one.points, one.expires_on) for one in lots[spent.entry_id]] == [(20, date(2026, 6, 30)), (5, None)]
    assert sorted((one.points, one.expires_on) for one in lots[entries[1].pk]) == [(20, date(2026, 6, 30))]
    assert reports.entry_lots([]) == {}
