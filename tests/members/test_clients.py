import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from members.actions import clients
from members.actions.clients import (
    ClientCodeUnusable,
    GraceNegative,
    GraceTooLong,
    KeyEndsInThePast,
    KeyHasEnded,
    ScopeUnknown,
    TwoKeysWork,
)
from members.actions.profiles import TextUnusable
from members.models import AuditRecord, Client, ClientKey

from .factories import AT, TESTER, client_key

pytestmark = pytest.mark.django_db
ANOTHER_KEY = """
INSERT INTO members_clientkey (client_id, key_id, secret_hash)
SELECT client_id, 'another', '' FROM members_clientkey WHERE state = 'current'
"""


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
        cursor.execute("SELECT string_agg(rows::text, ' ') FROM members_clientkey AS rows")
        (dump,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(rows::text, ' ') FROM members_auditrecord AS rows")
        (trail,) = cursor.fetchone()

    assert key.startswith(f"lk_{client.keys.get().key_id}.")
    assert secret not in dump + trail
    assert secret.encode().hex() not in dump + trail


def test_a_wrong_key_is_nobodys() -> None:
    client, key = client_key()
    other, key_id = client_key("shop")[1], client.keys.get().key_id

    for wrong in (
        "",
        "lk_",
        "lk_.",
        key[:-1],
        key + "x",
        key.removeprefix("lk_"),
        f"lk_{key_id}.",
        f"lk_{key_id}.{other.partition('.')[2]}",
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


@pytest.mark.parametrize("end", ["the system is stopped", "the key is withdrawn"])
def test_what_another_process_ended_is_remembered_for_seconds_only(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    client, key = client_key()
    clients.authenticate(key, AT)
    if end == "the system is stopped":
        Client.objects.update(is_active=False)
    else:
        ClientKey.objects.update(state="ended", ended_at=AT)

    assert clients.authenticate(key, AT) == client
    later = time.monotonic() + clients.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert clients.authenticate(key, AT) is None


def test_an_expired_key_is_refused_even_when_remembered() -> None:
    made = clients.create_client(name="till", scopes=[], expires_at=AT + timedelta(seconds=10), actor=TESTER, at=AT)

    assert clients.authenticate(made.key, AT) == made.client
    assert clients.authenticate(made.key, AT + timedelta(seconds=10)) is None


def rotate(client: Client, **how: Any) -> str:
    given: dict[str, Any] = {"actor": TESTER, "at": AT} | how
    return clients.rotate_key(client=client, **given).key


def lets_in(key: str, at: datetime = AT) -> bool:
    return clients.authenticate(key, at) is not None


def withdraw(key: str) -> None:
    row = ClientKey.objects.get(key_id=key[3:15])
    clients.withdraw_key(key=row, reason="it was in a chat", actor=TESTER, at=AT)


def test_a_new_key_without_grace_replaces_the_old_one() -> None:
    client, old = client_key()
    clients.authenticate(old, AT)

    new = rotate(client)

    assert (lets_in(old), lets_in(new)) == (False, True)


def test_two_keys_work_side_by_side_until_the_old_one_s_own_end() -> None:
    client, old = client_key()

    new = rotate(client, grace=timedelta(days=7), reason="yearly")

    assert (lets_in(old), lets_in(new)) == (True, True)
    end = AT + timedelta(days=7)
    assert (lets_in(old, end - timedelta(seconds=1)), lets_in(old, end), lets_in(new, end)) == (True, False, True)
    record = AuditRecord.objects.get(action="client.key_renewed")
    assert (record.reason, record.details) == ("yearly", {"client": "till", "grace_hours": 168.0})


def test_grace_never_prolongs_a_key() -> None:
    end = AT + timedelta(days=1)
    made = clients.create_client(name="till", scopes=[], expires_at=end, actor=TESTER, at=AT)

    rotate(made.client, grace=timedelta(days=7))

    assert not lets_in(made.key, end)


def test_there_are_never_three_keys_that_work() -> None:
    client, first = client_key()
    second = rotate(client, grace=timedelta(days=7))

    with pytest.raises(TwoKeysWork):
        rotate(client, grace=timedelta(days=7))
    assert (lets_in(first), lets_in(second), ClientKey.objects.count()) == (True, True, 2)

    third = rotate(client)  # the present one ends at once, the older one has its time
    assert [lets_in(key) for key in (first, second, third)] == [True, False, True]

    later = AT + timedelta(days=8)
    fourth = rotate(client, grace=timedelta(days=7), at=later)
    assert [lets_in(key, later) for key in (first, second, third, fourth)] == [False, False, True, True]


@pytest.mark.parametrize("which", ["the old one", "the new one", "both"])
def test_either_key_is_withdrawn_at_will(which: str) -> None:
    client, old = client_key()
    new = rotate(client, grace=timedelta(days=7))
    assert lets_in(old)
    assert lets_in(new)

    for key, name in ((old, "the old one"), (new, "the new one")):
        if which in (name, "both"):
            withdraw(key)

    assert lets_in(old) == (which == "the new one")
    assert lets_in(new) == (which == "the old one")
    assert AuditRecord.objects.filter(action="client.key_withdrawn", reason="it was in a chat").exists()
    assert lets_in(rotate(client))  # whatever ended, there is a way on


def test_a_withdrawn_key_is_not_withdrawn_again() -> None:
    key = client_key()[1]
    withdraw(key)

    with pytest.raises(KeyHasEnded):
        withdraw(key)

    assert AuditRecord.objects.filter(action="client.key_withdrawn").count() == 1


@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        ({"grace": timedelta(days=91)}, GraceTooLong),
        ({"grace": timedelta(hours=-5)}, GraceNegative),
        ({"reason": "\udcff"}, TextUnusable),
        ({"expires_at": AT}, KeyEndsInThePast),
        ({"expires_at": AT - timedelta(days=1)}, KeyEndsInThePast),
    ],
)
def test_a_rotation_that_cannot_be_leaves_the_key_as_it_was(how: dict[str, Any], refusal: type[Exception]) -> None:
    client, key = client_key()

    with pytest.raises(refusal):
        rotate(client, **how)

    assert lets_in(key)
    assert ClientKey.objects.count() == 1


def test_each_key_knows_the_day_of_its_own_last_use() -> None:
    client, old = client_key()
    new = rotate(client, grace=timedelta(days=7))

    lets_in(old)
    lets_in(new, AT + timedelta(days=2))

    assert [key.last_used_on for key in client.keys.all()] == [AT.date() + timedelta(days=2), AT.date()]


def test_the_memory_of_keys_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_REMEMBERED_KEYS", 2)

    for name in ("a", "b", "c"):
        clients.authenticate(client_key(name)[1], AT)

    assert len(clients._remembered) == 1


def test_the_day_of_the_last_use_is_kept_once_a_day(django_assert_num_queries: Any) -> None:
    client, key = client_key()
    clients.authenticate(key, AT)

    assert client.keys.get().last_used_on == AT.date()
    with django_assert_num_queries(1):
        clients.authenticate(key, AT + timedelta(days=1))
    assert client.keys.get().last_used_on == AT.date() + timedelta(days=1)


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
        ({"code": "\udcff"}, ClientCodeUnusable),
        ({"name": "n" * 101}, TextUnusable),
        ({"name": "till\udcff"}, TextUnusable),
        ({"name": "till\x00"}, TextUnusable),
        ({"expires_at": AT}, KeyEndsInThePast),
    ],
)
def test_an_unusable_client_is_refused_and_leaves_nothing(given: dict[str, Any], refusal: type) -> None:
    defaults: dict[str, Any] = {"name": "till", "scopes": [], "actor": TESTER, "at": AT}
    client_key("taken")
    before = AuditRecord.objects.count()

    with pytest.raises(refusal):
        clients.create_client(**defaults | given)

    assert (Client.objects.count(), ClientKey.objects.count()) == (1, 1)
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


@pytest.mark.parametrize(
    ("statement", "law"),
    [
        ("UPDATE members_clientkey SET state = 'current' WHERE state = 'retiring'", "Invalid transition"),
        (
            "UPDATE members_clientkey SET state = 'current', ended_at = NULL WHERE state = 'ended'",
            "Invalid transition",
        ),
        ("UPDATE members_clientkey SET secret_hash = ''", "Cannot update"),
        ("UPDATE members_clientkey SET key_id = key_id || 'x'", "Cannot update"),
        ("DELETE FROM members_clientkey", "Cannot delete"),
        ("UPDATE members_clientkey SET expires_at = NULL WHERE state = 'retiring'", "clientkey_replaced_has_end"),
        ("UPDATE members_clientkey SET ended_at = now() WHERE state = 'current'", "clientkey_end_is_dated"),
        ("UPDATE members_clientkey SET state = 'ended' WHERE state = 'current'", "clientkey_end_is_dated"),
        (ANOTHER_KEY, "clientkey_two_at_most"),
    ],
)
def test_the_database_keeps_the_laws_of_keys(statement: str, law: str) -> None:
    client, key = client_key()
    withdraw(rotate(client, grace=timedelta(days=7)))
    rotate(client)
    rows = list(ClientKey.objects.values_list())

    with pytest.raises(DatabaseError, match=law), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert list(ClientKey.objects.values_list()) == rows
    assert lets_in(key)


def test_the_command_prints_the_key_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_client", "收银台", "--code", "till", "--scope", "points:read", "--scope", "events:write")

    out = capsys.readouterr().out
    client = clients.authenticate(out.strip(), AT)
    assert client is not None
    assert (client.name, client.code, client.scopes) == ("收银台", "till", ["events:write", "points:read"])


def test_a_key_made_by_the_command_may_have_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_client", "till", "--expires-at", "2099-12-31T00:00")

    assert ClientKey.objects.get().expires_at == datetime.fromisoformat("2099-12-31T00:00+08:00")


def test_a_key_is_replaced_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    old = client_key()[1]

    call_command("rotate_client_key", "till", "--grace-hours", "24", "--reason", "yearly")
    new = capsys.readouterr().out.strip()
    call_command("rotate_client_key", "till", "--grace-hours", "0")

    at = timezone.now()
    assert (lets_in(old, at), lets_in(new, at), lets_in(capsys.readouterr().out.strip(), at)) == (True, False, True)
    for stranger in ("shop", "\udcff"):
        with pytest.raises(CommandError, match="no client system"):
            call_command("rotate_client_key", stranger)


def test_hours_below_zero_do_not_end_the_key_that_works() -> None:
    key = client_key()[1]

    with pytest.raises(CommandError, match="0 ends it at once"):
        call_command("rotate_client_key", "till", "--grace-hours", "-5")

    assert lets_in(key, timezone.now())


def test_the_command_names_what_is_wrong() -> None:
    with pytest.raises(CommandError, match="a client system needs a code"):
        call_command("create_client", "收银台")
