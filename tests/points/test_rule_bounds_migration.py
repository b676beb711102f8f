"""An installation with a rule that gives nothing to anybody migrates, and can end that rule."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.utils import timezone

from points.actions import ruling
from points.models import EarningRule

from .factories import TESTER, RuleFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


def validated() -> dict[str, bool]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, convalidated FROM pg_constraint"
            " WHERE conname IN ('earningrule_limits_whole', 'earningrule_amounts_ordered')"
        )
        return dict(cursor.fetchall())


@pytest.mark.usefixtures("_whole_again")
def test_a_rule_from_before_the_law_stays_until_it_is_ended_and_no_other_comes() -> None:
    call_command("migrate", "points", "0008", verbosity=0)
    with_nothing = RuleFactory.create(code="nothing", cap_day=-5)

    call_command("migrate", verbosity=0)

    assert validated() == {"earningrule_limits_whole": False, "earningrule_amounts_ordered": True}
    with pytest.raises(IntegrityError, match="earningrule_limits_whole"):
        RuleFactory.create(code="another", cap_day=-5)
    ruling.retire(rule=with_nothing, actor=TESTER, at=timezone.now())
    assert EarningRule.objects.get().status == "retired"
