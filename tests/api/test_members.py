import pytest
from django.test import Client as Browser

from members.models import AuditRecord, Member, MemberStatus
from tests.api.conftest import Caller
from tests.members.factories import MemberFactory, TierFactory, base_tier, sign_in_for

BOB = {"reference": "b-1", "name": "Bob", "phone": "13900139000", "email": "bob@example.com", "birthday": "1990-05-04"}


def test_somebody_is_enrolled_and_answered_in_full(till: Caller) -> None:
    base_tier()

    answer = till.post("members/", {**BOB, "language": "zh-hans", "attributes": {"branch": "west"}})

    assert answer.status == 201
    member = Member.objects.get()
    assert answer.body == {
        "number": member.number,
        "status": "active",
        "tier": "base",
        "name": "Bob",
        "phone": "+8613900139000",
        "email": "bob@example.com",
        "birthday": "1990-05-04",
        "language": "zh-hans",
        "referral_code": member.referral_code,
        "joined_at": answer.body["joined_at"],
        "attributes": {"branch": "west"},
    }
    assert answer.body["joined_at"].endswith("+08:00")
    assert (member.source, member.reference) == ("till", "b-1")


def test_the_same_enrolment_again_gives_the_first_answer(till: Caller) -> None:
    base_tier()

    first, again = till.post("members/", BOB), till.post("members/", BOB)

    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.body == first.body
    assert Member.objects.count() == 1


def test_a_used_reference_with_other_content_is_a_conflict(till: Caller) -> None:
    base_tier()
    till.post("members/", BOB)

    answer = till.post("members/", {**BOB, "name": "Robert"})

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (409, "reference_conflict")
    assert Member.objects.count() == 1


def test_two_systems_may_use_the_same_reference(till: Caller, shop: Caller) -> None:
    base_tier()

    till.post("members/", {"reference": "1", "name": "Bob"})
    answer = shop.post("members/", {"reference": "1", "name": "Carol"})

    assert answer.status == 201
    assert Member.objects.count() == 2


def test_a_friend_and_a_tier_can_be_named_at_enrolment(till: Caller, alice: Member) -> None:
    TierFactory.create(code="gold")

    answer = till.post(
        "members/", {"reference": "1", "name": "Bob", "referral_code": alice.referral_code, "tier": "gold"}
    )

    assert answer.status == 201
    assert answer.body["tier"] == "gold"
    assert Member.objects.get(number=answer.body["number"]).referred_by == alice


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"reference": None}, 400, "invalid", "reference"),
        ({"reference": ""}, 400, "invalid", "reference"),
        ({"reference": "x" * 101}, 400, "invalid", "reference"),
        ({"reference": 7}, 400, "invalid", "reference"),
        ({"name": "x" * 151}, 400, "invalid", "name"),
        ({"name": "  "}, 400, "invalid", "name"),
        ({"name": "a\x00b"}, 400, "invalid", "name"),
        ({"birthday": "04.05.1990"}, 400, "invalid", "birthday"),
        ({"birthday": "2990-01-01"}, 422, "birthday_impossible", "birthday"),
        ({"phone": "twelve"}, 422, "phone_malformed", "phone"),
        ({"email": "nowhere"}, 422, "email_malformed", "email"),
        ({"language": "tlh"}, 422, "language_unknown", "language"),
        ({"tier": "diamond"}, 422, "tier_unknown", "tier"),
        ({"referral_code": "NOBODY"}, 422, "referral_code_unknown", "referral_code"),
        ({"attributes": [1]}, 400, "invalid", "attributes"),
        ({"nickname": "Bobby"}, 400, "invalid", "nickname"),
    ],
)
def test_an_enrolment_that_cannot_be_is_refused_by_field(
    till: Caller, change: dict[str, object], status: int, code: str, field: str
) -> None:
    base_tier()

    answer = till.post("members/", {**BOB, **change})

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (status, code)
    assert field in answer.body["errors"]
    assert not Member.objects.exists()


def test_a_taken_phone_is_refused(till: Caller, alice: Member) -> None:
    answer = till.post("members/", {**BOB, "phone": "138 0013 8000"})

    assert (answer.status, answer.body["code"]) == (422, "phone_taken")


@pytest.mark.parametrize("query", ["phone=13800138000", "phone=%2B86 138-0013-8000", "email=ALICE@example.com"])
def test_a_member_is_found_by_exact_contact(till: Caller, alice: Member, query: str) -> None:
    MemberFactory.create(name="Bob")

    answer = till.get(f"members/?{query}")

    assert [found["number"] for found in answer.body["results"]] == [alice.number]
    record = AuditRecord.objects.get(action="members.read")
    assert (record.actor, record.subject, record.details["members"]) == ("client:till", alice, 1)
    assert "138" not in str(record.details)


@pytest.mark.parametrize("query", ["phone=13800138001", "phone=nonsense", "email=no@where.example", "number=1"])
def test_nobody_found_is_an_empty_page(till: Caller, alice: Member, query: str) -> None:
    answer = till.get(f"members/?{query}")

    assert (answer.status, answer.body) == (200, {"next": None, "previous": None, "results": []})


def test_members_are_filtered_by_number_tier_and_status(till: Caller, alice: Member) -> None:
    TierFactory.create(code="gold")
    gold = MemberFactory.create(tier="gold")
    away = MemberFactory.create(status=MemberStatus.SUSPENDED)

    def numbers(query: str) -> list[str]:
        return [found["number"] for found in till.get(f"members/?{query}").body["results"]]

    assert numbers(f"number={alice.grouped_number.replace(' ', '+')}") == [alice.number]
    assert numbers("tier=gold") == [gold.number]
    assert numbers("status=suspended") == [away.number]
    assert till.get("members/?status=asleep").status == 400


def test_pages_lead_on_and_back(till: Caller, programme: None) -> None:
    numbers = [MemberFactory.create().number for _ in range(5)]

    first = till.get("members/?page_size=2").body
    second = till.get(first["next"].removeprefix("http://testserver/api/v1/")).body
    third = till.get(second["next"].removeprefix("http://testserver/api/v1/")).body
    back = till.get(third["previous"].removeprefix("http://testserver/api/v1/")).body

    assert [[one["number"] for one in page["results"]] for page in (first, second, third, back)] == [
        numbers[:2],
        numbers[2:4],
        numbers[4:],
        numbers[2:4],
    ]
    assert (first["previous"], third["next"]) == (None, None)


@pytest.mark.parametrize(
    "query", ["page_size=0", "page_size=501", "page_size=ten", "page_size=-1", "cursor=x", "cursor=WyJiIl0"]
)
def test_a_page_that_cannot_be_is_refused(till: Caller, alice: Member, query: str) -> None:
    answer = till.get(f"members/?{query}")

    assert answer.is_problem
    assert answer.status == 400


def test_a_profile_is_read_and_changed_in_parts(till: Caller, alice: Member) -> None:
    changed = till.patch(
        f"members/{alice.number}/", {"reference": "p", "name": "Alicia", "phone": None, "birthday": "1991-02-03"}
    )

    assert changed.status == 200
    read = till.get(f"members/{alice.grouped_number.replace(' ', '-')}/").body
    assert read == changed.body
    assert (read["name"], read["phone"], read["email"]) == ("Alicia", "", "alice@example.com")
    assert read["birthday"] == "1991-02-03"
    assert AuditRecord.objects.filter(action="member.updated", subject=alice, actor="client:till").exists()


@pytest.mark.parametrize(
    "body", [{}, {"status": "closed"}, {"tier": "gold"}, {"number": "1"}, [], "name", {"name": ""}]
)
def test_what_is_not_a_part_of_the_profile_cannot_be_changed(till: Caller, alice: Member, body: object) -> None:
    answer = till.patch(f"members/{alice.number}/", body)

    assert answer.is_problem
    assert answer.status == 400
    alice.refresh_from_db()
    assert (alice.status, alice.name) == ("active", "Alice")


@pytest.mark.parametrize("number", ["000000000000", "1", "7" * 31])
def test_an_unknown_card_number_is_not_found(till: Caller, programme: None, number: str) -> None:
    answer = till.get(f"members/{number}/")

    assert answer.is_problem
    assert answer.status == 404


def test_a_signed_in_member_reads_himself_and_nobody_else(alice: Member) -> None:
    bob = MemberFactory.create(name="Bob")
    browser = Browser()
    browser.force_login(sign_in_for(alice), backend="members.auth.MemberBackend")

    own = browser.get(f"/api/v1/members/{alice.number}/")
    other = browser.get(f"/api/v1/members/{bob.number}/")
    everybody = browser.get("/api/v1/members/")
    change = browser.patch(f"/api/v1/members/{alice.number}/", {"name": "A"}, content_type="application/json")

    assert (own.status_code, own.json()["name"]) == (200, "Alice")
    assert (other.status_code, everybody.status_code, change.status_code) == (404, 403, 403)
    assert not AuditRecord.objects.filter(action="member.read").exists()


@pytest.mark.parametrize("name", ["", "  ", "\u3000", None])
def test_a_name_is_changed_and_never_taken_away(till: Caller, alice: Member, name: str | None) -> None:
    answer = till.patch(f"members/{alice.number}/", {"name": name})

    assert answer.is_problem
    assert (answer.status, list(answer.body["errors"])) == (400, ["name"])
    before = alice.name
    alice.refresh_from_db()
    assert alice.name == before != ""
