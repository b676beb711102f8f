"""Claiming what can belong to one member only; every claim of a write is one statement, in one order."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection
from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from members import contacts
from members.models import MemberKeyKind

_INSERT = """
INSERT INTO members_memberkey (kind, key, scope, digest, member_id)
SELECT kind, key, scope, digest, member_id
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[], %s::bigint[])
    AS wanted (kind, key, scope, digest, member_id)
ORDER BY kind, key, scope, member_id
ON CONFLICT (kind, key, scope) DO NOTHING
"""
# A scalar subquery, which is looked up in the unique index row by row; as an anti-join it reads the whole table.
_LOST = """
SELECT place
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])
    WITH ORDINALITY AS wanted (kind, key, scope, member_id, place)
WHERE member_id IS DISTINCT FROM (
    SELECT held.member_id FROM members_memberkey AS held
    WHERE (held.kind, held.key, held.scope) = (wanted.kind, wanted.key, wanted.scope)
)
"""


class PhoneTaken(DomainError):
    code = "phone_taken"
    message = _("phone: another member has this phone number.")


class EmailTaken(DomainError):
    code = "email_taken"
    message = _("email: another member has this e-mail address.")


class ExternalTaken(DomainError):
    code = "external_taken"
    message = _("external: another member has this outside id.")


REFUSALS: dict[str, type[DomainError]] = {
    MemberKeyKind.PHONE: PhoneTaken,
    MemberKeyKind.EMAIL: EmailTaken,
    MemberKeyKind.EXTERNAL: ExternalTaken,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One key wanted for one member."""

    member_id: int
    kind: str
    key: str
    scope: str = ""
    digest: bytes | None = None


def contact_claims(member_id: int, *, phone: str = "", email: str = "") -> list[Claim]:
    """Return the claims of the contacts that are given, already normalised ones or not."""
    claims = []
    if phone:
        claims.append(Claim(member_id, MemberKeyKind.PHONE, contacts.phone_key(phone)))
    if email:
        claims.append(Claim(member_id, MemberKeyKind.EMAIL, contacts.email_key(email)))
    return claims


def claim(claims: Collection[Claim]) -> list[Claim]:
    """Write the keys that are free and return the others, in the given order. Waits for who is claiming the same.

    The answer is read back rather than counted: only what stands in the table has been won. All rows go in ordered by
    key, so that two writers who want the same keys wait for each other and never in a circle.
    """
    wanted = list(claims)
    kinds, keys, scopes = [c.kind for c in wanted], [c.key for c in wanted], [c.scope for c in wanted]
    members = [c.member_id for c in wanted]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [kinds, keys, scopes, [c.digest for c in wanted], members])
        cursor.execute(_LOST, [kinds, keys, scopes, members])
        places = sorted(place for (place,) in cursor.fetchall())
    return [wanted[place - 1] for place in places]
