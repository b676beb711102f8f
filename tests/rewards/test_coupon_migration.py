"""Coupons of the first programme become coupons of many uses, whatever somebody did to them by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from rewards.actions import coupons
from rewards.models import Coupon
from tests.members.factories import AT, TESTER

pytestmark = pytest.mark.django_db(transaction=True)

SAID = """'{"actor": "psql", "at": "2026-03-01T00:00:00Z"}'"""


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.usefixtures("_whole_again")
def test_a_coupon_that_was_reserved_by_hand_can_be_used_afterwards() -> None:
    call_command("migrate", "rewards", "0001_initial", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO rewards_coupon (state, value_minor, currency, issued_at, change)
            VALUES ('issued', 500, 'CNY', now(), {SAID}), ('issued', 500, 'CNY', now(), {SAID})
            """
        )
        for step in ("reserved", "redeemed"):
            kept = "" if step == "reserved" else " WHERE id = (SELECT max(id) FROM rewards_coupon)"
            cursor.execute(f"UPDATE rewards_coupon SET state = '{step}', change = {SAID}{kept}")

    call_command("migrate", verbosity=0)

    reserved, used = Coupon.objects.order_by("id")
    assert (reserved.state, reserved.used, used.state, used.used) == ("rolled_back", 0, "redeemed", 1)
    last = reserved.events.latest("id")
    assert (last.from_state, last.to_state, last.actor) == ("reserved", "rolled_back", "system:upgrade")
    till: dict[str, Any] = {"source": "till", "reference": "u-1", "actor": TESTER, "at": AT}
    assert coupons.redeem(code=reserved.code, amount_minor=900, currency="CNY", **till).coupon.state == "redeemed"
