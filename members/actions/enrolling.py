"""Taking people into the programme: one by one with an answer for each, or by the hundred thousand."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import batched
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members import keys
from members.actions import auditing, claiming, numbering, profiles
from members.actions.claiming import Claim
from members.actions.profiles import Profile
from members.models import Member, MemberKey, MemberKeyKind, Tier

BATCH = 2_000
_DRAWN = (MemberKeyKind.NUMBER, MemberKeyKind.REFERRAL_CODE)


class ReferenceConflict(DomainError):
    code = "reference_conflict"
    status = 409
    message = _("reference: %(reference)s was used before for other content.")


class ReferralCodeUnknown(DomainError):
    code = "referral_code_unknown"
    message = _("referral_code: no active member has the code %(referral_code)s.")


class TierUnknown(DomainError):
    code = "tier_unknown"
    message = _("tier: there is no active tier %(tier)s.")


class TextMissing(DomainError):
    code = "text_missing"
    message = _("%(field)s: this is needed.")


class _Raced(Exception):
    """Somebody took the same reference, or drew the same number, a moment ago: look again."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A member, and whether the same enrolment had been seen before."""

    member: Member
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody to be enrolled in bulk, known to the source by an outside id."""

    external: str
    name: str = ""
    phone: str = ""
    email: str = ""
    birthday: date | None = None
    address: str = ""
    language: str = ""
    tier: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    labels: Sequence[str] = ()
    joined_at: datetime | None = None


@dataclass(slots=True)
class EnrolledMany:
    """Card numbers by outside id, how many of them are new, and by outside id why somebody was not taken in."""

    numbers: dict[str, str] = field(default_factory=dict)
    created: int = 0
    refused: dict[str, DomainError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A member about to be: everything decided but whether the keys are free."""

    profile: dict[str, Any]
    source: str
    tier: Tier
    joined_at: datetime
    external: str = ""
    reference: str = ""
    digest: bytes | None = None
    referred_by: Member | None = None
    id: int = field(default_factory=lambda: next(_draw_ids(1)))
    number: str = field(default_factory=lambda: numbering.new_number())
    referral_code: str = field(default_factory=lambda: numbering.new_referral_code())

    def claims(self) -> list[Claim]:
        """Return the keys of this member; first those by which somebody else turns out to be the same person."""
        claims = []
        if self.reference:
            claims.append(Claim(self.id, MemberKeyKind.REFERENCE, self.reference, self.source, self.digest))
        if self.external:
            claims.append(Claim(self.id, MemberKeyKind.EXTERNAL, self.external, self.source))
        return [
            *claims,
            *claiming.contact_claims(self.id, phone=self.profile["phone"], email=self.profile["email"]),
            Claim(self.id, MemberKeyKind.NUMBER, self.number),
            Claim(self.id, MemberKeyKind.REFERRAL_CODE, self.referral_code),
        ]

    def member(self) -> Member:
        _plain, data_key = keys.new_data_key(Member._meta.db_table, self.id)
        return Member(
            id=self.id,
            number=self.number,
            referral_code=self.referral_code,
            referred_by=self.referred_by,
            tier=self.tier,
            data_key=data_key,
            birth_month=profiles.birth_month(self.profile["birthday"]),
            joined_at=self.joined_at,
            source=self.source,
            reference=self.reference,
            **self.profile,
        )


def enrol(
    *,
    reference: str,
    source: str,
    name: str | None = "",
    phone: str | None = "",
    email: str | None = "",
    birthday: date | None = None,
    address: str | None = "",
    language: str | None = "",
    tier: Tier | str | None = None,
    referral_code: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
    external: str | None = None,
    joined_at: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> Enrolled:
    """Take one person in, once for each (source, reference); the same again gives the same member again.

    Refuses other content under a used reference, a phone, e-mail or outside id that another member has, an unknown
    referral code or tier, and what `profiles.clean` refuses. `joined_at` is for people who joined elsewhere before.
    """
    said: Profile = {"name": name, "phone": phone, "email": email, "birthday": birthday, "address": address}
    said |= {"language": language, "attributes": attributes or {}, "labels": labels}
    profile = profiles.clean(said, at=at)
    reference = _needed("reference", reference)
    tier_code = tier.code if isinstance(tier, Tier) else (tier or "").strip()
    referral_code = (referral_code or "").strip().upper()
    external = profiles.clean_text("external", external or "", limit=100)
    digest = _digest(
        profile, tier=tier_code, referral_code=referral_code, external=external, joined_at=str(joined_at or "")
    )
    while True:
        if earlier := _find_enrolled(source, reference):
            return _replay(earlier, digest)
        try:
            with transaction.atomic():
                draft = _Draft(
                    profile=profile,
                    source=source,
                    reference=reference,
                    digest=digest,
                    external=external,
                    tier=_get_tier(tier_code),
                    referred_by=_get_referrer(referral_code) if referral_code else None,
                    joined_at=joined_at or at,
                )
                return Enrolled(_take_in(draft, actor, at), replayed=False)
        except _Raced:
            continue


def enrol_many(*, source: str, people: Iterable[Person], tier: str = "", actor: Actor, at: datetime) -> EnrolledMany:
    """Take many people in by outside id, `BATCH` of them a transaction; who is known already keeps the number he has.

    A person who cannot be taken in is named with the reason, and the others are taken in. Run again after a failure.
    """
    result = EnrolledMany()
    tiers = {"": _get_tier(tier)} | {each.code: each for each in Tier.objects.filter(is_active=True)}
    for batch in batched(people, BATCH, strict=False):
        _enrol_batch(batch, source=source, tiers=tiers, at=at, result=result)
    auditing.record(
        actor=actor,
        action="members.enrolled",
        details={"source": source, "created": result.created, "refused": len(result.refused)},
        at=at,
    )
    return result


def _take_in(draft: _Draft, actor: Actor, at: datetime) -> Member:
    """Claim the keys, write the row, leave a trace; or raise with nothing kept."""
    for lost in claiming.claim(draft.claims()):
        if refusal := claiming.REFUSALS.get(lost.kind):
            raise refusal
        raise _Raced
    member = draft.member()
    member.save(force_insert=True)
    auditing.record(actor=actor, action="member.enrolled", subject=member, at=at)
    return member


def _find_enrolled(source: str, reference: str) -> MemberKey | None:
    keys_of_kind = MemberKey.objects.filter(kind=MemberKeyKind.REFERENCE, key=reference, scope=source)
    return keys_of_kind.select_related("member").first()


def _replay(earlier: MemberKey, digest: bytes) -> Enrolled:
    if bytes(earlier.digest or b"") != digest:
        raise ReferenceConflict(reference=earlier.key)
    return Enrolled(earlier.member, replayed=True)


def _digest(profile: Mapping[str, Any], **more: str) -> bytes:
    return keys.content_digest("enrolment", json.dumps({**profile, **more}, sort_keys=True, cls=DjangoJSONEncoder))


def _needed(name: str, text: str) -> str:
    text = profiles.clean_text(name, text, limit=100)
    if not text:
        raise TextMissing(field=name)
    return text


def _get_tier(code: str) -> Tier:
    """Return the active tier of this code; without one, the tier everybody starts in."""
    tiers = Tier.objects.filter(is_active=True)
    tier = (tiers.filter(code=code) if code else tiers.order_by("rank")).first()
    if tier is None:
        raise TierUnknown(tier=code or "0")
    return tier


def _get_referrer(code: str) -> Member:
    referrer = Member.objects.by_referral_code(code).active().first()
    if referrer is None:
        raise ReferralCodeUnknown(referral_code=code)
    return referrer


def _draw_ids(count: int) -> Iterator[int]:
    """Draw primary keys before the rows exist: ciphertext is bound to them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('members_member', 'id')) FROM generate_series(1, %s)", [count]
        )
        return iter([row[0] for row in cursor.fetchall()])


def _enrol_batch(
    people: Sequence[Person], *, source: str, tiers: Mapping[str, Tier], at: datetime, result: EnrolledMany
) -> None:
    """Take one batch in; the few who drew a number that is taken draw again."""
    with transaction.atomic():
        known = _known_numbers(source, [person.external for person in people])
        fresh = {person.external: person for person in people if person.external not in known}
        drafts = list(_drafts(fresh.values(), source=source, tiers=tiers, at=at, refused=result.refused))
        created = Member.objects.bulk_create([draft.member() for draft in _claimed(drafts, result.refused)])
        result.created += len(created)
        result.numbers |= _known_numbers(source, [person.external for person in people])


def _drafts(
    people: Iterable[Person], *, source: str, tiers: Mapping[str, Tier], at: datetime, refused: dict[str, DomainError]
) -> Iterator[_Draft]:
    """Check each person; name those who cannot be drafted."""
    people = list(people)
    for person, member_id in zip(people, _draw_ids(len(people)), strict=True):
        try:
            if person.tier not in tiers:
                raise TierUnknown(tier=person.tier)
            yield _Draft(
                id=member_id,
                profile=profiles.clean(_said(person), at=at),
                external=_needed("external", person.external),
                source=source,
                tier=tiers[person.tier],
                joined_at=person.joined_at or at,
            )
        except DomainError as error:
            refused[person.external] = error


def _said(person: Person) -> Profile:
    said: Profile = {"name": person.name, "phone": person.phone, "email": person.email, "birthday": person.birthday}
    said |= {"address": person.address, "language": person.language}
    said |= {"attributes": person.attributes, "labels": person.labels}
    return said


def _claimed(drafts: list[_Draft], refused: dict[str, DomainError]) -> Iterator[_Draft]:
    """Claim the keys of all drafts at once and yield the drafts that hold all of theirs; the others leave nothing."""
    while drafts:
        losses: dict[int, Claim] = {}
        for lost in claiming.claim([each for draft in drafts for each in draft.claims()]):
            losses.setdefault(lost.member_id, lost)
        MemberKey.objects.filter(member_id__in=losses).delete()
        yield from (draft for draft in drafts if draft.id not in losses)
        drafts, losers = [], [draft for draft in drafts if draft.id in losses]
        for draft in losers:
            kind = losses[draft.id].kind
            if kind in _DRAWN:
                drafts.append(
                    replace(draft, number=numbering.new_number(), referral_code=numbering.new_referral_code())
                )
            elif kind != MemberKeyKind.EXTERNAL:  # an outside id lost here was enrolled by somebody else just now
                refused[draft.external] = claiming.REFUSALS[kind]()


def _known_numbers(source: str, externals: Sequence[str]) -> dict[str, str]:
    held = MemberKey.objects.filter(kind=MemberKeyKind.EXTERNAL, key__in=externals, scope=source)
    return dict(held.values_list("key", "member__number"))
