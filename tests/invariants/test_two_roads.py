"""points_post has a plain road and set-based ones for long runs: the same postings end at the same books."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import Member
from points import reports
from points.actions import refunding
from points.actions.posting import Posting
from points.models import PointType
from tests.points.factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    buy,
    examples,
    give,
    growth,
    new_member,
    new_reference,
)

pytestmark = pytest.mark.django_db

_ROW = "ROW(" + ",".join(["%s"] * 19) + ")::points_posting"

Row = tuple[Any, ...]


def post(postings: Sequence[Posting], *, singly: bool) -> list[Row]:
    """Post down one of the roads: (place, status, code, points moved) of each."""
    values = [value for posting in postings for value in astuple(posting)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ord, status, code, CASE WHEN status <> 'refused' THEN points END"
            f" FROM points_post(ARRAY[{','.join([_ROW] * len(postings))}], %s)",
            [*values, singly],
        )
        return sorted(cursor.fetchall())


def books(members: Sequence[Member]) -> dict[str, list[Row]]:
    """Everything the postings wrote, ids replaced by what they stand for: an entry is (member, number)."""
    named = """
        WITH named AS (SELECT e.id, e.member_id, e.member_id || '/' || e.seq AS name FROM points_entry e)
    """
    queries = {
        "entries": """
            SELECT e.member_id, e.seq, e.point_type_id, e.kind, e.from_account, e.to_account, e.points, e.source,
                e.reference, CASE WHEN e.kind = 'settlement' THEN 0 ELSE e.line END, e.event_id, e.rule_id, c.name,
                e.actor, e.reason, e.note, e.occurred_at, e.recorded_at, e.available_after
            FROM points_entry e LEFT JOIN named c ON c.id = e.corrects WHERE e.member_id = ANY (%s) ORDER BY 1, 2
        """,
        "digests": """
            SELECT e.member_id, e.seq, e.digest FROM points_entry e WHERE e.member_id = ANY (%s)
                AND NOT EXISTS (SELECT FROM points_entry s WHERE s.member_id = e.member_id AND s.kind = 'settlement')
            ORDER BY 1, 2
        """,
        "lots": """
            SELECT o.name, l.point_type_id, l.points, l.remaining, l.is_pending, l.available_at, l.expires_at
            FROM points_lot l JOIN named o ON o.id = l.entry_id WHERE l.member_id = ANY (%s) ORDER BY l.member_id, l.id
        """,
        "draws": """
            SELECT t.name, o.name, d.points, d.is_return
            FROM points_draw d JOIN named t ON t.id = d.entry_id
            JOIN points_lot l ON l.member_id = d.member_id AND l.id = d.lot_id JOIN named o ON o.id = l.entry_id
            WHERE d.member_id = ANY (%s) ORDER BY 1, 2
        """,
        "balances": """
            SELECT b.member_id, b.point_type_id, available, pending, held, owed, issued, redeemed, expired,
                transferred, b.head_seq
            FROM points_balance b WHERE b.member_id = ANY (%s) ORDER BY 1, 2
        """,
    }
    with connection.cursor() as cursor:
        rows = {}
        for name, query in queries.items():
            cursor.execute(named + query, [[member.pk for member in members]])
            rows[name] = cursor.fetchall()
    return rows


def assert_same_road(postings: Sequence[Posting], members: Sequence[Member]) -> list[Row]:
    """Post the batch down both roads from the same start, and hold that answers and books are the same."""
    answers, ends = [], []
    for singly in (True, False):
        point = transaction.savepoint_create()
        answers.append(post(postings, singly=singly))
        ends.append(books(members))
        assert reports.check_books(members=[member.pk for member in members]) == []
        again = [row[1] for row in post(postings, singly=singly)]
        assert again == [row[1].replace("posted", "replayed") for row in answers[-1]]
        assert books(members) == ends[-1]
        transaction.savepoint_rollback(point)
    assert answers[0] == answers[1]
    for table, rows in ends[0].items():
        assert rows == ends[1][table], table
    return answers[0]


def accrual(member: Member, points: int | None, reference: str, **given: Any) -> Posting:
    return Posting(
        **{
            "member_id": member.pk,
            "point_type_id": PointType.objects.get(code="points").pk,
            "kind": "accrual",
            "from_account": "issued",
            "to_account": "available",
            "points": points,
            "source": SOURCE,
            "reference": reference,
            "actor": TESTER,
            "occurred_at": AT,
            "recorded_at": AT,
            **given,
        }
    )


def sweep(member: Member, kind: str, cutoff: datetime, **given: Any) -> Posting:
    accounts = {"expiry": ("available", "expired"), "maturity": ("pending", "available")}[kind]
    return accrual(
        member,
        None,
        "2026-03-10",
        **{
            "kind": kind,
            "from_account": accounts[0],
            "to_account": accounts[1],
            "source": "close",
            "available_at": cutoff,
            "expires_at": cutoff,
            "occurred_at": cutoff,
            "recorded_at": cutoff,
            **given,
        },
    )


@pytest.fixture
def crowd() -> list[Member]:
    """As many members as make a long run; the first four have growth too, the fourth may not earn."""
    growth()
    RuleFactory.create(code="refunded", channels=["refunded"])
    members = [new_member() for _ in range(17)]
    Member.objects.filter(pk=members[3].pk).update(status="closed")
    return members


def owing(member: Member, points: int) -> None:
    """Let the member owe: earned, spent and refunded."""
    from points.actions import spending

    if points:
        bought = buy(member, points, channel="refunded")
        spending.spend(member=member, points=points, source=SOURCE, reference=new_reference(), actor=TESTER, at=AT)
        refunding.refund(event=bought, source=SOURCE, reference=new_reference(), occurred_at=AT, actor=TESTER, at=AT)


ends = st.none() | st.integers(1, 3).map(lambda days: AT + timedelta(days=days))


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    drawn=st.lists(
        st.tuples(
            st.integers(0, 3),  # the member; 3 is not active
            st.sampled_from([0, 0, 0, 1]),  # points or growth
            st.sampled_from([1, 5, 30, 1, 5, 30, 0, -1, None, 10**12 + 1]),
            st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),  # few references, so that some repeat
            st.sampled_from(["available", "available", "pending", "held"]),
            ends,
        ),
        min_size=16,
        max_size=40,
    ),
    debts=st.tuples(*[st.sampled_from([0, 0, 12])] * 3),
)
def test_a_run_of_accruals(
    crowd: list[Member], drawn: list[tuple[int, int, int | None, int, str, datetime | None]], debts: Any
) -> None:
    kinds = [PointType.objects.get(code="points").pk, growth().pk]
    with transaction.atomic():
        for member, debt in zip(crowd, debts, strict=False):
            owing(member, debt)
        postings = [
            accrual(
                crowd[who],
                points,
                f"r-{number}",
                point_type_id=kinds[kind],
                to_account=to_account,
                available_at=AT + timedelta(days=1) if to_account == "pending" else None,
                expires_at=end,
            )
            for who, kind, points, number, to_account, end in drawn
        ]

        assert_same_road(postings, crowd[:4])
        transaction.set_rollback(True)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["expiry", "maturity"]),
    held=st.lists(st.lists(st.tuples(st.integers(1, 50), st.booleans(), ends), max_size=4), min_size=16, max_size=17),
    days=st.integers(0, 4),
    debts=st.lists(st.sampled_from([0, 0, 0, 12]), min_size=17, max_size=17),
)
def test_a_run_of_sweeps(
    crowd: list[Member],
    kind: str,
    held: list[list[tuple[int, bool, datetime | None]]],
    days: int,
    debts: list[int],
) -> None:
    members = [member for member in crowd if member is not crowd[3]]
    with transaction.atomic():
        for member, debt in zip(members, debts, strict=False):
            owing(member, debt)
        opened = [
            accrual(
                member,
                points,
                f"lot-{number}",
                to_account="pending" if waits else "available",
                available_at=AT + timedelta(days=number) if waits else None,
                expires_at=end,
            )
            for member, lots in zip(members, held, strict=False)
            for number, (points, waits, end) in enumerate(lots)
        ]
        if opened:
            post(opened, singly=True)
        stranger = replace(sweep(members[0], kind, AT), member_id=10**12)
        cutoff = AT + timedelta(days=days)

        assert_same_road([*(sweep(member, kind, cutoff) for member in members), stranger], members)
        transaction.set_rollback(True)


def test_two_sweeps_of_one_balance_in_one_batch_take_what_is_due_once() -> None:
    members = [new_member() for _ in range(16)]
    for member in members:
        give(member, 10)
        post([accrual(member, 20, "ends", expires_at=AT + timedelta(days=1))], singly=True)
    cutoff = AT + timedelta(days=2)
    twice = [sweep(member, "expiry", cutoff, line=line) for member in members for line in (1, 2)]

    answers = assert_same_road(twice, members)

    assert [row[1:] for row in answers] == [("posted", None, 20), ("refused", "nothing_due", None)] * 16


@pytest.mark.parametrize("size", [0, 10_001])
def test_a_batch_has_its_limits(size: int) -> None:
    from django.db import OperationalError

    posting = accrual(new_member(), 1, "r")
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT points_post(array_fill({_ROW}, ARRAY[%s]))", [*astuple(posting), size])
