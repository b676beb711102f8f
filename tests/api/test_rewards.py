from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from members.models import Member
from rewards.actions import fulfilling
from rewards.actions.booking import Booking
from rewards.models import Redemption, Reward
from tests.api.conftest import Caller
from tests.members.factories import TESTER, MemberFactory, client_key, sign_in_for
from tests.rewards.factories import (
    CouponRewardFactory,
    RewardCategoryFactory,
    RewardFactory,
    RewardVariantFactory,
    ServiceRewardFactory,
    available,
    order,
    stock,
)

HERE = "http://testserver/api/v1/"


@pytest.fixture
def mug(programme: None) -> Reward:
    """A gift of 300 points in two colours; the blue ones are gone."""
    mug: Reward = RewardFactory.create(code="mug", points=300)
    for colour in ("red", "blue"):
        RewardVariantFactory.create(reward=mug, code=colour)
    stock(mug, 0, mug.variants.get(code="blue"))
    return mug


@pytest.fixture
def voucher(programme: None) -> Reward:
    """A coupon of 1 yuan for 100 points."""
    voucher: Reward = CouponRewardFactory.create(code="voucher")
    return voucher


def asked(member: Member, reward: str, reference: str = "o-1", **more: Any) -> dict[str, Any]:
    return {"reference": reference, "member": member.number, "reward": reward, **more}


def test_the_catalogue_tells_what_points_buy(till: Caller, mug: Reward, voucher: Reward) -> None:
    page = till.get("rewards/", Accept_Language="zh-hans").body

    assert (page["next"], [one["code"] for one in page["results"]]) == (None, ["voucher", "mug"])
    assert page["results"][1] == {
        "code": "mug",
        "kind": "gift",
        "name": "杯子",
        "description": "",
        "picture": None,
        "points": 300,
        "money": None,
        "category": None,
        "limits": {"day": None, "week": None, "month": None, "lifetime": None},
        "places": [],
        "variants": [
            {"code": "red", "name": "red", "available": True},
            {"code": "blue", "name": "blue", "available": False},
        ],
        "available": True,
        "unavailable_reasons": [],
        "unavailable_details": [],
    }


def test_the_catalogue_of_a_member_tells_prices_and_reasons(till: Caller, rich: Member, mug: Reward) -> None:
    Reward.objects.filter(pk=mug.pk).update(points_by_tier={"base": 1_200})

    (offer,) = till.get(f"rewards/?member={rich.number}&kind=gift").body["results"]

    assert (offer["points"], offer["available"]) == (1_200, False)
    assert offer["unavailable_reasons"] == ["insufficient_points"]
    assert "1200" in offer["unavailable_details"][0] or "1,200" in offer["unavailable_details"][0]


def test_who_may_not_read_balances_does_not_read_them_in_a_refusal(rich: Member, mug: Reward) -> None:
    Reward.objects.filter(pk=mug.pk).update(points=1_200)
    shelf = Caller(*client_key("shelf", "rewards:read"))

    (offer,) = shelf.get(f"rewards/?member={rich.number}").body["results"]

    assert offer["unavailable_reasons"] == ["insufficient_points"]
    assert offer["unavailable_details"] == ["The member does not have enough points."]


def test_the_catalogue_is_filtered_and_paged(till: Caller, mug: Reward, voucher: Reward) -> None:
    for points in (1, 2, 3):
        CouponRewardFactory.create(points=points)

    first = till.get("rewards/?kind=coupon&page_size=3").body
    second = till.get(first["next"].removeprefix(HERE)).body
    back = till.get(second["previous"].removeprefix(HERE)).body

    assert [one["points"] for one in first["results"] + second["results"]] == [1, 2, 3, 100]
    assert back["results"] == first["results"]
    assert till.get("rewards/?kind=miracle").status == 400
    assert till.get("rewards/?member=000000000000").status == 404


def test_the_catalogue_tells_shelf_money_limits_and_places(till: Caller, programme: None) -> None:
    ServiceRewardFactory.create(
        code="lounge",
        category=RewardCategoryFactory.create(code="travel"),
        money_minor=2_000,
        limit_month=2,
        booking_places=["Hall A"],
    )
    RewardFactory.create(code="mug")

    (offer,) = till.get("rewards/?category=travel", Accept_Language="zh-hans").body["results"]

    assert offer["money"] == {"amount": "20.00", "currency": "CNY"}
    assert offer["category"] == {"code": "travel", "name": "厨房"}
    assert offer["limits"] == {"day": None, "week": None, "month": 2, "lifetime": None}
    assert offer["places"] == ["Hall A"]
    refused = till.get("rewards/?category=nothing")
    assert (refused.status, list(refused.body["errors"])) == (400, ["category"])


def test_the_catalogue_costs_the_same_however_long_it_is(
    till: Caller, rich: Member, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        stock(RewardFactory.create(per_member_limit=1), 1)
    till.get("rewards/")

    with django_assert_max_num_queries(8):
        assert len(till.get(f"rewards/?member={rich.number}").body["results"]) == 20


def test_a_coupon_is_there_at_once(till: Caller, rich: Member, voucher: Reward) -> None:
    answer = till.post("redemptions/", asked(rich, "voucher"))

    assert answer.status == 201, answer.text
    body = answer.body
    assert (body["status"], body["points"], body["kind"], body["quantity"]) == ("completed", 100, "coupon", 1)
    assert body["coupon"]["value"] == {"amount": "1.00", "currency": "CNY"}
    assert (body["coupon"]["status"], len(body["coupon"]["code"])) == ("assigned", 16)
    assert body["coupon"]["expires_on"] is not None
    assert "pickup_code" not in body
    assert available(rich) == 900


def test_a_gift_is_ordered_in_a_colour(till: Caller, rich: Member, mug: Reward) -> None:
    answer = till.post("redemptions/", asked(rich, "mug", variant="red", quantity=2, address="1 Long Road\nTown"))

    assert (answer.status, answer.body["status"], answer.body["points"]) == (201, "placed", 600)
    assert (answer.body["variant"], answer.body["quantity"], answer.body["reward"]) == ("red", 2, "mug")
    assert Redemption.objects.get().address == "1 Long Road\nTown"
    assert till.get(f"redemptions/{answer.body['id']}/").body == answer.body


def test_a_service_has_a_pick_up_code(till: Caller, rich: Member) -> None:
    ServiceRewardFactory.create(code="lounge", points=1_000)

    answer = till.post("redemptions/", asked(rich, "lounge"))

    assert (answer.status, answer.body["status"]) == (201, "ready")
    assert answer.body["pickup_code"] == Redemption.objects.get().pickup_code


@pytest.fixture
def lounge(programme: None) -> Reward:
    """A service of 500 points in two halls."""
    lounge: Reward = ServiceRewardFactory.create(code="lounge", points=500, booking_places=["Hall A", "Hall B"])
    return lounge


def booking(days: int, place: str = "Hall A") -> dict[str, str]:
    at = (timezone.localtime() + timedelta(days=days)).replace(microsecond=0)
    return {"at": at.isoformat(), "place": place}


def test_a_service_is_booked_at_once_and_moved_once(till: Caller, rich: Member, lounge: Reward) -> None:
    first, second = booking(1), booking(2, "Hall B")

    placed = till.post("redemptions/", asked(rich, "lounge", booking=first))
    again = till.post("redemptions/", asked(rich, "lounge", booking=first))
    other = till.post("redemptions/", asked(rich, "lounge", booking=second))
    address = f"redemptions/{placed.body['id']}/reschedule/"
    moved, repeated = (till.post(address, {"reference": "b", "booking": second}) for _ in range(2))

    assert (placed.status, placed.body["booking"]) == (201, first)
    assert (again.status, other.status) == (200, 409)
    assert (moved.status, moved.body["booking"]) == (201, second)
    assert (repeated.status, repeated.headers["Idempotent-Replayed"], repeated.body) == (200, "true", moved.body)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        (booking(1, "Moon"), 422, "place_unknown"),
        (booking(-1), 422, "booking_in_past"),
        (booking(367), 422, "booking_too_far"),
        ({"at": "2099-01-01T10:00:00", "place": "Hall A"}, 400, "invalid"),
        ({"at": "2099-01-01T10:00:00Z"}, 400, "invalid"),
        ({"at": "2099-01-01T10:00:00Z", "place": "Hall A", "seat": 1}, 400, "invalid"),
        ("tomorrow", 400, "invalid"),
    ],
)
def test_a_booking_that_cannot_be_is_refused_and_costs_nothing(
    till: Caller, rich: Member, lounge: Reward, wanted: Any, status: int, code: str
) -> None:
    answer = till.post("redemptions/", asked(rich, "lounge", booking=wanted))

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (status, code), answer.text
    assert available(rich) == 1_000


def test_a_gift_is_not_booked_and_what_is_cancelled_is_not_moved(
    till: Caller, rich: Member, mug: Reward, lounge: Reward
) -> None:
    gift = till.post("redemptions/", asked(rich, "mug", variant="red", booking=booking(1)))
    placed = till.post("redemptions/", asked(rich, "lounge", "o-2")).body
    till.post(f"redemptions/{placed['id']}/cancel/", {"reference": "c"})
    late = till.post(f"redemptions/{placed['id']}/reschedule/", {"reference": "b", "booking": booking(1)})

    assert (gift.status, gift.body["code"]) == (422, "not_bookable")
    assert (late.status, late.body["code"]) == (422, "cannot_reschedule")


def test_a_visit_whose_time_has_come_is_neither_cancelled_nor_moved(
    till: Caller, rich: Member, lounge: Reward
) -> None:
    now = timezone.now()
    came = Booking(at=now - timedelta(hours=1), place="Hall A")
    missed = order(rich, lounge, source=till.source, booking=came, at=now - timedelta(hours=2))

    cancelled = till.post(f"redemptions/{missed.key}/cancel/", {"reference": "c"})
    moved = till.post(f"redemptions/{missed.key}/reschedule/", {"reference": "b", "booking": booking(1)})

    assert [(one.status, one.body["code"]) for one in (cancelled, moved)] == [
        (422, "cannot_cancel"),
        (422, "cannot_reschedule"),
    ]
    assert "The time it was booked for has come" in cancelled.body["detail"]
    assert available(rich) == 500


def test_an_order_that_costs_money_waits_until_any_till_says_it_is_paid(
    till: Caller, shop: Caller, rich: Member, lounge: Reward
) -> None:
    Reward.objects.filter(pk=lounge.pk).update(money_minor=2_000)
    money = {"amount": "20.00", "currency": "CNY"}

    placed = shop.post("redemptions/", asked(rich, "lounge"))
    address = f"redemptions/{placed.body['id']}/payment/"
    wrong = till.post(address, {"reference": "r", "money": {"amount": "19.99", "currency": "CNY"}})
    paid, again = (till.post(address, {"reference": "r", "money": money}) for _ in range(2))
    twice = till.post(address, {"reference": "r-2", "money": money})

    assert (placed.status, placed.body["status"], placed.body["money"]) == (201, "placed", money)
    assert "pickup_code" not in placed.body
    assert (wrong.status, wrong.body["code"], list(wrong.body["errors"])) == (422, "wrong_amount", ["money"])
    assert (paid.status, paid.body["status"], paid.body["money"]) == (201, "ready", money)
    assert "pickup_code" not in paid.body
    assert (again.status, again.body) == (200, paid.body)
    assert (twice.status, twice.body["code"]) == (422, "already_paid")
    assert len(shop.get(f"redemptions/{placed.body['id']}/").body["pickup_code"]) == 16


def test_a_code_is_written_off_by_any_till_once(till: Caller, shop: Caller, rich: Member, lounge: Reward) -> None:
    placed = shop.post("redemptions/", asked(rich, "lounge", booking=booking(1))).body
    code = "-".join([placed["pickup_code"][:8], placed["pickup_code"][8:]]).lower()

    first, again = (till.post("redemptions/write-off/", {"reference": "w", "code": code}) for _ in range(2))
    late = till.post("redemptions/write-off/", {"reference": "w-2", "code": code})
    unknown = till.post("redemptions/write-off/", {"reference": "w-3", "code": "7KQM-2V9D-XRTA-B4HE"})

    assert (first.status, first.body["status"], first.body["booking"]) == (201, "completed", placed["booking"])
    assert (first.body["reward"], first.body["member"]) == ("lounge", rich.number)
    assert "pickup_code" not in first.body
    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", first.body)
    assert (late.status, late.body["code"], list(late.body["errors"])) == (422, "pickup_code_over", ["code"])
    assert (unknown.status, unknown.body["code"]) == (422, "pickup_code_unknown")


def test_a_shipped_order_says_how_and_is_no_longer_cancelled(till: Caller, rich: Member, mug: Reward) -> None:
    placed = till.post("redemptions/", asked(rich, "mug", variant="red")).body
    redemption = fulfilling.approve(redemption=Redemption.objects.get(), actor=TESTER, at=timezone.now())
    fulfilling.ship(redemption=redemption, carrier="SF", tracking="SF1", actor=TESTER, at=timezone.now())

    refused = till.post(f"redemptions/{placed['id']}/cancel/", {"reference": "c"})
    shipped = till.get(f"redemptions/{placed['id']}/").body

    assert (refused.status, refused.body["code"], refused.body["state"]) == (422, "cannot_cancel", "shipped")
    assert "on its way" in refused.body["detail"]
    assert (shipped["status"], shipped["carrier"], shipped["tracking"]) == ("shipped", "SF", "SF1")
    assert available(rich) == 700


@pytest.mark.parametrize(("language", "word"), [("en", "Redeemed"), ("zh-hans", "已核销")])
def test_why_a_used_coupon_is_not_taken_back_is_a_code_beside_the_sentence(
    till: Caller, rich: Member, voucher: Reward, language: str, word: str
) -> None:
    placed = till.post("redemptions/", asked(rich, "voucher")).body
    money = {"money": {"amount": "10.00", "currency": "CNY"}}
    till.post(f"coupons/{placed['coupon']['code']}/redeem/", {"reference": "u", **money})

    refused = till.post(f"redemptions/{placed['id']}/cancel/", {"reference": "c"}, Accept_Language=language)

    assert (refused.status, refused.body["code"], refused.body["state"]) == (422, "coupon_over", "redeemed")
    assert word in refused.body["detail"]


def test_the_same_order_again_gives_the_first_answer(till: Caller, rich: Member, voucher: Reward) -> None:
    first, again = (till.post("redemptions/", asked(rich, "voucher")) for _ in range(2))
    other = till.post("redemptions/", asked(rich, "voucher", address="elsewhere"))

    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", first.body)
    assert (other.status, other.body["code"]) == (409, "reference_conflict")
    assert available(rich) == 900


def test_an_order_is_answered_again_when_its_variant_is_no_longer_offered(
    till: Caller, rich: Member, mug: Reward
) -> None:
    first = till.post("redemptions/", asked(rich, "mug", variant="red"))
    mug.variants.filter(code="red").update(is_active=False)
    Reward.objects.filter(pk=mug.pk).update(is_active=False)

    again = till.post("redemptions/", asked(rich, "mug", variant="red"))
    other = till.post("redemptions/", asked(rich, "mug", variant="green"))
    fresh = till.post("redemptions/", asked(rich, "mug", "o-2", variant="red"))

    assert (again.status, again.body) == (200, first.body)
    assert (other.status, fresh.status, fresh.body["code"]) == (422, 422, "variant_unknown")


def test_a_refused_order_may_be_sent_again_under_its_reference(till: Caller, rich: Member, voucher: Reward) -> None:
    refused = till.post("redemptions/", asked(rich, "voucher", quantity=2))
    placed = till.post("redemptions/", asked(rich, "voucher"))

    assert (refused.status, placed.status) == (422, 201)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"reward": "nothing"}, 422, "reward_unknown"),
        ({"variant": "green"}, 422, "variant_unknown"),
        ({"variant": "blue"}, 422, "out_of_stock"),
        ({"variant": None}, 422, "variant_required"),
        ({"quantity": 4}, 422, "insufficient_points"),
        ({"quantity": 0}, 400, "invalid"),
        ({"quantity": 10**20}, 400, "invalid"),
        ({"quantity": "1"}, 400, "invalid"),
        ({"member": "000000000000"}, 404, "unknown_member"),
        ({"address": "x" * 501}, 400, "invalid"),
        ({"address": "a\x00"}, 400, "invalid"),
        ({"price": 1}, 400, "invalid"),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_costs_nothing(
    till: Caller, rich: Member, mug: Reward, change: dict[str, object], status: int, code: str
) -> None:
    answer = till.post("redemptions/", asked(rich, "mug", variant="red") | change)

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (status, code), answer.text
    assert available(rich) == 1_000
    assert not Redemption.objects.exists()


def test_a_variant_must_be_chosen_where_there_are_several(till: Caller, rich: Member, mug: Reward) -> None:
    answer = till.post("redemptions/", asked(rich, "mug"))

    assert (answer.status, answer.body["code"]) == (422, "variant_required")
    assert "variant" in answer.body["errors"]


def test_a_refusal_for_want_of_points_tells_how_many(till: Caller, alice: Member, voucher: Reward) -> None:
    answer = till.post("redemptions/", asked(alice, "voucher"))

    assert (answer.body["code"], answer.body["needed"], answer.body["available"]) == ("insufficient_points", 100, 0)


def test_a_cancelled_order_gives_everything_back_once(till: Caller, rich: Member, mug: Reward) -> None:
    placed = till.post("redemptions/", asked(rich, "mug", variant="red")).body

    first, again = (till.post(f"redemptions/{placed['id']}/cancel/", {"reference": "c"}) for _ in range(2))
    other = till.post(f"redemptions/{placed['id']}/cancel/", {"reference": "c-2"})

    assert (first.status, first.body["status"]) == (201, "cancelled")
    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", first.body)
    assert (other.status, other.body["code"]) == (422, "cannot_cancel")
    assert available(rich) == 1_000


def test_another_system_s_order_is_not_there(till: Caller, shop: Caller, rich: Member, voucher: Reward) -> None:
    placed = till.post("redemptions/", asked(rich, "voucher")).body

    answers = [
        shop.get(f"redemptions/{placed['id']}/"),
        shop.post(f"redemptions/{placed['id']}/cancel/", {"reference": "x"}),
        till.get(f"redemptions/{uuid4()}/"),
        till.post(f"redemptions/{uuid4()}/cancel/", {"reference": "x"}),
        till.get("redemptions/seven/"),
    ]

    assert [(answer.status, answer.is_problem) for answer in answers] == [(404, True)] * 5
    assert available(rich) == 900


def test_a_signed_in_member_sees_his_own_prices_and_orders(rich: Member, voucher: Reward) -> None:
    bob = MemberFactory.create(name="Bob")
    own = order(rich, voucher, source="portal")
    browsers = {}
    for member in (rich, bob):
        browsers[member.pk] = Browser()
        browsers[member.pk].force_login(sign_in_for(member), backend="members.auth.MemberBackend")

    offers = browsers[bob.pk].get("/api/v1/rewards/").json()["results"]

    assert offers[0]["unavailable_reasons"] == ["insufficient_points"]
    assert browsers[bob.pk].get(f"/api/v1/rewards/?member={rich.number}").status_code == 404
    assert browsers[rich.pk].get(f"/api/v1/redemptions/{own.key}/").status_code == 200
    assert browsers[bob.pk].get(f"/api/v1/redemptions/{own.key}/").status_code == 404
