"""What looks like somebody inviting himself waits in quarantine, and a person decides once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from config.lib import actor
from members.actions import updating
from members.models import AuditRecord, Member
from points import reports
from points.actions import referring
from points.actions.awarding import EventRejected
from points.actions.referring import FourEyesNeeded, ReasonMissing, ReferralDecided
from points.models import Event, Referral, ReferralProgramme

from .factories import AT, TESTER, accounts, buy, fixed_rule, local, new_member, nothing_changes

pytestmark = pytest.mark.django_db

CHECKER = actor.Actor("staff:checker")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _a_hundred_for_a_friend() -> None:
    fixed_rule(100, code="referrer", event_types=["referral"])


def invite(member: Member, **given: Any) -> Member:
    """Let somebody join by a member's code and buy something."""
    friend = new_member(referral_code=member.referral_code, **{"at": AT} | given)
    buy(friend, 10, occurred_at=friend.joined_at)
    return friend


def device(name: str) -> dict[str, str]:
    return {"device": name}


def convert() -> dict[str, int]:
    return referring.convert_referrals(actor=TESTER, at=AT + 240 * HOUR)


def held(**given: Any) -> Referral:
    """A referral in quarantine: a friend from the referrer's own device."""
    referrer = new_member(attributes=device("d"))
    invite(referrer, attributes=device("d"), **given)
    assert convert() == {"referrals": 0, "quarantined": 1}
    return Referral.objects.get()


def kinds() -> list[str]:
    return [one["kind"] for referral in Referral.objects.order_by("id") for one in referral.evidence]


@pytest.mark.parametrize(
    ("referrer", "friend", "kind"),
    [
        ({"attributes": device("d-1")}, {"attributes": device(" d-1 ")}, "same_device"),
        ({"email": "a.lice@gmail.com"}, {"email": "Alice+second@googlemail.com"}, "same_email"),
        ({"email": "alice@example.com"}, {"email": "alice+2@example.com"}, "same_email"),
        ({"phone": "+8613800138000"}, {"phone": "+86 013800138000"}, "same_phone"),
        ({"address": "上海市黄浦区人民大道 200 号"}, {"address": "上海市黄浦区人民大道200号"}, "same_address"),
    ],
)
def test_a_friend_who_is_alike_his_referrer_is_held_back(
    referrer: dict[str, Any], friend: dict[str, Any], kind: str
) -> None:
    member = new_member(**referrer)
    invite(member, **friend)

    assert convert() == {"referrals": 0, "quarantined": 1}

    referral = Referral.objects.get()
    assert (referral.status, referral.evidence) == ("open", [{"kind": kind, "members": [member.number]}])
    assert accounts(member) == {}
    assert convert() == {"referrals": 0}


@pytest.mark.parametrize(
    ("referrer", "friend"),
    [
        ({"attributes": device("d-1")}, {"attributes": device("d-2")}),
        ({"attributes": {"device": ""}}, {"attributes": {"device": ""}}),
        ({"email": "a.lice@example.com"}, {"email": "alice@example.com"}),
        ({"phone": "13800138000"}, {"phone": "13900139000"}),
        ({"address": "上海"}, {"address": "上海"}),
    ],
)
def test_who_is_not_alike_is_rewarded(referrer: dict[str, Any], friend: dict[str, Any]) -> None:
    invite(new_member(**referrer), **friend)

    assert convert() == {"referrals": 1}


def test_somebody_who_comes_back_by_the_code_of_his_own_friend_is_held_back() -> None:
    alice = new_member(attributes=device("alice-s"))
    bob = invite(alice, attributes=device("bob-s"))
    invite(bob, attributes=device("alice-s"), at=AT + 30 * HOUR)

    assert convert() == {"referrals": 1, "quarantined": 1}

    assert Referral.objects.get(member=bob).evidence == [{"kind": "chain", "members": [alice.number]}]
    assert Referral.objects.get(member=alice).status == "rewarded"


def test_a_circle_of_invitations_is_held_back() -> None:
    alice = new_member()
    bob = invite(alice)
    Member.objects.filter(pk=alice.pk).update(referred_by=bob)
    buy(alice, 10)

    assert convert() == {"referrals": 0, "quarantined": 2}
    assert kinds() == ["chain", "chain"]


def test_many_friends_from_one_device_are_held_back_and_visitors_of_a_shop_with_a_tablet_are_not() -> None:
    ReferralProgramme.objects.create(name="Now", valid_from=local(2020, 1, 1), device_limit=2, device_hours=24)
    quick, patient, visitors = new_member(), new_member(), [new_member() for _ in range(3)]
    for number in range(3):
        invite(quick, attributes=device("farm"), at=AT + number * HOUR)
        invite(patient, attributes=device(" drawer" if number else "drawer"), at=AT + 48 * number * HOUR)
        invite(visitors[number], attributes=device("tablet"), at=AT + 48 * number * HOUR)

    assert convert() == {"referrals": 3, "quarantined": 6}

    assert {one.member_id for one in Referral.objects.filter(status="open")} == {quick.pk, patient.pk}
    assert set(kinds()) == {"many_from_device"}
    assert {accounts(visitor)["issued"] for visitor in visitors} == {100}


def test_a_ring_of_friends_of_one_referrer_is_held_back_and_those_paid_before_stay_paid() -> None:
    referrer = new_member()
    first = invite(referrer, email="sock@gmail.com")
    assert convert() == {"referrals": 1}
    for number in range(2):
        invite(referrer, email=f"sock+{number}@gmail.com")
    invite(referrer, email="somebody@gmail.com")

    assert convert() == {"referrals": 1, "quarantined": 2}

    evidence = [one.evidence for one in Referral.objects.filter(status="open")]
    assert {piece["kind"] for pieces in evidence for piece in pieces} == {"sibling"}
    assert all(first.number in pieces[0]["members"] for pieces in evidence)
    assert Referral.objects.get(friend=first).status == "rewarded"


def test_two_friends_with_one_tablet_are_rewarded() -> None:
    referrer = new_member()
    for _ in range(2):
        invite(referrer, attributes=device("tablet"))

    assert convert() == {"referrals": 2}


@pytest.mark.parametrize("changed", ["friend", "referrer"])
@pytest.mark.parametrize(
    ("mine", "his", "other", "kind"),
    [
        ({"attributes": device("d")}, {"attributes": device("d")}, {"attributes": {"shoe": 36}}, "same_device"),
        ({"attributes": device("d")}, {"attributes": device("d")}, {"attributes": device("e")}, "same_device"),
        ({"email": "a@example.com"}, {"email": "a+2@example.com"}, {"email": "b@example.com"}, "same_email"),
        ({"phone": "13800138000"}, {"phone": "+86 013800138000"}, {"phone": ""}, "same_phone"),
        ({"address": "人民大道 200 号"}, {"address": "人民大道200号"}, {"address": "外滩 1 号 3 楼"}, "same_address"),
    ],
)
def test_what_was_alike_when_the_friend_joined_is_not_shaken_off(
    mine: dict[str, Any], his: dict[str, Any], other: dict[str, Any], kind: str, changed: str
) -> None:
    referrer = new_member(**mine)
    friend = new_member(referral_code=referrer.referral_code, at=AT, **his)
    member = friend if changed == "friend" else referrer
    for changes in (other, {"name": "Somebody else"}):
        updating.update_profile(member=member, changes=changes, actor=TESTER, at=AT)  # type: ignore[arg-type]
    buy(friend, 10)

    assert convert() == {"referrals": 0, "quarantined": 1}
    assert kinds() == [kind]


def test_the_evidence_holds_no_personal_data() -> None:
    referral = held(email="friend@example.com")

    assert "friend@example.com" not in str(referral.evidence)
    assert "'d'" not in str(referral.evidence)


# ---- the two ways out ----


def test_a_released_referral_is_paid_once_however_often_anybody_asks() -> None:
    referral = held()

    referring.release(referral=referral, reason="a shared tablet", actor=CHECKER, at=AT + HOUR)

    assert accounts(referral.member) == {"issued": 100, "available": 100}
    for call in (referring.release, referring.reject):
        with nothing_changes(), pytest.raises(ReferralDecided):
            call(referral=referral, reason="again", actor=CHECKER, at=AT + HOUR)
    assert convert() == {"referrals": 0}
    referral.refresh_from_db()
    assert (referral.status, referral.decided_by, referral.reason) == ("released", CHECKER, "a shared tablet")
    assert Event.objects.filter(type="referral").count() == 1
    record = AuditRecord.objects.get(action="referral.released")
    assert (record.actor, record.subject, record.reason) == (CHECKER, referral.member, "a shared tablet")
    assert not reports.check_books()


def test_a_rejected_referral_gives_nothing_to_anybody() -> None:
    referral = held()

    with nothing_changes():
        referring.reject(referral=referral, reason="one person", actor=CHECKER, at=AT)
        convert()

    assert Referral.objects.get().status == "rejected"
    assert AuditRecord.objects.filter(action="referral.rejected").count() == 1


def test_whoever_took_the_friend_in_does_not_decide() -> None:
    referral = held(actor=CHECKER)

    assert referral.enrolled_by == CHECKER
    with nothing_changes(), pytest.raises(FourEyesNeeded):
        referring.release(referral=referral, reason="I know him", actor=CHECKER, at=AT)
    referring.release(referral=referral, reason="I asked him", actor=actor.Actor("staff:other"), at=AT)


def test_a_verdict_says_why() -> None:
    referral = held()

    with pytest.raises(ReasonMissing):
        referring.reject(referral=referral, reason="  ", actor=CHECKER, at=AT)
    assert Referral.objects.get().status == "open"


@pytest.mark.parametrize("side", ["member_id", "friend_id"])
def test_a_referral_of_which_either_is_suspended_stays_in_quarantine(side: str) -> None:
    referral = held()
    Member.objects.filter(pk=getattr(referral, side)).update(status="suspended")

    with nothing_changes(), pytest.raises(EventRejected):
        referring.release(referral=referral, reason="a shared tablet", actor=CHECKER, at=AT)

    assert Referral.objects.get().status == "open"
    assert not AuditRecord.objects.filter(action="referral.released").exists()


# ---- round the back of Python ----


_INSERT = "INSERT INTO points_referral (member_id, friend_id, status, happened_at, recorded_at"
_DECIDED = "decided_by = 'a', decided_at = now(), reason = 'x'"
_OWN = "decided_by = enrolled_by, decided_at = now(), reason = 'x'"
_RELEASED_AT_ONCE = """, evidence, decided_by, decided_at, reason)
    SELECT friend_id, member_id, 'released', now(), now(), '[1]', 'a', now(), 'x' FROM points_referral"""
_TERMS = "INSERT INTO points_referralprogramme (name, valid_from"


@pytest.mark.parametrize(
    ("statement", "law"),
    [
        ("UPDATE points_referral SET status = 'rewarded'", "referral_held_for_evidence"),
        ("UPDATE points_referral SET status = 'released'", "referral_decided_whole"),
        ("UPDATE points_referral SET status = 'open', reason = 'x'", "referral_decided_once"),
        ("UPDATE points_referral SET evidence = '[1]'", "referral_decided_once"),
        (f"UPDATE points_referral SET status = 'rejected', {_DECIDED}, evidence = '[1]'", "Cannot update"),
        (f"UPDATE points_referral SET status = 'released', {_OWN}", "referral_four_eyes"),
        ("UPDATE points_referral SET friend_id = member_id", "referral_decided_once"),
        ("DELETE FROM points_referral", "Cannot delete"),
        (f"{_INSERT}) SELECT member_id, friend_id, 'rewarded', now(), now() FROM points_referral", "referral_once"),
        (
            f"{_INSERT}) SELECT member_id, member_id, 'rewarded', now(), now() FROM points_referral",
            "referral_of_another",
        ),
        (_INSERT + _RELEASED_AT_ONCE, "referral_begins"),
        ("UPDATE members_member SET referred_by_id = id", "member_refers_another"),
        (f"{_TERMS}) VALUES ('a', '2020-01-01'), ('b', '2021-01-01')", "referralprogramme_one_at_a_time"),
        (f"{_TERMS}, cap) VALUES ('a', '2020-01-01', 0)", "referralprogramme_cap_whole"),
    ],
)
def test_the_database_holds_the_laws_of_referrals(statement: str, law: str) -> None:
    held(actor=CHECKER)

    with (
        pytest.raises(DatabaseError, match=law),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert Referral.objects.get().status == "open"


def test_a_verdict_stands() -> None:
    referral = held()
    referring.reject(referral=referral, reason="one person", actor=CHECKER, at=AT)

    with (
        pytest.raises(DatabaseError, match="referral_decided_once"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE points_referral SET status = 'released'")
