"""The screens of members: found by what a person says, masked until there is a reason, changed through actions."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from members.models import AuditRecord, Member, User
from tests.config.admin_scene import staff
from tests.members.factories import MemberFactory, TierFactory

pytestmark = pytest.mark.django_db

PHONE, EMAIL = "13800138000", "xiaoming@example.com"


@pytest.fixture
def member() -> Member:
    return MemberFactory.create(name="王小明", phone=PHONE, email=EMAIL, address="上海市世纪大道 100 号")


@pytest.fixture
def clerk(client: Client) -> Client:
    client.force_login(staff("clerk", username="clara"))
    return client


@pytest.fixture
def checker(client: Client) -> Client:
    client.force_login(staff("checker", username="charlie"))
    return client


def page_of(member: Member, step: str = "change") -> str:
    return reverse(f"admin:members_member_{step}", args=[member.pk])


def text_of(response: Any) -> str:
    return str(response.content.decode())


@pytest.mark.parametrize(
    "term", ["number", "grouped_number", "referral_code", PHONE, "+86 138-0013-8000", EMAIL.upper()]
)
def test_a_member_is_found_by_whatever_he_says_and_opened_at_once(clerk: Client, member: Member, term: str) -> None:
    MemberFactory.create(phone="13900139000")

    response = clerk.get(reverse("admin:members_member_changelist"), {"q": getattr(member, term, term)})

    assert response.status_code == 302
    assert response.headers["Location"] == page_of(member)


@pytest.mark.parametrize("term", ["1380013", "王小明", "nobody@example.com", "%", "'"])
def test_parts_and_names_find_nobody(clerk: Client, member: Member, term: str) -> None:
    response = clerk.get(reverse("admin:members_member_changelist"), {"q": term})

    assert response.status_code == 200
    assert list(response.context["cl"].result_list) == []


def test_personal_data_is_masked_on_list_and_page(clerk: Client, member: Member) -> None:
    for address in (reverse("admin:members_member_changelist"), page_of(member)):
        text = text_of(clerk.get(address))
        assert "王**" in text
        assert "王小明" not in text
        assert PHONE not in text
        assert EMAIL not in text
        assert "世纪大道" not in text


def test_personal_data_is_shown_once_for_a_reason_that_is_kept(clerk: Client, member: Member) -> None:
    response = clerk.post(page_of(member, "reveal"), {"purpose": "call", "details": "case 4711"})

    assert "王小明" in text_of(response)
    assert f"+86{PHONE}" in text_of(response)
    record = AuditRecord.objects.filter(action="member.revealed").get()
    assert (record.actor, record.subject, record.reason) == ("staff:clara", member, "call: case 4711")
    assert "王小明" not in text_of(clerk.get(page_of(member)))


@pytest.mark.parametrize("answers", [{}, {"purpose": "other"}, {"purpose": "nosiness"}])
def test_without_a_reason_nothing_is_shown(clerk: Client, member: Member, answers: dict[str, str]) -> None:
    response = clerk.post(page_of(member, "reveal"), answers)

    assert "王小明" not in text_of(response)
    assert response.context["form"].errors
    assert not AuditRecord.objects.filter(action="member.revealed").exists()


def test_only_who_may_read_personal_data_reveals_or_edits_it(client: Client, member: Member) -> None:
    client.force_login(staff("auditor"))

    assert client.get(page_of(member)).status_code == 200
    assert client.post(page_of(member, "reveal"), {"purpose": "call"}).status_code == 403
    assert client.get(page_of(member, "edit")).status_code == 403
    assert client.post(page_of(member, "suspend"), {"reason": "x"}).status_code == 403


def test_enrolling_makes_a_member_once_however_often_it_is_sent(clerk: Client) -> None:
    MemberFactory.create()
    form = clerk.get(reverse("admin:members_member_enrol"))
    answers = {
        "name": "李雷",
        "phone": "13700137000",
        "language": "zh-hans",
        "reference": form.context["form"].initial["reference"],
    }

    first = clerk.post(reverse("admin:members_member_enrol"), answers)
    again = clerk.post(reverse("admin:members_member_enrol"), answers)

    enrolled = Member.objects.by_phone("13700137000").get()
    assert (enrolled.name, enrolled.source) == ("李雷", "admin")
    assert first.headers["Location"] == again.headers["Location"] == page_of(enrolled)


def test_a_refusal_stands_beside_the_field_it_names(clerk: Client, member: Member) -> None:
    answers = {"name": "韩梅梅", "phone": PHONE, "language": "en", "reference": "r-1"}

    response = clerk.post(reverse("admin:members_member_enrol"), answers)

    assert response.context["form"].errors["phone"] == ["Another member has this phone number."]
    assert Member.objects.count() == 1


def test_somebody_without_phone_and_mail_cannot_be_enrolled(clerk: Client, member: Member) -> None:
    response = clerk.post(reverse("admin:members_member_enrol"), {"name": "韩", "language": "en", "reference": "r-1"})

    assert "phone" in response.context["form"].errors


def test_an_edit_changes_what_was_changed_and_says_why(clerk: Client, member: Member) -> None:
    form = clerk.get(page_of(member, "edit")).context["form"]
    answers = {name: form[name].value() or "" for name in form.fields} | {"name": "王大明", "reason": "marriage"}

    response = clerk.post(page_of(member, "edit"), answers)

    assert response.status_code == 302
    changed = Member.objects.get()
    assert (changed.name, changed.phone) == ("王大明", f"+86{PHONE}")
    record = AuditRecord.objects.filter(action="member.updated").get()
    assert (record.reason, record.details) == ("marriage", {"fields": ["name"]})


def test_opening_the_edit_form_is_reading_and_is_written_down(clerk: Client, member: Member) -> None:
    clerk.get(page_of(member, "edit"))

    assert AuditRecord.objects.filter(action="member.revealed", subject=member, reason="edit").count() == 1


def test_a_membership_is_suspended_and_reinstated_with_a_reason(checker: Client, member: Member) -> None:
    assert checker.post(page_of(member, "suspend"), {"reason": ""}).status_code == 200
    assert Member.objects.get().status == "active"

    checker.post(page_of(member, "suspend"), {"reason": "a doubt"})
    assert Member.objects.get().status == "suspended"
    checker.post(page_of(member, "reinstate"), {"reason": "no doubt"})

    assert Member.objects.get().status == "active"
    reasons = AuditRecord.objects.filter(action="member.standing").order_by("id").values_list("reason", "actor")
    assert list(reasons) == [("a doubt", "staff:charlie"), ("no doubt", "staff:charlie")]


def test_a_closed_membership_stays_closed_and_says_so(checker: Client, member: Member) -> None:
    checker.post(page_of(member, "close"), {"reason": "moved away"})

    response = checker.post(page_of(member, "reinstate"), {"reason": "back"})

    assert Member.objects.get().status == "closed"
    assert response.context["form"].non_field_errors() or response.context["form"].errors


@pytest.mark.parametrize("role", ["clerk", "checker"])
def test_a_password_is_made_for_a_reason_and_shown_this_once(client: Client, member: Member, role: str) -> None:
    client.force_login(staff(role, username="clara"))
    assert page_of(member, "password") in text_of(client.get(page_of(member)))

    assert client.post(page_of(member, "password"), {"reason": ""}).context["form"].errors
    assert not User.objects.filter(member=member).exists()
    response = client.post(page_of(member, "password"), {"reason": "forgotten"})

    password = response.context["password"]
    assert password in text_of(response)
    assert "no-store" in response.headers["Cache-Control"]
    assert User.objects.get(member=member).check_password(password)
    record = AuditRecord.objects.get(action="member.password_given")
    assert (record.actor, record.subject, record.reason) == ("staff:clara", member, "forgotten")
    for address in (page_of(member), page_of(member, "password")):
        assert password not in text_of(client.get(address))


@pytest.mark.parametrize("role", ["auditor", "programme manager", "operator"])
def test_nobody_else_makes_a_password_for_a_member(client: Client, member: Member, role: str) -> None:
    client.force_login(staff(role))

    assert client.get(page_of(member, "password")).status_code == 403
    assert client.post(page_of(member, "password"), {"reason": "x"}).status_code == 403
    assert not User.objects.filter(member=member).exists()


def test_the_page_of_a_password_says_what_to_sign_in_with(clerk: Client, member: Member) -> None:
    text = text_of(clerk.post(page_of(member, "password"), {"reason": "new"}))

    assert member.grouped_number in text
    assert member.masked_phone in text
    assert PHONE not in text
    Member.objects.filter(pk=member.pk).update(phone=None, email=None)
    assert "the card number is the only login" in text_of(clerk.post(page_of(member, "password"), {"reason": "new"}))


def test_a_suspended_member_is_refused_a_password_and_told_why(clerk: Client, member: Member) -> None:
    Member.objects.update(status="suspended")

    response = clerk.post(page_of(member, "password"), {"reason": "x"})

    assert "Only an active member can have a sign-in." in text_of(response)
    assert page_of(member, "password") not in text_of(clerk.get(page_of(member)))


def test_a_tier_is_given_by_hand(checker: Client, member: Member) -> None:
    gold = TierFactory.create(code="gold")

    checker.post(page_of(member, "tier"), {"tier": gold.pk, "reason": "a promise"})

    assert Member.objects.get().tier == gold


def test_the_buttons_are_those_a_person_may_press(clerk: Client, member: Member) -> None:
    text = text_of(clerk.get(page_of(member)))

    assert page_of(member, "edit") in text
    assert page_of(member, "suspend") not in text


def test_a_forgotten_member_still_has_a_page(clerk: Client, member: Member) -> None:
    cleared = {"name": None, "phone": None, "email": None, "birthday": None, "address": None, "birth_month": None}
    Member.objects.filter(pk=member.pk).update(data_key=None, **cleared)

    response = clerk.get(page_of(member))

    assert response.status_code == 200
    assert "Forgotten at the member" in text_of(response)
    assert clerk.get(reverse("admin:members_member_changelist")).status_code == 200


def test_a_member_who_is_not_there_is_404(clerk: Client) -> None:
    assert clerk.get(reverse("admin:members_member_change", args=[999_999])).status_code == 404
    assert clerk.get(reverse("admin:members_member_reveal", args=[999_999])).status_code == 404


def test_nobody_deletes_a_member(client: Client, member: Member) -> None:
    client.force_login(staff(is_superuser=True))

    assert client.post(page_of(member, "delete"), {"post": "yes"}).status_code == 403
    assert Member.objects.count() == 1


def test_members_are_taken_along_without_anything_personal(client: Client, member: Member) -> None:
    client.force_login(staff("auditor", username="ada"))
    address = reverse("admin:members_member_export")

    response = client.post(address, {"format": "0", "resource": "0"})

    text = text_of(response)
    assert text.startswith("\ufeff"), "a spreadsheet reads it as UTF-8"
    assert f"{member.number},active,base" in text
    assert "王" not in text
    assert "138" not in text.replace(member.number, "")
    assert AuditRecord.objects.filter(action="member.exported", actor="staff:ada").count() == 1


def test_a_refusal_says_its_sentence_and_no_name_of_a_field(client: Client, member: Member) -> None:
    client.force_login(staff("checker", is_superuser=True))
    Member.objects.update(status="suspended")
    taken = MemberFactory.create(phone="13900139000")

    again = client.post(page_of(member, "suspend"), {"reason": "a doubt"})
    answers = {"name": "王小明", "phone": PHONE, "language": "zh-hans", "reason": "x"}
    known = client.post(page_of(taken, "edit"), answers)

    assert again.context["form"].non_field_errors() == [
        "A membership that is Suspended cannot become Suspended.",
    ]
    assert known.context["form"].errors == {"phone": ["Another member has this phone number."]}


@pytest.mark.parametrize("step", ["suspend", "reinstate", "close", "tier", "edit"])
def test_a_closed_membership_has_no_page_to_change_it_by(client: Client, member: Member, step: str) -> None:
    client.force_login(staff("checker", is_superuser=True))
    Member.objects.update(status="closed")

    response = client.get(page_of(member, step), follow=True)

    assert response.redirect_chain == [(page_of(member), 302)]
    assert "The membership is Closed." in text_of(response)
    assert page_of(member, step) not in text_of(response)
    assert reverse("admin:points_balance_adjust", args=[member.pk]) not in text_of(response)
    assert not AuditRecord.objects.filter(action="member.revealed").exists()


def test_the_trail_of_a_member_is_told_in_words(client: Client, member: Member) -> None:
    client.force_login(staff("checker", is_superuser=True))
    for step in ("suspend", "reinstate"):
        client.post(page_of(member, step), {"reason": "a doubt"})
    client.post(page_of(member, "reveal"), {"purpose": "call", "details": "no. 7"})
    client.get(page_of(member, "edit"))

    panel = next(each for each in client.get(page_of(member)).context["panels"] if each.slug == "audit")

    assert [row[2:] for row in panel.rows[:4]] == [
        ("Personal data shown", "To change the profile"),
        ("Personal data shown", "The member is on the telephone: no. 7"),
        ("Membership: Active", "a doubt"),
        ("Membership: Suspended", "a doubt"),
    ]


def test_all_that_is_wrong_with_an_enrolment_is_said_at_once(clerk: Client) -> None:
    answers = {"name": "王" * 400, "address": "x" * 5_000, "language": "zh-hans", "reference": "r-2"}

    response = clerk.post(reverse("admin:members_member_enrol"), answers)

    assert set(response.context["form"].errors) == {"name", "address", "phone"}


def test_closing_names_what_is_left_and_what_becomes_of_it(client: Client, member: Member) -> None:
    client.force_login(staff("checker", is_superuser=True))

    text = text_of(client.get(page_of(member, "close")))

    assert "they stay in the books until they expire" in text
