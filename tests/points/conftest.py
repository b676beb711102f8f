"""What tests of the points share."""

from collections.abc import Iterator

import pytest

from points.actions import catalogue


@pytest.fixture(autouse=True)
def _forget_point_types() -> Iterator[None]:
    """Point types come and go with each test; the process must not remember those of the last one."""
    catalogue.forget()
    yield
    catalogue.forget()
