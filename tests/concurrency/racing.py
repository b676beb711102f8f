"""Threads with connections of their own that start together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from config.lib.errors import DomainError


def at_once[T](works: Sequence[Callable[[], T]]) -> list[T | DomainError]:
    """Run each work in a thread of its own, all at once; refusals come back as values, errors are raised."""
    start = Barrier(len(works))

    def run(work: Callable[[], T]) -> T | DomainError:
        try:
            connection.ensure_connection()
            start.wait(20)
            return work()
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def codes(results: Sequence[object]) -> list[str]:
    """The codes of the refusals."""
    return sorted(result.code for result in results if isinstance(result, DomainError))


def winners[T](results: Sequence[T | DomainError]) -> list[T]:
    """What was not refused."""
    return [result for result in results if not isinstance(result, DomainError)]
