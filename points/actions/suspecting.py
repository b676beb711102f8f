"""What about an invitation looks as if somebody invited himself: the evidence, without what is alike."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from members.actions.profiles import DEVICE
from members.models import Member

#: Around the name of a device they mean nothing, here and in SQL.
BLANKS = " \t\r\n\u00a0\u3000"
#: How far up a chain of invitations is looked.
GENERATIONS = 5
#: With how many other friends of the same referrer a friend is compared, newest first.
SIBLINGS = 100
#: An address of fewer letters is a town.
LEAST_ADDRESS = 6
_DOTLESS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}

#: One piece of evidence: its kind and the card numbers of those it points at.
type Evidence = dict[str, Any]
#: What a member is known by: values by kind of likeness.
type Traits = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A friend to look at, and how many may come from one device in how many hours."""

    friend_id: int
    device_limit: int
    device_hours: int


def evidence(suspects: Sequence[Suspect]) -> dict[int, list[Evidence]]:
    """Look at some friends at once; what was found, by friend, and nobody without a finding.

    A friend is compared with whoever invited him, up the chain with whoever invited those, and with the newest other
    friends of the same referrer; by what everybody has and had, so that a change in time hides nothing.
    """
    chains = _chains([one.friend_id for one in suspects])
    families = _families({up[0] for up in chains.values()})
    wanted = {id_ for ids in (chains, *chains.values(), *families.values()) for id_ in ids}
    people = Member.objects.in_bulk(wanted)
    traits = {id_: _traits(person) for id_, person in people.items()}
    crowds = _crowds(suspects)
    found: dict[int, list[Evidence]] = {}
    for friend, (inviter, *earlier) in chains.items():
        above = [id_ for id_ in earlier if id_ == friend or _alike(traits[friend], traits[id_])]
        # Friends may share a tablet: how many of them is counted, not compared.
        beside = [
            id_
            for id_ in families[inviter]
            if id_ != friend and set(_alike(traits[friend], traits[id_])) - {"same_device"}
        ]
        pieces = [_piece(kind, [people[inviter].number]) for kind in _alike(traits[friend], traits[inviter])]
        pieces += [_piece("chain", [people[id_].number for id_ in above])] if above else []
        pieces += [_piece("sibling", [people[id_].number for id_ in beside])] if beside else []
        pieces += [_piece("many_from_device", crowds[friend])] if friend in crowds else []
        if pieces:
            found[friend] = pieces
    return found


def _traits(member: Member) -> Traits:
    """What a member is known by, each in one spelling."""
    told = {
        "same_device": {_device(member)},
        "same_phone": {_phone(phone) for phone in member.ever("phone")},
        "same_email": {_email(email) for email in member.ever("email")},
        "same_address": {_address(address) for address in member.ever("address")},
    }
    return {kind: values - {""} for kind, values in told.items()}


def _alike(one: Traits, other: Traits) -> list[str]:
    """Return in what two members are alike: device, phone, e-mail, address."""
    return [kind for kind, values in one.items() if values & other[kind]]


def _piece(kind: str, numbers: list[str]) -> Evidence:
    return {"kind": kind, "members": numbers[:20]}


def _device(member: Member) -> str:
    return str(member.attributes.get(DEVICE) or "").strip(BLANKS)


def _phone(phone: str) -> str:
    """The number without its country code, in which a zero too many makes another number of the same telephone."""
    return re.sub(r"\D", "", phone)[-10:]


def _email(email: str) -> str:
    """The mailbox: what follows a plus is the owner's fancy, and so are the dots at some providers."""
    local, at, domain = email.casefold().partition("@")
    local = local.partition("+")[0]
    if domain in _DOTLESS:
        local, domain = local.replace(".", ""), _DOTLESS[domain]
    return f"{local}@{domain}" if at else ""


def _address(address: str) -> str:
    plain = unicodedata.normalize("NFKC", address).casefold()
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


def _families(inviters: Collection[int]) -> dict[int, list[int]]:
    """Return the newest friends of each of these referrers."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.id, array_agg(f.id ORDER BY f.id DESC)
            FROM unnest(%s::bigint[]) AS i (id)
            CROSS JOIN LATERAL (
                SELECT m.id FROM members_member m WHERE m.referred_by_id = i.id ORDER BY m.id DESC LIMIT %s
            ) f
            GROUP BY i.id
            """,
            [list(inviters), SIBLINGS],
        )
        return dict(cursor.fetchall())


def _crowds(suspects: Sequence[Suspect]) -> dict[int, list[str]]:
    """Return for friends who came with too many others from one device the card numbers of those.

    Friends of one referrer are counted whenever they came, those of others within the hours.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.id, array_agg(o.number ORDER BY o.joined_at, o.id)
            FROM unnest(%(friends)s::bigint[], %(most)s::int[], %(near)s::interval[]) AS s (friend, most, near)
            JOIN members_member f ON f.id = s.friend AND btrim(f.attributes ->> %(device)s, %(blanks)s) <> ''
            JOIN members_member o ON o.referred_by_id IS NOT NULL AND o.id <> f.id
                AND (o.referred_by_id = f.referred_by_id
                    OR o.joined_at BETWEEN f.joined_at - s.near AND f.joined_at + s.near)
                AND btrim(o.attributes ->> %(device)s, %(blanks)s) = btrim(f.attributes ->> %(device)s, %(blanks)s)
            GROUP BY f.id, s.most HAVING count(*) >= s.most
            """,
            {
                "friends": [one.friend_id for one in suspects],
                "most": [one.device_limit for one in suspects],
                "near": [timedelta(hours=one.device_hours) for one in suspects],
                "device": DEVICE,
                "blanks": BLANKS,
            },
        )
        return dict(cursor.fetchall())
