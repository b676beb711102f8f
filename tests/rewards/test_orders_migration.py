"""Orders that were shipped before a carrier was asked for come through the migration that asks for one."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from rewards.actions import fulfilling
from rewards.models import Redemption
from tests.members.factories import AT, TESTER

from .factories import RewardFactory, member_with, order

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


def approved_orders(count: int) -> list[Redemption]:
    member, reward = member_with(count * 1_000), RewardFactory.create()
    return [fulfilling.approve(redemption=order(member, reward), actor=TESTER, at=AT) for _ in range(count)]


@pytest.mark.usefixtures("_whole_again")
def test_what_was_shipped_with_half_a_word_of_how_says_that_the_rest_is_unknown() -> None:
    shipped = approved_orders(4)
    known = [("SF", "SF1"), ("SF", ""), ("", "SF3"), ("", "")]
    unshipped = approved_orders(1)[0]

    call_command("migrate", "rewards", "0002_coupons", verbosity=0)
    with transaction.atomic(), connection.cursor() as cursor:
        for redemption, (carrier, tracking) in zip(shipped, known, strict=True):
            cursor.execute(
                "UPDATE rewards_redemption SET state = 'shipped', carrier = %s, tracking = %s, "
                'change = \'{"actor": "psql", "at": "2026-03-02T00:00:00Z"}\' WHERE id = %s',
                [carrier, tracking, redemption.pk],
            )
    call_command("migrate", verbosity=0)

    found = [Redemption.objects.get(pk=one.pk) for one in (*shipped, unshipped)]
    assert [(one.carrier, one.tracking) for one in found] == [
        ("SF", "SF1"),
        ("SF", "-"),
        ("-", "SF3"),
        ("-", "-"),
        ("", ""),
    ]
    assert {one.changes.count() for one in found[:4]} == {3}  # placed, approved, shipped: the migration is no step
    assert fulfilling.complete(redemption=found[3], actor=TESTER, at=AT).state == "completed"
