"""What every test may use, and the database they run on: DATABASE_URL, else a throw-away server of our own."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from operator import itemgetter

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.test import TransactionTestCase
from django.utils import translation
from pytest_django import DjangoDbBlocker

from config import embedded
from points.actions import catalogue

_server = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the server once, in the process parallel workers come from: its address is in their environment."""
    if os.environ.get("DATABASE_URL") or config.option.collectonly or config.option.help:
        return
    stack = config.stash[_server] = ExitStack()
    os.environ["DATABASE_URL"] = stack.enter_context(embedded.throw_away()).url
    from config.settings import env

    settings.DATABASES["default"].update(env.db_url_config(os.environ["DATABASE_URL"]))
    settings.DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the server back; it stops and takes its folder with it."""
    if stack := config.stash.get(_server, None):
        stack.close()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Keep counters of one test, such as throttles, from the next."""
    cache.clear()
    catalogue.forget()


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """Keep the language one test reads its pages in from the next."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture(autouse=True, scope="session")
def _data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Write pictures, mail and reports where they are forgotten."""
    folder = tmp_path_factory.mktemp("var")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "DATA_FOLDER", folder)
        patch.setattr(settings, "MEDIA_ROOT", str(folder / "media"))
        yield


# A test that really commits is undone by putting back what the migrations left. Django's own way is TRUNCATE, which
# the ledger's laws refuse and which would take the first rules and rewards away from the tests after it.

_first_rows: dict[str, bytes] = {}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Keep the rows of a freshly migrated database."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format('%I.%I', n.nspname, c.relname), string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            WHERE n.nspname = 'public' AND c.relkind = 'r' GROUP BY 1
            """
        )
        for table, columns in cursor.fetchall():
            with cursor.copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT") as copy:
                _first_rows[f"{table} ({columns})"] = b"".join(copy)


def _put_back_first_rows(test: TransactionTestCase) -> None:
    """Empty every table and fill it as it was; the replica role skips triggers and foreign keys meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = '20s'")
        cursor.execute(";".join(f"DELETE FROM {target.split(' ')[0]}" for target in _first_rows))
        for target, rows in filter(itemgetter(1), _first_rows.items()):
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                copy.write(rows)


setattr(TransactionTestCase, "_fixture_teardown", _put_back_first_rows)  # noqa: B010  private to Django
