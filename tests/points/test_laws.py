"""Round the back of Python: what must not happen is refused by the database, to superusers and to its own role."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pgtrigger
import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from psycopg.errors import RestrictViolation

from members.models import Member
from points import reports
from points.actions import spending
from points.actions.posting import InsufficientPoints
from points.models import Balance, Draw, EarningRule, Entry, Event, Lot, Reference, RuleBudget, RuleUsage

from .factories import AT, SOURCE, TESTER, RuleFactory, accounts, buy, give, local, new_member, nothing_changes

pytestmark = pytest.mark.django_db

APPEND_ONLY = ["points_entry", "points_draw", "points_event", "points_reference"]
FUNCTION_ONLY = ["points_lot", "points_balance", "points_ruleusage", "points_rulebudget"]
LEDGER = APPEND_ONLY + FUNCTION_ONLY


@pytest.fixture
def member() -> Member:
    """Somebody with something in every table of the books."""
    RuleFactory.create(code="base", cap_day=1_000, budget=10_000)
    somebody = new_member()
    give(somebody, 10)
    buy(somebody, 100)
    spending.spend(member=somebody, points=30, source=SOURCE, reference="spent", actor=TESTER, at=AT)
    return somebody


def execute(sql: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def copy_in(cursor: Any, statement: str, rows: bytes) -> None:
    with cursor.copy(statement) as copy:
        copy.write(rows)


@contextmanager
def refused(law: str) -> Iterator[None]:
    """Hold that the database refuses by this law, and that the books are untouched."""
    with nothing_changes(), pytest.raises(IntegrityError, match=law), transaction.atomic():
        yield


@contextmanager
def as_ledger() -> Iterator[None]:
    """Act as the role that owns the ledger's functions: no trigger asks it who it is."""
    execute("SET LOCAL ROLE laurel_ledger")
    yield
    execute("RESET ROLE")


def _columns(table: str) -> str:
    """The columns a row can be copied with."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
            " AND attidentity = ''",
            [table],
        )
        return str(cursor.fetchone()[0])


# ---- superusers ----


@pytest.mark.parametrize("table", LEDGER)
def test_a_superuser_inserts_nothing(member: Member, table: str) -> None:
    columns = _columns(table)
    with refused("ledger_written_by_function"):
        execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} LIMIT 1")
    with connection.cursor() as cursor, cursor.copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT") as copy:
        rows = b"".join(copy)
    with nothing_changes(), pytest.raises(RestrictViolation), transaction.atomic(), connection.cursor() as cursor:
        copy_in(cursor, f"COPY {table} ({columns}) FROM STDIN", rows)


@pytest.mark.parametrize("table", LEDGER)
def test_a_superuser_changes_and_deletes_nothing(member: Member, table: str) -> None:
    first = _columns(table).split(", ")[0]
    law = "ledger_append_only" if table in APPEND_ONLY else "ledger_written_by_function"
    with refused(law):
        execute(f"UPDATE {table} SET {first} = {first}")
    with refused("ledger_append_only"):
        execute(f"DELETE FROM {table}")
    with refused("ledger_append_only"):
        execute(f"MERGE INTO {table} t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE")
    with refused("ledger_append_only"):
        execute(f"WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM gone")


@pytest.mark.parametrize("table", [*LEDGER, "members_member", "points_pointtype", "points_earningrule"])
def test_a_superuser_truncates_nothing_the_books_stand_on(member: Member, table: str) -> None:
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    with refused("ledger_append_only"):
        execute(f"TRUNCATE {table} CASCADE")


def test_a_member_with_books_cannot_be_deleted_nor_a_point_type_nor_a_rule_that_gave(member: Member) -> None:
    for table in ("members_member", "points_pointtype", "points_earningrule"):
        with nothing_changes(), pytest.raises(IntegrityError), transaction.atomic():
            execute(f"DELETE FROM {table}; SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("model", [Entry, Draw, Event, Reference, Lot, Balance, RuleUsage, RuleBudget])
def test_the_orm_writes_nothing_either(member: Member, model: type[models.Model]) -> None:
    rows = model._default_manager.all()
    row = rows.first()
    assert row is not None
    ways: list[Callable[[], object]] = [
        row.save,
        lambda: rows.update(**{row._meta.pk.attname: row.pk}),
        lambda: rows._raw_delete(using="default"),
        lambda: model._default_manager.bulk_create([model()]),
    ]
    for write in ways:
        with nothing_changes(), pytest.raises(DatabaseError), transaction.atomic():
            write()


def test_a_table_of_ones_own_is_not_mistaken_for_the_books(member: Member) -> None:
    """A function with its owner's rights must not look where everybody may write."""
    execute("CREATE TEMP TABLE points_balance (LIKE public.points_balance) ON COMMIT DROP")
    execute("INSERT INTO pg_temp.points_balance SELECT * FROM public.points_balance")
    execute("UPDATE pg_temp.points_balance SET available = 1000000")
    execute("CREATE TEMP TABLE points_lot ON COMMIT DROP AS SELECT * FROM public.points_lot")
    execute("UPDATE pg_temp.points_lot SET remaining = 1000000")

    with pytest.raises(InsufficientPoints) as short:
        spending.spend(member=member, points=81, source=SOURCE, reference="greedy", actor=TESTER, at=AT)

    assert short.value.facts["available"] == 80


@pytest.mark.parametrize(
    "function",
    [
        "points_post(points_posting[], boolean)",
        "points_claim(text, text, text, bigint, bytea, bigint)",
    ],
)
def test_nobody_else_may_call_the_writers(function: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_function_privilege('pg_read_all_data', %s, 'EXECUTE')", [function])
        assert cursor.fetchone() == (False,)


# ---- the ledger's own role: constraints hold by themselves ----

ENTRY = """
    INSERT INTO points_entry (member_id, seq, point_type_id, kind, from_account, to_account, points, source, reference,
        line, actor, reason, note, occurred_at, recorded_at, available_after, digest)
    SELECT member_id, seq + {gap}, point_type_id, {kind}, {source}, {target}, {points}, source, reference, 99, actor,
        reason, note, occurred_at, recorded_at, {after}, digest
    FROM points_entry WHERE member_id = %s ORDER BY seq DESC LIMIT 1
"""
DRAW = "INSERT INTO points_draw (member_id, entry_id, lot_id, points) SELECT {}"
EVENT = """
    INSERT INTO points_event (member_id, occurred_at, recorded_at, source, reference, type, amount_minor, currency)
    SELECT member_id, now(), now(), 'x', 'y', {} FROM points_event LIMIT 1
"""
WRONG_ENTRIES: dict[str, tuple[dict[str, str], str]] = {
    "nothing moved": ({"points": "0"}, "entry_points_positive"),
    "a sign instead of a direction": ({"points": "-5"}, "entry_points_positive"),
    "earned backwards": ({"source": "'available'", "target": "'issued'"}, "entry_movement"),
    "earned out of what was spent": ({"source": "'redeemed'"}, "entry_movement"),
    "spent into thin air": (
        {"kind": "'redemption'", "source": "'available'", "target": "'nowhere'"},
        "entry_movement",
    ),
    "an unknown kind": ({"kind": "'gift'"}, "entry_movement"),
    "from an account to itself": ({"source": "'available'"}, "entry_movement"),
    "less than nothing left": ({"after": "-1"}, "entry_available_not_negative"),
    "a number twice": ({"gap": "0"}, "entry_seq"),
}


@pytest.mark.parametrize("wrong", WRONG_ENTRIES)
def test_an_entry_that_makes_no_sense_is_refused_to_the_ledger_itself(member: Member, wrong: str) -> None:
    columns, law = WRONG_ENTRIES[wrong]
    usual = {
        "gap": "1",
        "kind": "'accrual'",
        "source": "'issued'",
        "target": "'available'",
        "points": "5",
        "after": "5",
    }
    with refused(law), as_ledger():
        execute(ENTRY.format(**{**usual, **columns}), member.pk)


def test_the_same_reference_twice_is_refused_to_the_ledger_itself(member: Member) -> None:
    columns = _columns("points_entry")
    with refused("entry_reference"), as_ledger():
        execute(
            f"INSERT INTO points_entry ({columns})"
            f" SELECT {columns.replace('seq,', 'seq + 100,', 1)} FROM points_entry WHERE kind = 'accrual'"
        )
    columns = _columns("points_reference")
    with refused("reference_once"), as_ledger():
        execute(f"INSERT INTO points_reference ({columns}) SELECT {columns} FROM points_reference")


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("available = available + 1", "balance_sums_to_zero"),
        ("redeemed = redeemed - 1", "balance_sums_to_zero"),
        ("available = -1, issued = issued - available - 1", "balance_available_not_negative"),
        ("pending = -1, issued = issued - pending - 1", "balance_pending_not_negative"),
        ("held = -1, issued = issued - held - 1", "balance_held_not_negative"),
        ("owed = -1, issued = issued + owed + 1", "balance_owed_not_negative"),
    ],
)
def test_a_balance_that_does_not_add_up_is_refused_to_the_ledger_itself(member: Member, change: str, law: str) -> None:
    with refused(law), as_ledger():
        execute(f"UPDATE points_balance SET {change} WHERE member_id = %s", member.pk)


@pytest.mark.parametrize(
    ("statement", "law"),
    [
        ("UPDATE points_lot SET remaining = points + 1", "lot_remaining_in_range"),
        ("UPDATE points_lot SET remaining = -1", "lot_remaining_in_range"),
        ("UPDATE points_lot SET points = 0, remaining = 0", "lot_points_positive"),
        ("UPDATE points_ruleusage SET points = -1", "ruleusage_not_negative"),
        ("UPDATE points_rulebudget SET used = -1", "rulebudget_not_negative"),
        (DRAW.format("member_id, entry_id, id, 0 FROM points_lot"), "draw_points_positive"),
        (DRAW.format("member_id, entry_id, lot_id, 1 FROM points_draw"), "draw_once"),
        (DRAW.format("member_id, entry_id, 0, 1 FROM points_draw LIMIT 1"), "draw_lot"),
        (EVENT.format("'purchase', -1, 'CNY'"), "event_amount_not_negative"),
        (EVENT.format("'purchase', NULL, 'CNY'"), "event_money_whole"),
        (EVENT.format("'purchase', 5, 'cny'"), "event_money_whole"),
        (EVENT.format("'refund', 5, 'CNY'"), "event_refund_names_event"),
    ],
)
def test_what_is_out_of_range_is_refused_to_the_ledger_itself(member: Member, statement: str, law: str) -> None:
    with refused(law), as_ledger():
        execute(statement)


@pytest.mark.parametrize("table", LEDGER)
def test_the_ledger_itself_deletes_nothing_and_rewrites_no_history(member: Member, table: str) -> None:
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO laurel_ledger")  # what even a careless grant does not open
    with refused("ledger_append_only"), as_ledger():
        execute(f"DELETE FROM {table}")
    with refused("ledger_append_only"), as_ledger():
        execute(f"TRUNCATE {table} CASCADE")
    if table in APPEND_ONLY:
        first = _columns(table).split(", ")[0]
        with refused("ledger_append_only"), as_ledger():
            execute(f"UPDATE {table} SET {first} = {first}")


@pytest.mark.parametrize("table", ["points_lot", "points_balance", "points_ruleusage"])
def test_a_row_never_changes_hands(member: Member, table: str) -> None:
    somebody = new_member()
    with nothing_changes(), pytest.raises(DatabaseError), transaction.atomic(), as_ledger():
        execute(f"UPDATE {table} SET member_id = %s WHERE member_id = %s", somebody.pk, member.pk)


def test_a_draw_reaches_no_lot_of_somebody_else(member: Member) -> None:
    somebody = new_member()
    give(somebody, 10)
    with refused("draw_lot"), as_ledger():
        execute(
            "INSERT INTO points_draw (member_id, entry_id, lot_id, points)"
            " SELECT %s, max(e.id), (SELECT id FROM points_lot WHERE member_id = %s), 1"
            " FROM points_entry e WHERE e.member_id = %s",
            member.pk,
            somebody.pk,
            member.pk,
        )


def test_an_entry_needs_a_balance_of_its_member_and_type(member: Member) -> None:
    stranger = ENTRY.replace("point_type_id, {kind}", "0, {kind}").format(
        gap=1, kind="'accrual'", source="'issued'", target="'available'", points=5, after=5
    )
    with refused("entry_balance"), as_ledger():
        execute(stranger, member.pk)


def test_a_gap_in_the_numbers_is_named_by_the_audit(member: Member) -> None:
    with as_ledger():
        execute(
            ENTRY.format(gap=2, kind="'accrual'", source="'issued'", target="'available'", points=5, after=5),
            member.pk,
        )

    assert "chain_broken" in {one.code for one in reports.check_books()}


# ---- rules ----


@pytest.mark.parametrize(
    "change",
    [
        "points = 2",
        "per_minor = 1",
        "channels = '{app}'",
        "cap_day = NULL",
        "code = 'other'",
        "version = 9",
        "valid_from = now()",
        "tier_multipliers = '{\"gold\": 2}'",
        "expiry_policy = 'never'",
        "status = 'draft'",
        "status = 'shadow'",
    ],
)
@pytest.mark.parametrize("status", ["active", "retired"])
def test_a_rule_that_has_been_in_force_is_not_rewritten(change: str, status: str) -> None:
    RuleFactory.create(cap_day=5, status=status, valid_until=local(2030, 1, 1))
    before = EarningRule.objects.values().get()

    with pytest.raises(IntegrityError, match="rule_version_settled"), transaction.atomic():
        execute(f"UPDATE points_earningrule SET {change}")
    with pytest.raises(IntegrityError, match="rule_version_settled"), transaction.atomic():
        execute("DELETE FROM points_earningrule")

    assert EarningRule.objects.values().get() == before


def test_a_rule_in_force_is_renamed_and_ended_and_a_draft_is_anybodys(member: Member) -> None:
    rule = EarningRule.objects.get()
    rule.name, rule.valid_until, rule.status = "Another name", local(2030, 1, 1), "retired"
    rule.save()
    draft = RuleFactory.create(code="draft", status="draft")
    draft.points = 5
    draft.save()
    draft.delete()

    assert accounts(member) == {"issued": 110, "available": 80, "redeemed": 30}


def test_the_switch_of_the_trigger_library_switches_nothing_off(member: Member) -> None:
    names = "SELECT array_agg(tgname)::text FROM pg_trigger WHERE NOT tgisinternal"
    execute(f"SELECT set_config('pgtrigger.ignore', ({names}), true)")

    with refused("ledger_append_only"):
        execute("UPDATE points_entry SET points = points + 1")
    with refused("ledger_written_by_function"):
        execute("UPDATE points_balance SET available = available + 1, issued = issued + 1")
    with pgtrigger.ignore(), refused("ledger_append_only"):
        execute("DELETE FROM points_draw")


def test_two_versions_of_one_rule_are_never_in_force_together() -> None:
    first = RuleFactory.create(code="twice", valid_until=None)

    with refused("earningrule_one_version_at_a_time"):
        RuleFactory.create(code="twice", version=2, valid_from=first.valid_from, valid_until=None)


@pytest.mark.parametrize(
    "expiry",
    [
        {"expiry_policy": "year_end", "expiry_value": 9_000},
        {"expiry_policy": "months_end", "expiry_value": 1_201},
        {"expiry_policy": "fixed_date", "expiry_on": date(9999, 12, 31)},
    ],
    ids=lambda expiry: str(expiry["expiry_policy"]),
)
def test_no_rule_promises_points_beyond_what_a_calendar_holds(expiry: dict[str, Any]) -> None:
    with refused("earningrule_expiry_in_reach"):
        RuleFactory.create(code="forever", **expiry)


@pytest.mark.parametrize("limit", ["cap_day", "cap_week", "cap_month", "cap_lifetime", "budget"])
@pytest.mark.parametrize("height", [0, -1])
def test_a_rule_with_a_limit_of_nothing_is_not_kept(limit: str, height: int) -> None:
    RuleFactory.create(status="draft")

    with refused("earningrule_limits_whole"):
        execute(f"UPDATE points_earningrule SET {limit} = %s", height)

    execute(f"UPDATE points_earningrule SET {limit} = 1")


@pytest.mark.parametrize("below", [1_000, 5_000])
def test_a_rule_whose_amounts_leave_none_between_them_is_not_kept(below: int) -> None:
    RuleFactory.create(status="draft")

    with refused("earningrule_amounts_ordered"):
        execute("UPDATE points_earningrule SET amount_from_minor = 5000, amount_below_minor = %s", below)

    execute("UPDATE points_earningrule SET amount_from_minor = 5000, amount_below_minor = 5001")
