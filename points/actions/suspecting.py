"""What about an invitation looks as if somebody invited himself: the evidence, without what is alike."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from members.models import Member

#: The attribute in which a client system tells the device somebody joined from.
DEVICE = "device"
#: How far up a chain of invitations is looked.
GENERATIONS = 5
#: An address of fewer letters is a town.
LEAST_ADDRESS = 6
_DOTLESS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}

#: One piece of evidence: its kind and the card numbers of those it points at.
type Evidence = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A friend to look at, and how many may come from one device in how many hours."""

    friend_id: int
    device_limit: int
    device_hours: int


def evidence(suspects: Sequence[Suspect]) -> dict[int, list[Evidence]]:
    """Look at some friends at once; what was found, by friend, and nobody without a finding.

    A friend is compared with whoever invited him and, up the chain, with whoever invited those.
    """
    chains = _chains([one.friend_id for one in suspects])
    people = Member.objects.in_bulk(
        {one.friend_id for one in suspects} | {id_ for up in chains.values() for id_ in up}
    )
    crowds = _crowds(suspects)
    found: dict[int, list[Evidence]] = {}
    for one in suspects:
        friend = people[one.friend_id]
        inviter, *earlier = [people[id_] for id_ in chains[one.friend_id]]
        pieces = [_piece(kind, [inviter.number]) for kind in likeness(friend, inviter)]
        alike = [each.number for each in earlier if each == friend or likeness(friend, each)]
        pieces += [_piece("chain", alike)] if alike else []
        pieces += [_piece("many_from_device", crowds[friend.pk])] if friend.pk in crowds else []
        if pieces:
            found[friend.pk] = pieces
    return found


def likeness(one: Member, other: Member) -> list[str]:
    """Return in what two members are alike: device, phone, e-mail, address, each in one spelling."""
    told: Mapping[str, tuple[str, str]] = {
        "same_device": (_device(one), _device(other)),
        "same_phone": (_phone(one), _phone(other)),
        "same_email": (_email(one), _email(other)),
        "same_address": (_address(one), _address(other)),
    }
    return [kind for kind, (mine, theirs) in told.items() if mine and mine == theirs]


def _piece(kind: str, numbers: list[str]) -> Evidence:
    return {"kind": kind, "members": numbers[:20]}


def _device(member: Member) -> str:
    return str(member.attributes.get(DEVICE) or "").strip()


def _phone(member: Member) -> str:
    """The number without its country code, in which a zero too many makes another number of the same telephone."""
    return re.sub(r"\D", "", member.phone or "")[-10:]


def _email(member: Member) -> str:
    """The mailbox: what follows a plus is the owner's fancy, and so are the dots at some providers."""
    local, at, domain = (member.email or "").casefold().partition("@")
    local = local.partition("+")[0]
    if domain in _DOTLESS:
        local, domain = local.replace(".", ""), _DOTLESS[domain]
    return f"{local}@{domain}" if at else ""


def _address(member: Member) -> str:
    plain = unicodedata.normalize("NFKC", member.address or "").casefold()
    letters = "".join(character for character in plain if character.isalnum())
    return letters if len(letters) >= LEAST_ADDRESS else ""


def _chains(friends: Sequence[int]) -> dict[int, list[int]]:
    """Return for each friend who invited him, who invited that one, and so on."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE chain AS (
                SELECT m.id AS friend, m.referred_by_id AS inviter, 1 AS generation
                FROM members_member m WHERE m.id = ANY (%s)
                UNION ALL
                SELECT c.friend, m.referred_by_id, c.generation + 1
                FROM chain c JOIN members_member m ON m.id = c.inviter WHERE c.generation < %s
            )
            SELECT friend, array_agg(inviter ORDER BY generation) FROM chain WHERE inviter IS NOT NULL GROUP BY friend
            """,
            [list(friends), GENERATIONS],
        )
        return dict(cursor.fetchall())


def _crowds(suspects: Sequence[Suspect]) -> dict[int, list[str]]:
    """Return for friends who came with too many others from one device the card numbers of those."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.id, array_agg(o.number ORDER BY o.joined_at, o.id)
            FROM unnest(%s::bigint[], %s::int[], %s::interval[]) AS s (friend, most, near)
            JOIN members_member f ON f.id = s.friend AND f.attributes ->> %s <> ''
            JOIN members_member o ON o.joined_at BETWEEN f.joined_at - s.near AND f.joined_at + s.near
                AND o.attributes ->> %s = f.attributes ->> %s AND o.referred_by_id IS NOT NULL AND o.id <> f.id
            GROUP BY f.id, s.most HAVING count(*) >= s.most
            """,
            [
                [one.friend_id for one in suspects],
                [one.device_limit for one in suspects],
                [timedelta(hours=one.device_hours) for one in suspects],
                DEVICE,
                DEVICE,
                DEVICE,
            ],
        )
        return dict(cursor.fetchall())
