"""Every tier a member was in is kept with the moment it holds from, whatever door it came by."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from members.actions import enrolling, updating
from members.actions.enrolling import Person
from members.models import Member, Tier, TierChange

from .factories import AT, TESTER, MemberFactory, TierFactory, base_tier

pytestmark = pytest.mark.django_db


@pytest.fixture
def gold(db: None) -> Tier:
    return TierFactory.create(code="gold")


@pytest.fixture
def alice(db: None) -> Member:
    return MemberFactory.create(name="Alice")


def run(statement: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def told(member: Member) -> list[tuple[str, datetime, str]]:
    changes = TierChange.objects.filter(member=member).order_by("id")
    return list(changes.values_list("tier__code", "since", "actor"))


def test_the_first_tier_holds_from_joining(alice: Member) -> None:
    assert told(alice) == [("base", AT, "")]


def test_people_taken_in_together_each_have_their_first_tier(gold: Tier) -> None:
    base_tier()
    people = [Person(external="1", tier="gold", joined_at=AT - timedelta(days=900)), Person(external="2")]

    enrolling.enrol_many(source="tests", people=people, actor=TESTER, at=AT)

    assert list(TierChange.objects.order_by("id").values_list("tier__code", "since")) == [
        ("gold", AT - timedelta(days=900)),
        ("base", AT),
    ]


def test_a_tier_given_by_staff_holds_from_then_and_names_who_gave_it(alice: Member, gold: Tier) -> None:
    for day in (1, 2):
        updating.assign_tier(member=alice, tier=gold, reason="goodwill", actor=TESTER, at=AT + timedelta(days=day))

    assert told(alice) == [("base", AT, ""), ("gold", AT + timedelta(days=1), str(TESTER))]


def test_a_tier_set_by_raw_sql_has_its_change_too(alice: Member, gold: Tier) -> None:
    run("UPDATE members_member SET tier_id = %s WHERE id = %s", gold.pk, alice.pk)
    run("UPDATE members_member SET tier_id = tier_id, language = 'zh-hans' WHERE id = %s", alice.pk)

    (_first, (code, since, actor)) = told(alice)
    assert (code, actor) == ("gold", "")
    assert timezone.now() - since < timedelta(minutes=5)


def test_a_member_written_by_raw_sql_has_a_first_tier(gold: Tier) -> None:
    run(
        "INSERT INTO members_member (number, referral_code, tier_id, joined_at) VALUES ('100000009', 'RAW', %s, %s)",
        gold.pk,
        AT,
    )

    assert told(Member.objects.get(number="100000009")) == [("gold", AT, "")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE members_tierchange SET since = now()",
        "UPDATE members_tierchange SET tier_id = tier_id",
        "DELETE FROM members_tierchange",
    ],
)
def test_the_history_is_not_rewritten_even_by_raw_sql(alice: Member, statement: str) -> None:
    before = told(alice)

    with pytest.raises(DatabaseError, match="append_only"):
        run(statement)

    assert told(alice) == before


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.usefixtures("_whole_again")
@pytest.mark.django_db(transaction=True)
def test_members_who_were_there_before_keep_the_tiers_their_history_tells() -> None:
    gold = TierFactory.create(code="gold")
    stayed, rose = MemberFactory.create(), MemberFactory.create()
    updating.assign_tier(member=rose, tier=gold, reason="", actor=TESTER, at=AT + timedelta(days=1))
    updating.change_standing(member=rose, status="suspended", reason="", actor=TESTER, at=AT)

    call_command("migrate", "members", "0004", verbosity=0)
    call_command("migrate", verbosity=0)

    assert told(stayed) == [("base", AT, "")]
    (first, (code, since, _actor)) = told(rose)
    assert (first, code) == (("base", AT, ""), "gold")
    assert timezone.now() - since < timedelta(minutes=5), "when the database saw it: it knew no other clock then"
