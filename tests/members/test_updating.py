from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection

from members.actions import updating
from members.actions.claiming import EmailTaken, PhoneTaken
from members.actions.profiles import LanguageUnknown
from members.actions.updating import MemberNotOpen, StandingUnreachable
from members.models import AuditRecord, Member, MemberKey

from .factories import AT, TESTER, MemberFactory, TierFactory, sign_in_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Member:
    return MemberFactory.create(name="Alice", phone="13800138000", email="alice@example.com")


def update(member: Member, **changes: Any) -> Member:
    return updating.update_profile(member=member, changes=changes, actor=TESTER, at=AT)  # type: ignore[arg-type]


def stand(member: Member, status: str) -> Member:
    return updating.change_standing(member=member, status=status, reason="asked for", actor=TESTER, at=AT)


def test_only_the_given_parts_change(alice: Member) -> None:
    update(alice, name="Alice Hargreaves", birthday=date(1990, 5, 17), attributes={"shoe": 36})

    again = Member.objects.get(pk=alice.pk)
    assert (again.name, again.birthday, again.birth_month) == ("Alice Hargreaves", date(1990, 5, 17), 5)
    assert (again.phone, again.email, again.attributes) == ("+8613800138000", "alice@example.com", {"shoe": 36})


def test_the_trail_names_what_changed_but_not_to_what(alice: Member) -> None:
    update(alice, name="Alice Hargreaves", phone="13800138000")

    record = AuditRecord.objects.filter(subject=alice, action="member.updated").get()
    assert record.details == {"fields": ["name"]}


def test_nothing_new_writes_nothing(alice: Member) -> None:
    before = AuditRecord.objects.count()

    update(alice, name="Alice", phone="138 0013 8000")

    assert AuditRecord.objects.count() == before


def test_a_new_phone_frees_the_old_one(alice: Member) -> None:
    update(alice, phone="13900139000")

    assert not Member.objects.by_phone("13800138000").exists()
    assert Member.objects.by_phone("13900139000").get() == alice
    assert MemberFactory.create(phone="13800138000").phone == "+8613800138000"


def test_a_phone_may_be_taken_away(alice: Member) -> None:
    update(alice, phone=None, email="")

    again = Member.objects.get(pk=alice.pk)
    assert (again.phone, again.email) == ("", "")
    assert not MemberKey.objects.filter(member=alice, kind__in=["phone", "email"]).exists()


def test_what_contacts_were_is_kept_sealed_the_first_of_them_longest(alice: Member) -> None:
    for number in range(25):
        update(alice, phone=f"139001390{number:02}", email=None, address="1 Christ Church, Oxford")

    again = Member.objects.get(pk=alice.pk)
    assert again.ever("phone")[:3] == ["+8613900139024", "+8613800138000", "+8613900139000"]
    assert len(again.ever("phone")) == 21
    assert (again.ever("email"), again.ever("address")) == (["", "alice@example.com"], ["1 Christ Church, Oxford"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT earlier FROM members_member WHERE id = %s", [alice.pk])
        assert b"alice@example.com" not in bytes(cursor.fetchone()[0])


def test_the_device_somebody_joined_from_stays(alice: Member) -> None:
    update(alice, attributes={"device": "phone-1", "shoe": 36})
    update(alice, attributes={"device": "phone-2"})
    update(alice, attributes={"shoe": 37})

    assert Member.objects.get(pk=alice.pk).attributes == {"device": "phone-1", "shoe": 37}


def test_an_address_in_other_letters_is_still_the_members_own(alice: Member) -> None:
    update(alice, email="ALICE@example.com")

    assert Member.objects.get(pk=alice.pk).email == "ALICE@example.com"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"phone": "13900139000", "name": "X"}, PhoneTaken),
        ({"email": "bob@example.com", "name": "X"}, EmailTaken),
        ({"language": "fr", "name": "X"}, LanguageUnknown),
    ],
)
def test_a_refused_change_changes_nothing(alice: Member, changes: dict[str, str], refusal: type) -> None:
    MemberFactory.create(phone="13900139000", email="bob@example.com")
    keys = set(alice.keys.values_list("kind", "key"))

    with pytest.raises(refusal):
        update(alice, **changes)

    assert Member.objects.get(pk=alice.pk).name == "Alice"
    assert set(alice.keys.values_list("kind", "key")) == keys


def test_a_closed_membership_is_not_edited(alice: Member) -> None:
    stand(alice, "closed")

    with pytest.raises(MemberNotOpen, match="Closed"):
        update(alice, name="X")


@pytest.mark.parametrize("path", [["suspended", "active"], ["suspended", "closed"], ["closed"]])
def test_a_membership_moves_between_standings(alice: Member, path: list[str]) -> None:
    for status in path:
        stand(alice, status)

    assert Member.objects.get(pk=alice.pk).status == path[-1]
    assert AuditRecord.objects.filter(subject=alice, action="member.standing", reason="asked for").count() == len(path)


@pytest.mark.parametrize(
    ("start", "wanted"), [("active", "active"), ("closed", "active"), ("active", "merged"), ("active", "gone")]
)
def test_some_standings_cannot_be_reached(start: str, wanted: str) -> None:
    member = MemberFactory.create(status=start)

    with pytest.raises(StandingUnreachable):
        stand(member, wanted)

    assert Member.objects.get(pk=member.pk).status == start


def test_the_sign_in_follows_the_standing(alice: Member) -> None:
    user = sign_in_for(alice)

    stand(alice, "suspended")
    user.refresh_from_db()
    assert not user.is_active

    stand(alice, "active")
    user.refresh_from_db()
    assert user.is_active


def test_staff_put_a_member_into_a_tier(alice: Member) -> None:
    gold = TierFactory.create(code="gold")

    updating.assign_tier(member=alice, tier=gold, reason="goodwill", actor=TESTER, at=AT + timedelta(days=1))

    assert Member.objects.get(pk=alice.pk).tier == gold
    assert AuditRecord.objects.get(action="member.tier").details == {"from": "base", "to": "gold"}


def test_the_database_keeps_what_staff_changed_even_by_raw_sql(alice: Member) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE members_member SET status = 'suspended' WHERE id = %s", [alice.pk])
        cursor.execute("UPDATE members_member SET language = 'zh-hans' WHERE id = %s", [alice.pk])
        cursor.execute("SELECT status, tier_id, labels FROM members_memberhistory WHERE pgh_obj_id = %s", [alice.pk])
        rows = cursor.fetchall()

    assert rows == [("active", alice.tier_id, [])]
