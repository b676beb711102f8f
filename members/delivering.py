"""Sending what waits in the outbox: claimed by one sender at a time, in each member's order, until it is answered."""

import json
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from config.lib import actor, outbound, signatures
from members import keys
from members.actions import webhooks
from members.actions.webhooks import LEASE, TABLE
from members.models import DeliveryState, EndpointStatus, WebhookDelivery, WebhookEndpoint

#: How long after each failed attempt the next one is made: a little over three days in all, then it is given up.
BACKOFF = tuple(
    timedelta(**wait)
    for wait in (
        {"seconds": 5},
        {"minutes": 5},
        {"minutes": 30},
        {"hours": 2},
        {"hours": 5},
        {"hours": 10},
        {"hours": 14},
        {"hours": 20},
        {"hours": 24},
    )
)
#: The most by which a wait is stretched, so that what failed together does not come back together.
JITTER = 0.2
ATTEMPT_SECONDS = 15
#: Messages on their way to one endpoint at once, each of another member.
LANES = 8
#: After so many failures in a row, whosever the messages, the endpoint is left alone for a while.
PATIENCE = 3
FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(hours=1)
#: An endpoint that has answered nothing well for so long is stopped.
DISABLE_AFTER = timedelta(days=5)
GONE = 410
TOO_MANY = 429
USER_AGENT = "Laurel-Webhooks/1"
ACTOR = actor.system("webhooks")
_UNWANTED = "no longer wanted, or no longer allowed"

_CLAIM = """
WITH due AS (
    SELECT d.id FROM members_webhookdelivery d
    JOIN members_webhookendpoint e ON e.id = d.endpoint_id
    JOIN members_client c ON c.id = e.client_id
    WHERE d.endpoint_id = %(endpoint)s AND d.state = 'waiting' AND d.next_attempt_at <= %(at)s
        AND d.place <= e.entries_read AND e.status = 'active' AND (e.rests_until IS NULL OR e.rests_until <= %(at)s)
        AND c.is_active AND EXISTS (
            SELECT FROM members_clientkey k
            WHERE k.client_id = c.id AND k.state <> 'ended' AND (k.expires_at IS NULL OR k.expires_at > %(at)s))
        AND NOT EXISTS (
            SELECT FROM members_webhookdelivery before
            WHERE before.endpoint_id = d.endpoint_id AND before.member_id = d.member_id AND before.state = 'waiting'
                AND (before.place, before.entry_id IS NULL, before.id) < (d.place, d.entry_id IS NULL, d.id))
    ORDER BY d.next_attempt_at, d.id LIMIT %(most)s FOR UPDATE OF d SKIP LOCKED
)
UPDATE members_webhookdelivery d SET attempts = attempts + 1, attempted_at = %(at)s, next_attempt_at = %(until)s
FROM due WHERE d.id = due.id RETURNING d.id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended: the status of the answer, or none, and a text for people."""

    status: int | None
    text: str

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken the message."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_outage(self) -> bool:
        """Whether it is the receiver that cannot, and not this message that it does not want."""
        return self.status is None or self.status >= 500 or self.status == TOO_MANY


@dataclass(slots=True)
class Report:
    """What one run of sending came to, and when to come back: with more to send now, or after the shortest wait."""

    delivered: int = 0
    failed: int = 0
    has_more: bool = False
    shortest_wait: timedelta = BACKOFF[-1]


def send(*, endpoint_id: int, clock: Callable[[], datetime], seconds: float = 20) -> Report:
    """Send what is due to one endpoint for so many seconds; does nothing while another process does it.

    That only one does it is thrift: two at once would never send the same message, for each is claimed.
    """
    started, report = clock(), Report()
    if not _begin(endpoint_id, started):
        return report
    try:
        report.has_more = True
        while report.has_more and clock() < started + timedelta(seconds=seconds):
            report.has_more = send_some(endpoint_id=endpoint_id, clock=clock, report=report) > 0
    finally:
        WebhookEndpoint.objects.filter(pk=endpoint_id).update(sending_until=None)
    return report


def send_some(*, endpoint_id: int, clock: Callable[[], datetime], report: Report) -> int:
    """Claim a few messages of different members, send them side by side, write down what came; how many there were."""
    claimed = claim(endpoint_id=endpoint_id, at=clock())
    wanted = [delivery for delivery in claimed if delivery.endpoint.may_hear(delivery.type)]
    for delivery in claimed:
        if delivery not in wanted:
            _finish(delivery, DeliveryState.FAILED, Outcome(None, _UNWANTED), clock())
    if wanted:
        attempts = [_prepare(delivery, clock()) for delivery in wanted]
        with ThreadPoolExecutor(len(wanted)) as lanes:
            outcomes = list(lanes.map(_post, attempts))
        for delivery, outcome in zip(wanted, outcomes, strict=True):
            record(delivery=delivery, outcome=outcome, at=clock(), report=report)
    return len(claimed)


def claim(*, endpoint_id: int, at: datetime, most: int = LANES) -> Sequence[WebhookDelivery]:
    """Take the first waiting message of each of a few members; until `LEASE` is over nobody else takes them."""
    with connection.cursor() as cursor:
        asked: dict[str, Any] = {"endpoint": endpoint_id, "at": at, "until": at + LEASE, "most": most}
        cursor.execute(_CLAIM, asked)
        ids = [row[0] for row in cursor.fetchall()]
    return list(WebhookDelivery.objects.filter(pk__in=ids).select_related("endpoint__client").order_by("id"))


def body_of(delivery: WebhookDelivery) -> bytes:
    """Return the message as it is sent and signed: the same bytes at every attempt."""
    message = {"type": delivery.type, "timestamp": delivery.at.isoformat(), "data": delivery.data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(delivery: WebhookDelivery, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers of one attempt, signed with every secret that is good at that moment."""
    timestamp = int(at.timestamp())
    signed = [
        signatures.sign(secret, message_id=delivery.message_id, timestamp=timestamp, body=body)
        for secret in _live_secrets(delivery.endpoint, at)
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signed),
    }


@transaction.atomic
def record(*, delivery: WebhookDelivery, outcome: Outcome, at: datetime, report: Report) -> None:
    """Write down how an attempt ended, unless the message was claimed again meanwhile."""
    if outcome.is_delivered:
        report.delivered += 1
        _finish(delivery, DeliveryState.DELIVERED, outcome, at)
        # Nothing is written while all is well: the row belongs to the reader of the ledger.
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id, failures__gt=0).update(
            failures=0, failing_since=None, rests_until=None
        )
        return
    report.failed += 1
    if delivery.attempts > len(BACKOFF):
        _finish(delivery, DeliveryState.FAILED, outcome, at)
    else:
        wait = wait_after(delivery.attempts)
        report.shortest_wait = min(report.shortest_wait, wait)
        _claimed(delivery).update(next_attempt_at=at + wait, answer_status=outcome.status, answer=outcome.text)
    _note_failure(delivery, outcome, at)


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after that many failed attempts, stretched a little by chance."""
    return BACKOFF[attempts - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311  no secret


def _begin(endpoint_id: int, at: datetime) -> bool:
    """Become the one who sends to this endpoint; one that died is followed after a while."""
    free = Q(sending_until__isnull=True) | Q(sending_until__lt=at)
    return bool(WebhookEndpoint.objects.filter(free, pk=endpoint_id).update(sending_until=at + 2 * LEASE))


def _claimed(delivery: WebhookDelivery) -> QuerySet[WebhookDelivery]:
    """The row of a message as long as it is ours: another claim has another moment, and counted another attempt.

    Not by its count alone, which begins again when the message is sent again.
    """
    ours = {"pk": delivery.pk, "attempts": delivery.attempts, "attempted_at": delivery.attempted_at}
    return WebhookDelivery.objects.waiting().filter(**ours)


def _finish(delivery: WebhookDelivery, state: DeliveryState, outcome: Outcome, at: datetime) -> None:
    _claimed(delivery).update(state=state, finished_at=at, answer_status=outcome.status, answer=outcome.text)


def _prepare(delivery: WebhookDelivery, at: datetime) -> tuple[str, bytes, dict[str, str]]:
    """Return all an attempt needs, so that the thread that makes it needs no database and no keys."""
    body = body_of(delivery)
    return delivery.endpoint.url, body, headers_of(delivery, body, at)


def _post(attempt: tuple[str, bytes, dict[str, str]]) -> Outcome:
    url, body, headers = attempt
    try:
        answer = outbound.post(
            url, body=body, headers=headers, seconds=ATTEMPT_SECONDS, allow_local=settings.LAUREL_WEBHOOKS_LOCAL
        )
    except (outbound.NotReached, outbound.AddressRefused) as error:
        return Outcome(None, str(error))
    return Outcome(answer.status, answer.excerpt)


def _live_secrets(endpoint: WebhookEndpoint, at: datetime) -> list[bytes]:
    secrets = [keys.open_secret(bytes(endpoint.secret), TABLE, "secret", endpoint.pk)]
    if endpoint.previous_secret and endpoint.previous_until and at < endpoint.previous_until:
        secrets.append(keys.open_secret(bytes(endpoint.previous_secret), TABLE, "previous_secret", endpoint.pk))
    return secrets


def _note_failure(delivery: WebhookDelivery, outcome: Outcome, at: datetime) -> None:
    """Count a failure; let the endpoint rest after a few in a row, and stop it after days or when it is gone.

    After days of which most may have been quiet, one hiccup stops nobody: this message must have failed a few times.
    """
    endpoint_id = delivery.endpoint_id
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(
        failures=F("failures") + 1, failing_since=Coalesce("failing_since", at)
    )
    endpoint = WebhookEndpoint.objects.get(pk=endpoint_id)
    failing_for = at - (endpoint.failing_since or at)
    if outcome.is_outage and endpoint.failures >= PATIENCE:
        rest = min(max(failing_for / 4, FIRST_REST), LONGEST_REST)
        WebhookEndpoint.objects.filter(pk=endpoint_id).update(rests_until=at + rest)
    if not endpoint.is_active:
        return
    if outcome.status == GONE:
        webhooks.stop(endpoint=endpoint, status=EndpointStatus.GONE, actor=ACTOR, at=at)
    elif failing_for >= DISABLE_AFTER and delivery.attempts >= PATIENCE:
        webhooks.stop(endpoint=endpoint, status=EndpointStatus.FAILED, actor=ACTOR, at=at)
