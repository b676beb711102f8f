"""Keys move into a table of their own and back, and every one that works goes on working."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from members.actions import clients
from members.models import Client
from tests.members.factories import AT, TESTER, client_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


def migrate(name: str = "") -> None:
    call_command("migrate", *(["members", name] if name else []), verbosity=0)
    clients.forget()


def told(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.mark.usefixtures("_whole_again")
def test_no_key_is_lost_on_the_way_there_and_back() -> None:
    plain, stopped = client_key("plain")[1], client_key("stopped")[1]
    replaced, first = client_key("replaced")
    second = clients.rotate_key(client=replaced, grace=timedelta(days=7), actor=TESTER, at=AT).key
    ended = client_key("ended")
    clients.withdraw_key(key=ended[0].keys.get(), reason="", actor=TESTER, at=AT)
    Client.objects.filter(code="stopped").update(is_active=False)
    assert clients.authenticate(plain, AT)

    migrate("0001_initial")

    rows = told("SELECT code, key_id, last_used_on, expires_at <= now() FROM members_client ORDER BY code")
    keys = {"ended": ended[1], "plain": plain, "replaced": second, "stopped": stopped}
    assert rows == [
        (code, key[3:15], AT.date() if code == "plain" else None, True if code == "ended" else None)
        for code, key in keys.items()
    ]

    migrate()

    found = [clients.authenticate(key, AT + timedelta(days=1)) for key in (plain, second, stopped, first, ended[1])]
    assert [client and client.code for client in found] == ["plain", "replaced", None, None, None]
    assert told("SELECT count(*) FROM members_clientkey WHERE created_at IS NULL") == [(0,)]
