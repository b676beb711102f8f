"""A member with a past, in the programme everybody starts with: what every test of the portal begins from."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from django.test import Client
from django.utils import timezone

from config import seed
from members.models import Member, User
from points.actions import awarding
from points.actions.awarding import IncomingEvent
from tests.members.factories import PASSWORD, TESTER, MemberFactory, sign_in_for

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Scene:
    """One member, the sign-in, and the moment the scene was set."""

    member: Member
    user: User
    now: datetime
    password: str = PASSWORD

    def buys(self, yuan: str, *, at: datetime | None = None, store: str = "", **more: object) -> None:
        """Let the member buy something at the seed's rate: 1 yuan is 1 point."""
        event = IncomingEvent(
            reference=f"purchase-{next(_numbers)}",
            type="purchase",
            occurred_at=at or self.now,
            member=self.member.number,
            amount_minor=round(float(yuan) * 100),
            currency="CNY",
            store=store,
            **more,  # type: ignore[arg-type]
        )
        awarding.award(event=event, source="till", actor=TESTER, at=at or self.now)

    def signed_in(self) -> Client:
        """Return a browser in which the member has signed in."""
        browser = Client()
        browser.force_login(self.user)
        return browser


def set_scene(*, points: int = 0, days_ago: int = 3, **given: object) -> Scene:
    """Seed the programme and enrol a member who has bought for this many points some days ago."""
    seed.seed_programme()
    now = timezone.now()
    person = {
        "name": "李明",
        "phone": "13800138000",
        "email": "Li.Ming@example.com",
        "language": "en",
        "tier": "member",
    } | given
    member: Member = MemberFactory.create(at=now - timedelta(days=400), **person)
    scene = Scene(member, sign_in_for(member), now)
    if points:
        scene.buys(str(points), at=now - timedelta(days=days_ago))
    return scene
