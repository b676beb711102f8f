"""The quarantine on screen: what looked odd, released or rejected by a checker, with a reason."""

import pytest
from django.test import Client
from django.urls import reverse

from points.actions import referring
from points.admin.referrals import open_badge
from points.models import Referral, ReferralProgramme
from tests.config.admin_scene import staff

from .factories import AT, TESTER, accounts, buy, fixed_rule, local, new_member, nothing_changes

pytestmark = pytest.mark.django_db

LIST = reverse("admin:points_referral_changelist")


@pytest.fixture
def held() -> Referral:
    """A friend from the referrer's own device."""
    fixed_rule(100, event_types=["referral"])
    referrer = new_member(attributes={"device": "d"})
    buy(new_member(referral_code=referrer.referral_code, attributes={"device": "d"}), 10)
    referring.convert_referrals(actor=TESTER, at=AT)
    return Referral.objects.get()


@pytest.fixture
def checker(client: Client) -> Client:
    client.force_login(staff("checker", username="chen"))
    return client


def page_of(referral: Referral, step: str = "change") -> str:
    return reverse(f"admin:points_referral_{step}", args=[referral.pk])


def test_the_queue_shows_who_waits_why_and_with_whom_he_is_alike(checker: Client, held: Referral) -> None:
    queue = checker.get(f"{LIST}?status__exact=open")
    page = checker.get(page_of(held))

    assert "Joined from the same device" in queue.text
    assert held.friend.grouped_number in queue.text
    assert held.member.number in page.text
    assert page_of(held, "release") in page.text
    assert open_badge(queue.wsgi_request) == "1"


@pytest.mark.parametrize(
    ("step", "status", "books"),
    [("release", "released", {"issued": 100, "available": 100}), ("reject", "rejected", {})],
)
def test_a_checker_decides_with_a_reason_and_once(
    checker: Client, held: Referral, step: str, status: str, books: dict[str, int]
) -> None:
    without = checker.post(page_of(held, step), {"reason": ""})
    done = checker.post(page_of(held, step), {"reason": "seen the receipt"}, follow=True)
    again = checker.post(page_of(held, step), {"reason": "once more"})

    assert "This field is required." in without.text
    held.refresh_from_db()
    assert (held.status, held.decided_by, held.reason) == (status, "staff:chen", "seen the receipt")
    assert accounts(held.member) == books
    assert page_of(held, "release") not in done.text
    assert "This referral is decided already" in again.text


def test_clerks_and_auditors_see_the_queue_and_decide_nothing(client: Client, held: Referral) -> None:
    for role in ("clerk", "auditor", "programme manager"):
        client.force_login(staff(role))
        assert page_of(held, "release") not in client.get(page_of(held)).text
        for step in ("release", "reject"):
            with nothing_changes():
                assert client.post(page_of(held, step), {"reason": "x"}).status_code == 403
    assert Referral.objects.get().status == "open"


def test_a_referral_is_found_by_either_member(checker: Client, held: Referral) -> None:
    other = new_member()
    for number, count in ((held.friend.number, 1), (held.member.number, 1), (f"#{held.pk}", 1), (other.number, 0)):
        assert checker.get(LIST, {"q": number}).context["cl"].result_count == count


def test_a_programme_manager_writes_terms_that_do_not_overlap(client: Client) -> None:
    client.force_login(staff("programme manager"))
    add = reverse("admin:points_referralprogramme_add")
    terms = {
        "name_en": "Spring",
        "name_zh_hans": "春季",
        "valid_from_0": "2026-03-01",
        "valid_from_1": "00:00:00",
        "converts_on": "purchase",
        "amount_from_minor": 10_000,
        "currency": "CNY",
        "within_days": 30,
        "wait_days": 14,
        "cap": 5,
        "cap_period": "month",
        "device_limit": 3,
        "device_hours": 24,
    }

    made = client.post(add, terms)
    second = client.post(add, terms | {"name_en": "Summer"})

    assert made.status_code == 302
    spring = ReferralProgramme.objects.get()
    assert (spring.valid_from, spring.cap, spring.within_days, spring.wait_days) == (local(2026, 3, 1), 5, 30, 14)
    assert "Another referral programme holds in that period." in second.text


def test_a_currency_that_is_none_is_refused_in_words(client: Client) -> None:
    client.force_login(staff("programme manager"))
    answers = {
        "name_en": "Bring a friend",
        "name_zh_hans": "邀请好友",
        "valid_from_0": "2026-03-01",
        "valid_from_1": "00:00:00",
        "converts_on": "purchase",
        "amount_from_minor": "1",
        "currency": "abc",
        "wait_days": "0",
        "cap_period": "month",
        "device_limit": "3",
        "device_hours": "24",
    }

    response = client.post(reverse("admin:points_referralprogramme_add"), answers)

    assert response.context["adminform"].form.non_field_errors() == [
        "A currency is three capital letters, such as CNY."
    ]
