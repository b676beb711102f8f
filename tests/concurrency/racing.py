"""Clients with connections of their own that start together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from config.lib.errors import DomainError


def at_once[T](works: Sequence[Callable[[], T]], *, clients: int | None = None) -> list[T | DomainError]:
    """Do all works at once, by a client each or by so many in turn; refusals come back as values, errors are raised.

    Every client lives to the end and every work has an outcome, else this fails: a race nobody ran proves nothing.
    """
    clients = min(clients or len(works), len(works))
    start = Barrier(clients)
    outcomes: dict[int, T | DomainError] = {}

    def run(client: int) -> int:
        try:
            connection.ensure_connection()
            connection.close_at = None  # kept from request to request, as a web server keeps its own
            start.wait(20)
            mine = range(client, len(works), clients)
            for place in mine:
                outcomes[place] = _outcome(works[place])
            return len(mine)
        finally:
            connection.close()

    with ThreadPoolExecutor(clients) as pool:
        done = sum(pool.map(run, range(clients)))
    assert done == len(outcomes) == len(works), f"{done} of {len(works)} works were done"
    return [outcomes[place] for place in range(len(works))]


def codes(results: Sequence[object]) -> list[str]:
    """The codes of the refusals."""
    return sorted(result.code for result in results if isinstance(result, DomainError))


def winners[T](results: Sequence[T | DomainError]) -> list[T]:
    """What was not refused."""
    return [result for result in results if not isinstance(result, DomainError)]


def _outcome[T](work: Callable[[], T]) -> T | DomainError:
    try:
        return work()
    except DomainError as refusal:
        return refusal
