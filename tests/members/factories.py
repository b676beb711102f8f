"""Nouns of the members app for every test; a member is always enrolled, never written by hand."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import factory

from config.lib import actor
from members.actions import clients, enrolling, signing_in
from members.models import Client, Member, Scope, Tier, User

AT = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
TESTER = actor.system("tests")
PASSWORD = "correct horse battery staple"


class _Typed[T]:
    """Tells the type checker what `create` gives."""

    if TYPE_CHECKING:

        @classmethod
        def create(cls, **given: Any) -> T: ...


class TierFactory(_Typed[Tier], factory.django.DjangoModelFactory[Tier]):
    """A tier; the first one is the tier everybody starts in."""

    class Meta:
        model = Tier
        django_get_or_create = ("code",)

    code = factory.Sequence(lambda n: f"tier-{n}")
    rank = factory.Sequence(lambda n: 10 + n)
    name_en = factory.LazyAttribute(lambda tier: tier.code.capitalize())
    threshold = factory.LazyAttribute(lambda tier: tier.rank * 1_000)


def base_tier() -> Tier:
    """Return the tier everybody starts in, made when it is not there."""
    return TierFactory.create(code="base", rank=0, name_en="Base", name_zh_hans="普通会员", threshold=0)


class MemberFactory(_Typed[Member], factory.Factory[Member]):
    """An enrolled member: MemberFactory(name="王小明", phone="13800138000", status="suspended", …)."""

    class Meta:
        model = Member

    reference = factory.Sequence(lambda n: f"enrolment-{n}")
    source = "tests"
    name = "Alice"
    actor = TESTER
    at = AT

    @classmethod
    def _create(cls, model_class: type[Member], *args: Any, **given: Any) -> Member:
        if not given.get("tier"):
            base_tier()
        fields = {name: given.pop(name) for name in ("status",) if name in given}
        member = enrolling.enrol(**given).member
        for name, value in fields.items():
            setattr(member, name, value)
        if fields:
            member.save(update_fields=fields)
        return member


class StaffFactory(_Typed[User], factory.django.DjangoModelFactory[User]):
    """A person of the back office, by default one who may do everything."""

    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"staff-{n}")
    password = factory.django.Password(PASSWORD)
    is_staff = True
    is_superuser = True


def sign_in_for(member: Member, password: str = PASSWORD) -> User:
    """Give the member a password and return the sign-in."""
    return signing_in.set_password(member=member, password=password, actor=TESTER, at=AT)


def client_key(name: str = "till", *scopes: str) -> tuple[Client, str]:
    """Return a client system with the given scopes (all without any) and its full key."""
    made = clients.create_client(name=name, scopes=scopes or Scope.values, actor=TESTER, at=AT)
    return made.client, made.key
