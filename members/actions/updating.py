"""Changing what a member says about himself, and where the membership stands."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing, claiming, profiles
from members.actions.profiles import DEVICE, Profile
from members.models import Member, MemberKey, MemberKeyKind, MemberStatus, Tier, TierChange, User

#: By these somebody is known again. The first of each are kept: what he joined with is not pushed out by changes.
_CONTACTS = ("phone", "email", "address")
_EARLIER_LIMIT = 20
_NEXT: dict[str, frozenset[str]] = {
    MemberStatus.ACTIVE: frozenset({MemberStatus.SUSPENDED, MemberStatus.CLOSED}),
    MemberStatus.SUSPENDED: frozenset({MemberStatus.ACTIVE, MemberStatus.CLOSED}),
}


class MemberNotOpen(DomainError):
    code = "member_not_open"
    message = _("member: the membership is %(state)s.")


class StandingUnreachable(DomainError):
    code = "standing_unreachable"
    message = _("status: a membership that is %(current)s cannot become %(wanted)s.")


@transaction.atomic
def update_profile(*, member: Member, changes: Profile, actor: Actor, at: datetime, reason: str = "") -> Member:
    """Change the given parts of a profile; the audit trail names the parts, never their content.

    The device somebody joined from is a fact of that day: once told it stays.
    """
    cleaned = profiles.clean(changes, at=at)
    locked = _lock(member)
    if locked.status not in _NEXT:
        raise MemberNotOpen(state=MemberStatus(locked.status))
    if "attributes" in cleaned and locked.attributes.get(DEVICE):
        cleaned["attributes"][DEVICE] = locked.attributes[DEVICE]
    changed = [name for name, value in cleaned.items() if getattr(locked, name) != value]
    if not changed:
        return locked
    _move_contacts(locked, cleaned, changed)
    _keep_earlier(locked, changed)
    for name in changed:
        setattr(locked, name, cleaned[name])
    locked.birth_month = profiles.birth_month(locked.birthday)
    locked.save(update_fields=[*changed, "birth_month", "earlier"])
    auditing.record(
        actor=actor, action="member.updated", subject=locked, reason=reason, details={"fields": sorted(changed)}, at=at
    )
    return locked


@transaction.atomic
def change_standing(*, member: Member, status: str, reason: str, actor: Actor, at: datetime) -> Member:
    """Suspend, reinstate or close a membership; the sign-in follows at once."""
    locked = _lock(member)
    if status not in _NEXT.get(locked.status, frozenset()):
        wanted = MemberStatus(status).label if status in MemberStatus.values else status
        raise StandingUnreachable(current=locked.get_status_display(), wanted=wanted)
    before, locked.status = locked.status, status
    locked.save(update_fields=["status"])
    User.objects.filter(member=locked).update(is_active=locked.is_active)
    details = {"from": before, "to": status}
    auditing.record(actor=actor, action="member.standing", subject=locked, reason=reason, details=details, at=at)
    return locked


@transaction.atomic
def assign_tier(*, member: Member, tier: Tier, reason: str, actor: Actor, at: datetime) -> Member:
    """Put one member into a tier by hand; what happened before `at` is still judged by the tier before."""
    locked = _lock(member)
    before, locked.tier = locked.tier, tier
    if before != tier:
        # Before the member, whose trigger writes a change of its own where it finds none.
        TierChange.objects.create(member=locked, tier=tier, since=at, actor=actor)
    locked.save(update_fields=["tier"])
    details = {"from": before.code, "to": tier.code}
    auditing.record(actor=actor, action="member.tier", subject=locked, reason=reason, details=details, at=at)
    return locked


def _lock(member: Member) -> Member:
    return Member.objects.select_for_update().get(pk=member.pk)


def _keep_earlier(member: Member, changed: list[str]) -> None:
    """Keep what a contact was, sealed as it was, so that changing it makes nobody a stranger to himself."""
    earlier = json.loads(member.earlier or "{}")
    for name in _CONTACTS:
        if name in changed and (was := getattr(member, name)):
            earlier[name] = list(dict.fromkeys([*earlier.get(name, []), was]))[:_EARLIER_LIMIT]
    member.earlier = json.dumps(earlier, ensure_ascii=False) if earlier else ""


def _move_contacts(member: Member, cleaned: Mapping[str, Any], changed: list[str]) -> None:
    """Give the old phone and e-mail keys up and claim the new ones; refuse what another member has."""
    moved = [kind for kind in (MemberKeyKind.PHONE, MemberKeyKind.EMAIL) if kind in changed]
    if not moved:
        return
    MemberKey.objects.filter(member=member, kind__in=moved).delete()
    contacts = {kind.value: str(cleaned[kind.value]) for kind in moved}
    for lost in claiming.claim(claiming.contact_claims(member.pk, **contacts)):
        raise claiming.REFUSALS[lost.kind]
