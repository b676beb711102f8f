"""Points become a coupon, a gift or a service, or nothing happens at all."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from config.lib.errors import DomainError
from points.actions.posting import InsufficientPoints, MemberNotActive, PointsOutOfRange, ReferenceConflict
from points.calendar import end_of_day
from points.models import Entry, Reference
from points.reports import check_books
from rewards import eligibility, reports
from rewards.actions import coupons, redeeming, stocking
from rewards.actions.redeeming import Redeemed
from rewards.models import Coupon, Redemption, Reward, Stock
from tests.members.factories import AT, TESTER, MemberFactory, TierFactory

from .factories import (
    CouponRewardFactory,
    PointTypeFactory,
    RewardFactory,
    RewardVariantFactory,
    ServiceRewardFactory,
    available,
    member_with,
    order,
    stock,
)

pytestmark = pytest.mark.django_db


def redeem(member: Any, reward: Reward, **given: Any) -> Redeemed:
    asked: dict[str, Any] = {"source": "shop", "reference": "r-1", "actor": TESTER, "at": AT} | given
    return redeeming.redeem(member=member, reward=reward, **asked)


def assert_nothing_happened(member: Any, points: int) -> None:
    assert available(member) == points
    assert not Redemption.objects.exists()
    assert not Coupon.objects.exists()
    assert not Reference.objects.filter(operation="redemption").exists()
    assert check_books() == []


def test_a_hundred_points_become_a_coupon_of_one_yuan_at_once() -> None:
    member, reward = member_with(100), CouponRewardFactory.create()

    done = redeem(member, reward)

    assert done.coupon is not None
    assert (done.redemption.state, done.redemption.points, done.redemption.entry_id) == (
        "completed",
        100,
        Entry.objects.get(member=member, kind="redemption").pk,
    )
    assert (done.coupon.member, done.coupon.state, done.coupon.value_minor, done.coupon.currency) == (
        member,
        "assigned",
        100,
        "CNY",
    )
    assert len(done.coupon.code) == 16
    assert done.coupon.grouped_code.count("-") == 3
    assert done.redemption.coupon == Coupon.objects.by_code(done.coupon.grouped_code.lower()).get()
    assert available(member) == 0


def test_a_coupon_is_good_until_the_end_of_its_last_local_day() -> None:
    member, reward = member_with(100), CouponRewardFactory.create(coupon_valid_days=30)

    coupon = redeem(member, reward).coupon

    # 1 March 12:00 in Shanghai and 30 days more: until the end of 31 March there.
    assert coupon is not None
    assert coupon.expires_at is not None
    assert coupon.expires_at.isoformat() == "2026-04-01T00:00:00+08:00"


def test_a_thousand_points_become_a_gift_that_waits_for_approval() -> None:
    member, reward = member_with(1_500), RewardFactory.create()

    done = redeem(member, reward, address="长安街 1 号")

    assert (done.redemption.state, done.coupon, done.redemption.pickup_code) == ("placed", None, "")
    assert available(member) == 500
    assert Redemption.objects.get(pk=done.redemption.pk).address == "长安街 1 号"


def test_ten_thousand_points_become_a_service_with_a_write_off_code() -> None:
    member, reward = member_with(10_000), ServiceRewardFactory.create()

    done = redeem(member, reward, address="is not needed for a service")

    assert done.redemption.state == "ready"
    assert Redemption.objects.by_pickup_code(done.redemption.grouped_pickup_code.lower()).get() == done.redemption
    assert done.redemption.address == ""


def test_the_order_says_who_placed_it_and_the_entry_names_the_reward() -> None:
    member, reward = member_with(1_000), RewardFactory.create()

    redemption = redeem(member, reward).redemption

    change = redemption.changes.get()
    assert (change.from_state, change.to_state, change.actor, change.at) == ("", "placed", TESTER, AT)
    assert Entry.objects.get(member=member, kind="redemption").note == "Mug"


def test_the_same_reference_gives_the_first_answer_even_when_points_and_stock_are_gone() -> None:
    member, reward = member_with(1_000), RewardFactory.create(per_member_limit=1)
    stock(reward, 1)

    first, again = redeem(member, reward), redeem(member, reward)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.redemption == first.redemption
    assert Redemption.objects.count() == 1
    assert Stock.objects.get().count == 0


def test_the_same_coupon_is_given_again_on_a_replay() -> None:
    member, reward = member_with(200), CouponRewardFactory.create()

    first, again = redeem(member, reward), redeem(member, reward)

    assert again.coupon == first.coupon
    assert available(member) == 100


@pytest.mark.parametrize("other", [{"quantity": 2}, {"address": "elsewhere"}])
def test_the_same_reference_for_something_else_is_a_conflict(other: dict[str, Any]) -> None:
    member, reward = member_with(5_000), RewardFactory.create()
    redeem(member, reward, address="here")

    with pytest.raises(ReferenceConflict):
        redeem(member, reward, **{"address": "here"} | other)

    assert available(member) == 4_000


def test_the_reference_of_another_member_is_a_conflict() -> None:
    reward = RewardFactory.create()
    redeem(member_with(1_000), reward)
    other = member_with(1_000)

    with pytest.raises(ReferenceConflict):
        redeem(other, reward)

    assert available(other) == 1_000


def test_two_sources_may_use_the_same_reference() -> None:
    member, reward = member_with(2_000), RewardFactory.create()

    redeem(member, reward, source="shop")
    redeem(member, reward, source="till")

    assert Redemption.objects.count() == 2


def test_too_few_points_leave_everything_as_it_was() -> None:
    member, reward = member_with(999), RewardFactory.create()
    stock(reward, 1)

    with pytest.raises(InsufficientPoints) as refused:
        redeem(member, reward)

    assert refused.value.facts == {"needed": 1_000, "available": 999}
    assert Stock.objects.get().count == 1
    assert_nothing_happened(member, 999)


def test_after_a_refusal_the_same_reference_can_be_sent_again() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 0)
    with pytest.raises(eligibility.OutOfStock):
        redeem(member, reward)
    stock(reward, 1)

    assert not redeem(member, reward).replayed


def test_an_empty_stock_refuses_and_gives_the_points_back_by_never_taking_them() -> None:
    member, reward = member_with(5_000), RewardFactory.create()
    stock(reward, 1)

    with pytest.raises(eligibility.OutOfStock) as refused:
        redeem(member, reward, quantity=2)

    assert refused.value.facts == {"left": 1}
    assert_nothing_happened(member, 5_000)


def test_stock_that_goes_between_the_look_and_the_lock_refuses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 0)
    monkeypatch.setattr("rewards.reports.pieces_left", lambda rewards, at: reports.PiecesLeft({}))

    with pytest.raises(eligibility.OutOfStock):
        redeem(member, reward)

    assert_nothing_happened(member, 1_000)


def test_stock_without_a_number_or_a_row_has_no_end() -> None:
    member, reward, other = member_with(9_000), RewardFactory.create(), RewardFactory.create()
    stock(reward, None)

    order(member, reward, quantity=4)
    order(member, other, quantity=5)

    assert Stock.objects.get().count is None


def test_every_piece_taken_is_a_movement_that_names_its_order() -> None:
    member, reward = member_with(2_000), RewardFactory.create()
    stock(reward, 5)

    redemption = order(member, reward, quantity=2)

    taken, delivered = Stock.objects.get().movements.all()
    assert (delivered.pieces, delivered.left_after, delivered.reason) == (5, 5, "delivery")
    assert (taken.pieces, taken.left_after, taken.reference) == (-2, 3, str(redemption.key))


def test_the_tier_pays_its_own_price() -> None:
    gold = TierFactory.create(code="gold")
    member = member_with(1_800, tier="gold")
    reward = RewardFactory.create(points_by_tier={"gold": 900})

    redemption = order(member, reward, quantity=2)

    assert member.tier == gold
    assert redemption.points == 1_800
    assert available(member) == 0


def test_the_limit_counts_pieces_and_forgets_cancelled_ones() -> None:
    member, reward = member_with(9_000), RewardFactory.create(per_member_limit=3)
    first = order(member, reward, quantity=2)

    with pytest.raises(eligibility.LimitReached) as refused:
        order(member, reward, quantity=2)
    redeeming.cancel(redemption=first, source="shop", reference="x", actor=TESTER, at=AT)

    assert refused.value.facts == {"limit": 3, "had": 2, "period": "lifetime"}
    assert order(member, reward, quantity=3).points == 3_000


def test_a_limit_begins_anew_with_the_local_day_week_and_month() -> None:
    member, reward = member_with(9_000), RewardFactory.create(limit_day=1, limit_week=2, limit_month=3)
    sunday = AT  # 1 March 2026, 12:00 in Shanghai

    def refused(at: datetime) -> tuple[str, int]:
        with pytest.raises(eligibility.LimitReached) as error:
            order(member, reward, at=at)
        return error.value.facts["period"], error.value.facts["limit"]

    order(member, reward, at=sunday)
    assert refused(sunday + timedelta(hours=11, minutes=59)) == ("day", 1)
    order(member, reward, at=sunday + timedelta(hours=12))  # Monday 00:00 there: another day, another week
    order(member, reward, at=sunday + timedelta(days=2))
    assert refused(sunday + timedelta(days=3)) == ("month", 3)
    Reward.objects.filter(pk=reward.pk).update(limit_month=None)
    reward.refresh_from_db()
    assert refused(sunday + timedelta(days=3)) == ("week", 2)

    assert order(member, reward, at=sunday + timedelta(days=8)).points == 1_000


def test_the_limit_is_judged_again_under_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    member, reward = member_with(9_000), RewardFactory.create(per_member_limit=1)
    order(member, reward)
    # What was seen before the lock is stale: another request of the member has just committed.
    looks: list[dict[int, dict[str, int]]] = [{}]
    really = reports.redeemed_before
    monkeypatch.setattr(reports, "redeemed_before", lambda **asked: looks.pop() if looks else really(**asked))

    with pytest.raises(eligibility.LimitReached):
        order(member, reward)

    assert available(member) == 8_000


def test_the_first_reason_is_the_one_the_catalogue_tells_first() -> None:
    member, reward = member_with(1_000), RewardFactory.create(per_member_limit=1)
    stock(reward, 1)
    order(member, reward)

    with pytest.raises(eligibility.LimitReached):
        order(member, reward)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"is_active": False}, "reward_unavailable"),
        ({"valid_from": AT + timedelta(seconds=1)}, "not_yet"),
        ({"valid_until": AT}, "ended"),
        ({"tiers": ["gold"]}, "tier_too_low"),
        ({"segments": ["staff"]}, "not_in_segment"),
        ({"per_member_limit": 0}, "limit_reached"),
    ],
)
def test_what_is_not_for_the_member_now_is_refused_by_name(terms: dict[str, Any], code: str) -> None:
    member, reward = member_with(1_000), RewardFactory.create(**terms)

    with pytest.raises(eligibility.RewardUnavailable) as refused:
        redeem(member, reward)

    assert refused.value.code == code
    assert str(refused.value)
    assert_nothing_happened(member, 1_000)


def test_a_suspended_member_redeems_nothing() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    member.status = "suspended"
    member.save(update_fields=["status"])

    with pytest.raises(MemberNotActive):
        redeem(member, reward)

    assert_nothing_happened(member, 1_000)


def test_the_tier_and_segment_that_are_meant_may_have_it() -> None:
    TierFactory.create(code="gold")
    member = member_with(1_000, tier="gold", labels=["staff"])

    assert order(member, RewardFactory.create(tiers=["gold"], segments=["staff", "press"])).state == "placed"


def test_a_reward_with_variants_needs_one_of_its_own() -> None:
    member, reward = member_with(9_000), RewardFactory.create()
    small = RewardVariantFactory.create(reward=reward, code="s")
    gone = RewardVariantFactory.create(reward=reward, code="xxl", is_active=False)
    stock(reward, 2, small)

    for variant, error in (
        (None, redeeming.VariantRequired),
        (RewardVariantFactory.create(), redeeming.VariantUnknown),
        (gone, redeeming.VariantUnknown),
    ):
        with pytest.raises(error):
            redeem(member, reward, variant=variant)
    redemption = redeem(member, reward, variant=small, quantity=2).redemption

    assert redemption.variant == small
    assert Stock.objects.get(variant=small).count == 0


@pytest.mark.parametrize(
    ("factory", "quantity"), [(RewardFactory, 0), (RewardFactory, 1_001), (CouponRewardFactory, 2)]
)
def test_a_quantity_that_makes_no_sense_is_refused(factory: Any, quantity: int) -> None:
    member = member_with(9_000)

    with pytest.raises(redeeming.QuantityOutOfRange):
        redeem(member, factory.create(), quantity=quantity)

    assert_nothing_happened(member, 9_000)


def test_rewards_and_variants_are_found_by_code_or_refused_by_name() -> None:
    variant = RewardVariantFactory.create(code="s")

    assert redeeming.get_reward(variant.reward.code) == variant.reward
    assert redeeming.get_variant(variant.reward, "s") == variant
    for look_up in (lambda: redeeming.get_reward("nothing"), lambda: redeeming.get_variant(variant.reward, "m")):
        with pytest.raises(DomainError) as refused:
            look_up()
        assert refused.value.code in {"reward_unknown", "variant_unknown"}


def test_cancelling_gives_points_and_pieces_back_once() -> None:
    member, reward = member_with(2_000), RewardFactory.create()
    stock(reward, 3)
    redemption = order(member, reward, quantity=2)

    first = redeeming.cancel(
        redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT, reason="changed my mind"
    )
    again = redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.redemption.state == "cancelled"
    assert available(member) == 2_000
    assert Stock.objects.get().count == 3
    assert redemption.changes.get(to_state="cancelled").reason == "changed my mind"
    assert Entry.objects.filter(member=member, kind="restoration").count() == 1
    assert check_books() == []


def test_points_return_to_the_lot_they_left_and_live_thirty_days_at_least() -> None:
    PointTypeFactory.create(expiry_policy="days", expiry_value=10)
    member, reward = member_with(1_000), RewardFactory.create()
    lot = member.lot_set.get()
    late = AT + timedelta(40)

    redeeming.cancel(redemption=order(member, reward), source="shop", reference="x", actor=TESTER, at=late)

    returned = member.lot_set.get()
    assert (returned, returned.remaining) == (lot, 1_000)
    assert returned.expires_at == end_of_day(late + timedelta(30))


def test_an_order_is_not_cancelled_twice_under_two_references() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    redemption = order(member, reward)
    redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    with pytest.raises(redeeming.CannotCancel):
        redeeming.cancel(redemption=redemption, source="shop", reference="y", actor=TESTER, at=AT)

    assert available(member) == 1_000


def test_one_cancellation_reference_is_for_one_order() -> None:
    member, reward = member_with(2_000), RewardFactory.create()
    first, second = order(member, reward), order(member, reward)
    redeeming.cancel(redemption=first, source="shop", reference="x", actor=TESTER, at=AT)

    with pytest.raises(ReferenceConflict):
        redeeming.cancel(redemption=second, source="shop", reference="x", actor=TESTER, at=AT)

    assert available(member) == 1_000


def test_cancelling_voids_the_coupon_nobody_used() -> None:
    member, reward = member_with(100), CouponRewardFactory.create()
    redemption = order(member, reward)

    done = redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert done.coupon is not None
    assert done.coupon.state == "void"
    assert available(member) == 100


def test_a_coupon_that_ended_does_not_become_points_again_before_the_night_marks_it() -> None:
    member = member_with(500)
    redeemed = redeem(member, CouponRewardFactory.create(points=100))
    assert redeemed.coupon is not None
    assert redeemed.coupon.expires_at is not None

    with pytest.raises(coupons.CouponOver):
        redeeming.cancel(
            redemption=redeemed.redemption,
            source="shop",
            reference="c-1",
            actor=TESTER,
            at=redeemed.coupon.expires_at,
        )

    assert available(member) == 400


def test_a_closed_member_gets_no_new_order_but_an_old_one_can_be_cancelled() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    redemption = order(member, reward)
    member.status = "closed"
    member.save(update_fields=["status"])

    redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert available(member) == 1_000


def test_a_member_nobody_gave_points_to_has_none() -> None:
    member_with(0)
    member = MemberFactory.create()

    with pytest.raises(InsufficientPoints):
        redeem(member, RewardFactory.create())


def test_pieces_cannot_be_taken_below_nothing_by_hand() -> None:
    reward = RewardFactory.create()
    stock(reward, 2)

    with pytest.raises(stocking.StockNegative):
        stocking.add(reward=reward, pieces=-3, actor=TESTER, at=AT)
    with pytest.raises(stocking.StockNegative):
        stocking.set_count(reward=reward, count=-1, actor=TESTER, at=AT)

    assert stocking.add(reward=reward, pieces=-2, actor=TESTER, at=AT).count == 0


@pytest.mark.parametrize("pieces", [4, -4])
def test_what_nobody_counted_gets_no_pieces_more_or_fewer(pieces: int) -> None:
    unheard_of, endless = RewardFactory.create(), RewardFactory.create()
    stock(endless, None)

    for reward in (unheard_of, endless):
        with pytest.raises(stocking.StockNotCounted):
            stocking.add(reward=reward, pieces=pieces, actor=TESTER, at=AT)

    assert Stock.objects.get().count is None


def test_a_delivery_that_is_told_twice_came_once() -> None:
    reward = RewardFactory.create()
    stock(reward, 1)

    for reference in ("d-1", "d-1", "d-2"):
        stocking.add(reward=reward, pieces=10, actor=TESTER, at=AT, reference=reference)

    assert Stock.objects.get().count == 21


def test_variants_without_a_count_of_their_own_share_that_of_the_reward() -> None:
    member, reward = member_with(9_000), RewardFactory.create()
    stock(reward, 3)
    red, blue, green = (RewardVariantFactory.create(reward=reward, code=code) for code in ("red", "blue", "green"))
    stock(reward, 1, blue)
    stock(reward, None, green)

    order(member, reward, variant=red, quantity=2)
    cancelled = order(member, reward, variant=red)
    order(member, reward, variant=blue)
    order(member, reward, variant=green)
    for sold_out in (red, blue):
        with pytest.raises(eligibility.OutOfStock):
            order(member, reward, variant=sold_out)
    redeeming.cancel(redemption=cancelled, source="shop", reference="x", actor=TESTER, at=AT)

    counts = dict(Stock.objects.values_list("variant__code", "count"))
    assert counts == {None: 1, "blue": 0, "green": None}


def test_pieces_come_back_where_they_were_taken_though_the_variant_is_counted_by_now() -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    stock(reward, 3)
    red = RewardVariantFactory.create(reward=reward)
    redemption = order(member, reward, variant=red)
    stock(reward, 7, red)

    redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert set(Stock.objects.values_list("variant", "count")) == {(None, 3), (red.pk, 7)}


@pytest.mark.parametrize("had_row", [True, False])
def test_what_was_ordered_while_nobody_counted_does_not_come_back_as_a_piece(had_row: bool) -> None:
    member, reward = member_with(1_000), RewardFactory.create()
    if had_row:
        stock(reward, None)
    redemption = order(member, reward)
    stock(reward, 0)

    redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert Stock.objects.get().count == 0
    assert available(member) == 1_000


def test_more_points_than_can_be_moved_at_once_are_refused_in_words() -> None:
    member, reward = member_with(1_000), RewardFactory.create(points=10**12)

    with pytest.raises(PointsOutOfRange):
        redeem(member, reward, quantity=1_000)

    assert_nothing_happened(member, 1_000)
