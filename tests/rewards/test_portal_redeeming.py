"""From the catalogue to the code in the hand: each refusal says why, and a form sent twice is one order."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from points.models import Balance
from points.reports import check_books
from rewards.actions import coupons, fulfilling, paying, stocking
from rewards.models import Coupon, Redemption, Reward, RewardCategory, RewardVariant, Stock
from tests.members.factories import TESTER, MemberFactory, sign_in_for

from .factories import CouponBatchFactory, codes_of
from .portal_scene import Scene, set_scene

pytestmark = pytest.mark.django_db

REFERENCE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def scene() -> Scene:
    return set_scene(points=12_345)


@pytest.fixture
def browser(scene: Scene) -> Client:
    return scene.signed_in()


def available(scene: Scene) -> int:
    return Balance.objects.get(member=scene.member, point_type__code="points").available


def order(browser: Client, code: str, *, reference: str = REFERENCE, **given: Any) -> Any:
    """Send the form with the price that a member without a tier of note is asked to confirm."""
    return browser.post(f"/rewards/{code}/redeem/", {"reference": reference, **agreed(code), **given})


def agreed(code: str) -> dict[str, Any]:
    """Return the price as the confirmation carries it."""
    reward = Reward.objects.get(code=code)
    return {"points": reward.price_for("member"), "money_minor": reward.money_minor or ""}


def first_variant(code: str) -> dict[str, str]:
    """Return the choice of whatever comes first, for rewards that come in several ways."""
    variant = RewardVariant.objects.filter(reward__code=code).first()
    return {"variant": variant.code} if variant else {}


def test_the_catalogue_shows_prices_and_what_can_be_had(browser: Client) -> None:
    response = browser.get("/rewards/")

    shown = {one.offer.reward.code: one for one in response.context["shown"]}
    assert {"coupon-1", "gift-mug", "service-lounge"} <= set(shown)
    assert shown["coupon-1"].reasons == []
    assert "10,000" in response.text


def test_what_cannot_be_had_says_exactly_why() -> None:
    browser = set_scene(points=680).signed_in()

    response = browser.get("/rewards/?kind=gift")
    reward = browser.get("/rewards/gift-mug/")

    assert "320 more points needed." in response.text
    assert "320 more points needed." in reward.text
    assert "disabled" in reward.text
    assert "coupon-1" not in response.text


def test_a_reward_that_does_not_exist_or_has_ended_is_not_found(browser: Client) -> None:
    Reward.objects.filter(code="coupon-1").update(valid_until=timezone.now() - timedelta(hours=1))

    assert browser.get("/rewards/coupon-1/").status_code == 404
    assert browser.get("/rewards/nothing/").status_code == 404


def test_the_member_is_asked_once_more_before_points_are_spent(browser: Client, scene: Scene) -> None:
    page = browser.get("/rewards/coupon-1/")

    response = browser.post("/rewards/coupon-1/redeem/", {"reference": page.context["form"]["reference"].value()})

    assert response.status_code == 200
    assert "Redeem this?" in response.text
    assert "12,245" in response.text
    assert available(scene) == 12_345


@pytest.mark.parametrize("change", [{"points": 9_000}, {"points_by_tier": {"member": 150}}])
def test_another_price_than_the_one_confirmed_is_shown_and_not_taken(
    browser: Client, scene: Scene, change: dict[str, Any]
) -> None:
    asked = browser.post("/rewards/coupon-1/redeem/", {"reference": REFERENCE})
    sent = {"reference": REFERENCE} | {field.name: field.value() for field in asked.context["agreed"]}
    Reward.objects.filter(code="coupon-1").update(**change)

    response = browser.post("/rewards/coupon-1/redeem/", {**sent, "money_minor": ""})

    assert response.status_code == 422
    assert "The price has changed." in response.text
    assert available(scene) == 12_345
    order(browser, "coupon-1")  # what was shown now
    assert available(scene) == 12_345 - response.context["points"]


def test_money_that_was_added_after_the_confirmation_is_asked_for_first(browser: Client, scene: Scene) -> None:
    given = {"quantity": "1", "delivery": "pick_up", **first_variant("gift-mug"), **agreed("gift-mug")}
    Reward.objects.filter(code="gift-mug").update(money_minor=1_990)

    response = order(browser, "gift-mug", **given)

    assert "The price has changed." in response.text
    assert "¥19.90" in response.text
    assert not Redemption.objects.exists()
    assert order(browser, "gift-mug", **{**given, **agreed("gift-mug")}).status_code == 302
    assert Redemption.objects.get(member=scene.member).money_minor == 1_990


def test_a_form_sent_again_is_the_same_order_whatever_it_costs_by_now(browser: Client) -> None:
    price = agreed("coupon-1")
    first = order(browser, "coupon-1", **price)
    Reward.objects.filter(code="coupon-1").update(points=9_000)

    assert order(browser, "coupon-1", **price)["Location"] == first["Location"]


def test_a_coupon_is_redeemed_and_its_code_shown(browser: Client, scene: Scene) -> None:
    response = order(browser, "coupon-1")
    page = browser.get(response["Location"])

    coupon = Coupon.objects.get(member=scene.member)
    redemption = Redemption.objects.get(member=scene.member)
    assert response.status_code == 302
    assert coupon.grouped_code in page.text
    assert "¥1.00 off" in page.text
    assert available(scene) == 12_245
    assert (redemption.source, redemption.changes.get().actor) == ("portal", f"member:{scene.member.number}")
    assert check_books() == []


def test_the_same_form_sent_again_is_the_same_order(browser: Client, scene: Scene) -> None:
    first, again = order(browser, "coupon-1"), order(browser, "coupon-1")

    assert first["Location"] == again["Location"]
    assert Redemption.objects.count() == 1
    assert available(scene) == 12_245


def test_a_double_click_on_the_last_piece_of_a_size_leads_to_the_order(browser: Client, scene: Scene) -> None:
    reward, now = Reward.objects.get(code="gift-mug"), timezone.now()
    small, _made = RewardVariant.objects.get_or_create(reward=reward, code="small", defaults={"name_en": "small"})
    RewardVariant.objects.get_or_create(reward=reward, code="large", defaults={"name_en": "large"})
    stocking.set_count(reward=reward, variant=small, count=1, reason="last", actor=TESTER, at=now)

    first, again = (order(browser, "gift-mug", variant="small", quantity="1", delivery="pick_up") for _ in range(2))

    assert (again.status_code, again["Location"]) == (302, first["Location"])
    assert Redemption.objects.count() == 1


def test_a_form_sent_again_after_the_reward_ended_leads_to_the_order(browser: Client) -> None:
    first = order(browser, "coupon-1")
    Reward.objects.filter(code="coupon-1").update(valid_until=timezone.now() - timedelta(seconds=1))

    assert order(browser, "coupon-1")["Location"] == first["Location"]
    for reference in ("f" * 32, "\0", ""):
        assert order(browser, "coupon-1", reference=reference).status_code == 404


def test_a_new_form_is_a_new_order(browser: Client) -> None:
    forms = [browser.get("/rewards/coupon-1/").context["form"]["reference"].value() for _ in range(2)]

    for reference in forms:
        order(browser, "coupon-1", reference=reference)

    assert Redemption.objects.count() == 2


def test_a_used_form_with_other_content_is_refused(browser: Client, scene: Scene) -> None:
    given = {"quantity": "1", "delivery": "pick_up", **first_variant("gift-mug")}
    order(browser, "gift-mug", **given)

    response = order(browser, "gift-mug", **{**given, "quantity": "2"})

    assert response.status_code == 422
    assert "This form was used already" in response.text
    assert available(scene) == 11_345


def test_the_reference_of_one_members_form_is_free_for_another(browser: Client) -> None:
    order(browser, "coupon-1")
    other = MemberFactory.create(tier="member")
    theirs = Client()
    theirs.force_login(sign_in_for(other))

    response = order(theirs, "coupon-1")

    assert response.status_code == 422
    assert "100 more points needed." in response.text


def test_too_few_points_change_nothing() -> None:
    scene = set_scene(points=99)

    response = order(scene.signed_in(), "coupon-1")

    assert response.status_code == 422
    assert "1 more point needed." in response.text
    assert available(scene) == 99
    assert not Redemption.objects.exists()


@pytest.mark.parametrize(("delivery", "label"), [("post", "Delivery address: "), ("pick_up", "Delivery: ")])
def test_the_confirmation_says_where_it_goes(browser: Client, delivery: str, label: str) -> None:
    given = {"quantity": "1", "delivery": delivery, "address": "上海市淮海中路 1045 号", **first_variant("gift-mug")}

    response = browser.post("/rewards/gift-mug/redeem/", {"reference": REFERENCE, **given})

    assert f"{label}</span>" in response.text


def test_a_gift_is_sent_to_the_address_given(browser: Client, scene: Scene) -> None:
    given = {"quantity": "2", "delivery": "post", "address": "上海市淮海中路 1045 号\r\n8 楼"}
    page = browser.get(order(browser, "gift-mug", **given, **first_variant("gift-mug"))["Location"])

    redemption = Redemption.objects.get(member=scene.member)
    assert redemption.address == "上海市淮海中路 1045 号\n8 楼"
    assert (redemption.quantity, redemption.points) == (2, 2_000)
    assert "上海市淮海中路" in page.text


def test_form_errors_name_the_field_and_the_reason(browser: Client, scene: Scene) -> None:
    given = {"quantity": "0", "delivery": "post", "address": " "}

    response = order(browser, "gift-mug", **given, **first_variant("gift-mug"))

    assert response.status_code == 422
    assert "Quantity: at least 1." in response.text
    assert "Enter the address to send it to." in response.text
    assert available(scene) == 12_345


@pytest.mark.parametrize("reference", ["", "short", "x" * 200, REFERENCE.upper()])
def test_a_form_without_its_reference_orders_nothing(browser: Client, scene: Scene, reference: str) -> None:
    assert order(browser, "coupon-1", reference=reference).status_code == 422
    assert available(scene) == 12_345


def test_a_size_that_is_sold_out_is_not_offered(browser: Client) -> None:
    reward = Reward.objects.get(code="gift-mug")
    for code in ("small", "large"):
        RewardVariant.objects.get_or_create(reward=reward, code=code, defaults={"name_en": code})
    stocking.set_count(
        reward=reward,
        variant=RewardVariant.objects.get(reward=reward, code="small"),
        count=0,
        reason="sold",
        actor=TESTER,
        at=timezone.now(),
    )

    form = browser.get("/rewards/gift-mug/").context["form"]
    response = order(browser, "gift-mug", variant="small", quantity="1", delivery="pick_up")

    assert "small" not in {variant.code for variant in form.fields["variant"].queryset}
    assert response.status_code == 422
    assert "This choice is not offered any more." in response.text


def test_a_service_shows_its_write_off_code(browser: Client, scene: Scene) -> None:
    page = browser.get(order(browser, "service-lounge", **first_variant("service-lounge"))["Location"])

    redemption = Redemption.objects.get(member=scene.member)
    assert redemption.pickup_code
    assert redemption.grouped_pickup_code in page.text
    assert page.text.count('shape-rendering="crispEdges"') == 1

    fulfilling.write_off(code=redemption.pickup_code, actor=TESTER, at=timezone.now())

    assert redemption.grouped_pickup_code not in browser.get(page.request["PATH_INFO"]).text


def in_days(days: int) -> str:
    """A moment as a browser's own field sends it."""
    return f"{timezone.localtime() + timedelta(days=days):%Y-%m-%dT10:00}"


@pytest.fixture
def lounge(scene: Scene) -> Reward:
    lounge = Reward.objects.get(code="service-lounge")
    lounge.booking_places = ["North hall", "South hall"]
    lounge.save()
    return lounge


def test_a_visit_is_booked_with_the_order_and_moved_on_its_page(browser: Client, scene: Scene, lounge: Reward) -> None:
    asked = browser.post(
        "/rewards/service-lounge/redeem/", {"reference": REFERENCE, "time": in_days(1), "place": "North hall"}
    )
    path = order(browser, "service-lounge", time=in_days(1), place="North hall")["Location"]
    page = browser.get(path)
    moved = {"reference": page.context["form"]["reference"].value(), "time": in_days(2), "place": "South hall"}
    for _ in range(2):
        response = browser.post(f"{path}book/", moved, follow=True)

    redemption = Redemption.objects.get(member=scene.member)
    assert "North hall" in asked.text
    assert "10:00" in asked.text
    assert f"{timezone.localtime(redemption.booked_for):%Y-%m-%dT%H:%M}" == in_days(2)
    assert redemption.booked_place == "South hall"
    assert "Your booking is kept." in response.text
    assert redemption.changes.filter(topic="booking").count() == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"time": in_days(-1), "place": "North hall"}, "Choose a time that is still to come."),
        ({"time": in_days(367), "place": "North hall"}, "Choose a time within a year."),
        ({"time": "9999-12-31T23:59", "place": "North hall"}, "Choose a time within a year."),
        ({"time": "soon", "place": "North hall"}, "Enter a date and a time."),
        ({"time": in_days(1), "place": "Moon"}, "Choose one of the places."),
        ({"time": in_days(1)}, "Choose one of the places."),
    ],
)
def test_a_booking_that_cannot_be_says_why_in_both_forms(
    browser: Client, scene: Scene, lounge: Reward, given: dict[str, str], told: str
) -> None:
    ordering = order(browser, "service-lounge", **given)
    path = order(browser, "service-lounge")["Location"]
    moving = browser.post(f"{path}book/", {"reference": "f" * 32, **given})

    for response in (ordering, moving):
        assert response.status_code == 422
        assert told in response.text
    assert Redemption.objects.get().booked_for is None


def test_a_visit_that_is_over_is_not_moved_and_a_missed_one_says_so(
    browser: Client, scene: Scene, lounge: Reward
) -> None:
    path = order(browser, "service-lounge", time=in_days(1), place="North hall")["Location"]
    redemption = Redemption.objects.get()
    fulfilling.no_show(redemption=redemption, actor=TESTER, at=timezone.now() + timedelta(days=2))

    late = {"reference": "f" * 32, "time": in_days(3), "place": "North hall"}
    response = browser.post(f"{path}book/", late, follow=True)

    assert "can no longer be rescheduled" in response.text
    assert "You were expected and did not come" in response.text
    assert "Cancel this order" not in response.text
    assert available(scene) == 2_345


def test_a_visit_whose_time_has_come_is_not_cancelled_or_moved_for_its_points(
    browser: Client, scene: Scene, lounge: Reward
) -> None:
    path = order(browser, "service-lounge", time=in_days(1), place="North hall")["Location"]
    late = {"reference": "f" * 32, "time": in_days(3), "place": "North hall"}

    with time_machine.travel(timezone.now() + timedelta(days=2), tick=False):
        later = scene.signed_in()
        page = later.get(path)
        answers = [later.post(f"{path}cancel/", follow=True), later.post(f"{path}book/", late, follow=True)]

    assert "Cancel this order" not in page.text
    assert "Change the time or place" not in page.text
    for shown in (page, *answers):
        assert "The time it was booked for has come" in shown.text
    assert Redemption.objects.get().state == "ready"
    assert available(scene) == 2_345


def test_what_costs_money_too_says_so_before_and_shows_what_to_pay_after(browser: Client, scene: Scene) -> None:
    Reward.objects.filter(code="gift-mug").update(money_minor=1_990)
    given = {"quantity": "2", "delivery": "pick_up", **first_variant("gift-mug")}

    shelf = browser.get("/rewards/?kind=gift")
    asked = browser.post("/rewards/gift-mug/redeem/", {"reference": REFERENCE, **given})
    path = order(browser, "gift-mug", **given)["Location"]
    unpaid = browser.get(path)
    redemption = Redemption.objects.get(member=scene.member)
    paying.record_payment(
        redemption=redemption,
        amount_minor=3_980,
        currency="CNY",
        source="till",
        reference="p-1",
        actor=TESTER,
        at=timezone.now(),
    )
    paid = browser.get(path)

    assert "+ ¥19.90" in shelf.text
    assert "¥39.80" in asked.text
    assert "Please pay <strong>¥39.80</strong>" in unpaid.text
    assert str(redemption.key) in unpaid.text
    assert "If it is not paid by" in unpaid.text
    assert "Cancel this order" in unpaid.text
    assert "Please pay" not in paid.text
    assert "Cancel this order" not in paid.text  # the shop has the money to give back
    browser.post(f"{path}cancel/")
    redemption.refresh_from_db()
    assert redemption.state == "placed"


def test_the_shelves_of_the_catalogue_narrow_it(browser: Client) -> None:
    kitchen = RewardCategory.objects.create(code="kitchen", name_en="Kitchen", name_zh_hans="厨房")
    Reward.objects.filter(code="gift-mug").update(category=kitchen)

    everything, shelf = browser.get("/rewards/"), browser.get("/rewards/?category=kitchen&kind=gift")
    wrong = browser.get("/rewards/?category=nothing")

    assert "?category=kitchen" in everything.text
    assert [one.offer.reward.code for one in shelf.context["shown"]] == ["gift-mug"]
    assert len(wrong.context["shown"]) == len(everything.context["shown"])


def test_the_page_of_a_reward_tells_its_limits(browser: Client) -> None:
    Reward.objects.filter(code="gift-mug").update(limit_day=1, limit_month=3)

    page = browser.get("/rewards/gift-mug/")

    assert "At most 1 a day" in page.text
    assert "At most 3 a month" in page.text


def test_an_order_can_be_cancelled_once_and_its_points_come_back(browser: Client, scene: Scene) -> None:
    path = order(browser, "gift-mug", quantity="1", delivery="pick_up", **first_variant("gift-mug"))["Location"]
    assert "Cancel this order" in browser.get(path).text

    for _ in range(2):
        response = browser.post(f"{path}cancel/", follow=True)
        assert "The order was cancelled and your points are back." in response.text

    assert available(scene) == 12_345
    assert "Cancel this order" not in response.text
    assert check_books() == []


def test_a_shipped_order_can_no_longer_be_cancelled(browser: Client, scene: Scene) -> None:
    path = order(browser, "gift-mug", quantity="1", delivery="pick_up", **first_variant("gift-mug"))["Location"]
    redemption = Redemption.objects.get(member=scene.member)
    fulfilling.approve(redemption=redemption, actor=TESTER, at=timezone.now())
    fulfilling.ship(redemption=redemption, carrier="SF", tracking="SF123", actor=TESTER, at=timezone.now())

    response = browser.post(f"{path}cancel/", follow=True)

    assert "This order can no longer be cancelled." in response.text
    assert "SF123" in response.text
    assert available(scene) == 11_345


def test_a_used_or_expired_coupon_cannot_be_turned_back_into_points(browser: Client, scene: Scene) -> None:
    used = order(browser, "coupon-1")["Location"]
    ended = order(browser, "coupon-1", reference="f" * 32)["Location"]
    first, second = Coupon.objects.filter(member=scene.member).order_by("pk")
    coupons.redeem(
        code=first.code,
        amount_minor=5_000,
        currency="CNY",
        source="till",
        reference="c-1",
        actor=TESTER,
        at=timezone.now(),
        member=scene.member,
    )
    assert second.expires_at is not None

    with time_machine.travel(second.expires_at + timedelta(hours=1), tick=False):
        later = scene.signed_in()
        for path in (used, ended):
            response = later.post(f"{path}cancel/", follow=True)
            assert "This order can no longer be cancelled." in response.text

    assert available(scene) == 12_145


def test_a_coupon_used_in_part_cannot_be_turned_back_into_points(browser: Client, scene: Scene) -> None:
    batch = CouponBatchFactory.create(uses=5)
    codes_of(batch)
    Reward.objects.filter(code="coupon-1").update(
        coupon_batch=batch, coupon_value_minor=None, coupon_valid_days=None, coupon_currency=""
    )
    path = order(browser, "coupon-1")["Location"]
    assert "Cancel this order" in browser.get(path).text
    use: dict[str, Any] = {"source": "till", "reference": "c-1", "actor": TESTER, "at": timezone.now()}
    coupons.redeem(code=batch.coupons.get().code, amount_minor=5_000, currency="CNY", **use)

    response = browser.post(f"{path}cancel/", follow=True)

    assert "This order can no longer be cancelled." in response.text
    assert "Cancel this order" not in response.text
    assert available(scene) == 12_245


def test_coupons_are_listed_with_what_can_still_be_used_first(browser: Client, scene: Scene) -> None:
    order(browser, "coupon-1")
    with time_machine.travel(timezone.now() + timedelta(days=60), tick=False):
        order(scene.signed_in(), "coupon-1", reference="f" * 32)
    first, second = Coupon.objects.filter(member=scene.member).order_by("pk")
    assert first.expires_at is not None

    with time_machine.travel(first.expires_at, tick=False):
        later = scene.signed_in()
        response = later.get("/coupons/")
        usable, expired = later.get(f"/coupons/{second.pk}/"), later.get(f"/coupons/{first.pk}/")

    assert [coupon.pk for coupon in response.context["usable"]] == [second.pk]
    assert [coupon.pk for coupon in response.context["past"]] == [first.pk]
    assert "Expired" in response.text
    assert 'data-testid="code"' in usable.text
    assert 'data-testid="code"' not in expired.text


def test_orders_and_coupons_of_others_are_not_found(browser: Client) -> None:
    path = order(browser, "coupon-1")["Location"]
    coupon = Coupon.objects.get()
    stranger = Client()
    stranger.force_login(sign_in_for(MemberFactory.create(tier="member")))

    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}cancel/").status_code == 404
    assert stranger.get(f"/coupons/{coupon.pk}/").status_code == 404
    assert stranger.get("/orders/").context["orders"] == []
    assert Redemption.objects.get().state == "completed"


def test_nothing_is_spent_by_a_link(browser: Client) -> None:
    for method in (browser.get, browser.head):
        assert method("/rewards/coupon-1/redeem/")["Location"] == "/rewards/coupon-1/"
    assert browser.put("/rewards/coupon-1/redeem/").status_code == 405
    assert not Redemption.objects.exists()


def test_another_language_below_a_refusal_leads_to_where_the_form_stands(browser: Client, lounge: Reward) -> None:
    path = order(browser, "service-lounge")["Location"]
    refused = {
        f"{path}book/": path,
        "/rewards/gift-mug/redeem/": "/rewards/gift-mug/",
        "/profile/language/": "/profile/",
    }

    for address, place in refused.items():
        assert browser.post(address, {}).status_code == 422
        chosen = browser.post("/i18n/setlang/", {"language": "zh-hans", "next": address}, follow=True)
        assert [hop for hop, _status in chosen.redirect_chain] == [address, place]
        assert '<html lang="zh-Hans">' in chosen.text
    assert browser.get(f"{path}cancel/")["Location"] == path


def test_what_takes_only_forms_says_so_on_a_page_of_ours(browser: Client) -> None:
    response = browser.get("/sign-out/")

    assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS")
    assert "There is nothing to see at this address" in response.text


@pytest.mark.parametrize(
    ("quantity", "told"),
    [
        (2, "A member can have 2 of this reward and you have had 1."),
        (99, "A member can have 2 of this reward and you have had 1."),
    ],
)
def test_a_limit_that_will_refuse_is_told_before_the_question(
    browser: Client, scene: Scene, quantity: int, told: str
) -> None:
    Reward.objects.filter(code="gift-mug").update(per_member_limit=2)
    order(browser, "gift-mug", quantity=1, delivery="pick_up")

    form = {"reference": "f" * 32, "quantity": quantity, "delivery": "pick_up"}
    response = browser.post("/rewards/gift-mug/redeem/", form)
    enough = browser.post("/rewards/gift-mug/redeem/", form | {"quantity": 1})

    assert response.status_code == 422
    assert told in response.text
    assert "Redeem this?" not in response.text
    assert f'value="{quantity}"' in response.text
    assert "Redeem this?" in enough.text


def test_a_stock_that_is_too_small_is_told_before_the_points_that_are_missing(browser: Client, scene: Scene) -> None:
    form = {"reference": REFERENCE, "quantity": 61, "delivery": "pick_up", **first_variant("gift-tote")}
    Reward.objects.filter(code="gift-tote").update(per_member_limit=None)

    response = browser.post("/rewards/gift-tote/redeem/", form)
    poor = browser.post("/rewards/gift-tote/redeem/", form | {"quantity": 60})

    assert response.status_code == 422
    assert "Of this reward 60 are left." in response.text
    assert poor.status_code == 200
    assert "Missing" in poor.text


def test_the_question_asked_again_after_the_answer_leads_to_the_order(browser: Client) -> None:
    Reward.objects.filter(code="gift-mug").update(per_member_limit=1)
    form = {"reference": REFERENCE, "quantity": 1, "delivery": "pick_up"}
    first = order(browser, "gift-mug", quantity=1, delivery="pick_up")

    assert browser.post("/rewards/gift-mug/redeem/", form)["Location"] == first["Location"]


def test_an_address_is_as_long_as_the_api_takes_it(browser: Client) -> None:
    posted: dict[str, Any] = {"quantity": 1, "delivery": "post"}

    refused = order(browser, "gift-mug", address="x" * 501, **posted)
    taken = order(browser, "gift-mug", address="x" * 500, **posted)

    assert refused.status_code == 422
    assert "Delivery address: at most 500 characters." in refused.text
    assert taken.status_code == 302


def test_the_name_of_a_batch_is_the_houses_own(browser: Client, scene: Scene) -> None:
    batch = CouponBatchFactory.create(name="November leaflets")
    coupon = codes_of(batch)[0]
    coupons.assign(coupon=coupon, member=scene.member, actor=TESTER, at=scene.now)

    for address in ("/coupons/", f"/coupons/{coupon.pk}/"):
        text = browser.get(address).text
        assert coupon.grouped_code in text
        assert "November leaflets" not in text


def test_a_form_from_another_site_is_refused(scene: Scene) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(scene.user)

    response = order(browser, "coupon-1")

    assert response.status_code == 403
    assert "This page was open too long" in response.text
    assert not Redemption.objects.exists()


def test_the_last_piece_goes_to_one(browser: Client, scene: Scene) -> None:
    Stock.objects.filter(reward__code="gift-mug").update(
        count=0, change={"actor": TESTER, "at": timezone.now().isoformat()}
    )

    response = order(browser, "gift-mug", quantity="1", delivery="pick_up", **first_variant("gift-mug"))

    assert response.status_code == 422
    assert available(scene) == 12_345


def test_shop_pages_keep_to_their_queries(
    browser: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        order(browser, "coupon-1", reference=f"{number:032x}")
    path = Redemption.objects.all()[0].key

    for address, most in {
        "/rewards/": 18,
        "/rewards/coupon-1/": 18,
        "/orders/": 5,
        f"/orders/{path}/": 6,
        "/coupons/": 6,
    }.items():
        with django_assert_max_num_queries(most):
            browser.get(address)
