"""What the database refuses, whoever asks: every statement here goes around Python."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import Error, IntegrityError

from members.fields import PersonalDataForgotten
from rewards.actions import coupons
from rewards.actions.booking import Booking
from rewards.models import (
    COUPON_TRANSITIONS,
    FIRST_STATES,
    REDEMPTION_TRANSITIONS,
    USABLE_COUPON_STATES,
    Coupon,
    CouponReservation,
    CouponState,
    CouponUse,
    Redemption,
    RedemptionState,
    Stock,
    told,
)
from tests.members.factories import AT, TESTER, MemberFactory

from .factories import (
    CouponBatchFactory,
    CouponRewardFactory,
    RewardCategoryFactory,
    RewardFactory,
    ServiceRewardFactory,
    codes_of,
    member_with,
    order,
    printed_coupon,
    stock,
)

pytestmark = pytest.mark.django_db

WHO = """change = '{"actor": "psql", "at": "2026-03-01T00:00:00Z"}'"""


WHY = """change = '{"actor": "psql", "at": "2026-03-03T00:00:00Z", "reason": "because"}'"""
CARRIED = "carrier = 'SF', tracking = 'SF123'"
BOOKED = Booking(AT + timedelta(hours=1), "North hall")


def run(statement: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks to come cannot be truncated anyway
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute(statement, values)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@contextmanager
def refused(law: str) -> Iterator[None]:
    """Expect the database to refuse, naming the law."""
    with pytest.raises(Error) as error:
        yield
    assert law in str(error.value)


@pytest.mark.parametrize("code", ["7KQM2V9DXRTAB4H0", "7KQM2V9DXRTAB4H", "AAAAAAAAAAAAAAAA", ""])
def test_a_code_of_other_letters_or_a_wrong_check_character_is_refused(code: str) -> None:
    with refused("coupon_code_checked"):
        run(
            "INSERT INTO rewards_coupon (code, state, value_minor, currency, issued_at, change) "
            'VALUES (%s, \'issued\', 1, \'CNY\', now(), \'{"actor": "psql", "at": "2026-03-01"}\')',
            code,
        )


def test_the_check_character_tells_one_wrong_and_two_exchanged_characters() -> None:
    code = printed_coupon().code
    alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
    wrong = {code[:n] + other + code[n + 1 :] for n in range(16) for other in alphabet} - {code}
    wrong |= {code[:n] + code[n + 1] + code[n] + code[n + 2 :] for n in range(15)} - {code}

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM unnest(%s::text[]) AS c WHERE rewards_is_code(c)", [sorted(wrong)])
        (passed,) = cursor.fetchone()

    assert len(wrong) > 16 * 30
    assert passed == 0


def test_a_code_stands_for_one_coupon() -> None:
    coupon = printed_coupon()

    with refused("rewards_couponkey_code"):
        Coupon.objects.create(
            code=coupon.code, value_minor=1, currency="CNY", issued_at=AT, change=told(actor=TESTER, at=AT)
        )


def test_a_coupon_goes_only_where_its_states_allow() -> None:
    for before in CouponState.values:
        for after in set(CouponState.values) - {before}:
            coupon = coupon_in(before)
            if (before, after) not in COUPON_TRANSITIONS:
                with refused("coupon_"):
                    run(f"UPDATE rewards_coupon SET state = %s, {WHO} WHERE id = %s", after, coupon.pk)
            elif after != "assigned":
                step(coupon, after)
                assert coupon.events.values_list("to_state", flat=True)[0] == after


def step(coupon: Coupon, state: str) -> None:
    """Take a coupon of one use to a state by raw SQL: uses and reservations are counted, the state follows."""
    before = Coupon.objects.get(pk=coupon.pk).state
    said: dict[str, Any] = {"actor": "psql", "at": AT.isoformat(), "source": "psql", "reference": f"{before}-{state}"}
    used, held = int(state == "redeemed"), int(state == "reserved")
    if state == "redeemed":
        said |= {"amount_minor": 1_000, "discount_minor": 500}
    if state == "reserved":
        said |= {"until": (AT + timedelta(1)).isoformat()}
    if before == "reserved":
        said["reservation"] = CouponReservation.objects.get(coupon=coupon, state="held").pk
    if before == "redeemed":
        said["gives_back"] = CouponUse.objects.standing().get(coupon=coupon).pk
    if state in ("void", "expired"):
        change = "UPDATE rewards_coupon SET state = %s, change = %s WHERE id = %s"
        run(change, state, json.dumps(said), coupon.pk)
    else:
        change = "UPDATE rewards_coupon SET used = %s, held = %s, change = %s WHERE id = %s"
        run(change, used, held, json.dumps(said), coupon.pk)


def coupon_in(state: str) -> Coupon:
    """Bring a coupon into a state by the shortest allowed way."""
    ways = {
        "issued": [],
        "assigned": ["assigned"],
        "reserved": ["reserved"],
        "redeemed": ["redeemed"],
        "rolled_back": ["redeemed", "rolled_back"],
        "expired": ["expired"],
        "void": ["void"],
    }
    coupon = printed_coupon()
    for state_ in ways[state]:
        if state_ == "assigned":
            coupons.assign(coupon=coupon, member=MemberFactory.create(), actor=TESTER, at=AT)
        else:
            step(coupon, state_)
    return coupon


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("used = 1, state = 'redeemed'", "coupon_change_names_actor"),
        ("state = 'redeemed', " + WHO, "coupon_state_counts"),
        ("used = 2, " + WHO, "coupon_one_use_at_a_time"),
        ("used = 1, held = 1, " + WHO, "coupon_one_use_at_a_time"),
        ("uses = 5", "rewards_coupon"),
        ("channels = '{web}'", "rewards_coupon"),
        ("most_minor = 1", "rewards_coupon"),
        ("combinable = false", "rewards_coupon"),
        ("valid_days = 5", "rewards_coupon"),
        ("expires_at = now()", "coupon_keeps_end"),
    ],
)
def test_uses_are_counted_and_terms_stay(change: str, law: str) -> None:
    coupon = printed_coupon()

    with refused(law):
        run(f"UPDATE rewards_coupon SET {change} WHERE id = %s", coupon.pk)

    assert not CouponUse.objects.filter(coupon=coupon).exists()


def use_raw(coupon: Coupon, **said: Any) -> None:
    told_: dict[str, Any] = {"actor": "psql", "at": AT.isoformat(), "amount_minor": 1_000, "discount_minor": 500}
    words = json.dumps(told_ | said)
    run("UPDATE rewards_coupon SET used = used + 1, change = %s WHERE id = %s", words, coupon.pk)


def test_a_use_keeps_the_promise_and_no_more_than_it() -> None:
    member = MemberFactory.create()
    with refused("coupon_keeps_worth"):
        use_raw(printed_coupon(), discount_minor=501)
    with refused("coupon_keeps_worth"):
        use_raw(printed_coupon(value_minor=None, percent=10), discount_minor=101)
    with refused("coupon_keeps_worth"):
        use_raw(printed_coupon(value_minor=None, percent=90, most_minor=100), discount_minor=101)
    with refused("couponuse_within_amount"):
        use_raw(printed_coupon(), amount_minor=400)
    with refused("coupon_keeps_channels"):
        use_raw(printed_coupon(channels=["web"]), channel="shop")
    with refused("coupon_keeps_minimum"):
        use_raw(printed_coupon(minimum_minor=1_001))
    with refused("coupon_member_uses"):
        use_raw(printed_coupon(uses=9, uses_per_member=1))
    twice = printed_coupon(uses=9, uses_per_member=1)
    use_raw(twice, member_id=member.pk)
    with refused("coupon_member_uses"):
        use_raw(twice, member_id=member.pk)


def reserve_raw(coupon: Coupon, **said: Any) -> None:
    told_: dict[str, Any] = {"actor": "psql", "at": AT.isoformat(), "until": (AT + timedelta(1)).isoformat()}
    words = json.dumps(told_ | {"source": "psql", "reference": "cart"} | said)
    run("UPDATE rewards_coupon SET held = held + 1, change = %s WHERE id = %s", words, coupon.pk)


def use_reserved_raw(coupon: Coupon, **said: Any) -> None:
    told_: dict[str, Any] = {"actor": "psql", "at": AT.isoformat(), "amount_minor": 1_000, "discount_minor": 500}
    kept = CouponReservation.objects.get(coupon=coupon)
    words = json.dumps(told_ | {"reservation": kept.pk} | said)
    run("UPDATE rewards_coupon SET used = used + 1, held = held - 1, change = %s WHERE id = %s", words, coupon.pk)


@pytest.mark.parametrize("take", [use_raw, reserve_raw])
def test_a_coupon_is_used_and_reserved_in_its_time(take: Callable[[Coupon], None]) -> None:
    for window in ({"expires_at": AT}, {"valid_from": AT + timedelta(seconds=1)}):
        with refused("coupon_in_its_time"):
            take(printed_coupon(**window))

    take(printed_coupon(valid_from=AT, expires_at=AT + timedelta(seconds=1)))


def test_what_is_reserved_is_used_on_the_terms_of_the_coupon_even_after_its_end() -> None:
    coupon = printed_coupon(channels=["web"], minimum_minor=900, expires_at=AT + timedelta(seconds=1))
    with refused("coupon_keeps_channels"):
        reserve_raw(coupon, channel="shop")
    reserve_raw(coupon, channel="web")

    with refused("coupon_keeps_channels"):
        use_reserved_raw(coupon)
    with refused("coupon_keeps_minimum"):
        use_reserved_raw(coupon, channel="web", amount_minor=899)
    use_reserved_raw(coupon, channel="web", at=(AT + timedelta(seconds=5)).isoformat())


def test_a_reservation_says_once_who_ended_it() -> None:
    coupon = printed_coupon(uses=3)
    reserve_raw(coupon)
    use_reserved_raw(coupon, actor="till", reason="paid")
    kept = CouponReservation.objects.get()
    assert (kept.state, kept.ended_by, kept.ended_reason, kept.ended_at) == ("used", "till", "paid", AT)

    untold = """
        INSERT INTO rewards_couponreservation (coupon_id, state, expires_at, source, reference, actor, at)
        SELECT id, 'released', now() + '1 day', 'psql', '2', 'psql', now() FROM rewards_coupon
    """
    with refused("couponreservation_ends_once"):
        run("UPDATE rewards_couponreservation SET ended_by = 'another'")
    run("ALTER TABLE rewards_couponreservation DISABLE TRIGGER USER")
    with refused("couponreservation_end_told"):
        run(untold)


def test_a_code_others_use_is_given_to_no_member() -> None:
    used, reserved, member = printed_coupon(uses=3), printed_coupon(uses=3), MemberFactory.create()
    use_raw(used)
    reserve_raw(reserved)

    for coupon in (used, reserved):
        with refused("coupon_given_unused"):
            give = f"UPDATE rewards_coupon SET state = 'assigned', member_id = %s, {WHO} WHERE id = %s"
            run(give, member.pk, coupon.pk)


def test_a_code_of_two_uses_is_used_twice() -> None:
    coupon = printed_coupon(uses=2)
    use_raw(coupon)
    use_raw(coupon)

    with refused("coupon_transition"):
        use_raw(coupon)

    assert CouponUse.objects.filter(coupon=coupon).count() == 2
    assert Coupon.objects.get(pk=coupon.pk).state == "redeemed"


def test_a_use_is_given_back_once_and_by_name() -> None:
    coupon, other = printed_coupon(uses=3), printed_coupon(uses=3)
    for one in (coupon, coupon, other):
        use_raw(one)
    first, second = CouponUse.objects.filter(coupon=coupon).order_by("id")
    foreign = CouponUse.objects.get(coupon=other)
    back = "UPDATE rewards_coupon SET used = used - 1, change = %s WHERE id = %s"

    def give_back(use: CouponUse) -> None:
        run(back, json.dumps({"actor": "psql", "at": AT.isoformat(), "gives_back": use.pk}), coupon.pk)

    with refused("coupon_use_unknown"):
        give_back(foreign)
    give_back(first)
    with refused("rewards_couponuse_gives_back"):
        give_back(first)
    give_back(second)

    assert not CouponUse.objects.standing().filter(coupon=coupon).exists()
    assert Coupon.objects.get(pk=coupon.pk).used == 0


def test_a_coupon_that_cannot_be_combined_is_alone_on_its_bill() -> None:
    alone, others = printed_coupon(combinable=False), [printed_coupon() for _ in range(2)]
    for coupon in others:
        use_raw(coupon, source="till", bill="b-1")

    with refused("couponbill_alone"):
        use_raw(alone, source="till", bill="b-1")
    use_raw(alone, source="till", bill="b-2")
    with refused("couponbill_alone"):
        use_raw(printed_coupon(), source="till", bill="b-2")


def test_days_begin_to_run_when_a_member_gets_the_coupon_and_never_outlive_the_end() -> None:
    coupon = printed_coupon(valid_days=5, expires_at=AT + timedelta(30))
    member = MemberFactory.create()
    give = f"UPDATE rewards_coupon SET state = 'assigned', member_id = %s, expires_at = %s, {WHO} WHERE id = %s"

    with refused("coupon_keeps_end"):
        run(give, member.pk, AT + timedelta(31), coupon.pk)
    run(give, member.pk, AT + timedelta(5), coupon.pk)
    with refused("coupon_keeps_end"):
        run("UPDATE rewards_coupon SET expires_at = %s WHERE id = %s", AT + timedelta(6), coupon.pk)


def test_a_batch_keeps_its_terms_and_its_number() -> None:
    batch = CouponBatchFactory.create(quantity=2)
    codes_of(batch)

    for change, law in (
        ("value_minor = 1", "rewards_couponbatch"),
        ("quantity = 5", "couponbatch_keeps_quantity"),
        ("made = 0", "couponbatch_keeps_quantity"),
        ("made = 3", "couponbatch_made_in_range"),
    ):
        with refused(law):
            run(f"UPDATE rewards_couponbatch SET {change} WHERE id = %s", batch.pk)


@pytest.mark.parametrize("state", sorted(set(CouponState.values) - {"issued", "assigned"}))
def test_a_coupon_is_not_born_in_the_middle_of_its_life(state: str) -> None:
    with refused("coupon_transition"):
        Coupon.objects.create(
            state=state, value_minor=1, currency="CNY", issued_at=AT, change=told(actor=TESTER, at=AT)
        )


def test_a_coupon_keeps_its_member_and_its_terms() -> None:
    redemption = order(member_with(100), CouponRewardFactory.create())
    other = MemberFactory.create()

    with refused("coupon_keeps_member"):
        run("UPDATE rewards_coupon SET member_id = %s WHERE id = %s", other.pk, redemption.coupon_id)
    with refused("rewards_coupon"):
        run("UPDATE rewards_coupon SET value_minor = 99999 WHERE id = %s", redemption.coupon_id)
    with refused("rewards_never_deleted"):
        run("DELETE FROM rewards_coupon WHERE id = %s", redemption.coupon_id)


@pytest.mark.parametrize(
    "terms", [{"value_minor": 1, "percent": 1}, {"value_minor": None}, {"value_minor": None, "percent": 101}]
)
def test_a_coupon_is_worth_a_value_or_a_percentage(terms: dict[str, Any]) -> None:
    with refused("couponbatch_terms_whole"):
        CouponBatchFactory.create(**terms)


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("points = 1000000000001", "reward_prices_in_range"),
        ("money_minor = 1000000000001", "reward_prices_in_range"),
        ("""points_by_tier = '{"gold": 1e30}'""", "reward_prices_in_range"),
        ("coupon_valid_days = 36501", "reward_days_in_range"),
    ],
)
def test_no_price_and_no_validity_is_beyond_all_bounds(change: str, law: str) -> None:
    reward = RewardFactory.create()

    with refused(law):
        run(f"UPDATE rewards_reward SET {change} WHERE id = %s", reward.pk)


def test_the_days_of_a_coupon_end_within_a_hundred_years() -> None:
    with refused("couponbatch_days_in_range"), transaction.atomic():
        CouponBatchFactory.create(valid_days=36_501)
    with refused("coupon_days_in_range"):
        run(
            "INSERT INTO rewards_coupon (state, value_minor, currency, valid_days, issued_at, change) "
            f"VALUES ('issued', 1, 'CNY', 36501, now(), {WHO.removeprefix('change = ')})"
        )


def test_an_order_goes_only_where_its_kind_allows() -> None:
    ways: dict[tuple[str, str], list[str]] = {
        ("gift", "placed"): [],
        ("gift", "approved"): ["approved"],
        ("gift", "shipped"): ["approved", "shipped"],
        ("gift", "ready"): ["approved", "ready"],
        ("gift", "completed"): ["approved", "shipped", "completed"],
        ("gift", "cancelled"): ["cancelled"],
        ("gift", "returned"): ["approved", "shipped", "returned"],
        ("service", "ready"): [],
        ("service", "completed"): ["completed"],
        ("service", "no_show"): ["no_show"],
        ("service", "returned"): ["no_show", "returned"],
        ("service", "cancelled"): ["cancelled"],
        ("coupon", "completed"): [],
        ("coupon", "cancelled"): ["cancelled"],
    }
    member = member_with(1_000_000)
    rewards = {
        one.kind: one for one in (RewardFactory.create(), ServiceRewardFactory.create(), CouponRewardFactory.create())
    }
    # A service that costs money begins as placed; it is paid in test_paying.
    assert {(kind, state) for kind, state in ways if not ways[kind, state]} == set(FIRST_STATES) - {
        ("service", "placed")
    }
    for (kind, before), steps in ways.items():
        redemption = order(member, rewards[kind], booking=BOOKED if kind == "service" else None)
        move = f"UPDATE rewards_redemption SET state = %s, pickup_code = 'X', {CARRIED}, {WHY} WHERE id = %s"
        for step in steps:
            run(move, step, redemption.pk)
        for after in set(RedemptionState.values) - {before}:
            if (kind, before, after) not in REDEMPTION_TRANSITIONS:
                with refused("redemption_transition"):
                    run(move, after, redemption.pk)


def test_a_shipped_order_has_a_carrier_and_a_number() -> None:
    redemption = order(member_with(1_000), RewardFactory.create())
    run(f"UPDATE rewards_redemption SET state = 'approved', {WHO} WHERE id = %s", redemption.pk)

    for carried in ("carrier = ''", "carrier = 'SF'", "tracking = 'SF123'"):
        with refused("redemption_"):
            run(f"UPDATE rewards_redemption SET state = 'shipped', {carried}, {WHO} WHERE id = %s", redemption.pk)
    run(f"UPDATE rewards_redemption SET state = 'shipped', {CARRIED}, {WHO} WHERE id = %s", redemption.pk)
    with refused("redemption_shipped_names_carrier"):
        run("UPDATE rewards_redemption SET carrier = '', tracking = '' WHERE id = %s", redemption.pk)


def test_an_order_that_costs_money_goes_nowhere_unpaid_and_is_paid_once() -> None:
    redemption = order(member_with(1_000), RewardFactory.create(money_minor=500))
    service = order(member_with(10_000), ServiceRewardFactory.create(money_minor=500))
    free = order(member_with(1_000), RewardFactory.create())
    pay = f"UPDATE rewards_redemption SET paid_at = %s, {WHO} WHERE id = %s"

    with refused("redemption_paid_first"):
        run(f"UPDATE rewards_redemption SET state = 'approved', {WHO} WHERE id = %s", redemption.pk)
    with refused("redemption_paid_first"):
        run(f"UPDATE rewards_redemption SET state = 'ready', pickup_code = 'X', {WHO} WHERE id = %s", service.pk)
    with refused("redemption_paid_is_due"):
        run(pay, AT, free.pk)
    with refused("redemption_change_names_actor"):
        run("UPDATE rewards_redemption SET paid_at = now() WHERE id = %s", redemption.pk)
    run(pay, AT, redemption.pk)
    for other in (None, AT + timedelta(days=1)):
        with refused("redemption_paid_once"):
            run(pay, other, redemption.pk)
    run(f"UPDATE rewards_redemption SET state = 'cancelled', {WHO} WHERE id = %s", service.pk)
    with refused("redemption_paid_once"):
        run(pay, AT, service.pk)
    with refused("rewards_redemption"):
        run("UPDATE rewards_redemption SET money_minor = 1 WHERE id = %s", redemption.pk)


def test_a_service_without_money_does_not_wait_and_one_with_money_does() -> None:
    free = order(member_with(10_000), ServiceRewardFactory.create())
    dear = order(member_with(10_000), ServiceRewardFactory.create(money_minor=500))
    copy = """
        INSERT INTO rewards_redemption (
            key, member_id, reward_id, kind, points, entry_id, state, pickup_code, money_minor, money_currency,
            paid_at, source, reference, placed_at, changed_at, change)
        SELECT gen_random_uuid(), member_id, reward_id, kind, points, entry_id, %s, 'X', money_minor, money_currency,
            %s, 'psql', '1', now(), now(), '{"actor": "psql", "at": "2026-03-01"}'
        FROM rewards_redemption WHERE id = %s
    """

    for state, paid_at, one in (("placed", None, free), ("ready", None, dear), ("ready", AT, dear)):
        with refused("redemption_transition"):
            run(copy, state, paid_at, one.pk)


def test_a_booking_is_whole_is_of_a_service_and_stays_once_it_is_over() -> None:
    service = order(member_with(10_000), ServiceRewardFactory.create(), booking=BOOKED)
    gift = order(member_with(1_000), RewardFactory.create())
    book = f"UPDATE rewards_redemption SET booked_for = %s, booked_place = %s, {WHO} WHERE id = %s"

    for at, place, one in ((None, "x", service), (AT, "", service), (AT, "x", gift)):
        with refused("redemption_booking_whole"):
            run(book, at, place, one.pk)
    with refused("redemption_change_names_actor"):
        run("UPDATE rewards_redemption SET booked_place = 'x' WHERE id = %s", service.pk)
    run(f"UPDATE rewards_redemption SET state = 'completed', {WHO} WHERE id = %s", service.pk)
    with refused("redemption_booking_while_open"):
        run(book, AT, "x", service.pk)


def test_a_no_show_was_booked_and_due_and_is_excused_for_a_reason_only() -> None:
    reward, member = ServiceRewardFactory.create(), member_with(20_000)
    never_booked, booked = order(member, reward), order(member, reward, booking=BOOKED)
    early = """change = '{"actor": "psql", "at": "2026-03-01T04:59:59Z"}'"""
    miss = "UPDATE rewards_redemption SET state = 'no_show', {} WHERE id = %s"

    for one, said in ((never_booked, WHY), (booked, early)):
        with refused("redemption_no_show_was_due"):
            run(miss.format(said), one.pk)
    run(miss.format(WHY), booked.pk)
    with refused("redemption_excuse_has_reason"):
        run(f"UPDATE rewards_redemption SET state = 'returned', {WHO} WHERE id = %s", booked.pk)
    run(f"UPDATE rewards_redemption SET state = 'returned', {WHY} WHERE id = %s", booked.pk)


def test_a_service_that_was_had_comes_back_for_a_reason_only() -> None:
    service = order(member_with(10_000), ServiceRewardFactory.create())
    run(f"UPDATE rewards_redemption SET state = 'completed', {WHO} WHERE id = %s", service.pk)

    with refused("redemption_excuse_has_reason"):
        run(f"UPDATE rewards_redemption SET state = 'returned', {WHO} WHERE id = %s", service.pk)
    run(f"UPDATE rewards_redemption SET state = 'returned', {WHY} WHERE id = %s", service.pk)


def test_an_order_keeps_what_was_agreed() -> None:
    redemption = order(member_with(1_000), RewardFactory.create())

    for column, value in (
        ("points", 1),
        ("quantity", 9),
        ("member_id", MemberFactory.create().pk),
        ("reference", "other"),
        ("entry_id", 1),
    ):
        with refused("rewards_redemption"):
            run(f"UPDATE rewards_redemption SET {column} = %s WHERE id = %s", value, redemption.pk)
    with refused("rewards_never_deleted"):
        run("DELETE FROM rewards_redemption")
    with refused("rewards_never_deleted"):
        run("TRUNCATE rewards_redemption CASCADE")


def test_an_order_names_an_entry_of_its_own_member() -> None:
    redemption = order(member_with(1_000), RewardFactory.create())
    stranger = MemberFactory.create()

    with refused("redemption_entry"):
        run(
            """
            INSERT INTO rewards_redemption (
                key, member_id, reward_id, kind, points, entry_id, state, source, reference, placed_at, changed_at,
                change)
            SELECT gen_random_uuid(), %s, reward_id, kind, points, entry_id, 'placed', 'psql', '1', now(), now(),
                '{"actor": "psql", "at": "2026-03-01"}'
            FROM rewards_redemption WHERE id = %s
            """,
            stranger.pk,
            redemption.pk,
        )


def test_no_change_without_saying_who_and_when() -> None:
    redemption = order(member_with(1_000), RewardFactory.create())
    stock(redemption.reward, 5)
    coupon = printed_coupon()

    with refused("redemption_change_names_actor"):
        run("UPDATE rewards_redemption SET state = 'approved' WHERE id = %s", redemption.pk)
    with refused("stock_change_names_actor"):
        run("UPDATE rewards_stock SET count = 6")
    with refused("coupon_change_names_actor"):
        run("""UPDATE rewards_coupon SET state = 'void', change = '{"actor": "psql"}' WHERE id = %s""", coupon.pk)


def test_who_and_when_are_said_for_one_change_only() -> None:
    reward = RewardFactory.create()
    stock(reward, 5)
    run(f"UPDATE rewards_stock SET {WHO}")

    assert Stock.objects.get().change is None
    with refused("stock_change_names_actor"):
        run("UPDATE rewards_stock SET count = 4")


def test_a_raw_change_has_its_row_in_the_history() -> None:
    reward = RewardFactory.create()
    stock(reward, 5)

    run(f"UPDATE rewards_stock SET count = count - 2, {WHO}")

    movement = Stock.objects.get().movements.first()
    assert movement is not None
    assert (movement.pieces, movement.left_after, movement.actor) == (-2, 3, "psql")


def test_the_pieces_of_an_order_leave_a_stock_once_and_come_back_once() -> None:
    reward = RewardFactory.create()
    stock(reward, 5)
    redemption = order(member_with(1_000), reward)
    who = f'{{"actor": "psql", "at": "2026-03-01T00:00:00Z", "reference": "{redemption.key}"}}'
    move = "UPDATE rewards_stock SET count = count + %s, change = %s"

    with refused("stockmovement_once"):
        run(move, -1, who)
    run(move, 1, who)
    with refused("stockmovement_once"):
        run(move, 1, who)


def test_a_coupon_and_a_points_entry_are_of_one_order() -> None:
    redemption = order(member_with(100), CouponRewardFactory.create())
    free_coupon = printed_coupon()
    again = """
        INSERT INTO rewards_redemption (
            key, member_id, reward_id, kind, quantity, points, entry_id, coupon_id, state, address, source, reference,
            placed_at, changed_at, change)
        SELECT gen_random_uuid(), member_id, reward_id, kind, quantity, points, %s, %s, state, address, source,
            'again', placed_at, changed_at, %s
        FROM rewards_redemption WHERE id = %s"""
    who = json.dumps(told(actor=TESTER, at=AT))

    with refused("redemption_coupon_once"):
        run(again, redemption.entry_id + 1, redemption.coupon_id, who, redemption.pk)
    with refused("redemption_entry_once"):
        run(again, redemption.entry_id, free_coupon.pk, who, redemption.pk)


def test_stock_is_never_less_than_nothing() -> None:
    stock(RewardFactory.create(), 1)

    with refused("stock_not_negative"):
        run(f"UPDATE rewards_stock SET count = count - 2, {WHO}")


def test_a_reward_without_variants_has_one_stock() -> None:
    reward = RewardFactory.create()
    stock(reward, 1)

    with refused("stock_once"):
        Stock.objects.create(reward=reward, count=2, change=told(actor=TESTER, at=AT))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("rewards_stockmovement", "(stock_id, pieces, actor, at) SELECT id, 1, 'x', now() FROM rewards_stock"),
        ("rewards_couponevent", "(coupon_id, to_state, actor, at) SELECT id, 'void', 'x', now() FROM rewards_coupon"),
        ("rewards_couponkey", "(coupon_id, code) SELECT id, 'X' FROM rewards_coupon"),
        (
            "rewards_couponuse",
            """(coupon_id, amount_minor, discount_minor, actor, at)
            SELECT id, 1, 1, 'x', now() FROM rewards_coupon""",
        ),
        (
            "rewards_redemptionchange",
            """(member_id, redemption_id, to_state, actor, at)
            SELECT member_id, id, 'returned', 'x', now() FROM rewards_redemption""",
        ),
    ],
)
def test_a_history_is_written_by_its_trigger_and_never_rewritten(table: str, row: str) -> None:
    reward = RewardFactory.create()
    stock(reward, 5)
    order(member_with(1_000), reward)
    use_raw(printed_coupon())

    with refused("rewards_history_written_by_trigger"):
        run(f"INSERT INTO {table} {row}")
    with refused("rewards_history_append_only"):
        run(f"UPDATE {table} SET id = id")
    with refused("rewards_history_append_only"):
        run(f"DELETE FROM {table}")
    with refused("rewards_history_append_only"):
        run(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize(
    ("terms", "law"),
    [
        ({"points": 0}, "reward_points_positive"),
        ({"points_by_tier": {"gold": 0}}, "reward_points_by_tier_valid"),
        ({"points_by_tier": {"gold": 1.5}}, "reward_points_by_tier_valid"),
        ({"points_by_tier": {"gold": "900"}}, "reward_points_by_tier_valid"),
        ({"points_by_tier": [900]}, "reward_points_by_tier_valid"),
        ({"kind": "voucher"}, "reward_kind_known"),
        ({"valid_from": AT, "valid_until": AT}, "reward_period_ordered"),
        ({"coupon_value_minor": 100}, "reward_coupon_terms"),
        ({"kind": "coupon"}, "reward_coupon_terms"),
        ({"kind": "coupon", "coupon_value_minor": 100, "coupon_percent": 5}, "reward_coupon_terms"),
        ({"coupon_currency": "yuan"[:3]}, "reward_coupon_currency"),
        ({"money_minor": 0}, "reward_money_valid"),
        ({"kind": "coupon", "coupon_value_minor": 100, "money_minor": 5}, "reward_money_valid"),
        ({"booking_places": ["North hall"]}, "reward_places_of_service"),
    ],
)
def test_a_reward_that_makes_no_sense_is_refused(terms: dict[str, Any], law: str) -> None:
    with refused(law):
        RewardFactory.create(**terms)


def test_the_history_of_a_reward_keeps_its_old_shelf_and_batch() -> None:
    shelf, batch = RewardCategoryFactory.create(), CouponBatchFactory.create()
    reward = CouponRewardFactory.create(coupon_value_minor=None, coupon_batch=batch, category=shelf)

    run("UPDATE rewards_reward SET category_id = NULL WHERE id = %s", reward.pk)
    run("UPDATE rewards_reward SET coupon_batch_id = NULL, coupon_value_minor = 5 WHERE id = %s", reward.pk)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT category_id, coupon_batch_id FROM rewards_rewardhistory WHERE pgh_obj_id = %s ORDER BY pgh_id",
            [reward.pk],
        )
        assert cursor.fetchall() == [(shelf.pk, batch.pk), (None, batch.pk)]


def test_the_history_of_a_reward_keeps_its_old_price() -> None:
    reward = RewardFactory.create(points=1_000)

    run("UPDATE rewards_reward SET points = 1200 WHERE id = %s", reward.pk)

    with connection.cursor() as cursor:
        cursor.execute("SELECT points FROM rewards_rewardhistory WHERE pgh_obj_id = %s", [reward.pk])
        assert cursor.fetchall() == [(1_000,)]


def test_an_address_is_sealed_under_the_members_own_key() -> None:
    redemption = order(member_with(1_000), RewardFactory.create(), address="长安街 1 号")
    with connection.cursor() as cursor:
        cursor.execute("SELECT address FROM rewards_redemption WHERE id = %s", [redemption.pk])
        (sealed,) = cursor.fetchone()

    assert "长安街".encode() not in bytes(sealed)
    assert Redemption.objects.get(pk=redemption.pk).address == "长安街 1 号"


def test_a_forgotten_member_takes_the_address_along() -> None:
    member = member_with(1_000)
    redemption = order(member, RewardFactory.create(), address="长安街 1 号")
    run(
        "UPDATE members_member SET data_key = NULL, name = NULL, phone = NULL, email = NULL, birthday = NULL, "
        "address = NULL, birth_month = NULL WHERE id = %s",
        member.pk,
    )

    with pytest.raises(PersonalDataForgotten):
        _ = Redemption.objects.get(pk=redemption.pk).address


def test_the_states_a_coupon_is_used_from_are_those_the_law_lets_go_to_redeemed() -> None:
    before = {old for old, new in COUPON_TRANSITIONS if new == "redeemed"}

    assert before == {*USABLE_COUPON_STATES, "reserved"}
    assert issubclass(IntegrityError, Error)


def test_a_price_that_is_no_whole_number_is_refused_by_the_form_too() -> None:
    reward = RewardFactory.build(points_by_tier={"gold": -5})

    with pytest.raises(ValidationError, match="price by tier"):
        reward.validate_constraints()
