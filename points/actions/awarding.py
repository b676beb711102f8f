"""From business events to points: one event, ten thousand, or only the question what it would give."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from psycopg.errors import SerializationFailure

from config.lib.actor import Actor
from config.lib.errors import DomainError
from points.explanations import RuleVerdict, read_verdicts
from points.models import EventType

BATCH_LIMIT = 10_000
#: Clocks of client systems may run ahead by this much.
FUTURE_TOLERANCE = timedelta(minutes=5)
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
AMOUNT_LIMIT_MINOR = 1_000_000_000_000
ITEMS_LIMIT = 2_000
ATTRIBUTES_LIMIT_BYTES = 32_768

#: Under this source the programme tells itself of invitations. Told by anybody else, what is its own would be paid a
#: second time, beside limits and quarantine.
REFERRAL_SOURCE = "referral"

_CURRENCY = re.compile(r"[A-Z]{3}")
#: Control characters, and halves of characters, which no UTF-8 can hold.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TYPES = frozenset(EventType.values) - {EventType.REFUND.value}


class EventRejected(DomainError):
    """The event cannot be taken; the code and the sentence say why."""

    code = "event_rejected"
    message = _("%(detail)s")

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail=str(detail))
        # The code of the refusal itself, not of the class: doors pass it on.
        self.code = code  # type: ignore[misc]
        self.status = 409 if code == "reference_conflict" else 404 if code == "unknown_member" else 422  # type: ignore[misc]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingEvent:
    """A business event as a client system tells it. Amounts in minor units; `member` is a card number."""

    reference: str
    type: str
    occurred_at: datetime
    member: str = ""
    member_id: int | None = None
    amount_minor: int | None = None
    gross_minor: int | None = None
    currency: str = ""
    channel: str = ""
    store: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Award:
    """Points one rule gave for one event."""

    type: str
    rule: int
    points: int
    entry: int
    pending: bool
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event: accepted, replayed (the first answer again) or rejected with code and detail.

    `friend` is the member, where that member was invited by another and no verdict on it has been given.
    """

    reference: str
    status: str
    code: str | None = None
    detail: str | None = None
    event_id: int | None = None
    points: dict[str, int] = field(default_factory=dict)
    awards: list[Award] = field(default_factory=list)
    friend: int | None = None


def problem_of(event: IncomingEvent, at: datetime, *, source: str = "") -> tuple[str, str] | None:
    """The first thing wrong with the form of an event: a code and a sentence naming the field; None if it is sound.

    Without a source nobody tells it: staff ask what it would give.
    """
    if not 1 <= len(event.reference) <= 100 or _CONTROL.search(event.reference):
        return "invalid_reference", now_("reference: 1 to 100 printable characters are needed.")
    if event.type not in _TYPES:
        return "unknown_type", now_("type: “%(type)s” is not an event type.") % {"type": event.type[:40]}
    if event.occurred_at.tzinfo is None:
        return "naive_time", now_("occurred_at: the time needs an offset, such as +08:00 or Z.")
    if event.occurred_at > at + FUTURE_TOLERANCE:
        return "future_time", now_("occurred_at: the time lies in the future.")
    if event.occurred_at < OLDEST:
        return "absurd_time", now_("occurred_at: the time lies before 1990.")
    problem = _money_problem(event) or _text_problem(event) or _content_problem(event)
    return problem or (None if source in ("", REFERRAL_SOURCE) else _reserved_problem(event))


def _money_problem(event: IncomingEvent) -> tuple[str, str] | None:
    for name, amount in (("amount", event.amount_minor), ("gross amount", event.gross_minor)):
        if amount is not None and amount < 0:
            return "negative_amount", now_("%(field)s: must not be negative; send a refund instead.") % {"field": name}
        if amount is not None and (type(amount) is not int or amount > AMOUNT_LIMIT_MINOR):
            return "absurd_amount", now_("%(field)s: is larger than any amount this programme takes.") % {
                "field": name
            }
    if event.amount_minor is None and (event.currency or event.gross_minor is not None):
        return "amount_missing", now_("amount: a currency or gross amount needs the net amount beside it.")
    if event.amount_minor is not None and not _CURRENCY.fullmatch(event.currency):
        return "unknown_currency", now_("currency: three capital letters are needed, such as CNY.")
    return None


def _text_problem(event: IncomingEvent) -> tuple[str, str] | None:
    for name, text in (("channel", event.channel), ("store", event.store)):
        if len(text) > 64 or _CONTROL.search(text):
            return f"invalid_{name}", now_("%(field)s: at most 64 printable characters.") % {"field": name}
    if event.member_id is None and not event.member:
        return "unknown_member", now_("member: this is needed.")
    if _CONTROL.search(event.member) or not 0 <= (event.member_id or 0) < 2**63:
        return "unknown_member", now_("member: there is no such member.")
    return None


def _content_problem(event: IncomingEvent) -> tuple[str, str] | None:
    attributes: Any = event.attributes  # typed, but a client's body may say otherwise
    if attributes:
        size = _json_size(attributes) if isinstance(attributes, Mapping) else None
        if size is None:
            return "invalid_attributes", now_("attributes: must be a JSON object without NUL characters.")
        if size > ATTRIBUTES_LIMIT_BYTES:
            return "invalid_attributes", now_("attributes: too large.")
    for number, item in enumerate(event.items or (), start=1):
        problem = now_("there are too many lines.") if number > ITEMS_LIMIT else item_problem(item)
        if problem:
            return "invalid_items", now_("items: line %(line)s: %(problem)s") % {"line": number, "problem": problem}
    return None


def _reserved_problem(event: IncomingEvent) -> tuple[str, str] | None:
    if event.type == EventType.REFERRAL:
        return "reserved_type", now_("type: invitations become events by themselves; nobody sends them.")
    if event.type == EventType.CUSTOM and "referral" in (event.attributes or {}):
        return "reserved_attribute", now_("attributes: “referral” is kept for the programme's own events.")
    return None


def _json_size(value: Any) -> int | None:
    """How many bytes of JSON a value is; None if the database could not keep it."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        return None if "\\u0000" in text else len(text.encode())
    except (TypeError, ValueError, RecursionError):
        return None


def item_problem(item: Any) -> str | None:
    """What is wrong with the form of a line item; None if it is sound."""
    if not isinstance(item, Mapping) or _json_size(item) is None:
        return now_("must be a JSON object without NUL characters.")
    amount = item.get("amount_minor")
    if amount is not None and (type(amount) is not int or not 0 <= amount <= AMOUNT_LIMIT_MINOR):
        return now_("the amount is not a sensible number.")
    for key in ("sku", "category"):
        text = item.get(key)
        if text is not None and (type(text) is not str or len(text) > 100):
            return now_("%(field)s is not a short text.") % {"field": key}
    quantity = item.get("quantity")
    if quantity is not None and (type(quantity) not in (int, float) or not -1e9 < quantity < 1e9):
        return now_("the quantity is not a sensible number.")
    return None


_DETAILS: dict[str, Any] = {
    "unknown_member": _("member: there is no such member."),
    "member_not_active": _("member: the membership is not active."),
    "reference_conflict": _("reference: was used before with other content. Send a new reference."),
}


def _body(event: IncomingEvent) -> dict[str, Any]:
    """The event as points_award reads it; what is empty is left out, so that equal content has equal digests."""
    body: dict[str, Any] = {
        "reference": event.reference,
        "type": event.type,
        "occurred_at": event.occurred_at.astimezone(UTC).isoformat(),
    }
    if event.member_id is not None:
        body["member_id"] = event.member_id
    else:
        body["member"] = event.member
    for name in ("amount_minor", "gross_minor", "currency", "channel", "store", "attributes"):
        value = getattr(event, name)
        if value is not None and value != "" and value != {}:
            body[name] = value
    if event.items:
        body["items"] = list(event.items)
    return body


def award_many(
    *, events: Sequence[IncomingEvent], source: str, actor: Actor, at: datetime, told: bool = True
) -> list[EventResult]:
    """Take up to 10,000 events in one round trip; one result an event, in order. A bad one never spoils a good one.

    Without `told` the results carry no awards, which saves the database from telling them.
    """
    if len(events) > BATCH_LIMIT:
        raise ValueError(f"at most {BATCH_LIMIT} events at once, not {len(events)}")
    results: list[EventResult | None] = []
    sound: list[int] = []
    for index, event in enumerate(events):
        problem = problem_of(event, at, source=source)
        if problem:
            results.append(EventResult(event.reference, "rejected", *problem))
        else:
            results.append(None)
            sound.append(index)
    if sound:
        rows = _award([_body(events[index]) for index in sound], source, actor, at, told)
        for index, result in zip(sound, rows, strict=True):
            results[index] = result
    return [result for result in results if result is not None]


#: One round trip: the awards, and after them those of the members by card number whose invitation waits for a verdict.
_ASK = """
    SELECT ord, status, code, event_id, awards::text FROM points_award(%s::jsonb, %s, %s, %s, %s, %s)
    UNION ALL
    SELECT NULL, NULL, number, member_id, NULL FROM points_invited(%s)
"""


def _ask(values: list[Any]) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Return a row for each event, and the invited friends by card number."""
    with connection.cursor() as cursor:
        cursor.execute(_ASK, values)
        rows = cursor.fetchall()
    events = sorted((row for row in rows if row[0] is not None), key=itemgetter(0))
    return events, {number: friend for order, _status, number, friend, _awards in rows if order is None}


def _award(bodies: list[dict[str, Any]], source: str, actor: Actor, at: datetime, told: bool) -> list[EventResult]:
    numbers = list({body["member"] for body in bodies if "member" in body}) if told else []
    values = [json.dumps(bodies, ensure_ascii=False), source, actor, at, settings.TIME_ZONE, told, numbers]
    try:
        rows, friends = _ask(values)
    except OperationalError as error:
        # A member was closed while the batch waited for it. Asked again, that one event is rejected by name; within a
        # larger transaction only its owner can ask again.
        if connection.in_atomic_block or not isinstance(error.__cause__, SerializationFailure):
            raise
        rows, friends = _ask(values)
    replayed = _first_answers([row[3] for row in rows if row[1] == "replayed"] if told else [])
    results = []
    for (_ord, status, code, event_id, awards), body in zip(rows, bodies, strict=True):
        given = [Award(**one) for one in json.loads(awards)] if awards else replayed.get(event_id, [])
        totals: dict[str, int] = {}
        for one in given:
            totals[one.type] = totals.get(one.type, 0) + one.points
        detail = str(_DETAILS.get(code, code)) if code else None
        results.append(
            EventResult(
                body["reference"],
                status,
                code,
                detail,
                event_id if status != "rejected" else None,
                totals,
                given,
                friends.get(body.get("member", "")),
            )
        )
    return results


def _first_answers(event_ids: list[int]) -> dict[int, list[Award]]:
    """What replayed events gave the first time, from the books.

    Where a restoration has prolonged a lot since, its first end is worked out again as the award did it.
    """
    if not event_ids:
        return {}
    answers: dict[int, list[Award]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT v.id, t.code, e.rule_id, e.points, e.id, e.to_account = 'pending', to_jsonb(
                CASE WHEN l.expires_at > told.ends_at AND EXISTS (
                    SELECT FROM points_draw d JOIN points_entry x ON x.member_id = d.member_id AND x.id = d.entry_id
                    WHERE d.member_id = l.member_id AND d.lot_id = l.id AND x.kind = 'restoration'
                ) THEN told.ends_at ELSE l.expires_at END) #>> '{}'
            FROM points_event v
            JOIN points_entry e ON e.member_id = v.member_id AND e.source = v.source AND e.kind = 'accrual'
                AND e.reference = v.reference
            JOIN points_lot l ON l.member_id = e.member_id AND l.entry_id = e.id
            JOIN points_pointtype t ON t.id = e.point_type_id
            JOIN points_earningrule r ON r.id = e.rule_id
            CROSS JOIN LATERAL (SELECT CASE WHEN r.expiry_policy <> ''
                THEN points_expires_at(r.expiry_policy, r.expiry_value, r.expiry_on, e.occurred_at, %s)
                ELSE points_expires_at(t.expiry_policy, t.expiry_value, t.expiry_on, e.occurred_at, %s)
            END AS ends_at) told
            WHERE v.id = ANY (%s) ORDER BY e.seq
            """,
            [settings.TIME_ZONE, settings.TIME_ZONE, event_ids],
        )
        for event_id, *rest in cursor.fetchall():
            answers.setdefault(event_id, []).append(Award(*rest))
    return answers


def award(*, event: IncomingEvent, source: str, actor: Actor, at: datetime) -> EventResult:
    """Take one event; `EventRejected` with the code and the reason if it cannot be taken."""
    (result,) = award_many(events=[event], source=source, actor=actor, at=at)
    if result.status == "rejected":
        raise EventRejected(result.code or "", result.detail or "")
    return result


def preview(
    *, event: IncomingEvent, at: datetime, only_rules: Sequence[int] | None = None, source: str = ""
) -> list[RuleVerdict]:
    """What an event would award, and why; nothing is stored. `only_rules`: those versions alone, drafts too."""
    problem = problem_of(event, at, source=source)
    if problem:
        raise EventRejected(*problem)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM members_member WHERE id = %(id)s) OR EXISTS ("
            "SELECT FROM members_memberkey WHERE %(id)s::bigint IS NULL AND kind = 'number' AND key = %(number)s)",
            {"id": event.member_id, "number": event.member},
        )
        (known,) = cursor.fetchone()
        if not known:
            raise EventRejected("unknown_member", _DETAILS["unknown_member"])
        cursor.execute(
            "SELECT * FROM points_preview(%s::jsonb, %s, %s, %s)",
            [
                json.dumps([_body(event)], ensure_ascii=False),
                settings.TIME_ZONE,
                "backtest" if only_rules else "preview",
                list(only_rules) if only_rules else None,
            ],
        )
        return read_verdicts(cursor, currency=event.currency)
