"""The ledger has one writer: no Python outside `points/` touches its rows, and nobody turns the triggers off."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from points.models import MOVEMENTS

ROOT = Path(settings.BASE_DIR)
LEDGER = {"Entry", "Lot", "Draw", "Balance", "Event", "Reference", "RuleUsage", "RuleBudget"}
WRITES = {
    "create",
    "acreate",
    "bulk_create",
    "abulk_create",
    "bulk_update",
    "abulk_update",
    "get_or_create",
    "aget_or_create",
    "update_or_create",
    "aupdate_or_create",
    "update",
    "aupdate",
    "delete",
    "adelete",
    "_raw_delete",
    "save",
    "asave",
}
SQL_WRITE = re.compile(
    r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(\s+TABLE)?|COPY)\s+\"?points_"
    r"(entry|lot|draw|balance|event|reference|ruleusage|rulebudget)\b",
    re.IGNORECASE,
)


def sources(*rooms: str) -> Iterator[Path]:
    """The Python files of these rooms of the house."""
    for room in rooms:
        yield from sorted((ROOT / room).rglob("*.py"))


def ledger_names(tree: ast.AST) -> set[str]:
    """The names under which a module knows models of the ledger, `import … as` included."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("points.models"):
            names |= {alias.asname or alias.name for alias in node.names if alias.name in LEDGER}
    return names


def root_of(node: ast.AST) -> str:
    """The first name of a chain such as `Entry.objects.filter(…).update`."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def orm_writes(path: Path) -> list[str]:
    """Calls that write a model of the ledger through Django's ORM, directly or through a reverse relation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = ledger_names(tree)
    relations = {f"{name.lower()}_set" for name in LEDGER}
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES):
            continue
        chain = {part.attr for part in ast.walk(node.func) if isinstance(part, ast.Attribute)}
        if root_of(node.func) in names or chain & relations:
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node.func)}")
    return found


def sql_writes(path: Path) -> list[str]:
    """Texts that write a table of the ledger in SQL."""
    text = path.read_text(encoding="utf-8")
    return [f"{path.relative_to(ROOT)}: {match.group(0)}" for match in SQL_WRITE.finditer(text)]


def test_no_python_writes_the_ledger_through_the_orm() -> None:
    rooms = ("config", "members", "points", "rewards")
    assert [line for path in sources(*rooms) for line in orm_writes(path)] == []


def test_no_python_outside_points_writes_the_ledger_in_sql() -> None:
    assert [line for path in sources("config", "members", "rewards") for line in sql_writes(path)] == []


def test_no_sql_outside_points_writes_the_ledger() -> None:
    files = [path for room in ("config", "members", "rewards") for path in sorted((ROOT / room).rglob("*.sql"))]
    assert [line for path in files for line in sql_writes(path)] == []


def test_the_scan_sees_what_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that finds nothing must be able to find something."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from points.models import Balance as B, Hold\n"
        "B.objects.filter(member=1).update(available=5)\n"
        "member.entry_set.all().delete()\n"
        "Hold.objects.update(points=1)\n"
        "cursor.execute('update points_lot set remaining = 1')\n"
    )
    monkeypatch.setattr("tests.architecture.test_ledger_writers.ROOT", tmp_path)

    assert [line.split(": ")[1] for line in orm_writes(wrong)] == [
        "B.objects.filter(member=1).update",
        "member.entry_set.all().delete",
    ]
    assert len(sql_writes(wrong)) == 1


def test_nobody_turns_the_triggers_off() -> None:
    forbidden = re.compile(
        r"pgtrigger\.ignore|session_replication_role|DISABLE\s+TRIGGER|SET\s+(LOCAL\s+)?ROLE\s+laurel_ledger",
        re.IGNORECASE,
    )
    files = [*sources("config", "members", "points", "rewards"), *sorted(ROOT.glob("*/sql/*.sql"))]
    found = [str(path.relative_to(ROOT)) for path in files if forbidden.search(path.read_text(encoding="utf-8"))]

    assert found == []


def test_every_table_of_the_ledger_has_its_triggers() -> None:
    for name in LEDGER:
        triggers = {trigger.name for trigger in apps.get_model("points", name)._meta.triggers}
        assert "no_truncate" in triggers, name
        assert triggers >= {"insert_by_function", "append_only"} or triggers >= {"write_by_function", "no_delete"}, (
            name
        )


@pytest.mark.django_db
def test_the_posting_function_knows_the_movements_the_table_allows_and_no_others() -> None:
    from itertools import product

    from django.db import connection

    from points.models import Account, EntryKind

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k, f, t FROM unnest(%s::text[]) k, unnest(%s::text[]) f, unnest(%s::text[]) t"
            " WHERE points_movement_exists(k, f, t)",
            [EntryKind.values, Account.values, Account.values],
        )
        known = set(cursor.fetchall())

    allowed = {movement for movement in MOVEMENTS if movement[0] != "clawback"}  # chooses its account itself
    assert known == allowed
    assert len(known) < len(list(product(EntryKind, Account, Account)))


@pytest.mark.django_db
def test_the_writers_run_as_the_ledger_and_look_nothing_up_elsewhere() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.proname, r.rolname, p.prosecdef, p.proconfig, r.rolcanlogin, r.rolsuper
            FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
            WHERE p.prosecdef AND p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'points%'
            """
        )
        rows = cursor.fetchall()

    assert {row[0] for row in rows} >= {"points_post", "points_award", "points_refund", "points_claim"}
    for name, owner, _definer, settings_of, may_log_in, is_super in rows:
        assert (owner, may_log_in, is_super) == ("laurel_ledger", False, False), name
        assert any(one.startswith("search_path=") and one.endswith("pg_temp") for one in settings_of or []), name
