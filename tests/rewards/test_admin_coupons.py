"""Coupon batches on screen: their terms, how far they have come, codes in and out, and given to many."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from config.lib.actor import Actor
from members.models import AuditRecord
from rewards import batches
from rewards.actions import coupons
from rewards.models import Coupon, CouponBatch, CouponGiving
from tests.config.admin_scene import staff
from tests.members.factories import AT, TESTER, MemberFactory, TierFactory
from tests.rewards.factories import CouponBatchFactory, codes_of, printed_coupon

pytestmark = pytest.mark.django_db

OUTSIDE = "admin:rewards_couponbatch_outside"


@pytest.fixture
def manager(client: Client) -> Client:
    client.force_login(staff("programme manager", username="maria"))
    return client


def page_of(row: Any, step: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{step}", args=[row.pk])


def text_of(response: Any) -> str:
    return str(response.content.decode())


def csv_file(*lines: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("codes.csv", "\r\n".join(lines).encode("gb18030"), content_type="text/csv")


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_made_with_all_its_terms_and_repeats_them_first(manager: Client) -> None:
    answers = {
        "name": "Spring",
        "quantity": "3",
        "percent": "20",
        "most_minor": "50.00",
        "channels": "web, app",
        "uses": "5",
        "uses_per_member": "1",
        "valid_days": "30",
    }
    address = reverse("admin:rewards_couponbatch_new")

    asked = text_of(manager.post(address, answers))
    made = manager.post(address, answers | {"confirmed": "1"})

    for words in (
        "20%, at most 50.00 CNY",
        "web, app",
        "5 uses",
        "1 use a member",
        "not with other coupons",
        "30 days",
    ):
        assert words in asked, words
    batch = CouponBatch.objects.get()
    assert (batch.percent, batch.most_minor, batch.channels, batch.combinable) == (20, 5_000, ["web", "app"], False)
    assert (batch.uses, batch.uses_per_member, batch.valid_days, batch.made) == (5, 1, 30, 3)
    assert "3 / 3" in text_of(manager.get(page_of(batch)))
    assert made["Location"] == page_of(batch)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"value_minor": "5", "free_sku": "x"}, "one of them"),
        ({"value_minor": "5", "most_minor": "4"}, "no more than that anyway"),
        ({"percent": "5", "uses": "2", "uses_per_member": "3"}, "more often than it can be used"),
        ({"percent": "5", "uses": "0"}, "greater than or equal to 1"),
    ],
)
def test_terms_that_make_no_sense_are_refused_in_words(manager: Client, answers: dict[str, str], told: str) -> None:
    response = manager.post(reverse("admin:rewards_couponbatch_new"), {"name": "x", "quantity": "1"} | answers)

    assert told in str(dict(response.context["form"].errors))
    assert not CouponBatch.objects.exists()


def test_an_unfinished_batch_shows_how_far_it_is_and_goes_on(
    manager: Client, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    batch = CouponBatchFactory.create(quantity=5)
    batches._issue_chunk(batch, TESTER, AT)
    assert "2 / 5" in text_of(manager.get(page_of(batch)))
    assert page_of(batch, "go_on") in text_of(manager.get(page_of(batch)))

    with django_capture_on_commit_callbacks(execute=True):
        manager.post(page_of(batch, "go_on"))

    page = text_of(manager.get(page_of(batch)))
    assert "5 / 5" in page
    assert page_of(batch, "go_on") not in page


def test_codes_from_a_file_are_taken_in_and_bad_rows_named(manager: Client) -> None:
    printed = {
        "name": "Partner",
        "value_minor": "5.00",
        "file": csv_file("code;note", "AAA-111;春", "x;", "BBB222;夏"),
    }

    response = manager.post(reverse(OUTSIDE), printed)

    page = text_of(response)
    assert "Taken in: 2. There before: 0. Left out: 1." in page
    assert "A code is 4 to 40 letters" in page
    batch = CouponBatch.objects.get()
    assert sorted(batch.coupons.values_list("code", flat=True)) == ["AAA111", "BBB222"]
    again = manager.post(page_of(batch, "codes"), {"file": csv_file("AAA111", "BBB222", "CCC333")}, follow=True)
    assert "Taken in: 1. There before: 2. Left out: 0." in text_of(again)
    batch.refresh_from_db()
    assert (batch.made, batch.quantity, batch.origin) == (3, 3, "outside")
    assert AuditRecord.objects.filter(action="couponbatch.codes_taken_in").count() == 2


def test_a_word_is_printed_for_many(manager: Client) -> None:
    manager.post(
        reverse(OUTSIDE), {"name": "Spring", "codes": "SPRING", "percent": "10", "uses": "500", "uses_per_member": "1"}
    )

    coupon = Coupon.objects.get()
    assert (coupon.code, coupon.uses, coupon.uses_per_member, coupon.is_outside) == ("SPRING", 500, 1, True)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({}, "Give a file or type the codes"),
        ({"codes": "A1"}, "No code could be taken in"),
        ({"file": SimpleUploadedFile("x.xlsx", b"PK\x03\x04\x00\xff")}, "not a text file"),
    ],
)
def test_a_file_of_nothing_makes_no_batch(manager: Client, answers: dict[str, Any], told: str) -> None:
    response = manager.post(reverse(OUTSIDE), {"name": "x", "value_minor": "5"} | answers)

    assert told in str(dict(response.context["form"].errors))
    assert not CouponBatch.objects.exists()


def test_drawn_codes_are_not_mixed_with_others(manager: Client) -> None:
    batch = CouponBatchFactory.create()

    assert manager.get(page_of(batch, "codes")).status_code == 403


def test_a_batch_is_given_to_a_tier_and_its_page_shows_how_far(
    manager: Client, django_capture_on_commit_callbacks: Any
) -> None:
    gold = TierFactory.create(code="gold")
    members = [MemberFactory.create(tier="gold") for _ in range(3)]
    batch = CouponBatchFactory.create(quantity=10)
    codes_of(batch)
    answers = {"tier": gold.pk, "reason": "thanks"}

    asked = text_of(manager.post(page_of(batch, "give"), answers))
    assert not CouponGiving.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        manager.post(page_of(batch, "give"), answers | {"confirmed": "1"})

    assert "Free codes" in asked
    assert Coupon.objects.filter(member__in=members, state="assigned").count() == 3
    page = text_of(manager.get(page_of(batch)))
    assert "3 / 3" in page
    assert "thanks" in page
    assert AuditRecord.objects.get(action="couponbatch.given").reason == "thanks"


def test_coupons_that_have_ended_before_they_are_made_are_refused(manager: Client) -> None:
    answers = {"name": "Spring", "quantity": "3", "percent": "20", "confirmed": "1"}
    over = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}

    response = manager.post(reverse("admin:rewards_couponbatch_new"), answers | over)

    assert "expires_at" in response.context["form"].errors
    assert not CouponBatch.objects.exists()


@pytest.mark.parametrize(("who", "field"), [({"segment": "nobody"}, "segment"), ({"tier": "empty"}, "tier")])
def test_a_batch_is_not_given_to_nobody(manager: Client, who: dict[str, str], field: str) -> None:
    tier = TierFactory.create(code="empty")
    MemberFactory.create()
    batch = CouponBatchFactory.create()
    codes_of(batch)
    answers = {"reason": "thanks", "confirmed": "1"} | who | ({"tier": str(tier.pk)} if "tier" in who else {})

    response = manager.post(page_of(batch, "give"), answers)

    assert response.context["form"].errors[field] == ["No active member is in it."]
    assert not CouponGiving.objects.exists()


def test_codes_that_are_over_are_no_free_codes(manager: Client) -> None:
    MemberFactory.create()
    batch = CouponBatchFactory.create(expires_at=AT + timedelta(days=1))
    codes_of(batch)

    with time_machine.travel(AT + timedelta(days=2)):
        response = manager.post(page_of(batch, "give"), {"reason": "thanks", "confirmed": "1"})

    assert "no code left" in str(response.context["form"].non_field_errors())
    assert not CouponGiving.objects.exists()


def test_the_codes_of_a_batch_are_taken_along_by_who_may_and_that_is_written_down(
    manager: Client, client: Client
) -> None:
    end = datetime(2099, 3, 31, 16, tzinfo=UTC)  # the end of a day in the programme's time zone
    batch = CouponBatchFactory.create(origin="outside", expires_at=end)
    batches.take_in(batch=batch, rows=[(1, "=SUM(A1)"), (2, "GOOD1")], actor=TESTER, at=AT)

    response = manager.post(page_of(batch, "export"))

    lines = b"".join(response.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "code,status,member,uses,used,expires_at",
        "'=SUM(A1),issued,,1,0,2099-04-01T00:00:00+08:00",
        "GOOD1,issued,,1,0,2099-04-01T00:00:00+08:00",
    ]
    assert AuditRecord.objects.get(action="couponbatch.exported").actor == "staff:maria"
    client.force_login(staff("auditor"))
    assert client.post(page_of(batch, "export")).status_code == 403


def test_reading_roles_change_no_batch(client: Client) -> None:
    client.force_login(staff("clerk"))
    batch = CouponBatchFactory.create(origin="outside")

    assert client.get(page_of(batch)).status_code == 200
    assert client.get(reverse(OUTSIDE)).status_code == 403
    for step in ("codes", "give", "go_on", "export"):
        assert client.post(page_of(batch, step), {"reason": "x"}).status_code == 403


def test_a_code_is_read_by_who_may_give_it_out_and_by_nobody_from_a_list(manager: Client, client: Client) -> None:
    coupon, short = printed_coupon(), CouponBatchFactory.create(origin="outside")
    batches.take_in(batch=short, rows=[(1, "SPRING")], actor=TESTER, at=AT)
    member = MemberFactory.create()
    coupons.assign(coupon=coupon, member=member, actor=TESTER, at=AT)
    everywhere = [reverse("admin:rewards_coupon_changelist"), page_of(member)]
    assert coupon.grouped_code in text_of(manager.get(page_of(coupon)))
    assert all(coupon.grouped_code not in text_of(manager.get(page)) for page in everywhere)

    client.force_login(staff("clerk"))
    pages = [text_of(client.get(page)) for page in (page_of(coupon), *everywhere)]

    assert all(f"****-{coupon.code[-4:]}" in page for page in pages)
    assert not any(coupon.code in page or coupon.grouped_code in page for page in pages)
    assert "****-G" in pages[1]
    assert "SPRING" not in pages[1]


def test_a_coupon_shows_its_uses_returns_and_reservations(manager: Client) -> None:
    member = MemberFactory.create()
    coupon = printed_coupon(uses=5)
    purchase: dict[str, Any] = {"amount_minor": 900, "currency": "CNY", "source": "till", "actor": TESTER, "at": AT}
    coupons.redeem(code=coupon.code, reference="receipt-1", bill="b-77", member=member, **purchase)
    coupons.rollback(code=coupon.code, reference="back-1", source="till", actor=TESTER, at=AT)
    coupons.reserve(code=coupon.code, reference="cart-9", **purchase)
    coupons.release(code=coupon.code, reference="cart-9", source="till", actor=Actor("client:till-7"), at=AT)

    page = text_of(manager.get(page_of(coupon)))

    for words in ("receipt-1", "b-77", "back-1", "cart-9", member.grouped_number, "Given back", "0 / 5", "till-7"):
        assert words in page, words
