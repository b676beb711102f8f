"""What tests of the webhooks share: a real server that is told, and leave to tell a server on this machine."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.points.conftest import _forget_point_types

from .receiver import Receiver

__all__ = ["_forget_point_types"]


@pytest.fixture(autouse=True)
def _local(settings: Settings) -> None:
    settings.LAUREL_WEBHOOKS_LOCAL = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
