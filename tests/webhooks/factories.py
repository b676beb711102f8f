"""Nouns of the webhooks for every test: endpoints are made by their action, messages by facts."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from members import delivering
from members.actions import webhooks
from members.delivering import Report
from members.models import OFFERED_TYPES, Client, WebhookEndpoint
from rewards import outbox
from tests.members.factories import TESTER, client_key

#: The moment tests call now: the database's own clock decides when a message written by a trigger is due.
EVERY_TYPE = [each.value for each in OFFERED_TYPES]


def listener(url: str = "https://hooks.example.com/laurel", *types: str, **given: Any) -> WebhookEndpoint:
    """Return an endpoint of a system that may read everything; told of everything unless types are named."""
    return listener_with_secret(url, *types, **given).endpoint


def listener_with_secret(url: str, *types: str, client: Client | None = None, **given: Any) -> webhooks.NewSecret:
    """Return the same with its secret."""
    if client is None:
        client = Client.objects.filter(code="crm").first() or client_key("crm")[0]
    asked: dict[str, Any] = {"name": "CRM", "actor": TESTER, "at": timezone.now()} | given
    return webhooks.create_endpoint(client=client, url=url, types=types or EVERY_TYPE, **asked)


def send_all(endpoint: WebhookEndpoint, *, at: datetime | None = None) -> Report:
    """Send what is due to an endpoint at a moment, now unless told otherwise."""
    moment = at or timezone.now() + timedelta(seconds=1)
    report = Report()
    while delivering.send_some(endpoint_id=endpoint.pk, clock=lambda: moment, report=report):
        pass
    return report


def collect(**given: Any) -> int:
    """Take what the ledger has into the outbox now."""
    return outbox.collect(**{"at": timezone.now()} | given)
