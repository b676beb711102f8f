"""The article this programme began with, as arithmetic: what a member earns, is given for friends, and spends."""

from datetime import date, timedelta

import pytest

from config.seed import seed_programme
from points import reports
from points.actions import spending
from points.models import Entry
from tests.members.factories import MemberFactory

from .factories import AT, TESTER, accounts, balance, buy, night

pytestmark = pytest.mark.django_db


def test_one_yuan_is_one_point_a_friend_a_hundred_and_what_is_spent_is_gone() -> None:
    seed_programme()
    alice = MemberFactory.create(tier="member", name="Alice")
    bob = MemberFactory.create(tier="member", name="Bob", referral_code=alice.referral_code)

    # She buys for 12,345.67 yuan, he makes a first purchase, and the night converts the referral.
    buy(alice, "12345.67", occurred_at=AT)
    buy(bob, "20.00", occurred_at=AT)
    night(date(2026, 3, 10))

    earned, referral = 12_345, 100
    assert balance(alice).available == earned + referral
    assert balance(alice, "growth").available == earned
    assert balance(bob).available == 20

    # She takes a coupon, a gift and a service at the article's rates.
    spent = 0
    for points in (100, 1_000, 10_000):
        posted = spending.spend(
            member=alice,
            points=points,
            source="portal",
            reference=f"reward-{points}",
            actor=TESTER,
            at=AT + timedelta(days=1),
        )
        spent += points
        assert posted.available == earned + referral - spent

    # points = earned + referral − spent, by the balance, by the entries and by the accounts.
    assert balance(alice).available == 12_345 + 100 - 11_100 == 1_345
    assert accounts(alice) == {"issued": 12_445, "redeemed": 11_100, "available": 1_345}
    kinds = Entry.objects.filter(member=alice, point_type__code="points").order_by("seq")
    assert list(kinds.values_list("kind", "points")) == [
        ("accrual", 12_345),
        ("accrual", 100),
        ("redemption", 100),
        ("redemption", 1_000),
        ("redemption", 10_000),
    ]
    assert not reports.check_books()
    assert [line.total for line in reports.trial_balance()] == [0, 0]


def test_a_friend_counts_once_however_often_the_night_comes() -> None:
    seed_programme()
    alice = MemberFactory.create(tier="member")
    bob = MemberFactory.create(tier="member", referral_code=alice.referral_code)
    MemberFactory.create(tier="member", referral_code=alice.referral_code)  # never buys

    buy(bob, 20)
    night(date(2026, 3, 10))
    buy(bob, 20)
    night(date(2026, 3, 10))
    night(date(2026, 3, 11))

    assert balance(alice).available == 100


def test_a_friend_who_has_not_bought_is_no_referral_yet() -> None:
    seed_programme()
    alice = MemberFactory.create(tier="member")
    MemberFactory.create(tier="member", referral_code=alice.referral_code)

    night(date(2026, 3, 10))

    assert accounts(alice) == {}
