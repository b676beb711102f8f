"""Ten thousand events beside single ones, and the night beside the day: nobody waits for ever and nothing is lost."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from members.models import Member
from points import reports
from points.actions import adjusting, holding
from points.calendar import end_of, local_date, start_of
from points.models import DailyStatistic, Entry, Event, JobRun
from rewards.models import Redemption, Stock
from tests.api.conftest import Answer, Caller, purchase
from tests.members.factories import MemberFactory
from tests.points.factories import (
    TESTER,
    RuleFactory,
    accounts,
    event,
    expiring_lot,
    new_reference,
    night,
    take,
)
from tests.rewards.factories import RewardFactory, stock

from .calling import CLIENTS, order, refund, send_at_once, tally
from .racing import at_once, winners

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.usefixtures("_one_storm_at_a_time"),
]

BULK = 10_000


def test_ten_thousand_events_beside_single_ones_of_the_same_members_are_each_taken_once(till: Caller) -> None:
    members = [MemberFactory.create() for _ in range(40)]
    bulk = [purchase(members[n % 40], f"bulk-{n}", f"{n % 7 + 1}.00") for n in range(BULK)]
    # A part of it is sent again backwards, and single tills send some of it and some of their own.
    again = bulk[: -BULK // 4 : -1]
    shared, own = bulk[:: BULK // 100], [purchase(members[n % 40], f"own-{n}", "1.00") for n in range(200)]
    singles = [*shared, *own]
    Random(20260301).shuffle(singles)

    answers = send_at_once(till, [("events/", body) for body in (bulk, again, *singles)])

    assert [answer.status for answer in answers[:2]] == [200, 200]
    assert {answer.status for answer in answers[2:]} <= {200, 201}
    rows = [row for answer in answers[:2] for row in answer.body] + [answer.body for answer in answers[2:]]
    assert len(rows) == BULK + len(again) + len(singles)
    accepted = Counter(row["reference"] for row in rows if row["status"] == "accepted")
    assert set(accepted.values()) == {1}
    assert len(accepted) == Event.objects.count() == BULK + len(own)
    assert {row["status"] for row in rows} == {"accepted", "replayed"}
    given = {row["reference"]: row["points"] for row in rows if row["status"] == "accepted"}
    assert all(row["points"] == given[row["reference"]] for row in rows)
    for place, member in enumerate(members):
        earned = sum(n % 7 + 1 for n in range(place, BULK, 40)) + sum(n % 40 == place for n in range(len(own)))
        assert accounts(member) == {"issued": earned, "available": earned}
    assert not reports.check_books()


def test_the_night_and_a_busy_day_side_by_side(till: Caller) -> None:
    now = timezone.now()
    yesterday = local_date(now) - timedelta(days=1)
    noon = start_of(yesterday) + timedelta(hours=12)
    RuleFactory.create(code="waits", channels=["waits"], pending_days=1, is_base=False)
    mug = RewardFactory.create(points=5)
    stock(mug, 20)
    members = [MemberFactory.create() for _ in range(12)]
    stale: list[str] = []
    for member in members:
        expiring_lot(member, 10, yesterday, at=noon)
        take(event(member, 5, channel="waits", occurred_at=noon), at=noon)
        held = holding.hold(
            member=member, points=3, source="till", reference=new_reference("h"), actor=TESTER, at=noon
        )
        stale.append(f"holds/{held.hold.key}")
    booked = Entry.objects.filter(recorded_at__gte=start_of(yesterday), recorded_at__lt=end_of(yesterday)).count()

    def post(address: str, body: Any) -> list[Answer]:
        return [till.post(address, body)]

    def buy_and_return(member: Member) -> list[Answer]:
        bill = {**purchase(member, new_reference("e"), "8.00"), "occurred_at": now.isoformat()}
        back = {**refund(), "occurred_at": now.isoformat()}
        return [*post("events/", bill), *post(f"events/{bill['reference']}/refunds/", back)]

    def correct(member: Member, credit: bool) -> list[Answer]:
        adjusting.adjust(
            member=member, points=1, credit=credit, reason="r", reference=new_reference("a"), actor=TESTER, at=now
        )
        return []

    day: list[Callable[[], list[Answer]]] = []
    for member, hold in zip(members, stale, strict=True):
        day += [partial(post, f"{hold}/capture/", {"reference": new_reference("c")})]
        day += [partial(post, f"{hold}/void/", {"reference": new_reference("v")})]
        for _ in range(4):
            body = {"reference": new_reference("h"), "member": member.number, "points": 2}
            day += [partial(post, "holds/", body), partial(post, "redemptions/", order(member, mug))]
            day += [partial(buy_and_return, member), partial(correct, member, True), partial(correct, member, False)]
    Random(20260302).shuffle(day)

    def close() -> list[Answer]:
        night(yesterday, at=now)
        return []

    results = at_once([close, close, *day], clients=CLIENTS)

    answers = [answer for done in winners(results) for answer in done]
    refused = {code for (_status, code), _count in tally(answers).items()} | {
        one.code for one in results if not isinstance(one, list)
    }
    assert len(answers) == len(members) * (2 + 4 * 4)
    assert not [answer.text for answer in answers if answer.status >= 500]
    assert refused <= {"", "hold_closed", "insufficient_points", "out_of_stock"}
    assert JobRun.objects.get().state == "done"
    for member in members:
        assert accounts(member)["expired"] == 10
        assert "pending" not in accounts(member)
    kinds = Counter(Entry.objects.values_list("kind", flat=True))
    assert (kinds["expiry"], kinds["maturity"]) == (len(members), len(members))
    assert DailyStatistic.objects.filter(day=yesterday).aggregate(all=Sum("entries"))["all"] == booked
    assert Stock.objects.get().count == 20 - Redemption.objects.standing().count()
    assert not reports.check_books()
    assert all(line.total == 0 for line in reports.trial_balance())
