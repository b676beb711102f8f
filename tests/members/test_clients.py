import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from members.actions import clients
from members.actions.clients import ClientCodeUnusable, ScopeUnknown
from members.models import AuditRecord, Client

from .factories import AT, TESTER, client_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget() -> None:
    clients.forget()


def test_a_client_is_recognised_by_its_key() -> None:
    client, key = client_key("Till 1", "points:read", "events:write")

    assert clients.authenticate(key, AT) == client
    assert (client.code, client.scopes) == ("till-1", ["events:write", "points:read"])


def test_the_key_is_kept_nowhere() -> None:
    client, key = client_key()
    secret = key.partition(".")[2]

    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(rows::text, ' ') FROM members_client AS rows")
        (dump,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(rows::text, ' ') FROM members_auditrecord AS rows")
        (trail,) = cursor.fetchone()

    assert key.startswith(f"lk_{client.key_id}.")
    assert secret not in dump + trail
    assert secret.encode().hex() not in dump + trail


def test_a_wrong_key_is_nobodys() -> None:
    client, key = client_key()
    other = client_key("shop")[1]

    for wrong in (
        "",
        "lk_",
        "lk_.",
        key[:-1],
        key + "x",
        key.removeprefix("lk_"),
        f"lk_{client.key_id}.",
        f"lk_{client.key_id}.{other.partition('.')[2]}",
        "lk_\x00.x",
        "lk_ü.ü",
        "lk_\ud800.\ud800",
    ):
        assert clients.authenticate(wrong, AT) is None


def test_a_key_costs_one_query_and_then_none(django_assert_num_queries: Any) -> None:
    key = client_key()[1]
    clients.authenticate(key, AT)
    clients.forget()

    with django_assert_num_queries(1):
        clients.authenticate(key, AT)
    with django_assert_num_queries(0):
        clients.authenticate(key, AT)


def test_a_key_is_remembered_for_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    client, key = client_key()
    clients.authenticate(key, AT)
    Client.objects.update(is_active=False)

    assert clients.authenticate(key, AT) == client
    later = time.monotonic() + clients.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert clients.authenticate(key, AT) is None


def test_an_expired_key_is_refused_even_when_remembered() -> None:
    made = clients.create_client(name="till", scopes=[], expires_at=AT + timedelta(seconds=10), actor=TESTER, at=AT)

    assert clients.authenticate(made.key, AT) == made.client
    assert clients.authenticate(made.key, AT + timedelta(seconds=10)) is None


def test_a_renewed_key_replaces_the_old_one() -> None:
    client, key = client_key()
    clients.authenticate(key, AT)

    renewed = clients.renew_key(client=client, actor=TESTER, at=AT)

    assert clients.authenticate(key, AT) is None
    assert clients.authenticate(renewed.key, AT) == client


def test_the_memory_of_keys_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_REMEMBERED_KEYS", 2)

    for name in ("a", "b", "c"):
        clients.authenticate(client_key(name)[1], AT)

    assert len(clients._remembered) == 1


def test_the_day_of_the_last_use_is_kept_once_a_day(django_assert_num_queries: Any) -> None:
    client, key = client_key()
    clients.authenticate(key, AT)

    client.refresh_from_db()
    assert client.last_used_on == AT.date()
    with django_assert_num_queries(1):
        clients.authenticate(key, AT + timedelta(days=1))
    client.refresh_from_db()
    assert client.last_used_on == AT.date() + timedelta(days=1)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"scopes": ["points:print"]}, ScopeUnknown),
        ({"code": "portal"}, ClientCodeUnusable),
        ({"code": "close"}, ClientCodeUnusable),
        ({"code": "referral"}, ClientCodeUnusable),
        ({"code": "demo"}, ClientCodeUnusable),
        ({"code": "laurel"}, ClientCodeUnusable),
        ({"code": "complete-journey"}, ClientCodeUnusable),
        ({"code": "complete-journey-shifted"}, ClientCodeUnusable),
        ({"code": "a b"}, ClientCodeUnusable),
        ({"name": "收银台"}, ClientCodeUnusable),
        ({"code": "c" * 51}, ClientCodeUnusable),
        ({"code": "taken"}, ClientCodeUnusable),
    ],
)
def test_an_unusable_client_is_refused_and_leaves_nothing(given: dict[str, Any], refusal: type) -> None:
    defaults: dict[str, Any] = {"name": "till", "scopes": [], "actor": TESTER, "at": AT}
    client_key("taken")
    before = AuditRecord.objects.count()

    with pytest.raises(refusal):
        clients.create_client(**defaults | given)

    assert Client.objects.count() == 1
    assert AuditRecord.objects.count() == before


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"scopes": ["points:print"]}, "client_scopes_known"),
        ({"code": "portal"}, "client_code_not_reserved"),
        ({"code": "referral"}, "client_code_not_reserved"),
        ({"code": "complete-journey-shifted"}, "client_code_not_reserved"),
    ],
)
def test_the_database_refuses_unknown_scopes_and_reserved_sources(change: dict[str, Any], constraint: str) -> None:
    client_key()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Client.objects.update(**change)


def test_the_command_prints_the_key_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_client", "收银台", "--code", "till", "--scope", "points:read", "--scope", "events:write")

    out = capsys.readouterr().out
    client = clients.authenticate(out.strip(), AT)
    assert client is not None
    assert (client.name, client.code, client.scopes) == ("收银台", "till", ["events:write", "points:read"])


def test_the_command_names_what_is_wrong() -> None:
    with pytest.raises(CommandError, match="a client system needs a code"):
        call_command("create_client", "收银台")
