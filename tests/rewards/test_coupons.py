"""Coupons: made, given, checked without effect, used once, and given back."""

import re
from datetime import timedelta
from typing import Any

import pytest

from points.actions.posting import ReferenceConflict
from points.models import Reference
from rewards import batches, discounts
from rewards.actions import coupons, redeeming
from rewards.actions.coupons import CouponDone
from rewards.models import Coupon, CouponEvent, CouponKey
from tests.members.factories import AT, TESTER, MemberFactory

from .factories import (
    CouponBatchFactory,
    CouponRewardFactory,
    available,
    codes_of,
    member_with,
    order,
    printed_coupon,
)

pytestmark = pytest.mark.django_db

SAFE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def use(coupon: Coupon, **given: Any) -> CouponDone:
    purchase: dict[str, Any] = {"amount_minor": 10_000, "currency": "CNY", "source": "till", "reference": "u-1"}
    return coupons.redeem(actor=TESTER, at=AT, **{"code": coupon.code} | purchase | given)


def check(coupon: Coupon, **given: Any) -> coupons.CouponCheck:
    asked: dict[str, Any] = {"code": coupon.code, "amount_minor": 10_000, "currency": "CNY"}
    return coupons.validate(at=AT, **asked | given)


def state_of(coupon: Coupon) -> str:
    return Coupon.objects.get(pk=coupon.pk).state


def test_a_batch_makes_exactly_its_codes_and_no_more_when_run_again() -> None:
    batch = CouponBatchFactory.create(quantity=25, minimum_minor=2_000)

    assert batches.issue_codes(batch=batch, actor=TESTER, at=AT) == 25
    assert batches.issue_codes(batch=batch, actor=TESTER, at=AT) == 0

    made = Coupon.objects.filter(batch=batch)
    assert {(coupon.state, coupon.value_minor, coupon.minimum_minor) for coupon in made} == {("issued", 500, 2_000)}
    assert len({coupon.code for coupon in made}) == 25
    assert set(CouponKey.objects.values_list("code", flat=True)) == {coupon.code for coupon in made}
    assert CouponEvent.objects.filter(to_state="issued", actor=TESTER).count() == 25


def test_a_batch_of_several_chunks_is_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 4)

    assert len(codes_of(CouponBatchFactory.create(quantity=10))) == 10


def test_codes_are_easy_to_copy_and_hard_to_guess() -> None:
    codes = [coupon.code for coupon in codes_of(CouponBatchFactory.create(quantity=200))]

    assert all(re.fullmatch(f"[{SAFE_ALPHABET}]{{16}}", code) for code in codes)
    # Every place takes many values and none leads to the next code.
    assert all(len({code[place] for code in codes}) > 20 for place in range(16))
    assert codes != sorted(codes)


def test_a_code_is_read_however_it_is_typed() -> None:
    coupon = printed_coupon()

    for typed in (coupon.grouped_code, coupon.code.lower(), f" {coupon.grouped_code.replace('-', ' – ')} "):
        assert Coupon.objects.by_code(typed).get() == coupon


def test_checking_a_code_changes_nothing() -> None:
    coupon = printed_coupon()
    events, references = CouponEvent.objects.count(), Reference.objects.count()

    assert check(coupon) == coupons.CouponCheck(True, 500, [])

    assert state_of(coupon) == "issued"
    assert (CouponEvent.objects.count(), Reference.objects.count()) == (events, references)


def test_unknown_and_unusable_codes_answer_alike() -> None:
    used, ended, early = printed_coupon(), printed_coupon(expires_at=AT), printed_coupon(valid_from=AT + timedelta(1))
    use(used)
    owner, other = member_with(100), MemberFactory.create()
    own = order(owner, CouponRewardFactory.create()).coupon
    assert own is not None

    answers = [
        check(used, code="ZZZZ-ZZZZ-ZZZZ-ZZZZ"),
        check(used, code=""),
        check(used),
        check(ended),
        check(early),
        check(own, member=other),
    ]

    assert answers[0].reasons[0][0] == "coupon_unusable"
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    ("terms", "amount", "discount"),
    [
        ({"value_minor": 500}, 10_000, 500),
        ({"value_minor": 500}, 300, 300),
        ({"value_minor": None, "percent": 15}, 9_999, 1_499),
        ({"value_minor": None, "percent": 100}, 9_999, 9_999),
        ({"value_minor": 500, "minimum_minor": 10_000}, 10_000, 500),
    ],
)
def test_a_coupon_takes_off_what_its_terms_say_and_never_more_than_the_purchase(
    terms: dict[str, Any], amount: int, discount: int
) -> None:
    assert check(printed_coupon(**terms), amount_minor=amount).discount_minor == discount


def test_a_purchase_that_does_not_fit_the_coupon_hears_why() -> None:
    coupon = printed_coupon(minimum_minor=5_000)

    below, foreign = check(coupon, amount_minor=4_999), check(coupon, currency="USD")

    assert [code for code, _ in below.reasons] == ["below_minimum"]
    assert "50.00 CNY" in below.reasons[0][1]
    assert [code for code, _ in foreign.reasons] == ["currency_mismatch"]
    with pytest.raises(discounts.BelowMinimum):
        use(coupon, amount_minor=4_999)
    assert state_of(coupon) == "issued"


def test_a_use_is_kept_with_money_source_and_reference() -> None:
    coupon = printed_coupon()

    done = use(coupon)

    assert (done.discount_minor, done.replayed, done.coupon.state) == (500, False, "redeemed")
    event = coupon.events.get(to_state="redeemed")
    assert (event.from_state, event.amount_minor, event.discount_minor) == ("issued", 10_000, 500)
    assert (event.source, event.reference, event.actor, event.at) == ("till", "u-1", TESTER, AT)


def test_a_coupon_is_used_once() -> None:
    coupon = printed_coupon()
    use(coupon)

    with pytest.raises(coupons.CouponUnusable):
        use(coupon, reference="u-2")

    assert not Reference.objects.filter(reference="u-2").exists()


def test_the_same_use_gives_the_first_answer_and_another_under_its_reference_is_a_conflict() -> None:
    coupon = printed_coupon()
    use(coupon)

    again = use(coupon)

    assert (again.replayed, again.discount_minor) == (True, 500)
    with pytest.raises(ReferenceConflict):
        use(coupon, amount_minor=9_000)
    with pytest.raises(ReferenceConflict):
        use(printed_coupon())
    assert coupon.events.filter(to_state="redeemed").count() == 1


def test_a_given_back_use_can_be_used_again_and_both_answers_stay() -> None:
    coupon = printed_coupon()
    use(coupon)

    back = coupons.rollback(code=coupon.code, source="till", reference="b-1", actor=TESTER, at=AT)
    again = coupons.rollback(code=coupon.code, source="till", reference="b-1", actor=TESTER, at=AT)
    second = use(coupon, reference="u-2", amount_minor=400)

    assert (back.replayed, back.coupon.state, again.replayed) == (False, "rolled_back", True)
    assert second.discount_minor == 400
    assert use(coupon).discount_minor == 500
    assert [event.to_state for event in coupon.events.order_by("id")] == [
        "issued",
        "redeemed",
        "rolled_back",
        "redeemed",
    ]


def test_a_use_and_its_return_may_carry_the_same_reference() -> None:
    coupon = printed_coupon()
    use(coupon, reference="1")

    assert not coupons.rollback(code=coupon.code, source="till", reference="1", actor=TESTER, at=AT).replayed


def test_what_was_not_used_cannot_be_given_back() -> None:
    coupon, returned = printed_coupon(), printed_coupon()
    use(returned)
    coupons.rollback(code=returned.code, source="till", reference="b-0", actor=TESTER, at=AT)

    for code in (coupon.code, "nothing"):
        with pytest.raises(coupons.CouponUnusable):
            coupons.rollback(code=code, source="till", reference="b-1", actor=TESTER, at=AT)
    with pytest.raises(coupons.CouponNotRedeemed):
        coupons.rollback(code=returned.code, source="till", reference="b-1", actor=TESTER, at=AT)

    assert (state_of(coupon), state_of(returned)) == ("issued", "rolled_back")


def test_a_members_coupon_is_for_that_member_or_whoever_the_till_does_not_know() -> None:
    owner, other = member_with(200), MemberFactory.create()
    reward = CouponRewardFactory.create()
    first, second = order(owner, reward).coupon, order(owner, reward).coupon
    assert first is not None
    assert second is not None

    with pytest.raises(coupons.CouponUnusable):
        use(first, member=other)

    assert use(first, member=owner).coupon.state == "redeemed"
    assert use(second, reference="u-2").coupon.state == "redeemed"


def test_the_coupon_of_a_suspended_member_is_refused() -> None:
    owner = member_with(100)
    coupon = order(owner, CouponRewardFactory.create()).coupon
    assert coupon is not None
    owner.status = "suspended"
    owner.save(update_fields=["status"])

    assert not check(coupon).valid


def test_a_used_coupon_keeps_its_order_from_being_cancelled() -> None:
    owner = member_with(100)
    redemption = order(owner, CouponRewardFactory.create())
    assert redemption.coupon is not None
    use(redemption.coupon)

    with pytest.raises(coupons.CouponOver):
        redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    redemption.refresh_from_db()
    assert redemption.state == "completed"
    assert state_of(redemption.coupon) == "redeemed"


def test_a_coupon_used_in_part_keeps_its_order_from_being_cancelled_until_the_use_is_given_back() -> None:
    batch = CouponBatchFactory.create(uses=5)
    codes_of(batch)
    redemption = order(member_with(100), CouponRewardFactory.create(coupon_value_minor=None, coupon_batch=batch))
    coupon = redemption.coupon
    assert coupon is not None
    use(coupon)
    cancel: dict[str, Any] = {"redemption": redemption, "source": "shop", "actor": TESTER, "at": AT}

    with pytest.raises(coupons.CouponOver, match="Redeemed"):
        redeeming.cancel(reference="x", **cancel)
    assert (state_of(coupon), available(redemption.member)) == ("assigned", 0)

    coupons.rollback(code=coupon.code, source="till", reference="b-1", actor=TESTER, at=AT)
    redeeming.cancel(reference="y", **cancel)
    assert (state_of(coupon), available(redemption.member)) == ("void", 100)


def test_staff_may_void_a_coupon_used_in_part() -> None:
    coupon = printed_coupon(uses=5)
    use(coupon)

    assert coupons.void(coupon=coupon, actor=TESTER, at=AT).state == "void"


def test_a_printed_code_is_given_to_a_member_once() -> None:
    coupon, first, second = printed_coupon(), MemberFactory.create(), MemberFactory.create()

    assert coupons.assign(coupon=coupon, member=first, actor=TESTER, at=AT).state == "assigned"

    with pytest.raises(coupons.CouponNotAssignable):
        coupons.assign(coupon=coupon, member=second, actor=TESTER, at=AT)
    assert list(Coupon.objects.of_member(first)) == [coupon]
    assert not Coupon.objects.of_member(second).exists()


def test_a_printed_code_that_was_in_a_checkout_can_still_become_a_members() -> None:
    left, returned, member = printed_coupon(), printed_coupon(valid_days=3), MemberFactory.create()
    till: dict[str, Any] = {"amount_minor": 900, "currency": "CNY", "source": "till", "actor": TESTER, "at": AT}
    coupons.reserve(code=left.code, reference="cart", lasts=timedelta(seconds=1), **till)
    with pytest.raises(coupons.CouponUnusable):
        coupons.claim(code=left.code, member=member, actor=TESTER, at=AT)
    use(returned)
    coupons.rollback(code=returned.code, source="till", reference="b-1", actor=TESTER, at=AT)

    later = AT + timedelta(minutes=1)
    claimed = [coupons.claim(code=one.code, member=member, actor=TESTER, at=later) for one in (left, returned)]

    assert {(coupon.state, coupon.member) for coupon in claimed} == {("assigned", member)}
    assert claimed[1].expires_at == coupons.last_moment(3, later)


def test_a_code_for_everybody_is_given_to_nobody_once_somebody_used_or_keeps_it() -> None:
    used, kept, member = printed_coupon(uses=5), printed_coupon(uses=5), MemberFactory.create()
    till: dict[str, Any] = {"amount_minor": 900, "currency": "CNY", "source": "till", "actor": TESTER, "at": AT}
    use(used)
    coupons.reserve(code=kept.code, reference="cart", **till)

    for coupon in (used, kept):
        with pytest.raises(coupons.CouponNotAssignable):
            coupons.assign(coupon=coupon, member=member, actor=TESTER, at=AT)
    coupons.assign(coupon=kept, member=member, actor=TESTER, at=AT + timedelta(hours=1))

    assert (state_of(used), state_of(kept)) == ("issued", "assigned")


def test_a_void_coupon_is_void_for_good() -> None:
    coupon = printed_coupon()

    coupons.void(coupon=coupon, actor=TESTER, at=AT, reason="misprinted")

    assert coupon.events.get(to_state="void").reason == "misprinted"
    assert not check(coupon).valid
    with pytest.raises(coupons.CouponOver):
        coupons.void(coupon=coupon, actor=TESTER, at=AT)


def test_the_night_says_of_ended_coupons_that_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    ended = codes_of(CouponBatchFactory.create(quantity=5, expires_at=AT))
    good, used = printed_coupon(expires_at=AT + timedelta(1)), printed_coupon(expires_at=AT + timedelta(1))
    use(used)

    assert batches.expire_coupons(at=AT, actor=TESTER) == 5
    assert batches.expire_coupons(at=AT, actor=TESTER) == 0
    assert batches.expire_coupons(at=AT + timedelta(2), actor=TESTER) == 1

    assert {state_of(coupon) for coupon in ended} == {"expired"}
    assert (state_of(good), state_of(used)) == ("expired", "redeemed")
