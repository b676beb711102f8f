import pytest
from django.contrib.auth import authenticate, get_user
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.test import Client as Browser
from django.test import RequestFactory
from pytest_django import Settings

from members.actions import signing_in, updating
from members.actions.signing_in import PasswordRefused, SignInRefused
from members.models import AuditRecord, Member, User

from .factories import AT, PASSWORD, TESTER, MemberFactory, StaffFactory, sign_in_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Member:
    return MemberFactory.create(phone="13800138000", email="alice@example.com")


def sign_in(login: str, password: str = PASSWORD) -> User | None:
    user = authenticate(None, username=login, password=password)
    assert user is None or isinstance(user, User)
    return user


def stand(member: Member, status: str) -> None:
    updating.change_standing(member=member, status=status, reason="test", actor=TESTER, at=AT)


def test_a_member_signs_in_by_number_phone_or_address(alice: Member) -> None:
    user = sign_in_for(alice)

    logins = (alice.number, alice.grouped_number, "138 0013 8000", "+8613800138000", "Alice@Example.com")

    assert [sign_in(login) for login in logins] == [user] * 5
    assert (user.member, alice.user) == (alice, user)


def test_staff_sign_in_by_user_name() -> None:
    staff = StaffFactory.create(username="clerk")

    assert sign_in("clerk") == staff
    assert sign_in("clerk", "wrong") is None


@pytest.mark.parametrize("login", ["", "nobody", "13900139000", "nobody@example.com", "100000017", "\x00", "\ud800"])
def test_nobody_signs_in_as_somebody_unknown(alice: Member, login: str) -> None:
    sign_in_for(alice)

    assert sign_in(login) is None


def test_a_member_without_a_password_cannot_sign_in(alice: Member) -> None:
    assert sign_in(alice.number) is None


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_only_an_active_member_signs_in(alice: Member, status: str) -> None:
    sign_in_for(alice)

    stand(alice, status)

    assert sign_in(alice.number) is None


def test_a_standing_changed_by_raw_hand_keeps_out_too(alice: Member) -> None:
    sign_in_for(alice)
    Member.objects.update(status="suspended")

    assert sign_in(alice.number) is None


def test_a_session_ends_with_the_membership(alice: Member, client: Browser) -> None:
    client.force_login(sign_in_for(alice))
    session = client.session.session_key

    stand(alice, "closed")

    request = HttpRequest()
    request.session = client.session
    assert request.session.session_key == session
    assert not get_user(request).is_authenticated


def test_an_unknown_login_costs_as_many_hashes_as_a_wrong_password(
    alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in_for(alice)
    hashes: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
        hashes.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)

    counts = []
    for login in (alice.number, "13800138000", "13900139000", "nobody", MemberFactory.create().number):
        hashes.clear()
        assert sign_in(login, "wrong password") is None
        counts.append(len(hashes))

    assert counts == [1] * 5


def test_somebody_who_guesses_is_locked_out(alice: Member, settings: Settings, rf: RequestFactory) -> None:
    settings.AXES_ENABLED = True
    user = sign_in_for(alice)
    request = rf.post("/")

    assert authenticate(request, username=alice.number, password=PASSWORD) == user
    for _ in range(settings.AXES_FAILURE_LIMIT):
        authenticate(request, username=alice.number, password="wrong password")

    assert authenticate(request, username=alice.number, password=PASSWORD) is None


def test_a_new_password_replaces_the_old_one(alice: Member) -> None:
    first = sign_in_for(alice)

    second = sign_in_for(alice, "another good password")

    assert first == second
    assert sign_in(alice.number) is None
    assert sign_in(alice.number, "another good password") == second
    assert AuditRecord.objects.filter(subject=alice, action="member.password_set").count() == 2


@pytest.mark.parametrize("password", ["", "short", "1234567890123", "password123"])
def test_a_weak_password_is_refused_with_reasons(alice: Member, password: str) -> None:
    with pytest.raises(PasswordRefused, match="password: "):
        sign_in_for(alice, password)

    assert not User.objects.exists()


def test_a_suspended_member_gets_no_password(alice: Member) -> None:
    stand(alice, "suspended")

    with pytest.raises(SignInRefused):
        signing_in.set_password(member=alice, password=PASSWORD, actor=TESTER, at=AT)


def give(member: Member) -> str:
    return signing_in.give_password(member=member, actor=TESTER, reason="forgotten", at=AT)


def test_a_given_password_makes_the_first_sign_in(alice: Member) -> None:
    password = give(alice)

    user = sign_in(alice.number, password)
    assert user is not None
    assert (user.member, user.must_change_password) == (alice, True)
    record = AuditRecord.objects.get(subject=alice, action="member.password_given")
    assert (record.actor, record.reason) == (str(TESTER), "forgotten")
    assert password not in str(record.details)


def test_a_given_password_ends_the_old_one_and_its_sessions(alice: Member, client: Browser) -> None:
    client.force_login(sign_in_for(alice))

    password = give(alice)

    assert sign_in(alice.number) is None
    assert sign_in(alice.number, password) is not None
    request = HttpRequest()
    request.session = client.session
    assert not get_user(request).is_authenticated


def test_no_two_given_passwords_are_the_same_and_each_would_be_allowed(alice: Member) -> None:
    passwords = {give(alice) for _ in range(20)}

    assert len(passwords) == 20
    for password in passwords:
        validate_password(password, alice.user)


def test_another_password_than_the_given_one_has_to_be_chosen(alice: Member) -> None:
    password = give(alice)

    with pytest.raises(PasswordRefused, match="choose another one"):
        sign_in_for(alice, password)
    assert User.objects.get().must_change_password

    assert not sign_in_for(alice, "another good password").must_change_password


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_only_an_active_member_is_given_a_password(alice: Member, status: str) -> None:
    stand(alice, status)

    with pytest.raises(SignInRefused):
        give(alice)

    assert not User.objects.exists()
    assert not AuditRecord.objects.filter(action="member.password_given").exists()


@pytest.mark.parametrize("had_one", [True, False])
def test_somebody_locked_out_signs_in_with_the_given_password(
    alice: Member, settings: Settings, rf: RequestFactory, *, had_one: bool
) -> None:
    settings.AXES_ENABLED = True
    if had_one:
        sign_in_for(alice)
    request = rf.post("/")
    for login in ("13800138000", "Alice@Example.com"):
        for _ in range(settings.AXES_FAILURE_LIMIT):
            authenticate(request, username=login, password="wrong password")

    password = give(alice)

    for login in ("13800138000", "alice@example.com", alice.number):
        assert authenticate(request, username=login, password=password) is not None


def test_the_database_asks_only_members_for_another_password() -> None:
    staff = StaffFactory.create()

    with pytest.raises(IntegrityError, match="user_must_change_is_of_member"), transaction.atomic():
        User.objects.filter(pk=staff.pk).update(must_change_password=True)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"is_staff": True}, "user_member_is_not_staff"),
        ({"email": "alice@example.com"}, "user_member_has_no_plain_data"),
        ({"first_name": "Alice"}, "user_member_has_no_plain_data"),
    ],
)
def test_the_database_keeps_members_apart_from_staff(
    alice: Member, change: dict[str, object], constraint: str
) -> None:
    user = sign_in_for(alice)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        User.objects.filter(pk=user.pk).update(**change)
