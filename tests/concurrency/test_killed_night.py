"""A night that is killed anywhere and run again, or run as two processes at once, ends where one quiet night ends."""

import os
import subprocess
import sys
import time
from datetime import date, timedelta
from random import Random

import pytest
from django.conf import settings
from django.db import connection, transaction

from members.actions.enrolling import Person, enrol_many
from members.models import Member, MemberKey
from members.models.people import MemberKeyKind
from points import reports
from points.actions import holding
from points.models import JobRun
from tests.members.factories import TierFactory, base_tier
from tests.points.factories import (
    AT,
    SOURCE,
    TESTER,
    PointTypeFactory,
    RuleFactory,
    event,
    fixed_rule,
    growth,
    local,
    night,
    take,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

DAY = date(2026, 3, 12)
MEMBERS = 1_200
NIGHT = """
import sys
from datetime import date, datetime
import django
django.setup()
from points import batches, closing
batches.CHUNK = 60
def told(step, count):
    print(step, count, flush=True)
print("begin", flush=True)
closing.close(business_date=date.fromisoformat(sys.argv[1]), at=datetime.fromisoformat(sys.argv[2]), progress=told)
print("end", flush=True)
"""


@pytest.fixture
def due() -> list[int]:
    """Many members with lots that mature and expire, holds that are stale, friends that count and tiers to reach."""
    base_tier()
    TierFactory.create(code="gold", rank=1, threshold=40)
    PointTypeFactory.create()
    RuleFactory.create(code="ends", channels=["a"], expiry_policy="days", expiry_value=1)
    RuleFactory.create(code="growth", point_type=growth())
    fixed_rule(11, code="waits", channels=["a", "b"], pending_days=2, is_base=False)
    fixed_rule(100, code="friend", event_types=["referral"])
    enrolled = enrol_many(
        source="tests", people=[Person(external=f"p-{n}") for n in range(MEMBERS)], actor=TESTER, at=AT
    )
    numbers = list(enrolled.numbers.values())
    ids = list(
        MemberKey.objects.filter(kind=MemberKeyKind.NUMBER, key__in=numbers)
        .order_by("member_id")
        .values_list("member_id", flat=True)
    )
    Member.objects.filter(pk__in=ids[100:120]).update(referred_by=ids[0])
    members = {member.pk: member for member in Member.objects.filter(pk__in=ids)}
    take(
        [
            event(members[pk], place % 50 + 1, channel="ab"[place % 2], occurred_at=AT - timedelta(hours=part))
            for place, pk in enumerate(ids)
            for part in range(2)
        ],
        at=AT,
    )
    for pk in ids[:60:2]:
        holding.hold(member=members[pk], points=1, source=SOURCE, reference=f"h-{pk}", actor=TESTER, at=AT)
    return ids


def start_night() -> subprocess.Popen[str]:
    """One night in a process of its own, on this very database."""
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LAUREL_VAR": str(settings.DATA_FOLDER),
        "PYTHONPATH": str(settings.BASE_DIR),
    }
    return subprocess.Popen(
        [sys.executable, "-c", NIGHT, DAY.isoformat(), (local(2026, 3, 13, 2)).isoformat()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=settings.BASE_DIR,
    )


def figures() -> dict[str, list[tuple[object, ...]]]:
    """What a night leaves behind, ids and the order of members apart."""
    queries = {
        "balances": "SELECT member_id, point_type_id, available, pending, held, owed, issued, redeemed, expired"
        " FROM points_balance ORDER BY 1, 2",
        "entries": "SELECT member_id, kind, points, source, reference, count(*) FROM points_entry"
        " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        "lots": "SELECT member_id, points, remaining, is_pending, expires_at FROM points_lot ORDER BY 1, 2, 3, 4, 5",
        "holds": "SELECT member_id, reference, status, captured FROM points_hold ORDER BY 1, 2",
        "statistics": "SELECT day, point_type, kind, rule_id, channel, tier, entries, points"
        " FROM points_dailystatistic ORDER BY 1, 2, 3, 4, 5, 6",
        "months": "SELECT member_id, month, category, currency, events, amount_minor, earned, redeemed"
        " FROM points_membermonth ORDER BY 1, 2, 3, 4",
        "tiers": "SELECT m.id, t.code FROM members_member m JOIN members_tier t ON t.id = m.tier_id ORDER BY 1",
    }
    with connection.cursor() as cursor:
        seen = {}
        for name, query in queries.items():
            cursor.execute(query)
            seen[name] = cursor.fetchall()
    return seen


def quiet_night() -> dict[str, list[tuple[object, ...]]]:
    """What one undisturbed night would leave; it is taken back."""
    with transaction.atomic():
        night(DAY)
        seen = figures()
        transaction.set_rollback(True)
    return seen


def assert_same(seen: dict[str, list[tuple[object, ...]]], expected: dict[str, list[tuple[object, ...]]]) -> None:
    for name, rows in expected.items():
        assert seen[name] == rows, name
    assert JobRun.objects.get().state == "done"
    assert reports.check_books() == []
    assert all(line.total == 0 for line in reports.trial_balance())


def test_a_night_killed_at_random_moments_and_run_again_is_the_same_night(due: list[int]) -> None:
    expected = quiet_night()
    assert len({row[1] for row in expected["entries"]} & {"maturity", "expiry", "release", "accrual"}) == 4
    dice = Random(20260313)

    # Each time it comes some chunks further and then is killed in the middle of something.
    for lines in (2, 12, 25, 30):
        process = start_night()
        assert process.stdout
        for _ in range(lines):
            if not process.stdout.readline():
                break
        time.sleep(dice.random() * 0.02)
        process.kill()
        process.wait(20)
    last = start_night()
    told, complaint = last.communicate(timeout=120)

    assert last.returncode == 0, complaint
    assert told.endswith("end\n")
    assert_same(figures(), expected)


def test_two_nights_at_once_are_one_night(due: list[int]) -> None:
    expected = quiet_night()

    nights = [start_night(), start_night()]
    ends = [one.communicate(timeout=120) for one in nights]

    assert [one.returncode for one in nights] == [0, 0], ends
    assert_same(figures(), expected)
