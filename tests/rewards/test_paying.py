"""Part points, part money: nothing goes on before the money is there, and it is there once."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from config.lib.errors import DomainError
from points import closing
from points.actions.posting import ReferenceConflict
from points.reports import check_books
from rewards import batches
from rewards.actions import fulfilling, paying, redeeming
from rewards.actions.booking import Booking
from rewards.actions.paying import Payment
from rewards.models import Redemption, Stock
from tests.members.factories import AT, TESTER

from .factories import RewardFactory, ServiceRewardFactory, available, member_with, order, stock

pytestmark = pytest.mark.django_db


def gift(**given: Any) -> Redemption:
    return order(member_with(2_000), RewardFactory.create(money_minor=1_500), **given)


def service() -> Redemption:
    return order(member_with(10_000), ServiceRewardFactory.create(money_minor=2_000))


def pay(redemption: Redemption, minor: int, reference: str = "p-1", currency: str = "CNY") -> Payment:
    return paying.record_payment(
        redemption=redemption,
        amount_minor=minor,
        currency=currency,
        source="till",
        reference=reference,
        actor=TESTER,
        at=AT,
    )


def test_the_order_keeps_what_is_due_whatever_the_reward_costs_later() -> None:
    redemption = gift(quantity=2)
    type(redemption.reward).objects.filter(pk=redemption.reward_id).update(money_minor=9_900)

    redemption.refresh_from_db()

    assert (redemption.money_minor, redemption.money_currency, redemption.points) == (3_000, "CNY", 2_000)
    assert redemption.is_unpaid


def test_a_gift_is_approved_after_its_payment_only() -> None:
    redemption = gift()

    with pytest.raises(fulfilling.PaymentMissing):
        fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)
    pay(redemption, 1_500)
    fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)

    steps = redemption.changes.order_by("id").values_list("topic", "to_state", "reference")
    assert list(steps)[1:] == [("payment", "placed", "p-1"), ("state", "approved", "")]


def test_a_service_waits_for_its_payment_and_is_ready_with_it() -> None:
    redemption = service()
    assert (redemption.state, redemption.pickup_code) == ("placed", "")
    with pytest.raises(fulfilling.PaymentMissing):
        fulfilling.ready(redemption=redemption, actor=TESTER, at=AT)

    pay(redemption, 2_000)

    assert (redemption.state, len(redemption.pickup_code)) == ("ready", 16)
    assert fulfilling.write_off(code=redemption.pickup_code, actor=TESTER, at=AT).state == "completed"


def test_a_payment_sent_again_is_the_same_payment() -> None:
    redemption = service()

    first, again = pay(redemption, 2_000), pay(redemption, 2_000)

    assert (first.replayed, again.replayed) == (False, True)
    assert redemption.changes.filter(topic="payment").count() == 1


def test_one_receipt_pays_for_one_order() -> None:
    pay(gift(), 1_500)

    with pytest.raises(ReferenceConflict):
        pay(other := gift(), 1_500)

    other.refresh_from_db()
    assert other.is_unpaid


@pytest.mark.parametrize(
    ("minor", "currency", "code"), [(1_499, "CNY", "wrong_amount"), (1_500, "EUR", "wrong_amount")]
)
def test_another_amount_is_refused_and_keeps_no_reference(minor: int, currency: str, code: str) -> None:
    redemption = gift()

    with pytest.raises(DomainError) as refused:
        pay(redemption, minor, currency=currency)

    assert (refused.value.code, "15.00 CNY" in str(refused.value)) == (code, True)
    assert not pay(redemption, 1_500).replayed


def test_what_is_paid_or_free_or_cancelled_is_not_paid_again() -> None:
    paid, free, cancelled = gift(), order(member_with(1_000), RewardFactory.create()), gift()
    pay(paid, 1_500, "p-1")
    redeeming.cancel(redemption=cancelled, source="shop", reference="x", actor=TESTER, at=AT)

    for redemption, code in ((paid, "already_paid"), (free, "nothing_to_pay"), (cancelled, "cannot_pay")):
        with pytest.raises(DomainError) as refused:
            pay(redemption, 1_500, f"again-{code}")
        assert refused.value.code == code


def test_what_was_paid_meanwhile_is_not_cancelled_by_who_cannot_give_the_money_back() -> None:
    redemption = gift()
    seen_unpaid = Redemption.objects.get(pk=redemption.pk)
    pay(redemption, 1_500)

    with pytest.raises(redeeming.CannotCancel) as refused:
        redeeming.cancel(redemption=seen_unpaid, source="portal", reference="x", actor=TESTER, at=AT, unpaid_only=True)

    assert str(refused.value).startswith("This order is paid.")
    redemption.refresh_from_db()
    assert (redemption.state, available(redemption.member)) == ("placed", 1_000)


def late(redemption: Redemption) -> datetime:
    return redemption.placed_at + paying.TIME_TO_PAY


def test_an_order_that_nobody_pays_gives_points_and_piece_back_once() -> None:
    member, reward = member_with(1_000), RewardFactory.create(money_minor=1_500)
    stock(reward, 1)
    unpaid, paid, free = order(member, reward), gift(), order(member_with(1_000), RewardFactory.create())
    pay(paid, 1_500)

    early = batches.cancel_unpaid(at=late(unpaid) - timedelta(seconds=1), actor=TESTER)
    counts = [batches.cancel_unpaid(at=late(unpaid), actor=TESTER) for _ in range(2)]

    assert [one["orders"] for one in (early, *counts)] == [0, 1, 0]
    for redemption in (unpaid, paid, free):
        redemption.refresh_from_db()
    assert [one.state for one in (unpaid, paid, free)] == ["cancelled", "placed", "placed"]
    assert unpaid.changes.get(to_state="cancelled").reason == "not paid in time"
    assert (available(member), Stock.objects.get().count) == (1_000, 1)
    assert closing.close(business_date=AT.date(), at=late(unpaid))
    assert check_books() == []


def test_a_visit_that_was_booked_and_never_paid_is_taken_back_too() -> None:
    soon = Booking(AT + timedelta(hours=1), "North hall")
    redemption = order(member_with(10_000), ServiceRewardFactory.create(money_minor=500), booking=soon)

    batches.cancel_unpaid(at=late(redemption), actor=TESTER)

    assert available(redemption.member) == 10_000


def test_taking_back_goes_on_where_it_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    unpaid = [gift() for _ in range(3)]
    really, killed = redeeming.give_back, [unpaid[1].pk]

    def give_back(*, redemption: Redemption, **given: Any) -> None:
        if redemption.pk in killed:
            raise ZeroDivisionError
        really(redemption=redemption, **given)

    monkeypatch.setattr(redeeming, "give_back", give_back)
    with pytest.raises(ZeroDivisionError):
        batches.cancel_unpaid(at=late(unpaid[0]), actor=TESTER)
    killed.clear()

    assert batches.cancel_unpaid(at=late(unpaid[0]), actor=TESTER) == {"orders": 2, "failed": 0}
    assert [available(one.member) for one in unpaid] == [2_000] * 3


@pytest.mark.parametrize("is_paid", [True, False])
def test_an_order_with_money_is_cancelled_like_any_other(is_paid: bool) -> None:
    member, reward = member_with(1_000), RewardFactory.create(money_minor=1_500)
    stock(reward, 1)
    redemption = order(member, reward)
    if is_paid:
        pay(redemption, 1_500)

    redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert (available(member), Stock.objects.get().count) == (1_000, 1)
    assert check_books() == []
