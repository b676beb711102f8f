import pytest
from django.db import connection

from members.contacts import EmailMalformed, PhoneMalformed, mask_name, mask_phone, normalise_email, normalise_phone
from members.models import Member, MemberKey, MemberKeyKind

from .factories import MemberFactory


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("13800138000", "+8613800138000"),
        ("138 0013-8000", "+8613800138000"),
        ("１３８００１３８０００", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("+86 (138) 0013.8000", "+8613800138000"),
        ("0086 13800138000", "+8613800138000"),
        ("021-6248 8888", "+862162488888"),
        ("+49 30 901820", "+4930901820"),
    ],
)
def test_a_phone_number_has_one_spelling(written: str, normalised: str) -> None:
    assert normalise_phone(written) == normalised


@pytest.mark.parametrize("written", ["", "12", "phone", "+0123456789", "+86138001380001234567", "138x0138000", "+"])
def test_what_is_no_phone_number_is_refused(written: str) -> None:
    with pytest.raises(PhoneMalformed):
        normalise_phone(written)


def test_an_address_has_one_spelling() -> None:
    assert normalise_email(" Alice@Example.COM ") == "alice@example.com"


@pytest.mark.parametrize("written", ["", "alice", "alice@", "@example.com", "a b@example.com", "a@\ud800.com"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(EmailMalformed):
        normalise_email(written)


def test_short_values_are_masked_whole() -> None:
    assert (mask_phone("12345"), mask_phone(""), mask_name("王小明"), mask_name("")) == ("*****", "", "王**", "")


@pytest.mark.django_db
class TestLookUps:
    @pytest.fixture
    def alice(self) -> Member:
        MemberFactory.create(phone="13900139000")
        return MemberFactory.create(phone="13800138000", email="alice@example.com", external="H-1")

    def test_a_member_is_found_by_each_key(self, alice: Member) -> None:
        assert Member.objects.by_number(alice.grouped_number).get() == alice
        assert Member.objects.by_phone("138 0013 8000").get() == alice
        assert Member.objects.by_email("ALICE@example.com").get() == alice
        assert Member.objects.by_referral_code(alice.referral_code.lower()).get() == alice
        assert Member.objects.by_external("tests", "H-1").get() == alice

    @pytest.mark.parametrize("login", ["number", "phone", "email"])
    def test_a_login_is_a_number_a_phone_or_an_address(self, alice: Member, login: str) -> None:
        assert Member.objects.by_login(getattr(alice, login)).get() == alice

    def test_a_search_finds_by_whatever_staff_have(self, alice: Member) -> None:
        for term in (alice.number, " 13800138000 ", "Alice@example.com", alice.referral_code, "H-1"):
            assert Member.objects.search(term).get() == alice

    @pytest.mark.parametrize("term", ["", " ", "Alice", "1380013800", "%", "'; --", "\ud800", "a\x00"])
    def test_a_search_for_nobody_finds_nobody(self, alice: Member, term: str) -> None:
        assert not Member.objects.search(term).exists()

    def test_a_referral_code_or_outside_id_is_no_login(self, alice: Member) -> None:
        assert not Member.objects.by_login(alice.referral_code).exists()
        assert not Member.objects.by_login("H-1").exists()

    def test_a_look_up_uses_the_unique_index(self, alice: Member) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # so few rows would be read as a whole

        plan = MemberKey.objects.filter(kind=MemberKeyKind.PHONE, scope="", key="x").explain()

        assert "memberkey_taken" in plan
