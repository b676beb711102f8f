"""What these tests share with those of the points and of the API, and that storms come one by one."""

import fcntl
from collections.abc import Iterator

import pytest

from tests.api.conftest import _forgetful, programme, till
from tests.points.conftest import _forget_point_types

__all__ = ["_forget_point_types", "_forgetful", "programme", "till"]


@pytest.fixture
def _one_storm_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let one test of all that run in parallel open so many connections: a usual server has room for a hundred."""
    with (tmp_path_factory.getbasetemp().parent / "storm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
