"""The application works as a role that owns nothing, with the grants the README names and no others."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

import points
from config.lib.sql import read
from points import reports
from points.actions import referring, refunding
from points.models import Referral

from .factories import AT, SOURCE, TESTER, accounts, buy, fixed_rule, give, new_member

pytestmark = pytest.mark.django_db

FOLDER = Path(points.__file__).parent
ROLE = f"laurel_app_{os.getpid()}"


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def _granted() -> None:
    """A role with the grants of the README, and nothing else."""
    (grants,) = re.findall(r"```sql\n(.*?)```", read(FOLDER.parent / "README.md"), re.DOTALL)
    execute(grants.replace("laurel_app", ROLE))


@pytest.fixture
def _as_application(_granted: None) -> Iterator[None]:
    execute(f"SET LOCAL ROLE {ROLE}")
    yield
    execute("RESET ROLE")


@pytest.mark.usefixtures("_as_application")
def test_with_the_grants_of_the_readme_a_role_awards_refunds_and_converts() -> None:
    fixed_rule(100, event_types=["referral"])
    fixed_rule(10, event_types=["purchase"])
    referrer = new_member()
    friend = new_member(referral_code=referrer.referral_code)
    bought = buy(friend, 10)
    give(friend, 5)

    assert referring.convert_referrals(actor=TESTER, at=AT) == {"referrals": 1}
    refunding.refund(event=bought, source=SOURCE, reference="refund", occurred_at=AT, actor=TESTER, at=AT)

    assert (accounts(referrer)["available"], accounts(friend)["available"]) == (100, 5)
    assert Referral.objects.get().status == "rewarded"
    assert not reports.check_books()


@pytest.mark.usefixtures("_as_application")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points_balance SET available = available + 1",
        "UPDATE points_lot SET remaining = 0",
        "TRUNCATE points_entry",
        "SET LOCAL ROLE laurel_ledger",
    ],
)
def test_such_a_role_does_not_write_the_books(statement: str) -> None:
    execute("RESET ROLE")
    give(new_member(), 5)
    execute(f"SET LOCAL SESSION AUTHORIZATION {ROLE}")

    with pytest.raises(DatabaseError), transaction.atomic():
        execute(statement)

    execute("RESET SESSION AUTHORIZATION")


@pytest.mark.usefixtures("_granted")
def test_a_function_with_other_arguments_than_before_is_granted_to_whoever_may_award() -> None:
    execute(
        "DO $$ BEGIN EXECUTE (SELECT format('DROP FUNCTION %s', 'points_refund'::regproc::oid::regprocedure)); END $$"
    )
    for name in ("refund.sql", "rights.sql"):
        execute(read(FOLDER / "sql" / name))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_function_privilege(%s, 'points_refund'::regproc, 'EXECUTE'),"
            " has_function_privilege('pg_read_all_data', 'points_refund'::regproc, 'EXECUTE')",
            [ROLE],
        )
        assert cursor.fetchone() == (True, False)
