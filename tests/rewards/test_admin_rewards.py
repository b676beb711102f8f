"""Catalogue, stock, coupons and orders on screen: counts move with a reason, orders step by step."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from members.models import AuditRecord
from rewards.actions.booking import Booking
from rewards.models import Coupon, CouponBatch, Redemption, Reward, RewardCategory, Stock, StockMovement, told
from tests.config.admin_scene import staff
from tests.members.factories import TESTER, MemberFactory, TierFactory
from tests.rewards.factories import (
    CouponRewardFactory,
    RewardFactory,
    RewardVariantFactory,
    ServiceRewardFactory,
    available,
    member_with,
    order,
    printed_coupon,
    stock,
)

pytestmark = pytest.mark.django_db

ADDRESS = "上海市世纪大道 100 号"


@pytest.fixture
def manager(client: Client) -> Client:
    client.force_login(staff("programme manager", username="maria"))
    return client


@pytest.fixture
def clerk(client: Client) -> Client:
    client.force_login(staff("clerk", username="clara"))
    return client


def page_of(row: Any, step: str = "change") -> str:
    return reverse(f"admin:rewards_{row._meta.model_name}_{step}", args=[row.pk])


def text_of(response: Any) -> str:
    return str(response.content.decode())


def reward_answers(**changed: Any) -> dict[str, Any]:
    """What a person fills in for a mug."""
    inline = {f"variants-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")}
    mug = {
        "name_en": "Mug",
        "name_zh_hans": "杯子",
        "code": "mug",
        "kind": "gift",
        "points": "1000",
        "is_active": "on",
    }
    return inline | mug | changed


def test_a_reward_is_written_in_both_languages_with_a_price_by_tier(manager: Client) -> None:
    TierFactory.create(code="gold")
    answers = reward_answers(points_by_tier="gold = 900", segments="vip, staff", tiers=["gold"])

    response = manager.post(reverse("admin:rewards_reward_add"), answers)

    assert response.status_code == 302, response.context["adminform"].form.errors
    reward = Reward.objects.get()
    assert (reward.points_by_tier, reward.segments, reward.tiers) == ({"gold": 900}, ["vip", "staff"], ["gold"])
    assert (reward.name_en, reward.name_zh_hans) == ("Mug", "杯子")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"points_by_tier": "gold = cheap"}, "the price must be a whole number"),
        ({"points_by_tier": "lead = 5"}, "there is no tier “lead”"),
        ({"kind": "coupon"}, "A coupon has a value, a percentage or a batch"),
        ({"points": "0"}, "at least one point"),
        ({"points": "100000000000000000"}, "less than or equal to 1000000000000"),
        ({"kind": "coupon", "coupon_percent": "5", "coupon_valid_days": "3000000"}, "less than or equal to 36500"),
        (
            {
                "valid_from_0": "2026-03-02",
                "valid_from_1": "00:00:00",
                "valid_until_0": "2026-03-01",
                "valid_until_1": "00:00:00",
            },
            "The period must end after it begins.",
        ),
    ],
)
def test_a_reward_that_makes_no_sense_is_refused_in_words(manager: Client, changed: dict[str, str], told: str) -> None:
    TierFactory.create(code="gold")

    response = manager.post(reverse("admin:rewards_reward_add"), reward_answers(**changed))

    assert told in str(dict(response.context["adminform"].form.errors))
    assert not Reward.objects.exists()


def test_the_count_of_a_stock_is_moved_and_never_edited(manager: Client) -> None:
    reward = RewardFactory.create()
    variant = RewardVariantFactory.create(reward=reward)
    stock(reward, 10, variant)
    address = page_of(reward, "stock")

    for change, pieces in (("add", "5"), ("remove", "2"), ("count", "40")):
        sent = manager.get(address).context["form"]["reference"].value()
        answers = {"variant": variant.pk, "change": change, "pieces": pieces, "reason": f"to {change}"}
        for _click in range(2):
            assert manager.post(address, answers | {"reference": sent}).status_code == 302

    assert Stock.objects.get().count == 40
    moved = list(StockMovement.objects.order_by("id").values_list("pieces", "left_after", "reason", "actor"))
    assert moved[1:] == [
        (5, 15, "to add", "staff:maria"),
        (-2, 13, "to remove", "staff:maria"),
        (27, 40, "to count", "staff:maria"),
    ]
    assert 'name="count"' not in text_of(manager.get(page_of(Stock.objects.get())))


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"change": "remove", "pieces": "11", "reason": "x"}, "10 are left"),
        ({"change": "add", "pieces": "", "reason": "x"}, "Say how many."),
        ({"change": "count", "pieces": "-1", "reason": "x"}, "greater than or equal to 0"),
        ({"change": "add", "pieces": "1", "reason": ""}, "This field is required."),
    ],
)
def test_a_movement_that_cannot_be_is_refused(manager: Client, answers: dict[str, str], told: str) -> None:
    reward = RewardFactory.create()
    stock(reward, 10)

    response = manager.post(page_of(reward, "stock"), answers | {"reference": "stock-1"})

    assert told in text_of(response)
    assert Stock.objects.get().count == 10


def test_pieces_come_into_a_stock_that_was_counted(manager: Client) -> None:
    reward = RewardFactory.create()
    RewardVariantFactory.create(reward=reward)
    answers = {"change": "add", "pieces": "5", "reason": "x", "reference": "stock-1"}

    refused = manager.post(page_of(reward, "stock"), answers)
    manager.post(page_of(reward, "stock"), answers | {"change": "count"})
    manager.post(page_of(reward, "stock"), answers)

    assert "Count it first." in text_of(refused)
    assert (Stock.objects.get().variant, Stock.objects.get().count) == (None, 10)


def test_a_clerk_reads_the_catalogue_and_changes_nothing_of_it(clerk: Client) -> None:
    reward = RewardFactory.create()
    stock(reward, 10)

    assert clerk.get(page_of(reward)).status_code == 200
    assert clerk.post(page_of(reward), reward_answers()).status_code == 403
    assert clerk.post(page_of(reward, "stock"), {"change": "add", "pieces": "1", "reason": "x"}).status_code == 403


def test_a_category_is_made_and_rewards_stand_on_it(manager: Client) -> None:
    answers = {"name_en": "Kitchen", "name_zh_hans": "厨房", "code": "kitchen", "position": "2"}
    assert manager.post(reverse("admin:rewards_rewardcategory_add"), answers).status_code == 302
    kitchen = RewardCategory.objects.get()

    manager.post(reverse("admin:rewards_reward_add"), reward_answers(category=str(kitchen.pk), limit_week="2"))

    reward = Reward.objects.get()
    assert (reward.category, reward.limits) == (kitchen, {"week": 2})
    address = reverse("admin:rewards_reward_changelist")
    assert list(manager.get(address, {"category__id__exact": kitchen.pk}).context["cl"].result_list) == [reward]
    assert manager.post(page_of(kitchen, "delete"), {"post": "yes"}).status_code == 403
    assert RewardCategory.objects.exists()


def test_a_price_in_points_and_money_is_written_in_money(manager: Client) -> None:
    response = manager.post(reverse("admin:rewards_reward_add"), reward_answers(money_minor="19.90"))

    assert response.status_code == 302, response.context["adminform"].form.errors
    assert Reward.objects.get().money_minor == 1_990
    assert "1,000 + 19.90 CNY" in text_of(manager.get(reverse("admin:rewards_reward_changelist")))


def test_what_a_kind_cannot_have_is_refused_for_a_reward_that_exists_too(manager: Client) -> None:
    coupon, gift = CouponRewardFactory.create(code="voucher"), RewardFactory.create(code="mug")
    terms = {"coupon_value_minor": "1.00", "points": "100"}

    dear = manager.post(page_of(coupon), reward_answers(money_minor="5", **terms))
    somewhere = manager.post(page_of(gift), reward_answers(booking_places="North hall"))

    assert dear.context["adminform"].form.errors["money_minor"] == ["A coupon costs points alone."]
    assert list(somewhere.context["adminform"].form.errors) == ["booking_places"]


def test_a_page_that_calls_itself_a_picture_is_refused(manager: Client) -> None:
    page = SimpleUploadedFile("mug.png", b"<html><script>alert(1)</script></html>", "image/png")

    response = manager.post(reverse("admin:rewards_reward_add"), reward_answers(picture=page))

    errors = response.context["adminform"].form.errors
    assert errors["picture"] == ["This file is not a JPEG, PNG or WebP picture."]
    assert not Reward.objects.exists()


@pytest.fixture
def gift_order() -> Redemption:
    reward = RewardFactory.create()
    stock(reward, 10)
    return order(member_with(1_000), reward, address=ADDRESS)


def test_a_gift_goes_through_the_queue_to_the_member(clerk: Client, gift_order: Redemption) -> None:
    queue = reverse("admin:rewards_redemption_changelist")
    assert list(clerk.get(queue).context["cl"].result_list) == [gift_order]

    clerk.post(page_of(gift_order, "approve"))
    clerk.post(page_of(gift_order, "ship"), {"carrier": "SF", "tracking": "SF123"})
    assert [o.tracking for o in clerk.get(queue, {"q": "SF123"}).context["cl"].result_list] == ["SF123"]
    clerk.post(page_of(gift_order, "complete"))

    gift_order.refresh_from_db()
    assert (gift_order.state, gift_order.carrier, gift_order.tracking) == ("completed", "SF", "SF123")
    assert list(clerk.get(queue).context["cl"].result_list) == []
    assert list(clerk.get(queue, {"state": "all"}).context["cl"].result_list) == [gift_order]
    assert "staff:clara" in text_of(clerk.get(page_of(gift_order)))


def test_only_the_steps_that_follow_are_offered_and_others_are_refused(clerk: Client, gift_order: Redemption) -> None:
    offered = {step["link"] for step in clerk.get(page_of(gift_order)).context["steps"]}

    refused = clerk.post(page_of(gift_order, "complete"), follow=True)

    assert offered == {page_of(gift_order, "approve"), page_of(gift_order, "cancel")}
    assert "cannot become" in text_of(refused)
    gift_order.refresh_from_db()
    assert gift_order.state == "placed"


def test_a_cancelled_order_gives_points_and_pieces_back_once(clerk: Client, gift_order: Redemption) -> None:
    member = gift_order.member
    assert available(member) == 0

    for _time in range(2):
        clerk.post(page_of(gift_order, "cancel"), {"reason": "changed his mind"})

    assert available(member) == 1_000
    assert Stock.objects.get().count == 10


def test_a_returned_order_gives_the_points_back_and_leaves_broken_pieces_out(
    clerk: Client, gift_order: Redemption
) -> None:
    clerk.post(page_of(gift_order, "approve"))
    clerk.post(page_of(gift_order, "ship"), {"carrier": "SF", "tracking": "SF123"})

    clerk.post(page_of(gift_order, "take_back"), {"reason": "broken"})

    gift_order.refresh_from_db()
    assert gift_order.state == "returned"
    assert available(gift_order.member) == 1_000
    assert Stock.objects.get().count == 9


def test_the_address_is_read_by_who_sends_and_that_is_written_down(clerk: Client, gift_order: Redemption) -> None:
    assert ADDRESS not in text_of(clerk.get(page_of(gift_order)))

    response = clerk.post(page_of(gift_order, "address"))

    assert ADDRESS in text_of(response)
    record = AuditRecord.objects.get(action="member.revealed")
    assert (record.actor, record.subject, record.reason) == ("staff:clara", gift_order.member, "fulfilment")


def test_many_orders_are_approved_at_once_and_those_that_stand_elsewhere_are_named(clerk: Client) -> None:
    reward = RewardFactory.create()
    orders = [order(member_with(1_000), reward, address=ADDRESS) for _order in range(3)]
    clerk.post(page_of(orders[0], "approve"))
    answers = {"action": "approve_selected", "_selected_action": [one.pk for one in orders]}

    response = clerk.post(reverse("admin:rewards_redemption_changelist"), answers, follow=True)

    assert set(Redemption.objects.values_list("state", flat=True)) == {"approved"}
    assert "2 orders moved on." in text_of(response)
    assert orders[0].member.grouped_number in text_of(response)


def test_a_service_is_written_off_by_the_code_the_member_shows(clerk: Client) -> None:
    service = order(member_with(10_000), ServiceRewardFactory.create())
    address = reverse("admin:rewards_redemption_write_off")
    assert service.pickup_code not in text_of(clerk.get(page_of(service)))

    response = clerk.post(address, {"code": service.grouped_pickup_code.lower()}, follow=True)
    again = clerk.post(address, {"code": service.pickup_code})

    assert "Written off" in text_of(response)
    (told,) = again.context["form"].errors["code"]
    assert told.startswith("Lounge is Completed since")
    service.refresh_from_db()
    assert service.state == "completed"


def test_a_visit_booked_for_another_day_is_written_off_after_a_second_look(clerk: Client) -> None:
    member, now = member_with(20_000), timezone.now()
    today, tomorrow = (
        order(member, ServiceRewardFactory.create(), booking=Booking(now + timedelta(days=days), "North hall"))
        for days in (0, 1)
    )
    Redemption.objects.filter(pk=today.pk).update(booked_for=now, change=told(actor=TESTER, at=now))
    address = reverse("admin:rewards_redemption_write_off")

    clerk.post(address, {"code": today.pickup_code})
    asked = clerk.post(address, {"code": tomorrow.pickup_code})
    states = [Redemption.objects.get(pk=one.pk).state for one in (today, tomorrow)]
    clerk.post(address, {"code": tomorrow.pickup_code, "confirmed": "1"})

    assert states == ["completed", "ready"]
    assert f"{timezone.localdate() + timedelta(days=1)}" in text_of(asked)
    assert Redemption.objects.get(pk=tomorrow.pk).state == "completed"


def test_a_service_written_off_by_mistake_is_taken_back_once_for_a_reason(clerk: Client) -> None:
    service = order(member_with(10_000), ServiceRewardFactory.create())
    clerk.post(reverse("admin:rewards_redemption_write_off"), {"code": service.pickup_code})
    assert page_of(service, "take_back") in {step["link"] for step in clerk.get(page_of(service)).context["steps"]}

    unexplained = clerk.post(page_of(service, "take_back"), {})
    for _click in range(2):
        clerk.post(page_of(service, "take_back"), {"reason": "the code of another visit"})

    assert "reason" in unexplained.context["form"].errors
    assert Redemption.objects.get(pk=service.pk).state == "returned"
    assert available(service.member) == 10_000


def test_an_order_is_called_by_what_was_ordered(clerk: Client) -> None:
    gift = order(member_with(1_000), RewardFactory.create())

    assert str(gift) == "Mug × 1 (Placed)"
    assert "Mug × 1 (Placed)" in text_of(clerk.get(page_of(gift, "cancel")))


def test_a_service_is_booked_moved_and_missed_on_screen(clerk: Client) -> None:
    reward = ServiceRewardFactory.create(booking_places=["North hall", "South hall"])
    service = order(member_with(10_000), reward)
    page = clerk.get(page_of(service, "book"))
    tomorrow = timezone.localdate() + timedelta(days=1)
    answers = {
        "booking_0": str(tomorrow),
        "booking_1": "10:00:00",
        "place": "South hall",
        "reason": "called",
        "reference": page.context["form"]["reference"].value(),
    }

    for _time in range(2):  # a double click
        assert clerk.post(page_of(service, "book"), answers).status_code == 302
    elsewhere = clerk.post(page_of(service, "book"), answers | {"place": "Moon", "reference": "b-2"})
    offered = {step["link"] for step in clerk.get(page_of(service)).context["steps"]}

    service.refresh_from_db()
    assert f"{timezone.localtime(service.booked_for):%Y-%m-%d %H:%M}" == f"{tomorrow} 10:00"
    assert service.changes.filter(topic="booking").count() == 1
    assert "place" in elsewhere.context["form"].errors
    assert page_of(service, "no_show") not in offered  # it is still to come
    assert f"{tomorrow} 10:00 South hall called" in text_of(clerk.get(page_of(service)))
    day = {"booked_for_from": str(tomorrow), "booked_for_to": str(tomorrow)}
    listed = clerk.get(reverse("admin:rewards_redemption_changelist"), day).context["cl"].result_list
    assert list(listed) == [service]


def test_a_no_show_keeps_or_gets_back_its_points_on_screen(clerk: Client) -> None:
    member, past = member_with(20_000), timezone.now() - timedelta(hours=1)
    missed, excused = (
        order(member, ServiceRewardFactory.create(), booking=Booking(past, "North hall")) for _ in range(2)
    )
    assert page_of(missed, "no_show") in {step["link"] for step in clerk.get(page_of(missed)).context["steps"]}

    clerk.post(page_of(missed, "no_show"), {})
    unexplained = clerk.post(page_of(excused, "no_show"), {"restore": "on"})
    clerk.post(page_of(excused, "no_show"), {"restore": "on", "reason": "train was late"})

    assert unexplained.context["form"].errors["reason"] == ["Say why the points are given back."]
    assert [Redemption.objects.get(pk=one.pk).state for one in (missed, excused)] == ["no_show", "returned"]
    assert available(member) == 10_000
    clerk.post(page_of(missed, "take_back"), {"reason": "was in hospital"})
    assert available(member) == 20_000


def test_staff_cancel_a_visit_whose_time_has_come_with_a_reason(clerk: Client) -> None:
    member, past = member_with(10_000), timezone.now() - timedelta(hours=1)
    closed = order(member, ServiceRewardFactory.create(), booking=Booking(past, "North hall"))

    clerk.post(page_of(closed, "cancel"), {"reason": "we were closed that day"})

    assert closed.changes.get(to_state="cancelled").reason == "we were closed that day"
    assert available(member) == 10_000


def test_an_order_with_money_is_paid_on_screen_before_it_goes_on(clerk: Client) -> None:
    dear = order(member_with(1_000), RewardFactory.create(money_minor=1_990))
    offered = {step["link"] for step in clerk.get(page_of(dear)).context["steps"]}
    assert "19.90 CNY" in text_of(clerk.get(page_of(dear, "payment")))

    refused = clerk.post(page_of(dear, "approve"), follow=True)
    clerk.post(page_of(dear, "payment"), {"reference": "R-17"})
    clerk.post(page_of(dear, "approve"))

    assert offered == {page_of(dear, "payment"), page_of(dear, "cancel")}
    assert "waits for its payment" in text_of(refused)
    dear.refresh_from_db()
    assert (dear.state, dear.paid_at is not None) == ("approved", True)
    assert "R-17" in text_of(clerk.get(page_of(dear)))
    assert "give it back where it was paid" in text_of(clerk.get(page_of(dear, "cancel")))


def test_one_receipt_does_not_pay_for_two_orders_on_screen(clerk: Client) -> None:
    reward = RewardFactory.create(money_minor=1_990)
    first, second = (order(member_with(1_000), reward) for _ in range(2))
    clerk.post(page_of(first, "payment"), {"reference": "R-17"})

    refused = clerk.post(page_of(second, "payment"), {"reference": "R-17"})

    assert "was used before" in refused.context["form"].errors["reference"][0]
    second.refresh_from_db()
    assert second.paid_at is None


def test_reading_roles_move_no_order(client: Client, gift_order: Redemption) -> None:
    client.force_login(staff("auditor"))

    assert client.get(page_of(gift_order)).status_code == 200
    for step in ("approve", "ship", "cancel", "address", "payment", "book", "no_show"):
        assert client.post(page_of(gift_order, step), {"reason": "x"}).status_code == 403
    bulk = {"action": "approve_selected", "_selected_action": [gift_order.pk]}
    client.post(reverse("admin:rewards_redemption_changelist"), bulk)
    gift_order.refresh_from_db()
    assert gift_order.state == "placed"


def test_a_coupon_is_found_by_its_code_and_shows_its_life(manager: Client) -> None:
    order(member_with(100), CouponRewardFactory.create())
    coupon = Coupon.objects.get()
    address = reverse("admin:rewards_coupon_changelist")

    found = manager.get(address, {"q": coupon.grouped_code.lower()}).context["cl"].result_list

    assert list(found) == [coupon]
    assert "Life of the coupon" in text_of(manager.get(page_of(coupon)))
    assert list(manager.get(address, {"q": coupon.code[:8]}).context["cl"].result_list) == []


def test_a_printed_coupon_is_given_to_a_member_and_voided(manager: Client) -> None:
    member = MemberFactory.create(phone="13800138000")
    coupon = printed_coupon()

    manager.post(page_of(coupon, "assign"), {"member": "13800138000", "reason": "a gift"})
    coupon.refresh_from_db()
    assert (coupon.member, coupon.state) == (member, "assigned")
    manager.post(page_of(coupon, "void"), {"reason": "a mistake"})

    coupon.refresh_from_db()
    assert coupon.state == "void"
    assert "cannot be used" not in text_of(manager.get(page_of(coupon)))


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_repeated_before_its_codes_are_made(manager: Client) -> None:
    address = reverse("admin:rewards_couponbatch_new")
    answers = {"name": "Spring", "quantity": "3", "value_minor": "5.00"}

    asked = manager.post(address, answers)
    assert "5.00 CNY" in text_of(asked)
    assert not CouponBatch.objects.exists()
    manager.post(address, answers | {"confirmed": "1"})

    batch = CouponBatch.objects.get()
    assert (batch.value_minor, batch.created_by, batch.coupons.count()) == (500, "staff:maria", 3)


@pytest.mark.parametrize(
    "answers",
    [
        {"quantity": "3", "value_minor": "5"},
        {"name": "x", "quantity": "0", "value_minor": "5"},
        {"name": "x", "quantity": "3", "value_minor": "5", "percent": "5"},
        {"name": "x", "quantity": "3"},
        {"name": "x", "quantity": "3", "percent": "101"},
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(manager: Client, answers: dict[str, str]) -> None:
    response = manager.post(reverse("admin:rewards_couponbatch_new"), answers | {"confirmed": "1"})

    assert response.context["form"].errors
    assert not CouponBatch.objects.exists()


def test_the_page_of_a_member_shows_orders_and_coupons(clerk: Client) -> None:
    member = member_with(1_100)
    order(member, RewardFactory.create(name_en="Stoneware mug"), address=ADDRESS)
    order(member, CouponRewardFactory.create())

    text = text_of(clerk.get(reverse("admin:members_member_change", args=[member.pk])))

    assert "Stoneware mug" in text
    assert Coupon.objects.get().masked_code in text


def test_the_entries_of_a_member_name_the_reward_in_the_readers_language(clerk: Client) -> None:
    member = member_with(1_000)
    order(member, RewardFactory.create(points=100), address=ADDRESS)

    page = clerk.get(reverse("admin:members_member_change", args=[member.pk]), headers={"accept-language": "zh-hans"})

    panel = next(each for each in page.context["panels"] if each.slug == "entries")
    assert "杯子" in [row[-1] for row in panel.rows]
    assert "Mug" not in [row[-1] for row in panel.rows]
