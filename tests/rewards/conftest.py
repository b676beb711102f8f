"""What every test of rewards starts with."""

import pytest

from points.actions import catalogue


@pytest.fixture(autouse=True)
def _forget_point_types() -> None:
    """Keep the ids of one test's point types from the next."""
    catalogue.forget()
