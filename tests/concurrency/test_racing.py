"""The races themselves: that they are run to the end, and that a client who dies is not taken for one who lost."""

from threading import Lock

import pytest

from points.actions.posting import InsufficientPoints, MemberNotActive

from .racing import at_once, codes, winners

pytestmark = pytest.mark.django_db(transaction=True)


def refuse() -> str:
    raise MemberNotActive


def die() -> str:
    raise ZeroDivisionError


def test_every_work_has_its_outcome_in_its_place() -> None:
    works = [refuse if n % 5 == 0 else (lambda n=n: f"done {n}") for n in range(23)]  # type: ignore[misc]

    results = at_once(works, clients=4)

    assert codes(results) == ["member_not_active"] * 5
    assert winners(results) == [f"done {n}" for n in range(23) if n % 5]
    assert results[6] == "done 6"


def test_no_more_clients_than_wanted_are_at_work() -> None:
    lock, now, most = Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    at_once([work] * 40, clients=3)

    assert 1 <= most <= 3


@pytest.mark.parametrize("clients", [None, 3])
def test_a_client_who_dies_spoils_the_race(clients: int | None) -> None:
    with pytest.raises(ZeroDivisionError):
        at_once([refuse, refuse, refuse, refuse, die, refuse], clients=clients)


def test_a_refusal_is_a_value_whatever_its_facts() -> None:
    def spend() -> str:
        raise InsufficientPoints(needed=2, available=1)

    (result,) = at_once([spend])

    assert isinstance(result, InsufficientPoints)
    assert result.facts == {"needed": 2, "available": 1}
