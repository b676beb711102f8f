"""Wrong codes are counted in the database: by door, by window, and never against who brings right ones."""

from datetime import timedelta
from typing import Any

import pytest

from rewards import batches, tasks
from rewards.actions import guessing
from rewards.models import CouponGuess
from tests.members.factories import AT

pytestmark = pytest.mark.django_db

DOOR = "client:till"
WINDOW = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _three_in_ten_minutes(settings: Any) -> None:
    settings.LAUREL_COUPON_MISSES, settings.LAUREL_COUPON_MISSES_MINUTES = 3, 10


def miss(times: int, *, door: str = DOOR, at: Any = AT) -> list[float]:
    return [guessing.count_miss(door=door, at=at) for _ in range(times)]


def test_so_many_misses_are_answered_and_then_the_door_waits() -> None:
    assert miss(3) == [0, 0, 0]
    assert miss(1, at=AT + timedelta(minutes=4)) == [360]

    assert guessing.seconds_to_wait(door=DOOR, at=AT + timedelta(minutes=4)) == 360
    assert guessing.seconds_to_wait(door="client:shop", at=AT) == 0


def test_a_window_is_over_after_its_minutes_and_the_next_begins_with_its_first_miss() -> None:
    miss(5)

    assert guessing.seconds_to_wait(door=DOOR, at=AT + WINDOW) == 0
    assert miss(3, at=AT + WINDOW) == [0, 0, 0]
    assert CouponGuess.objects.get().misses == 3


def test_some_misses_make_nobody_wait() -> None:
    miss(2)

    assert guessing.seconds_to_wait(door=DOOR, at=AT) == 0


def test_the_night_forgets_what_is_over() -> None:
    miss(1)
    miss(1, door="client:shop", at=AT + WINDOW)

    assert batches.forget_guesses(at=AT + WINDOW) == 1
    assert CouponGuess.objects.get().door == "client:shop"
    assert tasks.forget_guesses() == 1
