"""Webhook endpoints: made, changed, given new secrets, stopped and started; what they are told is in the outbox."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.lib import outbound, queue, signatures
from config.lib.actor import Actor
from config.lib.errors import DomainError
from members import keys
from members.actions import auditing
from members.models import (
    OFFERED_TYPES,
    Client,
    DeliveryState,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookType,
    scope_of,
)

TABLE = WebhookEndpoint._meta.db_table
#: How long both secrets are good after a new one was made, unless said otherwise.
GRACE = timedelta(days=1)
#: A message that is being sent belongs to its sender for so long; then it counts as never answered.
LEASE = timedelta(seconds=60)
#: Writes are told of after so many seconds, by one task for all of them.
GATHER_SECONDS = 1
#: For so long a process believes that nobody listens, or leaves a broker alone that was not reached.
QUIET_SECONDS = 15
_QUIET = "webhooks.quiet"
_WOKEN = "webhooks.woken"


class TypesMissing(DomainError):
    code = "types_missing"
    message = _("types: choose at least one kind of event.")


class TypeUnknown(DomainError):
    code = "type_unknown"
    message = _("types: %(type)s is not a kind of event.")


class ScopeMissing(DomainError):
    code = "scope_missing"
    message = _("types: to be told of %(type)s the client system needs the scope %(scope)s.")


class EndpointNotActive(DomainError):
    code = "endpoint_not_active"
    message = _("The endpoint is not active. Make it active first.")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An endpoint and its new secret, which can be shown this once and never again."""

    endpoint: WebhookEndpoint
    secret: str


@transaction.atomic
def create_endpoint(
    *, client: Client, name: str, url: str, types: Iterable[str], actor: Actor, at: datetime
) -> NewSecret:
    """Let a client system be told at an address of what happens from now on; it must be allowed to read all of it."""
    wanted = _fit_types(client, types)
    outbound.read_target(url, allow_local=settings.LAUREL_WEBHOOKS_LOCAL)
    endpoint = WebhookEndpoint(
        id=_draw_id(),
        client=client,
        name=name,
        url=url,
        types=wanted,
        expiring_told_on=timezone.localdate(at),
        created_at=at,
    )
    secret = _give_secret(endpoint)
    endpoint.save(force_insert=True)
    endpoint.refresh_from_db(fields=["entries_read"])
    _audit("created", endpoint, actor, at, client=client.code, url=url, types=wanted)
    return NewSecret(endpoint, secret)


@transaction.atomic
def change_endpoint(
    *, endpoint: WebhookEndpoint, name: str, url: str, types: Iterable[str], actor: Actor, at: datetime
) -> WebhookEndpoint:
    """Change what an endpoint is told, and where; messages that wait go to the new address."""
    locked = _lock(endpoint)
    wanted = _fit_types(locked.client, types)
    outbound.read_target(url, allow_local=settings.LAUREL_WEBHOOKS_LOCAL)
    before = {"url": locked.url, "types": locked.types}
    locked.name, locked.url, locked.types = name, url, wanted
    locked.save(update_fields=["name", "url", "types"])
    _audit("changed", locked, actor, at, url=url, types=wanted, before=before)
    return locked


@transaction.atomic
def rotate_secret(*, endpoint: WebhookEndpoint, grace: timedelta = GRACE, actor: Actor, at: datetime) -> NewSecret:
    """Give an endpoint a new secret; until `grace` is over every message is signed with the one before as well."""
    locked = _lock(endpoint)
    before = keys.open_secret(bytes(locked.secret), TABLE, "secret", locked.pk)
    locked.previous_secret = keys.seal_secret(before, TABLE, "previous_secret", locked.pk) if grace else None
    locked.previous_until = at + grace if grace else None
    secret = _give_secret(locked)
    locked.save(update_fields=["secret", "previous_secret", "previous_until"])
    _audit("secret_rotated", locked, actor, at, previous_until=str(locked.previous_until or ""))
    return NewSecret(locked, secret)


@transaction.atomic
def stop(
    *,
    endpoint: WebhookEndpoint,
    status: EndpointStatus = EndpointStatus.DISABLED,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> WebhookEndpoint:
    """Tell an endpoint nothing any more: staff say so, it has failed for days, or its receiver is gone.

    What waits is kept for a while; what happens meanwhile it is never told.
    """
    locked = _lock(endpoint)
    locked.status = status
    locked.save(update_fields=["status"])
    details = {"endpoint": locked.pk, "name": locked.name, "status": str(status), "failures": locked.failures}
    auditing.record(actor=actor, action="webhook.stopped", reason=reason or str(status), details=details, at=at)
    return locked


@transaction.atomic
def activate(*, endpoint: WebhookEndpoint, actor: Actor, at: datetime) -> WebhookEndpoint:
    """Tell an endpoint of what happens from now on, and send what waited; the database moves it to the present."""
    locked = _lock(endpoint)
    locked.status = EndpointStatus.ACTIVE
    locked.failures, locked.failing_since, locked.rests_until = 0, None, None
    locked.expiring_told_on = timezone.localdate(at)
    locked.save(update_fields=["status", "failures", "failing_since", "rests_until", "expiring_told_on"])
    _audit("activated", locked, actor, at)
    _queue_sending([locked.pk])
    return locked


@transaction.atomic
def send_test(*, endpoint: WebhookEndpoint, actor: Actor, at: datetime) -> WebhookDelivery:
    """Put a test into the outbox of an endpoint; it goes the way of every message."""
    locked = _lock(endpoint)
    if not locked.is_active:
        raise EndpointNotActive
    delivery = WebhookDelivery.objects.create(
        endpoint=locked,
        type=WebhookType.TEST,
        data={"endpoint": locked.name, "sent_by": actor},
        at=at,
        next_attempt_at=at,
    )
    _rest_no_more([locked.pk])
    _audit("tested", locked, actor, at, message=delivery.message_id)
    _queue_sending([locked.pk])
    return delivery


@transaction.atomic
def resend(*, deliveries: Collection[int], actor: Actor, at: datetime) -> int:
    """Send messages again under the same ids, those given up and those delivered too; how many will be.

    One that is being sent at this moment is left to its sender, and one of an endpoint that is stopped waits with it.
    """
    idle = Q(attempted_at__isnull=True) | Q(attempted_at__lt=at - LEASE) | ~Q(state=DeliveryState.WAITING)
    chosen = WebhookDelivery.objects.filter(idle, pk__in=deliveries).select_for_update().order_by("pk")
    found = list(chosen.values_list("pk", "endpoint_id"))
    WebhookDelivery.objects.filter(pk__in=[pk for pk, _endpoint in found]).update(
        state=DeliveryState.WAITING, attempts=0, next_attempt_at=at, finished_at=None
    )
    endpoints = sorted({endpoint for _pk, endpoint in found})
    _rest_no_more(endpoints)
    if found:
        details = {"endpoints": endpoints, "messages": len(found), "first": found[0][0], "last": found[-1][0]}
        auditing.record(actor=actor, action="webhook.resent", details=details, at=at)
    _queue_sending(endpoints)
    return len(found)


def wake() -> None:
    """Have what was just committed told soon; for doors, after a write. A message nobody wakes goes out by the minute.

    One task a second and process at most: it begins a second later and finds everything that came meanwhile.
    """
    if not cache.get(_QUIET) and cache.add(_WOKEN, True, GATHER_SECONDS):
        transaction.on_commit(_wake_if_somebody_listens, robust=True)


def _wake_if_somebody_listens() -> None:
    # Before it is asked: a broker that is away takes seconds to fail, and those of one write in a while are enough.
    cache.set(_QUIET, True, QUIET_SECONDS)
    if WebhookEndpoint.objects.listening().exists():
        queue.send_in(GATHER_SECONDS, "rewards.collect_webhooks")
        cache.delete(_QUIET)


def _fit_types(client: Client, types: Iterable[str]) -> list[str]:
    """Return the types in the order of the contract; refuse none at all, unknown ones and those out of scope."""
    asked = set(types)
    if unknown := sorted(asked - {each.value for each in OFFERED_TYPES}):
        raise TypeUnknown(type=unknown[0])
    wanted = [each.value for each in OFFERED_TYPES if each in asked]
    if not wanted:
        raise TypesMissing
    for each in wanted:
        if scope_of(each) not in client.scopes:
            raise ScopeMissing(type=each, scope=scope_of(each))
    return wanted


def _draw_id() -> int:
    """Draw the primary key before the row exists: the secret is sealed for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [TABLE])
        return int(cursor.fetchone()[0])


def _give_secret(endpoint: WebhookEndpoint) -> str:
    secret = signatures.new_secret()
    endpoint.secret = keys.seal_secret(secret, TABLE, "secret", endpoint.pk)
    return signatures.write_secret(secret)


def _lock(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Lock an endpoint without holding up those who write facts for it."""
    locked: WebhookEndpoint = (
        WebhookEndpoint.objects.select_for_update(no_key=True, of=("self",))
        .select_related("client")
        .get(pk=endpoint.pk)
    )
    return locked


def _rest_no_more(endpoints: Collection[int]) -> None:
    WebhookEndpoint.objects.filter(pk__in=endpoints, rests_until__isnull=False).update(rests_until=None)


def _queue_sending(endpoints: Iterable[int]) -> None:
    for endpoint_id in endpoints:
        queue.enqueue("members.send_webhooks", endpoint_id=endpoint_id)


def _audit(verb: str, endpoint: WebhookEndpoint, actor: Actor, at: datetime, **details: object) -> None:
    auditing.record(
        actor=actor,
        action=f"webhook.{verb}",
        details={"endpoint": endpoint.pk, "name": endpoint.name, **details},
        at=at,
    )
