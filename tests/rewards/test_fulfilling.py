"""A gift on its way, a service written off, and a gift that came back."""

import pytest

from points.models import Entry
from rewards.actions import fulfilling, redeeming
from rewards.models import Redemption, Stock
from tests.members.factories import AT, TESTER

from .factories import CouponRewardFactory, RewardFactory, ServiceRewardFactory, available, member_with, order, stock

pytestmark = pytest.mark.django_db


def gift() -> Redemption:
    return order(member_with(1_000), RewardFactory.create(), address="here")


def states(redemption: Redemption) -> list[str]:
    return [change.to_state for change in redemption.changes.order_by("id")]


def test_a_gift_is_approved_shipped_and_received() -> None:
    redemption = gift()

    fulfilling.approve(redemption=redemption, actor=TESTER, at=AT, reason="in stock")
    fulfilling.ship(redemption=redemption, actor=TESTER, at=AT, carrier="SF", tracking="SF123")
    fulfilling.complete(redemption=redemption, actor=TESTER, at=AT)

    assert states(redemption) == ["placed", "approved", "shipped", "completed"]
    assert (redemption.carrier, redemption.tracking) == ("SF", "SF123")
    assert redemption.changes.get(to_state="approved").reason == "in stock"
    assert Redemption.objects.get(pk=redemption.pk).address == "here"


def test_a_gift_for_pick_up_gets_a_code_that_writes_it_off_once() -> None:
    redemption = gift()
    fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)

    fulfilling.ready(redemption=redemption, actor=TESTER, at=AT)
    code = redemption.grouped_pickup_code
    done = fulfilling.write_off(code=code.lower(), actor=TESTER, at=AT)

    assert (done, done.state) == (redemption, "completed")
    with pytest.raises(fulfilling.PickupCodeOver) as refused:
        fulfilling.write_off(code=code, actor=TESTER, at=AT)
    assert "Mug is Completed since" in str(refused.value)


@pytest.mark.parametrize(("carrier", "tracking"), [("", "SF123"), ("SF", ""), (" ", " ")])
def test_what_is_shipped_names_its_carrier_and_number(carrier: str, tracking: str) -> None:
    redemption = fulfilling.approve(redemption=gift(), actor=TESTER, at=AT)

    with pytest.raises(fulfilling.CarriageMissing):
        fulfilling.ship(redemption=redemption, actor=TESTER, at=AT, carrier=carrier, tracking=tracking)

    redemption.refresh_from_db()
    assert redemption.state == "approved"


def test_a_code_is_read_however_it_is_typed_or_scanned() -> None:
    for spelling in (str.lower, lambda code: f" {code} ", lambda code: " ".join(code), lambda code: f"{code}\r\n"):
        redemption = order(member_with(10_000), ServiceRewardFactory.create())

        fulfilling.write_off(code=spelling(redemption.grouped_pickup_code), actor=TESTER, at=AT)

        assert states(redemption) == ["ready", "completed"]


@pytest.mark.parametrize("code", ["", "  ", "7KQM-2V9D-XRTA-B4HE"])
def test_a_code_nobody_waits_for_writes_nothing_off(code: str) -> None:
    gift()

    with pytest.raises(fulfilling.PickupCodeUnknown):
        fulfilling.write_off(code=code, actor=TESTER, at=AT)


def test_a_service_is_written_off() -> None:
    redemption = order(member_with(10_000), ServiceRewardFactory.create())

    fulfilling.write_off(code=redemption.pickup_code, actor=TESTER, at=AT)

    assert states(redemption) == ["ready", "completed"]


def test_a_step_that_does_not_follow_is_refused_and_changes_nothing() -> None:
    redemption = gift()

    with pytest.raises(fulfilling.StepRefused):
        fulfilling.ship(redemption=redemption, actor=TESTER, at=AT, carrier="SF", tracking="SF123")
    with pytest.raises(fulfilling.StepRefused):
        fulfilling.return_(redemption=redemption, actor=TESTER, at=AT)

    redemption.refresh_from_db()
    assert (redemption.state, redemption.carrier) == ("placed", "")
    assert states(redemption) == ["placed"]


def test_the_same_step_twice_is_refused_the_second_time() -> None:
    redemption = gift()
    fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)

    with pytest.raises(fulfilling.StepRefused):
        fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)


def test_a_coupon_is_never_shipped() -> None:
    redemption = order(member_with(100), CouponRewardFactory.create())

    with pytest.raises(fulfilling.StepRefused):
        fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)


def test_what_is_on_its_way_is_not_cancelled() -> None:
    redemption = gift()
    fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)
    fulfilling.ship(redemption=redemption, actor=TESTER, at=AT, carrier="SF", tracking="SF123")

    with pytest.raises(redeeming.CannotCancel) as refused:
        redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert "on its way" in str(refused.value)

    assert available(redemption.member) == 0


@pytest.mark.parametrize(("restock", "left"), [(True, 3), (False, 2)])
def test_a_returned_gift_gives_its_points_back_once_and_its_piece_if_it_is_good(restock: bool, left: int) -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 3)
    redemption = order(member, reward)
    fulfilling.approve(redemption=redemption, actor=TESTER, at=AT)
    fulfilling.ship(redemption=redemption, actor=TESTER, at=AT, carrier="SF", tracking="SF123")

    fulfilling.return_(redemption=redemption, actor=TESTER, at=AT, reason="broken", restock=restock)

    assert available(member) == 1_000
    assert Stock.objects.get().count == left
    with pytest.raises(fulfilling.StepRefused):
        fulfilling.return_(redemption=redemption, actor=TESTER, at=AT)
    assert Entry.objects.filter(member=member, kind="restoration").count() == 1


def test_the_queue_shows_what_waits_longest_first() -> None:
    first, second = gift(), order(member_with(10_000), ServiceRewardFactory.create())
    done = order(member_with(100), CouponRewardFactory.create())

    assert list(Redemption.objects.waiting()) == [first, second]
    assert done not in Redemption.objects.waiting()
