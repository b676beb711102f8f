"""Invitations that were paid before there were verdicts get theirs, and are not looked at again."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from points.actions import referring
from points.models import Event, Referral

from .factories import AT, TESTER, accounts, buy, event, fixed_rule, new_member, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _whole_again() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.usefixtures("_whole_again")
def test_an_invitation_that_was_paid_before_there_were_verdicts_keeps_its_reward_and_gets_no_other() -> None:
    fixed_rule(100, event_types=["referral"])
    referrer = new_member(attributes={"device": "d"})
    alike, waiting = (new_member(referral_code=referrer.referral_code, attributes={"device": "d"}) for _ in range(2))
    for friend in (alike, waiting):
        buy(friend, 10)
    paid = event(referrer, reference=f"friend-{alike.number}", type="referral")
    take(paid, source=referring.SOURCE)

    call_command("migrate", "points", "0005", verbosity=0)
    call_command("migrate", verbosity=0)

    (verdict,) = Referral.objects.all()
    assert (verdict.member, verdict.friend, verdict.status) == (referrer, alike, "rewarded")
    assert (verdict.happened_at, verdict.recorded_at) == (AT, AT)
    assert referring.convert_referrals(actor=TESTER, at=AT) == {"referrals": 0, "quarantined": 1}
    assert accounts(referrer) == {"issued": 100, "available": 100}
    assert not Event.objects.filter(type="custom").exists()
