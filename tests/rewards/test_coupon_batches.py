"""Batches: made bit by bit, taken in from outside, and given to many."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from rewards import batches, code_files, reports, tasks
from rewards.actions import coupons, redeeming
from rewards.eligibility import SoldOut
from rewards.models import Coupon, CouponBatch, CouponEvent, CouponGiving
from tests.members.factories import AT, TESTER, MemberFactory, TierFactory

from .factories import CouponBatchFactory, CouponRewardFactory, available, codes_of, member_with, order

pytestmark = pytest.mark.django_db


def outside(**terms: Any) -> CouponBatch:
    return CouponBatchFactory.create(origin="outside", **terms)


def take_in(batch: CouponBatch, *codes: str) -> batches.TakenIn:
    return batches.take_in(batch=batch, rows=list(enumerate(codes, start=1)), actor=TESTER, at=AT)


def giving(batch: CouponBatch, **given: Any) -> CouponGiving:
    asked: dict[str, Any] = {"wanted": 0, "reason": "spring", "created_by": TESTER, "created_at": AT}
    return CouponGiving.objects.create(batch=batch, **asked | given)


def give(one: CouponGiving, **given: Any) -> int:
    return batches.give(giving=one, actor=TESTER, **{"at": AT} | given)


def test_a_batch_says_how_far_it_has_come_and_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 4)
    batch = CouponBatchFactory.create(quantity=10)
    batches._issue_chunk(batch, TESTER, AT)  # what a killed run leaves

    batch.refresh_from_db()
    assert (batch.made, batch.is_made, batch.coupons.count()) == (4, False, 4)
    assert tasks.issue_codes(batch.pk) == 6

    batch.refresh_from_db()
    assert (batch.made, batch.is_made, batch.coupons.count()) == (10, True, 10)


def test_codes_have_the_terms_of_their_batch() -> None:
    terms: dict[str, Any] = {
        "value_minor": None,
        "percent": 10,
        "most_minor": 900,
        "channels": ["web"],
        "combinable": False,
        "uses": 5,
        "uses_per_member": 2,
        "valid_days": 9,
    }

    (coupon,) = codes_of(CouponBatchFactory.create(**terms))

    assert {name: getattr(coupon, name) for name in terms} == terms


def test_codes_from_outside_keep_their_letters_and_are_found_however_typed() -> None:
    batch = outside(uses=500)

    result = take_in(batch, "spring-26", "春季优惠2026", "O0I1")

    assert (result.taken, result.there, result.refused) == (3, 0, [])
    batch.refresh_from_db()
    assert (batch.made, batch.quantity) == (3, 3)
    for typed in ("SPRING26", "spring 26", "ＳＰＲＩＮＧ－２６"):
        assert Coupon.objects.by_code(typed).get().code == "SPRING26"
    assert Coupon.objects.by_code("春季优惠2026").exists()
    used = coupons.redeem(
        code="Spring-26", amount_minor=900, currency="CNY", source="till", reference="1", actor=TESTER, at=AT
    )
    assert (used.discount_minor, used.coupon.grouped_code) == (500, "SPRING26")


def test_good_rows_are_kept_and_bad_ones_named() -> None:
    other = outside(name="Other")
    take_in(other, "TAKEN1")
    drawn = codes_of(CouponBatchFactory.create())[0]

    result = take_in(outside(), "GOOD1", "x", "A/B/C/D", "good-1", "TAKEN1", drawn.code, "GOOD2", "T" * 41)

    assert result.taken == 2
    assert [(refused.row, refused.reason.code) for refused in result.refused] == [
        (2, "code_malformed"),
        (3, "code_malformed"),
        (4, "code_repeated"),
        (5, "code_taken"),
        (6, "code_taken"),
        (8, "code_malformed"),
    ]
    assert "row 1" in str(result.refused[2].reason)


def test_the_same_file_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    batch = outside()
    take_in(batch, "CODE1", "CODE2", "CODE3")

    again = take_in(batch, "CODE1", "CODE2", "CODE3", "CODE4")

    assert (again.taken, again.there, again.refused) == (1, 3, [])
    batch.refresh_from_db()
    assert batch.made == Coupon.objects.filter(batch=batch).count() == 4
    assert tasks.issue_codes(batch.pk) == 0, "codes from outside are not drawn"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize(
    "text",
    [
        "春季001\n\n春季002\n",
        "note;Code\nx;春季001\ny;春季002\n",
        "券码\t备注\n春季001\t\n春季002\t\n",
        '"春季001"\r\n"春季002"',
    ],
)
def test_a_file_is_read_the_way_spreadsheets_write_it(text: str, encoding: str) -> None:
    assert [code for _row, code in code_files.read(text.encode(encoding))] == ["春季001", "春季002"]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", code_files.FileEmpty),
        (b"code\n\n", code_files.FileEmpty),
        (b"PK\x03\x04\x00\x00\xff\xff", code_files.FileUnreadable),
        (b"A1B2\n" * 50_001, code_files.FileTooLong),
    ],
)
def test_a_file_without_codes_is_refused(content: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        code_files.read(content)


def test_every_active_member_of_a_tier_gets_one_code_and_none_gets_two() -> None:
    gold = TierFactory.create(code="gold")
    members = [MemberFactory.create(tier="gold") for _ in range(5)]
    MemberFactory.create(tier="gold", status="suspended")
    MemberFactory.create()
    batch = CouponBatchFactory.create(quantity=20, valid_days=3)
    first, *_rest = codes_of(batch)
    coupons.assign(coupon=first, member=members[0], actor=TESTER, at=AT)
    one = giving(batch, tier=gold, wanted=5)

    assert [give(one), give(one)] == [4, 0]
    assert give(giving(batch, tier=gold)) == 0, "who has one of the batch gets none, whoever asks again"

    owned = Coupon.objects.filter(batch=batch, member__isnull=False)
    assert sorted(owned.values_list("member_id", flat=True)) == sorted(member.pk for member in members)
    assert set(owned.values_list("state", "expires_at")) == {("assigned", coupons.last_moment(3, AT))}
    assert CouponEvent.objects.filter(to_state="assigned", reason="spring").count() == 4
    one.refresh_from_db()
    assert (one.given, one.state) == (4, "done")


def test_a_giving_goes_on_where_a_killed_run_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    members = [MemberFactory.create(labels=["vip"]) for _ in range(5)]
    batch = CouponBatchFactory.create(quantity=9)
    codes_of(batch)
    one = giving(batch, segment="vip", wanted=5)
    batches._give_chunk(one, TESTER, AT)

    one.refresh_from_db()
    assert (one.given, one.state) == (2, "running")
    assert tasks.give_coupons(one.pk) == 3

    one.refresh_from_db()
    assert (one.given, one.state) == (5, "done")
    assert set(Coupon.objects.filter(giving=one).values_list("member_id", flat=True)) == {m.pk for m in members}


def test_a_giving_stops_where_the_codes_end_and_goes_on_when_there_are_more() -> None:
    for _ in range(4):
        MemberFactory.create()
    batch = outside()
    take_in(batch, "CODE1", "CODE2", "CODE3")
    ended = outside(name="Ended", expires_at=AT + timedelta(days=1))
    take_in(ended, "ENDED1", "ENDED2", "ENDED3", "ENDED4")
    one, late = giving(batch, wanted=4), giving(ended)

    assert give(one) == 3
    one.refresh_from_db()
    assert (one.given, one.state) == (3, "short")
    take_in(batch, "CODE4", "CODE5")
    assert [give(one), give(one)] == [1, 0]
    assert give(late, at=AT + timedelta(days=1)) == 0, "what is over is not given"

    one.refresh_from_db()
    assert (one.given, one.state) == (4, "done")


def test_points_buy_a_code_of_a_batch_under_its_terms_until_none_is_left() -> None:
    batch = outside(name="Partner", channels=["app"], valid_days=10)
    take_in(batch, "PARTNER1", "PARTNER2")
    reward = CouponRewardFactory.create(coupon_value_minor=None, coupon_valid_days=None, coupon_batch=batch)
    member = member_with(1_000)

    first, second = order(member, reward).coupon, order(member, reward).coupon

    assert first is not None
    assert second is not None
    assert [first.code, second.code] == ["PARTNER1", "PARTNER2"]
    assert (first.member, first.state, first.channels) == (member, "assigned", ["app"])
    assert first.expires_at == coupons.last_moment(10, AT)
    (offer,) = [one for one in reports.catalogue(member=member, at=AT) if one.reward == reward]
    assert [code for code, _ in offer.reasons] == ["out_of_stock"]
    with pytest.raises(SoldOut):
        order(member, reward)
    assert available(member) == 800


@pytest.mark.parametrize("terms", [{"coupon_value_minor": 100}, {"coupon_value_minor": None, "kind": "gift"}])
def test_a_reward_has_a_batch_or_terms_of_its_own(terms: dict[str, Any]) -> None:
    batch = CouponBatchFactory.create()

    with pytest.raises(IntegrityError, match="reward_coupon_terms"), transaction.atomic():
        CouponRewardFactory.create(coupon_batch=batch, **terms)


def test_the_days_of_a_coupon_that_begins_later_are_counted_from_its_first_day() -> None:
    begins = AT + timedelta(days=60)
    batch = outside(valid_from=begins, valid_days=30)
    take_in(batch, "LATER1", "LATER2", "LATER3")
    reward = CouponRewardFactory.create(coupon_value_minor=None, coupon_valid_days=None, coupon_batch=batch)
    buyer = member_with(100)

    bought = order(buyer, reward).coupon
    assigned = coupons.assign(
        coupon=Coupon.objects.get(code="LATER2"), member=MemberFactory.create(), actor=TESTER, at=AT
    )
    MemberFactory.create()
    batches.give(giving=giving(batch), actor=TESTER, at=AT)
    given = Coupon.objects.get(code="LATER3")

    assert bought is not None
    assert {one.expires_at for one in (bought, assigned, given)} == {coupons.last_moment(30, begins)}
    assert given.state == "assigned"


def test_a_cancelled_order_takes_its_code_of_the_batch_along() -> None:
    batch = CouponBatchFactory.create()
    codes_of(batch)
    redemption = order(member_with(100), CouponRewardFactory.create(coupon_value_minor=None, coupon_batch=batch))

    redeeming.cancel(redemption=redemption, source="shop", reference="x", actor=TESTER, at=AT)

    assert batch.coupons.get().state == "void"
    assert available(redemption.member) == 100
