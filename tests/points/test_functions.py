"""The functions in a database are those in the files, also where they were made long ago."""

import hashlib
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection

import points
from config.lib.sql import find, read

FOLDER = Path(points.__file__).parent
NEWEST = (FOLDER / "migrations" / "max_migration.txt").read_text(encoding="utf-8").strip()
FILES = ("post.sql", "evaluate.sql", "award.sql", "refund.sql", "night.sql", "rights.sql")


def functions() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.oid::regprocedure::text, "
            "pg_get_functiondef(p.oid) || p.proowner::regrole || coalesce(p.proacl::text, '') "
            "FROM pg_proc p WHERE p.proname LIKE 'points%%' AND p.prokind = 'f'"
        )
        return dict(cursor.fetchall())


def newest_digest() -> str:
    """What the last migration that replaces the functions says of their text."""
    names = sorted(path.stem for path in (FOLDER / "migrations").glob("0*.py"))
    digests = [getattr(import_module(f"points.migrations.{name}"), "DIGEST", "") for name in names]
    return [digest for digest in digests if digest][-1]


def test_a_changed_file_comes_with_a_migration_that_replaces_the_functions() -> None:
    text = "".join(read(FOLDER / "sql" / name) for name in FILES)

    assert newest_digest() == hashlib.sha256(text.encode()).hexdigest(), "add a migration like 0004_functions_again"


@pytest.mark.django_db
def test_running_the_files_again_replaces_an_old_function_and_changes_nothing_else() -> None:
    now = functions()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION points_round(exact numeric, rounding text) RETURNS bigint LANGUAGE sql "
            "IMMUTABLE PARALLEL SAFE AS 'SELECT 1::bigint'"
        )
    assert functions() != now

    with connection.cursor() as cursor:
        for name in FILES:
            cursor.execute(read(find(str(FOLDER / "migrations" / NEWEST), name)))

    assert functions() == now
