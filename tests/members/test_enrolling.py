from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from members.actions import enrolling, numbering, profiles
from members.actions.claiming import EmailTaken, ExternalTaken, PhoneTaken
from members.actions.enrolling import Person, ReferenceConflict, ReferralCodeUnknown, TextMissing, TierUnknown
from members.contacts import EmailMalformed, PhoneMalformed
from members.models import AuditRecord, Member, MemberKey

from .factories import AT, TESTER, MemberFactory, TierFactory, base_tier

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _base() -> None:
    base_tier()


def enrol(**given: Any) -> enrolling.Enrolled:
    defaults: dict[str, Any] = {"reference": "r-1", "source": "shop", "actor": TESTER, "at": AT}
    return enrolling.enrol(**defaults | given)


def everything() -> tuple[int, int, int]:
    return Member.objects.count(), MemberKey.objects.count(), AuditRecord.objects.count()


def test_a_person_becomes_a_member_with_everything_that_was_said() -> None:
    gold = TierFactory.create(code="gold")

    member = enrol(
        name=" 王小明 ",
        phone="138 0013 8000",
        email="Wang@Example.com",
        birthday=date(1990, 5, 17),
        address="上海市\n南京路 1 号",
        language="zh-hans",
        tier="gold",
        attributes={"store": "SH01"},
        labels=["vip", "vip"],
        external="H-1",
    ).member
    member = Member.objects.get(pk=member.pk)

    assert (member.name, member.phone, member.email) == ("王小明", "+8613800138000", "Wang@Example.com")
    assert (member.birthday, member.birth_month, member.address) == (date(1990, 5, 17), 5, "上海市\n南京路 1 号")
    assert (member.language, member.tier, member.status) == ("zh-hans", gold, "active")
    assert (member.attributes, member.labels) == ({"store": "SH01"}, ["vip"])
    assert (member.source, member.reference, member.joined_at) == ("shop", "r-1", AT)
    assert numbering.is_number(member.number)
    kinds = member.keys.values_list("kind", flat=True)
    assert sorted(kinds) == ["email", "external", "number", "phone", "reference", "referral_code"]


def test_a_person_may_be_enrolled_by_reference_alone() -> None:
    member = enrol().member

    assert (member.name, member.phone, member.birthday, member.birth_month) == ("", "", None, None)
    assert member.tier.code == "base"
    assert member.language == "en"


def test_the_same_enrolment_again_gives_the_same_member() -> None:
    first = enrol(name="Alice", phone="13800138000")
    before = everything()

    again = enrol(name="Alice", phone="+86 138-0013-8000")

    assert again.replayed
    assert not first.replayed
    assert again.member == first.member
    assert everything() == before


def test_other_content_under_a_used_reference_is_a_conflict() -> None:
    enrol(name="Alice")
    before = everything()

    with pytest.raises(ReferenceConflict) as refusal:
        enrol(name="Bob")

    assert (refusal.value.code, refusal.value.status) == ("reference_conflict", 409)
    assert "r-1" in str(refusal.value)
    assert everything() == before


def test_the_same_reference_of_another_source_is_another_enrolment() -> None:
    assert enrol(source="shop").member != enrol(source="bank").member


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"phone": "0086 13800138000"}, PhoneTaken),
        ({"email": "ALICE@example.com"}, EmailTaken),
        ({"external": "H-1"}, ExternalTaken),
        ({"phone": "12"}, PhoneMalformed),
        ({"email": "alice"}, EmailMalformed),
        ({"referral_code": "NOBODY22"}, ReferralCodeUnknown),
        ({"tier": "diamond"}, TierUnknown),
        ({"reference": " "}, TextMissing),
        ({"reference": "r" * 101}, profiles.TextUnusable),
        ({"name": "n" * 151}, profiles.TextUnusable),
        ({"name": "a\x00b"}, profiles.TextUnusable),
        ({"birthday": date(2026, 3, 2)}, profiles.BirthdayImpossible),
        ({"birthday": date(1899, 12, 31)}, profiles.BirthdayImpossible),
        ({"language": "fr"}, profiles.LanguageUnknown),
        ({"attributes": {"a": "\x00"}}, profiles.AttributesUnusable),
        ({"attributes": {"a": "\ud800"}}, profiles.AttributesUnusable),
        ({"attributes": {"a": float("nan")}}, profiles.AttributesUnusable),
        ({"name": "\ud800"}, profiles.TextUnusable),
        ({"attributes": ["a"]}, profiles.AttributesUnusable),
        ({"attributes": {"a": "a" * 10_000}}, profiles.AttributesUnusable),
    ],
)
def test_what_cannot_be_taken_in_is_refused_by_name_and_leaves_nothing(given: dict[str, Any], refusal: type) -> None:
    enrol(phone="13800138000", email="alice@example.com", external="H-1")
    before = everything()

    with pytest.raises(refusal) as refused:
        enrol(**{"reference": "r-2"} | given)

    assert "%(" not in str(refused.value)
    assert everything() == before


def test_a_retired_tier_takes_nobody_in() -> None:
    TierFactory.create(code="gold", is_active=False)

    with pytest.raises(TierUnknown):
        enrol(tier="gold")


def test_a_friend_is_named_by_the_code() -> None:
    friend = enrol().member

    member = enrol(reference="r-2", referral_code=friend.referral_code.lower()).member

    assert member.referred_by == friend


def test_a_friend_who_left_refers_nobody() -> None:
    friend = MemberFactory.create(status="closed")

    with pytest.raises(ReferralCodeUnknown):
        enrol(referral_code=friend.referral_code)


def test_a_number_that_is_taken_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = enrol().member.number
    drawn = iter([taken, "100000017"])
    monkeypatch.setattr(numbering, "new_number", lambda: next(drawn))

    member = enrol(reference="r-2").member

    assert member.number == "100000017"


def test_enrolling_leaves_a_trace_without_personal_data() -> None:
    member = enrol(name="Alice", phone="13800138000").member

    trace = AuditRecord.objects.get(subject=member)

    assert (trace.actor, trace.action, trace.details) == ("system:tests", "member.enrolled", {})


def people(count: int) -> list[Person]:
    return [Person(external=f"H-{n}", name=f"Name {n}", phone=f"138{n:08}") for n in range(count)]


def test_many_people_are_taken_in_by_outside_id() -> None:
    result = enrolling.enrol_many(source="import", people=people(25), actor=TESTER, at=AT)

    assert (result.created, len(result.numbers), result.refused) == (25, 25, {})
    member = Member.objects.by_external("import", "H-7").get()
    assert (member.number, member.name, member.phone) == (result.numbers["H-7"], "Name 7", "+8613800000007")
    assert Member.objects.by_phone("13800000007").get() == member


def test_many_people_again_keep_their_numbers() -> None:
    first = enrolling.enrol_many(source="import", people=people(5), actor=TESTER, at=AT)

    again = enrolling.enrol_many(source="import", people=people(7), actor=TESTER, at=AT)

    assert again.created == 2
    assert first.numbers.items() <= again.numbers.items()
    assert Member.objects.count() == 7


def test_of_many_people_the_good_ones_are_taken_in_and_the_others_named() -> None:
    enrol(phone="13800000001")
    wrong = [
        Person(external="W-1", phone="12"),
        Person(external="W-2", phone="13800000002"),
        Person(external="W-3", tier="diamond"),
        Person(external="", name="nobody"),
    ]

    result = enrolling.enrol_many(source="import", people=[*people(4), *wrong], actor=TESTER, at=AT)

    refused = {external: error.code for external, error in result.refused.items()}
    assert refused == {
        "H-1": "phone_taken",
        "W-1": "phone_malformed",
        "W-2": "phone_taken",
        "W-3": "tier_unknown",
        "": "text_missing",
    }
    assert sorted(result.numbers) == ["H-0", "H-2", "H-3"]
    assert result.created == 3
    assert not MemberKey.objects.filter(key__in=["H-1", "W-2"]).exists()
    assert not MemberKey.objects.exclude(member__in=Member.objects.all()).exists()


def test_many_people_take_few_statements(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(16):
        enrolling.enrol_many(source="import", people=people(500), actor=TESTER, at=AT)


def test_one_of_many_may_draw_again(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = enrolling._Draft(
        id=1,
        profile=profiles.clean(enrolling._said(Person(external="H-1")), at=AT),
        source="import",
        tier=base_tier(),
        joined_at=AT,
        external="H-1",
        number=enrol().member.number,
    )

    (kept,) = enrolling._claimed([draft], {})

    assert kept.number != draft.number
    assert set(MemberKey.objects.filter(member_id=1).values_list("key", flat=True)) == {
        "H-1",
        kept.number,
        kept.referral_code,
    }
    MemberKey.objects.filter(member_id=1).delete()


def test_a_number_without_its_check_digit_is_refused_by_the_database() -> None:
    member = enrol().member
    wrong = member.number[:-1] + str((int(member.number[-1]) + 1) % 10)

    with pytest.raises(IntegrityError, match="member_number_checked"), transaction.atomic():
        Member.objects.filter(pk=member.pk).update(number=wrong)


def test_one_phone_for_two_members_is_refused_by_the_database() -> None:
    first, second = enrol(phone="13800138000").member, enrol(reference="r-2").member
    phone = first.keys.get(kind="phone")

    with (
        pytest.raises(IntegrityError, match="memberkey_taken"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO members_memberkey (kind, key, member_id) VALUES ('phone', %s, %s)", [phone.key, second.pk]
        )


@pytest.mark.parametrize("number", ["100000017", "79927398713", "8412305719361840"])
def test_a_check_digit_finds_every_slip_of_one_digit(number: str) -> None:
    number = number[:-1] + numbering.check_digit(number[:-1])

    slips = [
        number[:n] + str((int(number[n]) + step) % 10) + number[n + 1 :] for n in range(9) for step in range(1, 10)
    ]

    assert numbering.is_number(number)
    assert not any(numbering.is_number(slip) for slip in slips)


def test_numbers_and_codes_do_not_follow_each_other() -> None:
    drawn = [numbering.new_number() for _ in range(100)]

    assert len(set(drawn)) == 100
    assert all(numbering.is_number(number) and len(number) == 12 for number in drawn)
    assert sorted(drawn) != drawn
    assert not set("".join(numbering.new_referral_code() for _ in range(100))) & set("01ILO")


def test_somebody_who_joined_elsewhere_keeps_the_day() -> None:
    joined = AT - timedelta(days=400)

    assert enrol(joined_at=joined).member.joined_at == joined
