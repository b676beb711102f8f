"""Whoever tampers behind the triggers' back is found: each kind of break has a name."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from members.models import Member
from points import reports
from points.actions import holding, refunding, spending
from points.closing import BooksBroken
from points.models import JobRun
from points.tasks import check_all_books
from tests.points.factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    buy,
    fixed_rule,
    give,
    growth,
    new_member,
    night,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def victim() -> Iterator[Member]:
    """A member with an entry of almost every kind, whose books agree; the triggers sleep from here on."""
    RuleFactory.create(code="base", expiry_policy="days", expiry_value=0, channels=["ends"])
    RuleFactory.create(
        code="shop",
        channels=["shop"],
        cap_day=9_999,
        cap_week=9_999,
        cap_month=9_999,
        cap_lifetime=9_999,
        budget=9_999,
    )
    RuleFactory.create(code="growth", point_type=growth(), channels=["shop"])
    fixed_rule(30, code="later", pending_days=1, channels=["shop"], is_base=False)
    somebody = new_member()
    buy(somebody, 20, channel="ends")
    bought = buy(somebody, 100, channel="shop")
    give(somebody, 50)
    spent = spending.spend(member=somebody, points=60, source=SOURCE, reference="s", actor=TESTER, at=AT)
    spending.restore(
        member=somebody, entry_id=spent.entry_id, points=25, source=SOURCE, reference="b", actor=TESTER, at=AT
    )
    refunding.refund(
        event=bought, source=SOURCE, reference="r", occurred_at=AT, actor=TESTER, at=AT, amount_minor=3_000
    )
    night(AT.date(), at=AT + timedelta(days=1))
    later = AT + timedelta(days=1)
    holding.hold(member=somebody, points=15, source=SOURCE, reference="h", actor=TESTER, at=later)
    assert reports.check_books() == []
    assert all(line.total == 0 for line in reports.trial_balance())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL session_replication_role = replica")
    yield somebody
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = origin")


TAMPERED = {
    "more points in an entry": (
        "UPDATE points_entry SET points = points + 1 WHERE seq = 2",
        {"chain_broken", "balance_differs_from_entries", "entry_without_lot"},
    ),
    "another reason": ("UPDATE points_entry SET reason = 'forged' WHERE seq = 3", {"chain_broken"}),
    "another note": ("UPDATE points_entry SET note = 'forged' WHERE seq = 3", {"chain_broken"}),
    "another actor": ("UPDATE points_entry SET actor = 'staff:eve' WHERE seq = 3", {"chain_broken"}),
    "another time": (
        "UPDATE points_entry SET occurred_at = occurred_at - interval '1 microsecond' WHERE seq = 3",
        {"chain_broken"},
    ),
    "another recording time": (
        "UPDATE points_entry SET recorded_at = recorded_at + interval '1 day' WHERE seq = 3",
        {"chain_broken"},
    ),
    "another balance after it": (
        "UPDATE points_entry SET available_after = available_after + 1 WHERE seq = 3",
        {"chain_broken"},
    ),
    "another event": ("UPDATE points_entry SET event_id = NULL WHERE seq = 2", {"chain_broken"}),
    "a digest": ("UPDATE points_entry SET digest = sha256(digest) WHERE seq = 3", {"chain_broken"}),
    "the last digest": (
        "UPDATE points_entry SET digest = sha256(digest) WHERE seq = (SELECT max(seq) FROM points_entry)",
        {"chain_broken", "chain_head_differs"},
    ),
    "an entry taken out": ("DELETE FROM points_entry WHERE seq = 4", {"chain_broken", "balance_differs_from_entries"}),
    "the last entry taken out": (
        "DELETE FROM points_entry WHERE seq = (SELECT max(seq) FROM points_entry)",
        {"chain_head_differs", "balance_differs_from_entries"},
    ),
    "two entries that change places": (
        (
            "UPDATE points_entry SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3);"
            " UPDATE points_entry SET seq = -seq WHERE seq < 0"
        ),
        {"chain_broken"},
    ),
    "a balance": (
        "UPDATE points_balance SET available = available + 1, issued = issued + 1 WHERE available > 0",
        {"balance_differs_from_entries", "balance_differs_from_lots"},
    ),
    "spent points unspent": (
        "UPDATE points_balance SET available = available + 1, redeemed = redeemed - 1 WHERE redeemed > 0",
        {"balance_differs_from_entries", "balance_differs_from_lots"},
    ),
    "the head of the chain": (
        "UPDATE points_balance SET head_digest = sha256(head_digest) WHERE head_seq > 0",
        {"chain_head_differs"},
    ),
    "what is left of a lot": (
        "UPDATE points_lot SET remaining = remaining - 1 WHERE id = (SELECT max(id) FROM points_lot WHERE is_open)",
        {"balance_differs_from_lots", "lot_differs_from_draws"},
    ),
    "a lot that waits no more": (
        "UPDATE points_lot SET is_pending = NOT is_pending WHERE id = (SELECT max(id) FROM points_lot WHERE is_open)",
        {"balance_differs_from_lots"},
    ),
    "a lot out of nothing": (
        """
        INSERT INTO points_lot (member_id, point_type_id, entry_id, points, remaining, available_at)
        SELECT member_id, point_type_id, entry_id, 7, 7, available_at FROM points_lot WHERE is_open LIMIT 1
        """,
        {"balance_differs_from_lots", "entry_without_lot"},
    ),
    "a draw": (
        "UPDATE points_draw SET points = points + 1 WHERE id = (SELECT min(id) FROM points_draw)",
        {"chain_broken", "entry_differs_from_draws", "lot_differs_from_draws"},
    ),
    "a draw taken out": (
        "DELETE FROM points_draw WHERE id = (SELECT min(id) FROM points_draw)",
        {"chain_broken", "entry_differs_from_draws", "lot_differs_from_draws"},
    ),
    "a draw of another lot": (
        "UPDATE points_draw SET lot_id = lot_id + 1000 WHERE id = (SELECT min(id) FROM points_draw)",
        {"chain_broken", "lot_differs_from_draws"},
    ),
    "a hold closed by hand": (
        "UPDATE points_hold SET status = 'voided', closed_at = now()",
        {"held_differs_from_holds"},
    ),
    "a hold made larger": ("UPDATE points_hold SET points = points + 1", {"held_differs_from_holds"}),
    "a hold taken out": ("DELETE FROM points_hold", {"held_differs_from_holds"}),
    "a limit used again": ("UPDATE points_ruleusage SET points = 0", {"usage_differs_from_entries"}),
    "a limit used on another day": (
        "UPDATE points_ruleusage SET starts_on = starts_on - 7 WHERE period = 'week'",
        {"usage_differs_from_entries"},
    ),
    "what a limit counts taken out": (
        "DELETE FROM points_ruleusage WHERE period = 'lifetime'",
        {"usage_differs_from_entries"},
    ),
    "an empty digest of a reference": (
        "UPDATE points_reference SET digest = '' WHERE operation = 'event'",
        {"event_without_reference"},
    ),
    "a reference of another event": (
        "UPDATE points_reference SET target = target + 1000 WHERE operation = 'refund'",
        {"event_without_reference", "reference_without_event"},
    ),
    "a reference taken out": (
        "DELETE FROM points_reference WHERE operation = 'event'",
        {"event_without_reference"},
    ),
    "an event taken out": ("DELETE FROM points_event WHERE type = 'refund'", {"reference_without_event"}),
}


@pytest.mark.parametrize("tampering", TAMPERED)
def test_tampering_is_named(victim: Member, tampering: str) -> None:
    statement, names = TAMPERED[tampering]

    with connection.cursor() as cursor:
        cursor.execute(statement)

    breaks = reports.check_books()
    assert {one.code for one in breaks} >= names
    assert {one.member_id for one in breaks if one.code != "budget_differs_from_entries"} == {victim.pk}
    of_member = {one for one in breaks if one.code not in ("budget_differs_from_entries", "reference_without_event")}
    assert set(reports.check_books(members=[victim.pk])) == of_member
    assert reports.check_books(members=[victim.pk + 1]) == []


@pytest.mark.parametrize("statement", ["UPDATE points_rulebudget SET used = 0", "DELETE FROM points_rulebudget"])
def test_a_budget_spent_again_is_named(victim: Member, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)

    (found,) = reports.check_books()

    assert str(found).startswith("budget_differs_from_entries: point type ")
    assert found.detail.endswith("used 0, gave 70")
    assert reports.check_books(members=[victim.pk]) == []


def test_a_draft_that_had_a_budget_counts_none_when_it_is_in_force_without() -> None:
    rule = RuleFactory.create(status="draft", budget=100)
    rule.budget, rule.status = None, "active"
    rule.save()
    buy(new_member(), 10)

    assert reports.check_books() == []


def test_the_night_leaves_limits_and_references_to_the_long_check(victim: Member) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE points_ruleusage SET points = 0; DELETE FROM points_reference")

    assert reports.check_books(members=[victim.pk], since=AT) == []


def test_the_command_names_the_break_and_exits_with_one(victim: Member) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE points_entry SET points = points + 1 WHERE seq = 2")
    told = StringIO()

    with pytest.raises(SystemExit) as left:
        call_command("check_books", stdout=told)

    assert left.value.code == 1
    assert f"chain_broken: member {victim.pk}" in told.getvalue()


def test_the_command_says_that_the_books_agree() -> None:
    RuleFactory.create()
    buy(new_member(), 10)
    told = StringIO()

    call_command("check_books", stdout=told)

    assert "trial balance 0" in told.getvalue()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points_entry SET note = 'forged' WHERE seq = (SELECT max(seq) FROM points_entry)",
        "UPDATE points_entry SET points = points + 1 WHERE seq = 2",
    ],
    ids=["a text of the day", "points of long ago"],
)
def test_the_night_does_not_close_over_broken_books(victim: Member, statement: str) -> None:
    day = AT.date() + timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute(statement)

    with pytest.raises(BooksBroken):
        night(day)

    assert JobRun.objects.get(business_date=day).state == "failed"


def test_a_text_forged_long_ago_is_found_by_the_weekly_check(victim: Member) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE points_entry SET note = 'forged' WHERE seq = 3")

    with pytest.raises(BooksBroken, match="chain_broken"):
        check_all_books()
