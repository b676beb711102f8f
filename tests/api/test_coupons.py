from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from members.models import Member
from rewards.actions import coupons
from rewards.models import Coupon, CouponGuess
from tests.api.conftest import Answer, Caller
from tests.members.factories import AT, TESTER, MemberFactory
from tests.rewards.factories import printed_coupon

TEN = {"money": {"amount": "10.00", "currency": "CNY"}}


@pytest.fixture
def five_off(till: Caller) -> Coupon:
    """A printed coupon of 5 yuan for purchases from 8 yuan on."""
    return printed_coupon(minimum_minor=800)


def use(caller: Caller, coupon: Coupon, reference: str = "u-1", **more: Any) -> Answer:
    return caller.post(f"coupons/{coupon.code}/redeem/", {"reference": reference, **TEN, **more})


@pytest.mark.parametrize("typed", ["{0}", "{1}", "{2}", "%20{0}%20"])
def test_a_code_is_checked_however_it_is_typed_and_nothing_changes(till: Caller, five_off: Coupon, typed: str) -> None:
    code = typed.format(five_off.code, five_off.code.lower(), five_off.grouped_code)

    answer = till.post(f"coupons/{code}/validate/", TEN)

    assert answer.status == 200, answer.text
    assert answer.body == {
        "valid": True,
        "discount": {"amount": "5.00", "currency": "CNY"},
        "reasons": [],
        "details": [],
    }
    five_off.refresh_from_db()
    assert five_off.state == "issued"


@pytest.mark.parametrize(
    ("money", "reason"),
    [
        ({"amount": "7.99", "currency": "CNY"}, "below_minimum"),
        ({"amount": "10.00", "currency": "USD"}, "currency_mismatch"),
    ],
)
def test_a_purchase_that_does_not_fit_is_told_why(
    till: Caller, five_off: Coupon, money: dict[str, str], reason: str
) -> None:
    answer = till.post(f"coupons/{five_off.code}/validate/", {"money": money})

    assert (answer.body["valid"], answer.body["discount"], answer.body["reasons"]) == (False, None, [reason])


def test_unknown_used_foreign_and_nonsense_codes_look_alike(till: Caller, alice: Member, five_off: Coupon) -> None:
    bob = MemberFactory.create(name="Bob")
    bobs, used = printed_coupon(), printed_coupon()
    coupons.assign(coupon=bobs, member=bob, actor=TESTER, at=AT)
    use(till, used)

    answers = [
        till.post(f"coupons/{code}/validate/", {**TEN, "member": alice.number})
        for code in ("AAAA-AAAA-AAAA-AAAA", bobs.code, used.code, "券", "x" * 100, "' OR 1=1 --")
    ]

    assert {(answer.status, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert answers[0].body["reasons"] == ["coupon_unusable"]


def test_a_code_is_used_once_and_given_back(till: Caller, five_off: Coupon) -> None:
    used, again = use(till, five_off), use(till, five_off)
    other = use(till, five_off, "u-2")
    back = till.post(f"coupons/{five_off.code}/rollback/", {"reference": "r-1", **TEN})
    anew = use(till, five_off, "u-3")

    assert (used.status, used.body) == (
        201,
        {
            "reference": "u-1",
            "code": five_off.code,
            "status": "redeemed",
            "discount": {"amount": "5.00", "currency": "CNY"},
        },
    )
    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", used.body)
    assert other.is_problem
    assert (other.status, other.body["code"]) == (422, "coupon_unusable")
    assert (back.status, back.body["status"], anew.status) == (201, "rolled_back", 201)


def test_a_rollback_can_be_sent_again(till: Caller, five_off: Coupon) -> None:
    use(till, five_off)

    first, again = (till.post(f"coupons/{five_off.code}/rollback/", {"reference": "r-1"}) for _ in range(2))

    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (201, 200, "true")


def test_a_used_reference_with_other_content_is_a_conflict(till: Caller, five_off: Coupon) -> None:
    use(till, five_off)

    answer = use(till, five_off, money={"amount": "11.00", "currency": "CNY"})

    assert (answer.status, answer.body["code"]) == (409, "reference_conflict")


def test_only_the_system_that_used_a_code_gives_it_back(till: Caller, shop: Caller, five_off: Coupon) -> None:
    use(till, five_off)

    answer = shop.post(f"coupons/{five_off.code}/rollback/", {"reference": "r-1"})
    five_off.refresh_from_db()

    assert (answer.status, answer.body["code"]) == (422, "coupon_unusable")
    assert five_off.state == "redeemed"


def test_giving_back_tells_nobody_of_codes_of_others(till: Caller, shop: Caller, five_off: Coupon) -> None:
    unused, own = printed_coupon(), printed_coupon()
    use(shop, five_off)
    use(till, own)
    till.post(f"coupons/{own.code}/rollback/", {"reference": "r-1"})

    answers = [
        till.post(f"coupons/{code}/rollback/", {"reference": reference})
        for code in ("GUESS", unused.code, five_off.code)
        for reference in ("r-1", "r-2")
    ]
    again = till.post(f"coupons/{own.code}/rollback/", {"reference": "r-2"})

    assert {(answer.status, answer.text) for answer in answers} == {(422, answers[0].text)}
    assert answers[0].body["code"] == "coupon_unusable"
    assert again.body["code"] == "coupon_not_redeemed"


@pytest.mark.parametrize("step", ["redeem", "reserve"])
def test_a_reference_used_before_tells_no_code_from_another_and_counts_as_a_try(
    till: Caller, five_off: Coupon, step: str, settings: Any
) -> None:
    settings.LAUREL_COUPON_MISSES = 2
    void = printed_coupon()
    coupons.void(coupon=void, actor=TESTER, at=AT)
    body = {"reference": "u-1", **TEN}
    till.post(f"coupons/{five_off.code}/{step}/", body)

    answers = [till.post(f"coupons/{code}/{step}/", body) for code in ("GUESS-1", void.code, "GUESS-2")]

    assert [answer.status for answer in answers] == [409, 409, 429]
    assert answers[0].text == answers[1].text


@pytest.mark.parametrize(
    ("step", "body"),
    [
        ("validate", {}),
        ("validate", {"money": "10"}),
        ("redeem", TEN),
        ("redeem", {"reference": "x"}),
        ("rollback", {}),
        ("rollback", []),
    ],
)
def test_a_malformed_purchase_is_refused(till: Caller, five_off: Coupon, step: str, body: object) -> None:
    answer = till.post(f"coupons/{five_off.code}/{step}/", body)

    assert answer.is_problem
    assert answer.status == 400


@pytest.mark.parametrize("step", ["validate", "redeem", "reserve"])
def test_guessing_is_slowed_down_and_honest_tills_are_not(
    till: Caller, shop: Caller, five_off: Coupon, step: str, settings: Any
) -> None:
    settings.LAUREL_COUPON_MISSES = 3
    body = TEN if step == "validate" else {"reference": "x", **TEN}
    for _ in range(5):
        assert till.post(f"coupons/{five_off.code}/validate/", TEN).status == 200

    guesses = [till.post(f"coupons/GUESS-{number}/{step}/", body) for number in range(4)]
    honest = shop.post(f"coupons/{five_off.code}/validate/", TEN)

    assert [answer.status for answer in guesses[:3]] == [200 if step == "validate" else 422] * 3
    assert guesses[3].is_problem
    assert (guesses[3].status, guesses[3].body["code"]) == (429, "throttled")
    assert 1 <= int(guesses[3].headers["Retry-After"]) <= 600
    assert honest.status == 200


def test_who_waits_still_sends_again_gives_back_and_uses_what_it_keeps(
    till: Caller, shop: Caller, five_off: Coupon, settings: Any
) -> None:
    settings.LAUREL_COUPON_MISSES = 0
    kept, left, foreign = printed_coupon(), printed_coupon(), printed_coupon()
    cart = {**TEN, "reference": "cart"}
    use(till, five_off)
    for coupon, caller in ((kept, till), (foreign, shop)):
        caller.post(f"coupons/{coupon.code}/reserve/", cart)
    till.post(f"coupons/{left.code}/reserve/", {**TEN, "reference": "cart-2"})

    guess = till.post("coupons/GUESS/validate/", TEN)
    answers = [
        use(till, five_off),
        till.post(f"coupons/{five_off.code}/validate/", TEN),
        till.post(f"coupons/{kept.code}/reserve/", cart),
        use(till, kept, "pay", reservation="cart"),
        till.post(f"coupons/{left.code}/release/", {"reference": "cart-2"}),
        till.post(f"coupons/{five_off.code}/rollback/", {"reference": "r-1"}),
    ]

    assert [answer.status for answer in answers] == [200, 200, 200, 201, 201, 201]
    assert [use(till, coupon, "x").status for coupon in (foreign, printed_coupon())] == [429, 429]
    assert (guess.status, CouponGuess.objects.get().misses) == (429, 1)


def test_what_one_used_or_kept_oneself_is_no_wrong_code(till: Caller, five_off: Coupon) -> None:
    kept = printed_coupon()
    till.post(f"coupons/{kept.code}/reserve/", {**TEN, "reference": "cart", "expires_in": 1})
    use(till, five_off)

    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        answers = [
            use(till, five_off, "u-2"),
            till.post(f"coupons/{five_off.code}/validate/", TEN),
            use(till, five_off, money={"amount": "9.00", "currency": "CNY"}),
            use(till, kept, "pay", reservation="cart"),
            till.post(f"coupons/{kept.code}/release/", {"reference": "other"}),
        ]

    assert [answer.status for answer in answers] == [422, 200, 409, 422, 422]
    assert not CouponGuess.objects.exists()


def test_a_wrong_a_used_an_ended_and_a_foreign_code_count_alike(
    till: Caller, shop: Caller, alice: Member, five_off: Coupon, settings: Any
) -> None:
    settings.LAUREL_COUPON_MISSES = 4
    used, ended, bobs = printed_coupon(), printed_coupon(expires_at=AT), printed_coupon()
    coupons.assign(coupon=bobs, member=MemberFactory.create(name="Bob"), actor=TESTER, at=AT)
    use(shop, used)

    answers = [
        use(till, coupon, f"g-{number}", member=alice.number)
        for number, coupon in enumerate((used, ended, bobs, used))
    ]
    beyond = use(till, ended, "g-9")

    assert {(answer.status, answer.text) for answer in answers} == {(422, answers[0].text)}
    assert (beyond.status, beyond.body["code"]) == (429, "throttled")
    assert use(till, five_off, "good").status == 429, "who guessed too much waits, whatever comes next"


def test_the_terms_of_a_coupon_are_told_by_reason(till: Caller, alice: Member) -> None:
    coffee = printed_coupon(
        value_minor=None, free_sku="coffee", channels=["app"], uses=5, uses_per_member=1, combinable=False
    )
    other = printed_coupon()
    use(till, other, "first", bill="b-1")
    bare = till.post(f"coupons/{coffee.code}/validate/", {**TEN, "bill": "b-1"})
    cup = {"sku": "coffee", "quantity": 2, "money": {"amount": "7.00", "currency": "CNY"}}
    whole = {**TEN, "member": alice.number, "channel": "app", "items": [cup], "bill": "b-2"}

    fits = till.post(f"coupons/{coffee.code}/validate/", whole)
    done = till.post(f"coupons/{coffee.code}/redeem/", {**whole, "reference": "c-1"})
    again = till.post(f"coupons/{coffee.code}/redeem/", {**whole, "reference": "c-2", "bill": "b-3"})

    assert bare.body["reasons"] == ["channel_mismatch", "item_missing", "member_required", "not_combinable"]
    assert (fits.body["valid"], fits.body["discount"]["amount"]) == (True, "3.50")
    assert (done.status, done.body["status"], done.body["discount"]["amount"]) == (201, "issued", "3.50")
    assert (again.status, again.body["code"]) == (422, "member_limit_reached")


def test_lines_of_another_currency_are_refused(till: Caller, five_off: Coupon) -> None:
    line = {"sku": "x", "money": {"amount": "1.00", "currency": "USD"}}

    answer = till.post(f"coupons/{five_off.code}/validate/", {**TEN, "items": [line]})

    assert (answer.status, list(answer.body["errors"])) == (400, ["items"])


def test_a_code_is_kept_for_a_checkout_and_used_by_it_alone(till: Caller, shop: Caller, five_off: Coupon) -> None:
    kept = till.post(f"coupons/{five_off.code}/reserve/", {**TEN, "reference": "cart-1", "expires_in": 60})
    again = till.post(f"coupons/{five_off.code}/reserve/", {**TEN, "reference": "cart-1", "expires_in": 60})
    other = use(shop, five_off, "s-1")
    used = use(till, five_off, "pay-1", reservation="cart-1")

    assert (kept.status, kept.body["status"], kept.body["discount"]["amount"]) == (201, "held", "5.00")
    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", kept.body)
    assert (other.status, other.body["code"]) == (422, "coupon_unusable")
    assert (used.status, used.body["status"]) == (201, "redeemed")


def test_a_released_code_is_free_for_others_at_once(till: Caller, shop: Caller, five_off: Coupon) -> None:
    till.post(f"coupons/{five_off.code}/reserve/", {**TEN, "reference": "cart-1"})

    stranger = shop.post(f"coupons/{five_off.code}/release/", {"reference": "cart-1"})
    first, again = (till.post(f"coupons/{five_off.code}/release/", {"reference": "cart-1"}) for _ in range(2))

    assert (stranger.status, stranger.body["code"]) == (422, "coupon_unusable")
    assert (first.status, first.body["status"], first.body["discount"]) == (201, "released", None)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert use(shop, five_off, "s-1").status == 201


def test_an_unknown_member_is_named(till: Caller, five_off: Coupon) -> None:
    answer = use(till, five_off, member="000000000000")

    assert (answer.status, answer.body["code"]) == (404, "unknown_member")
    assert not Coupon.objects.filter(state="redeemed").exists()
