"""A coupon kept for a checkout: used by it, released, or free again when its time is over."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from members.actions.updating import change_standing
from points.actions.posting import ReferenceConflict
from rewards import batches, discounts
from rewards.actions import coupons
from rewards.actions.coupons import CouponDone, CouponHeld
from rewards.models import Coupon, CouponEvent, CouponReservation, CouponUse
from tests.members.factories import AT, TESTER, MemberFactory

from .factories import printed_coupon

pytestmark = pytest.mark.django_db

TILL: dict[str, Any] = {"source": "till", "actor": TESTER, "at": AT}
PURCHASE: dict[str, Any] = {"amount_minor": 10_000, "currency": "CNY"} | TILL
LATER = AT + timedelta(minutes=20)


def reserve(coupon: Coupon, reference: str = "cart", **given: Any) -> CouponHeld:
    return coupons.reserve(code=coupon.code, reference=reference, **PURCHASE | given)


def use(coupon: Coupon, reference: str = "pay", **given: Any) -> CouponDone:
    return coupons.redeem(code=coupon.code, reference=reference, **PURCHASE | given)


def state_of(coupon: Coupon) -> str:
    return Coupon.objects.get(pk=coupon.pk).state


def test_a_reserved_coupon_is_used_by_who_reserved_it_and_nobody_else() -> None:
    coupon = printed_coupon()

    held = reserve(coupon)

    assert (held.discount_minor, held.reservation.expires_at) == (500, AT + timedelta(minutes=15))
    assert state_of(coupon) == "reserved"
    for stranger in ({"source": "shop"}, {}, {"reservation": "other"}):
        with pytest.raises(coupons.CouponUnusable):
            use(coupon, **stranger)
    assert use(coupon, reservation="cart").coupon.state == "redeemed"
    steps = CouponEvent.objects.filter(coupon=coupon).order_by("id").values_list("to_state", flat=True)
    assert list(steps) == ["issued", "reserved", "redeemed"]


def test_the_reference_of_the_reservation_may_be_that_of_the_use() -> None:
    coupon = printed_coupon()
    reserve(coupon, "order-7")

    assert use(coupon, "order-7").coupon.state == "redeemed"


def test_the_same_reservation_gives_the_first_answer_and_another_is_a_conflict() -> None:
    coupon = printed_coupon()
    first = reserve(coupon)

    again = reserve(coupon)

    assert (again.replayed, again.reservation) == (True, first.reservation)
    with pytest.raises(ReferenceConflict):
        reserve(coupon, amount_minor=9_000)
    assert CouponReservation.objects.count() == 1


def test_a_released_coupon_is_free_and_released_once() -> None:
    coupon = printed_coupon()
    reserve(coupon)

    first = coupons.release(code=coupon.code, reference="cart", **TILL)
    again = coupons.release(code=coupon.code, reference="cart", **TILL)

    assert (first.replayed, again.replayed, state_of(coupon)) == (False, True, "issued")
    assert (first.reservation.ended_by, first.reservation.ended_at) == (TESTER, AT)
    with pytest.raises(coupons.CouponUnusable):
        coupons.release(code=coupon.code, reference="other", **TILL)
    assert use(coupon).coupon.state == "redeemed"


def test_what_was_used_cannot_be_released() -> None:
    coupon = printed_coupon()
    reserve(coupon)
    use(coupon, reservation="cart")

    with pytest.raises(coupons.CouponUnusable):
        coupons.release(code=coupon.code, reference="cart", **TILL)

    assert state_of(coupon) == "redeemed"


def test_a_reservation_beyond_its_time_holds_nobody_up() -> None:
    coupon, other = printed_coupon(), printed_coupon()
    reserve(coupon)
    reserve(other, "cart-2")

    assert coupons.validate(code=coupon.code, amount_minor=1, currency="CNY", at=LATER).valid
    with pytest.raises(coupons.CouponUnusable):
        use(coupon, reservation="cart", at=LATER)
    assert use(coupon, source="shop", at=LATER).coupon.state == "redeemed"
    assert batches.release_stale(at=LATER, actor=TESTER) == 1
    assert batches.release_stale(at=LATER, actor=TESTER) == 0
    assert state_of(other) == "issued"


@pytest.mark.parametrize("terms", [{}, {"uses_per_member": 1}])
def test_forty_carts_that_were_left_hold_up_nobody_who_finds_a_use_free(
    terms: dict[str, int], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    coupon, member = printed_coupon(uses=50, **terms), MemberFactory.create()
    for number in range(40):
        reserve(coupon, f"cart-{number}", member=MemberFactory.create() if terms else None)

    with django_assert_max_num_queries(14):
        use(coupon, member=member, at=LATER)

    assert Coupon.objects.get(pk=coupon.pk).held == 40


def test_of_carts_that_were_left_one_gives_way_when_no_use_is_free() -> None:
    coupon = printed_coupon(uses=3)
    for number in range(3):
        reserve(coupon, f"cart-{number}")

    use(coupon, at=LATER)
    reserve(coupon, "new", at=LATER)

    states = CouponReservation.objects.order_by("id").values_list("reference", "state")
    assert list(states) == [("cart-0", "released"), ("cart-1", "released"), ("cart-2", "held"), ("new", "held")]


def test_of_a_code_of_many_uses_each_reservation_keeps_one() -> None:
    coupon = printed_coupon(uses=3)
    reserve(coupon, "a")
    reserve(coupon, "b")

    use(coupon, "c")

    assert state_of(coupon) == "reserved"
    with pytest.raises(coupons.CouponUnusable):
        use(coupon, "d")
    coupons.release(code=coupon.code, reference="a", **TILL)
    use(coupon, "d")
    use(coupon, "b")
    assert state_of(coupon) == "redeemed"
    assert sorted(CouponUse.objects.values_list("reference", flat=True)) == ["b", "c", "d"]


def test_the_stale_of_one_code_are_all_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    coupon = printed_coupon(uses=10)
    for number in range(5):
        reserve(coupon, f"cart-{number}")

    assert batches.release_stale(at=LATER, actor=TESTER) == 5

    assert Coupon.objects.get(pk=coupon.pk).held == 0
    ends = set(CouponReservation.objects.values_list("state", "ended_by", "ended_at"))
    assert ends == {("released", TESTER, LATER)}


def test_a_reservation_ends_with_its_coupon_and_is_released_by_the_night() -> None:
    coupon = printed_coupon(expires_at=AT + timedelta(minutes=5))

    assert reserve(coupon).reservation.expires_at == AT + timedelta(minutes=5)
    assert batches.expire_coupons(at=AT + timedelta(minutes=5), actor=TESTER) == 1

    assert state_of(coupon) == "expired"


def test_a_void_coupon_is_reserved_no_longer() -> None:
    coupon = printed_coupon()
    reserve(coupon)

    coupons.void(coupon=coupon, actor=TESTER, at=AT, reason="fraud")

    assert state_of(coupon) == "void"
    kept = CouponReservation.objects.get()
    assert (kept.state, kept.ended_reason) == ("released", "fraud")


def test_a_members_reservation_counts_against_the_members_limit() -> None:
    coupon = printed_coupon(uses=9, uses_per_member=1)
    alice, bob = MemberFactory.create(), MemberFactory.create()
    reserve(coupon, member=alice)

    with pytest.raises(discounts.MemberLimitReached):
        use(coupon, "other", member=alice)
    with pytest.raises(coupons.CouponUnusable):
        use(coupon, "pay", member=bob, reservation="cart")

    assert use(coupon, "pay", member=alice, reservation="cart").coupon.used == 1
    assert CouponUse.objects.get().member_id == alice.pk


def test_what_was_kept_for_a_member_who_is_suspended_is_used_by_nobody() -> None:
    coupon, alice = printed_coupon(), MemberFactory.create()
    reserve(coupon, member=alice)
    change_standing(member=alice, status="suspended", reason="fraud", actor=TESTER, at=AT)

    with pytest.raises(coupons.CouponUnusable):
        use(coupon, reservation="cart")

    assert state_of(coupon) == "reserved"
    assert not CouponUse.objects.exists()


def test_what_a_member_left_in_a_cart_counts_no_longer_when_its_time_is_over() -> None:
    coupon, alice = printed_coupon(uses=9, uses_per_member=1), MemberFactory.create()
    reserve(coupon, member=alice)
    asked: dict[str, Any] = {"code": coupon.code, "amount_minor": 10_000, "currency": "CNY", "member": alice}

    before, after = coupons.validate(at=AT, **asked), coupons.validate(at=LATER, **asked)
    used = use(coupon, member=alice, at=LATER)

    assert ([code for code, _ in before.reasons], after.valid) == (["member_limit_reached"], True)
    assert (used.coupon.used, used.coupon.held) == (1, 0)
