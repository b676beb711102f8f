"""What a coupon promises: how much, of what, where, how often, with what, and for how long."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.test import Client

from points.actions.posting import ReferenceConflict
from points.calendar import end_of, local_date
from rewards import discounts
from rewards.actions import coupons
from rewards.actions.coupons import CouponDone
from rewards.discounts import Item
from rewards.models import Coupon, CouponBill, CouponUse
from tests.members.factories import AT, TESTER, MemberFactory, sign_in_for

from .factories import printed_coupon

pytestmark = pytest.mark.django_db

COFFEE, CAKE, BREAD = (
    Item("coffee", "drinks", Fraction(2), 700),
    Item("cake", "sweets", Fraction(1), 900),
    Item("roll", "sweets", Fraction(4), 1_001),
)


def use(coupon: Coupon, reference: str = "u-1", **given: Any) -> CouponDone:
    purchase: dict[str, Any] = {"amount_minor": 10_000, "currency": "CNY", "source": "till", "actor": TESTER, "at": AT}
    return coupons.redeem(code=coupon.code, reference=reference, **purchase | given)


def reasons(coupon: Coupon, **given: Any) -> list[str]:
    asked: dict[str, Any] = {"amount_minor": 10_000, "currency": "CNY", "source": "till", "at": AT}
    return [code for code, _ in coupons.validate(code=coupon.code, **asked | given).reasons]


@pytest.mark.parametrize(
    ("terms", "items", "discount"),
    [
        ({"percent": 20, "most_minor": 1_500}, [], 1_500),
        ({"percent": 20, "most_minor": 2_500}, [], 2_000),
        ({"free_sku": "coffee"}, [COFFEE, CAKE], 350),
        ({"free_category": "sweets"}, [COFFEE, CAKE, BREAD], 250),
        ({"free_category": "sweets"}, [CAKE], 900),
        ({"free_category": "sweets", "most_minor": 500}, [CAKE], 500),
        ({"free_sku": "kilo"}, [Item("kilo", "", Fraction("0.5"), 800)], 800),
    ],
)
def test_a_coupon_takes_off_what_it_promises(terms: dict[str, Any], items: list[Item], discount: int) -> None:
    coupon = printed_coupon(value_minor=None, **terms)

    assert use(coupon, items=items).discount_minor == discount
    assert CouponUse.objects.get(coupon=coupon).discount_minor == discount


def test_a_free_item_is_never_worth_more_than_the_purchase() -> None:
    assert use(printed_coupon(value_minor=None, free_sku="cake"), items=[CAKE], amount_minor=300).discount_minor == 300


def test_every_reason_against_a_coupon_is_told_at_once() -> None:
    coupon = printed_coupon(value_minor=None, free_sku="coffee", channels=["web", "app"], minimum_minor=20_000)

    assert reasons(coupon, items=[CAKE], channel="shop") == ["below_minimum", "channel_mismatch", "item_missing"]
    with pytest.raises(discounts.BelowMinimum):
        use(coupon, items=[CAKE])
    assert not CouponUse.objects.exists()
    assert reasons(coupon, items=[COFFEE], channel="app", amount_minor=20_000) == []


def test_a_code_of_many_uses_is_good_for_exactly_so_many() -> None:
    coupon = printed_coupon(uses=3)

    states = [use(coupon, f"u-{n}").coupon.state for n in range(3)]

    assert states == ["issued", "issued", "redeemed"]
    with pytest.raises(coupons.CouponUnusable):
        use(coupon, "u-9")
    assert CouponUse.objects.filter(coupon=coupon).count() == 3


def test_each_use_of_many_is_given_back_by_its_own_reference() -> None:
    coupon = printed_coupon(uses=3)
    for number in range(3):
        use(coupon, f"u-{number}", amount_minor=100 + number)
    back: dict[str, Any] = {"code": coupon.code, "source": "till", "actor": TESTER, "at": AT}

    with pytest.raises(coupons.UseRequired):
        coupons.rollback(reference="b-0", **back)
    first = coupons.rollback(reference="b-1", use="u-1", **back)
    again = coupons.rollback(reference="b-1", use="u-1", **back)

    assert (first.discount_minor, first.coupon.state, again.replayed) == (101, "rolled_back", True)
    with pytest.raises(coupons.CouponNotRedeemed):
        coupons.rollback(reference="b-2", use="u-1", **back)
    with pytest.raises(coupons.CouponUnusable):
        coupons.rollback(reference="b-3", use="u-0", **back | {"source": "shop"})
    assert use(coupon, "u-4").coupon.state == "redeemed"
    assert [one.reference for one in CouponUse.objects.standing().order_by("id")] == ["u-0", "u-2", "u-4"]


def test_a_printed_code_is_used_once_by_each_member() -> None:
    coupon = printed_coupon(uses=500, uses_per_member=1)
    alice, bob = MemberFactory.create(), MemberFactory.create()

    assert reasons(coupon) == ["member_required"]
    use(coupon, "a", member=alice)
    assert reasons(coupon, member=alice) == ["member_limit_reached"]
    with pytest.raises(discounts.MemberLimitReached):
        use(coupon, "a-2", member=alice)
    use(coupon, "b", member=bob)
    coupons.rollback(code=coupon.code, source="till", reference="r", use="a", actor=TESTER, at=AT)

    assert use(coupon, "a-3", member=alice).coupon.state == "issued"
    assert Coupon.objects.get(pk=coupon.pk).used == 2


def test_coupons_of_one_bill_are_combined_only_when_both_allow_it() -> None:
    plain, other, alone = printed_coupon(), printed_coupon(), printed_coupon(combinable=False)

    use(plain, "1", bill="b-1")
    use(other, "2", bill="b-1")
    assert reasons(alone, bill="b-1") == ["not_combinable"]
    assert reasons(alone, bill="b-1", source="shop") == [], "a bill of another system is another bill"
    with pytest.raises(discounts.NotCombinable):
        use(alone, "3", bill="b-1")
    for reference in ("1", "2"):
        given = plain if reference == "1" else other
        coupons.rollback(code=given.code, source="till", reference=reference, actor=TESTER, at=AT)

    assert use(alone, "3", bill="b-1").coupon.state == "redeemed"
    assert reasons(plain, bill="b-1") == ["not_combinable"]
    assert CouponBill.objects.get().uses == 1


def test_days_are_counted_from_the_day_a_member_gets_the_coupon() -> None:
    coupon = printed_coupon(valid_days=7)
    short = printed_coupon(valid_days=7, expires_at=AT + timedelta(days=2))
    member = MemberFactory.create()

    later = AT + timedelta(days=1)
    given = coupons.assign(coupon=coupon, member=member, actor=TESTER, at=later)

    assert given.expires_at == end_of(local_date(later) + timedelta(days=7))
    end = coupons.assign(coupon=short, member=member, actor=TESTER, at=later).expires_at
    assert end == AT + timedelta(days=2)
    with pytest.raises(coupons.CouponUnusable):
        use(given, member=member, at=given.expires_at)


def test_the_same_use_said_with_other_items_is_a_conflict() -> None:
    coupon = printed_coupon(value_minor=None, free_sku="coffee")
    first = use(coupon, items=[COFFEE])

    assert use(coupon, items=[COFFEE]).discount_minor == first.discount_minor
    with pytest.raises(ReferenceConflict):
        use(coupon, items=[COFFEE, CAKE])


def test_the_member_reads_the_terms_in_plain_words() -> None:
    member = MemberFactory.create()
    browser = Client()
    browser.force_login(sign_in_for(member))
    terms: dict[str, Any] = {"value_minor": None, "free_category": "sweets", "most_minor": 500, "minimum_minor": 2_000}
    coupon = printed_coupon(**terms, channels=["app", "web"], uses=1_500, combinable=False)
    coupons.assign(coupon=coupon, member=member, actor=TESTER, at=AT)
    use(coupon, items=[CAKE], channel="app")
    plain = printed_coupon()
    coupons.assign(coupon=plain, member=member, actor=TESTER, at=AT)

    page = browser.get(f"/coupons/{coupon.pk}/").text

    for words in (
        "A free item of sweets",
        "At most ¥5.00 off",
        "One piece is free; of several kinds the cheapest",
        "For purchases from ¥20.00 on",
        "Only for: app, web",
        "1,499 of 1,500 uses left",
        "Not together with other coupons",
    ):
        assert words in page, words
    assert "uses left" not in browser.get(f"/coupons/{plain.pk}/").text
    assert "A free item of sweets" in browser.get("/coupons/").text
