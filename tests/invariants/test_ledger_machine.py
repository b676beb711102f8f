"""Random histories on the real database beside a reference in Python: after every step both say the same.

`LAUREL_EXAMPLES=10` walks ten times as many, `LAUREL_STEPS=100` longer ones.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from config.lib.errors import DomainError
from members.models import Member
from points import batches, reports
from points.actions import adjusting, awarding, holding, refunding, spending
from points.calendar import end_of, end_of_day, local_date
from points.models import ClawbackPolicy, Entry, Event, PointType
from points.models import Hold as HoldRow
from points.models import Lot as LotRow
from tests.points.factories import (
    AT,
    SOURCE,
    TESTER,
    RuleFactory,
    accounts,
    event,
    examples,
    fixed_rule,
    in_utc,
    kept,
    new_member,
    new_reference,
)

from .reference import Book, Hold, Purchase, Refused, Taking

GRACE = timedelta(days=30)
small = st.integers(1, 60)


def programme() -> None:
    """Points that never end, that end soon, that wait, and two awards of one event."""
    RuleFactory.create(code="plain", channels=["plain"])
    RuleFactory.create(code="short", channels=["short", "both"], expiry_policy="days", expiry_value=4)
    RuleFactory.create(code="later", channels=["later"], pending_days=3, expiry_policy="days", expiry_value=9)
    fixed_rule(7, code="bonus", channels=["both"], is_base=False, pending_days=2, expiry_policy="days", expiry_value=1)
    RuleFactory.create(code="wares", channels=["wares"], expiry_policy="days", expiry_value=6)
    RuleFactory.create(
        code="food", channels=["wares"], categories=["FOOD"], amount_basis="items", per_minor=70, is_base=False
    )


def midnight(at: datetime, days: int) -> datetime:
    """The local midnight that begins the day so many days after that of a moment."""
    return end_of_day(at + timedelta(days=days - 1))


def awards_of(channel: str, yuan: int, at: datetime) -> list[tuple[int, datetime | None, datetime | None]]:
    """What the programme above promises for a purchase: points, end, available at."""
    promised: dict[str, list[tuple[int, datetime | None, datetime | None]]] = {
        "plain": [(yuan, None, None)],
        "short": [(yuan, midnight(at, 5), None)],
        "later": [(yuan, midnight(at, 10), midnight(at, 3))],
        "both": [(yuan, midnight(at, 5), None), (7, midnight(at, 2), midnight(at, 2))],
        "wares": [(yuan, midnight(at, 7), None), (goods_of(yuan)["FOOD"] // 70, None, None)],
    }
    return promised[channel]


def goods_of(yuan: int) -> dict[str, int]:
    """The bill of a purchase in the channel that has one: in minor units by category."""
    return {"FOOD": yuan * 37, "TOYS": yuan * 63}


def line(category: str, amount: int) -> dict[str, Any]:
    return {"sku": category.lower(), "category": category, "amount_minor": amount}


class Somebody:
    """A member beside the book that says what the member should have."""

    def __init__(self) -> None:
        self.member: Member = new_member()
        self.book = Book()
        self.purchases: list[tuple[Event, Purchase]] = []
        self.takings: list[tuple[int, Taking]] = []
        self.holds: list[tuple[HoldRow, Hold]] = []


class LedgerMachine(RuleBasedStateMachine):
    """Two members and everything that can happen to their points."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(transaction.atomic())
        self.now = AT
        self.people = [Somebody(), Somebody()]
        self.done: list[Callable[[], object]] = []

    def teardown(self) -> None:
        try:
            assert reports.check_books() == []
        finally:
            transaction.set_rollback(True)
            self.stack.close()

    def both[T, S](self, real: Callable[[], T], told: Callable[[], S]) -> tuple[T, S] | None:
        """Do it in the database and in the book: both do, or both refuse for the same reason."""
        expected: S
        answer: T
        refusal = refused = None
        try:
            expected = told()
        except Refused as error:
            refusal = error.code
        try:
            answer = real()
        except DomainError as error:
            refused = error.code
        assert refused == refusal, f"the database says {refused}, the book {refusal}"
        if refused:
            return None
        self.done.append(real)
        return answer, expected

    def call(self, action: Callable[..., Any], **given: Any) -> Callable[[], Any]:
        """An action with a reference and a moment of its own, to be done now and perhaps again later."""
        fixed = {"source": SOURCE, "reference": new_reference("m"), "actor": TESTER, "at": self.now, **given}
        return lambda: action(**fixed)

    @initialize(hours=st.integers(0, 23), clamps=st.booleans())
    def begin(self, hours: int, clamps: bool) -> None:
        self.now += timedelta(hours=hours)
        PointType.objects.update(clawback_policy=ClawbackPolicy.CLAMP if clamps else ClawbackPolicy.OWE)
        for one in self.people:
            one.book.clamps = clamps

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(who=st.integers(0, 1), yuan=small, channel=st.sampled_from(["plain", "short", "later", "both", "wares"]))
    def buys(self, who: int, yuan: int, channel: str) -> None:
        one = self.people[who]
        goods = goods_of(yuan) if channel == "wares" else {}
        items = [line(category, amount) for category, amount in goods.items()] or None
        incoming = event(one.member, yuan, channel=channel, occurred_at=self.now, items=items)
        at = self.now

        def real() -> Event:
            return kept(one.member, awarding.award(event=incoming, source=SOURCE, actor=TESTER, at=at))

        made = self.both(real, lambda: one.book.buy(yuan * 100, awards_of(channel, yuan, at), at, goods))
        assert made
        one.purchases.append(made)

    @rule(who=st.integers(0, 1), points=small)
    def is_credited(self, who: int, points: int) -> None:
        one = self.people[who]
        real = self.call(adjusting.adjust, member=one.member, points=points, credit=True, reason="r")
        self.both(real, lambda: one.book.credit(points, self.now, ends=None))

    @rule(who=st.integers(0, 1), points=small)
    def is_debited(self, who: int, points: int) -> None:
        one = self.people[who]
        real = self.call(adjusting.adjust, member=one.member, points=points, credit=False, reason="r")
        self.both(real, lambda: one.book.debit(points, self.now))

    @rule(who=st.integers(0, 1), points=small, on=st.integers(0, 20))
    def spends(self, who: int, points: int, on: int) -> None:
        """Spend points, sometimes on a purchase."""
        one = self.people[who]
        bought = one.purchases[on] if on < len(one.purchases) else None
        real = self.call(spending.spend, member=one.member, points=points, event_id=bought[0].pk if bought else None)
        made = self.both(real, lambda: one.book.spend(points, self.now, bought[1] if bought else None))
        if made:
            one.takings.append((made[0].entry_id, made[1]))

    @precondition(lambda self: any(one.takings for one in self.people))
    @rule(data=st.data(), points=small)
    def returns(self, data: st.DataObject, points: int) -> None:
        one = data.draw(st.sampled_from([one for one in self.people if one.takings]))
        entry_id, taking = data.draw(st.sampled_from(one.takings))
        real = self.call(spending.restore, member=one.member, entry_id=entry_id, points=points)
        self.both(real, lambda: one.book.restore(taking, points, self.now, end_of_day(self.now + GRACE)))

    @rule(who=st.integers(0, 1), points=small, hours=st.integers(1, 100))
    def holds(self, who: int, points: int, hours: int) -> None:
        one = self.people[who]
        patience = timedelta(hours=hours)
        real = self.call(holding.hold, member=one.member, points=points, expires_in=patience)
        made = self.both(real, lambda: one.book.hold(points, self.now, self.now + patience))
        if made:
            one.holds.append((made[0].hold, made[1]))

    @precondition(lambda self: any(one.holds for one in self.people))
    @rule(data=st.data(), points=small, on=st.integers(0, 8))
    def captures(self, data: st.DataObject, points: int, on: int) -> None:
        """Spend held points, sometimes on a purchase, and be it one that is refunded in part."""
        one = data.draw(st.sampled_from([one for one in self.people if one.holds]))
        row, hold = data.draw(st.sampled_from(one.holds))
        bought = one.purchases[on] if on < len(one.purchases) else None
        real = self.call(holding.capture, hold=row, points=points, event_id=bought[0].pk if bought else None)
        if self.both(real, lambda: one.book.capture(hold, points, self.now, bought[1] if bought else None)):
            captured = Entry.objects.get(member=one.member, kind="redemption", corrects=row.entry_id)
            one.takings.append((captured.pk, hold.taking))

    @precondition(lambda self: any(one.holds for one in self.people))
    @rule(data=st.data())
    def voids(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.people if one.holds]))
        row, hold = data.draw(st.sampled_from(one.holds))
        self.both(self.call(holding.void, hold=row), lambda: one.book.void(hold, self.now))

    @precondition(lambda self: any(one.purchases for one in self.people))
    @rule(data=st.data(), part=st.integers(1, 10))
    def is_refunded(self, data: st.DataObject, part: int) -> None:
        one = data.draw(st.sampled_from([one for one in self.people if one.purchases]))
        bought, purchase = data.draw(st.sampled_from(one.purchases))
        amount = max(1, purchase.amount * part // 7)
        real = self.call(refunding.refund, event=bought, amount_minor=amount, occurred_at=self.now)
        self.both(real, lambda: one.book.refund(purchase, amount, self.now, end_of_day(self.now + GRACE)))

    @precondition(lambda self: any(purchase.goods for one in self.people for _event, purchase in one.purchases))
    @rule(data=st.data(), part=st.integers(1, 8))
    def goods_go_back(self, data: st.DataObject, part: int) -> None:
        """Refund a line, or more than a line, of a purchase that has a bill."""
        bills = [(one, *made) for one in self.people for made in one.purchases if made[1].goods]
        one, bought, purchase = data.draw(st.sampled_from(bills))
        category = data.draw(st.sampled_from(sorted(purchase.goods)))
        amount = max(1, purchase.goods[category] * part // 6)
        real = self.call(
            refunding.refund,
            event=bought,
            items=[line(category, amount)],
            occurred_at=max(self.now, bought.occurred_at),
        )
        end, goods = end_of_day(self.now + GRACE), {category: amount}
        self.both(real, lambda: one.book.refund(purchase, amount, self.now, end, goods))

    @rule()
    def night_falls(self) -> None:
        """Close the day before, in the order of the night; a day closed already is closed again."""
        day, at = local_date(self.now) - timedelta(days=1), self.now
        batches.mature(business_date=day, at=at)
        batches.void_stale_holds(at=at, actor=TESTER)
        batches.expire(business_date=day, at=at)
        for one in self.people:
            one.book.mature(day, end_of(day), at)
            for _row, hold in one.holds:
                if hold.open and hold.deadline <= at:
                    one.book.void(hold, at)
            one.book.expire(day, end_of(day))

    @precondition(lambda self: bool(self.done))
    @rule(data=st.data())
    def something_is_sent_again(self, data: st.DataObject) -> None:
        """Any earlier call again changes nothing, whatever happened since."""
        data.draw(st.sampled_from(self.done))()

    @invariant()
    def the_database_says_what_the_book_says(self) -> None:
        for one in self.people:
            assert accounts(one.member) == one.book.accounts()
            rows = LotRow.objects.filter(member=one.member).order_by("id")
            assert [(lot.points, lot.remaining, lot.is_pending, lot.expires_at) for lot in rows] == [
                (lot.size, lot.remaining, lot.pending, lot.ends and in_utc(lot.ends)) for lot in one.book.lots
            ]


@pytest.mark.django_db
def test_any_history_ends_where_the_reference_ends() -> None:
    programme()

    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=examples(15),
            stateful_step_count=int(os.environ.get("LAUREL_STEPS", "30")),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
