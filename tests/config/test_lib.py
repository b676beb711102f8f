from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, migrations, transaction
from django.utils.translation import gettext_lazy as _

from config.lib import actor, queue, sql
from config.lib.errors import DomainError


class TooSmall(DomainError):
    code = "too_small"
    status = 400
    message = _("%(given)s is below %(least)s.")


def test_a_refusal_tells_its_code_status_sentence_and_facts() -> None:
    refusal = TooSmall(given=1, least=2)

    assert (refusal.code, refusal.status, refusal.facts) == ("too_small", 400, {"given": 1, "least": 2})
    assert str(refusal) == "1 is below 2."


def test_a_refusal_without_facts_keeps_its_sentence_as_it_is() -> None:
    assert str(DomainError("100% refused")) == "100% refused"


def test_an_actor_is_named_by_kind_and_name() -> None:
    alice = SimpleNamespace(get_username=lambda: "alice")

    assert actor.staff(alice) == "staff:alice"
    assert actor.client(SimpleNamespace(code="till")) == "client:till"
    assert actor.member("100000017") == "member:100000017"
    assert actor.system("close") == "system:close"


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "one.sql").write_text("CREATE FUNCTION lib_one() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;")
    (tmp_path / "sql" / "one.undo.sql").write_text("DROP FUNCTION lib_one();")
    (tmp_path / "migrations" / "two.sql").write_text(
        "CREATE FUNCTION lib_two() RETURNS int LANGUAGE sql AS $$ SELECT lib_one() + 1 $$; -- 100% of it"
    )
    (tmp_path / "migrations" / "two.undo.sql").write_text("DROP FUNCTION lib_two();")
    return tmp_path


@pytest.mark.django_db
def test_several_sql_files_run_in_order_and_are_undone_in_reverse(app_folder: Path) -> None:
    step = sql.run_sql(str(app_folder / "migrations" / "0001_x.py"), "one.sql", "two.sql")
    state = migrations.state.ProjectState()

    with connection.schema_editor() as editor:
        step.database_forwards("points", editor, state, state)
    with connection.cursor() as cursor:
        cursor.execute("SELECT lib_two()")
        assert cursor.fetchone() == (2,)
    with connection.schema_editor() as editor:
        step.database_backwards("points", editor, state, state)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_proc WHERE proname IN ('lib_one', 'lib_two')")
        assert cursor.fetchone() == (0,)


def test_a_sql_step_that_cannot_be_undone_is_refused(app_folder: Path) -> None:
    (app_folder / "sql" / "one.undo.sql").unlink()

    with pytest.raises(FileNotFoundError, match=r"one\.undo\.sql"):
        sql.run_sql(str(app_folder / "migrations" / "0001_x.py"), "one.sql")
    with pytest.raises(FileNotFoundError, match=r"none\.sql"):
        sql.run_sql(str(app_folder / "migrations" / "0001_x.py"), "none.sql")


@pytest.mark.django_db(transaction=True)
def test_a_task_is_queued_only_when_its_transaction_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(queue, "send", lambda task, **arguments: sent.append((task, arguments)))

    with transaction.atomic():
        queue.enqueue("config.heartbeat", a=1)
        assert sent == []
    with transaction.atomic():
        queue.enqueue("config.heartbeat", a=2)
        transaction.set_rollback(True)

    assert sent == [("config.heartbeat", {"a": 1})]


@pytest.mark.django_db(transaction=True)
def test_a_dead_broker_does_not_undo_or_hide_what_was_committed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(task: str, **arguments: Any) -> None:
        raise OSError("the broker is away")

    monkeypatch.setattr(queue, "send", refuse)

    with transaction.atomic():
        queue.enqueue("config.heartbeat")

    assert "the broker is away" in caplog.text
