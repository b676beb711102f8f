"""The demo's people and their year: staff, a member with a history, a client system, and real data around them."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from config import demo_story, folders
from config import seed as programme
from config.demo_story import EMAIL, HERO, SOURCE
from config.journey import loading, reading
from config.journey.loading import Load
from config.journey.reading import Household
from config.lib import actor
from members.actions import clients, signing_in
from members.actions.staffing import StaffRole
from members.models import Client, Member, Scope, User
from points import calendar, closing, reports

#: How many households of the data take part.
HOUSEHOLDS = {"small": 60, "year": 2_469}
ACTOR = actor.system("demo")
_BEFORE_THE_YEAR = timedelta(days=400)

Progress = Callable[[str, int, int], None]


def seed(*, size: str = "small", progress: Progress | None = None) -> dict[str, Any]:
    """Make the demo's data, or what is missing of it, and return how to sign in: the same each time."""
    at = timezone.now()
    programme.seed_programme(delivered_at=at - _BEFORE_THE_YEAR)
    programme.seed_currency(reading.CURRENCY)
    staff = _staff("admin", is_superuser=True)
    clerk = _staff("clerk")
    clerk.groups.add(Group.objects.get(name=StaffRole.CLERK))
    loaded = loading.load(_year(size, at), progress=progress)
    if loaded.lived and (breaks := reports.check_books()):
        raise closing.BooksBroken(breaks="; ".join(str(one) for one in breaks[:5]))
    hero = Member.objects.by_external(SOURCE, str(HERO)).get()
    demo_story.today(at)
    return {
        "staff": {"username": staff.username, "password": _password("admin")},
        "member": {"login": EMAIL, "password": _member_password(hero, at), "number": hero.number},
        "client_key": _client_key(at),
    }


def _year(size: str, at: datetime) -> Load:
    """Return the year that ended yesterday, for a fair sample of the households with the demo member among them."""
    yesterday = calendar.local_date(at) - timedelta(days=1)
    return Load(
        source=SOURCE,
        households=_households(HOUSEHOLDS[size]),
        quick_nights=True,
        shift=loading.shift_to(yesterday, source=SOURCE),
        story=demo_story.story(),
    )


def _households(count: int) -> list[Household]:
    """Return so many households, the demo member's first: a smaller demo is part of a larger one."""
    return sorted(reading.households(), key=lambda household: household.id != HERO)[:count]


def _password(name: str) -> str:
    """Return the password of a demo sign-in, kept in the data folder from the first start on."""
    return folders.keep_secret(f"demo_{name}_password", lambda: f"laurel-{secrets.token_hex(4)}")


def _staff(username: str, *, is_superuser: bool = False) -> User:
    """Make somebody of the back office, who signs in with the password kept for them."""
    user, _made = User.objects.get_or_create(
        username=username, defaults={"is_staff": True, "is_superuser": is_superuser}
    )
    if not user.check_password(_password(username)):
        user.set_password(_password(username))
        user.save(update_fields=["password"])
    return user


def _member_password(member: Member, at: datetime) -> str:
    """Let the demo member sign in with the password kept for it."""
    password = _password("member")
    user = User.objects.filter(member=member).first()
    if user is None or not user.check_password(password):
        signing_in.set_password(member=member, password=password, actor=ACTOR, at=at)
    return password


def _client_key(at: datetime) -> str:
    """Return a key of the demo's client system that works on this database; keep it in the data folder."""
    path = folders.data_folder() / "secrets" / "demo_client_key"
    known = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if known and clients.authenticate(known, at):
        return known
    client = Client.objects.filter(code="demo-shop").first()
    if client:
        made = clients.rotate_key(client=client, actor=ACTOR, at=at)
    else:
        made = clients.create_client(name="Demo shop", code="demo-shop", scopes=Scope.values, actor=ACTOR, at=at)
    folders.write_private(path, made.key + "\n")
    return made.key
