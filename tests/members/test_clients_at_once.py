"""Two people who replace or withdraw the same key at once."""

from datetime import timedelta

import pytest

from members.actions import clients
from members.models import ClientKey, KeyState
from tests.concurrency.racing import at_once, codes, winners
from tests.members.factories import AT, TESTER, client_key

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_who_replace_a_key_one_does() -> None:
    client, old = client_key()

    def rotate() -> str:
        return clients.rotate_key(client=client, grace=timedelta(days=7), actor=TESTER, at=AT).key

    results = at_once([rotate, rotate])

    (new,) = winners(results)
    assert codes(results) == ["two_keys_work"]
    assert clients.authenticate(old, AT)
    assert clients.authenticate(new, AT)
    assert sorted(ClientKey.objects.values_list("state", flat=True)) == [KeyState.CURRENT, KeyState.RETIRING]


def test_of_two_who_withdraw_a_key_one_does() -> None:
    client, key = client_key()
    row = client.keys.get()

    results = at_once(
        [lambda: clients.withdraw_key(key=row, reason="stolen", actor=TESTER, at=AT) for _person in range(2)]
    )

    assert codes(results) == ["key_has_ended"]
    assert clients.authenticate(key, AT) is None
