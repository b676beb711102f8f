"""Chainable ways to find members; exact look-ups go through the key table, which alone is unique across members."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import Q

from config.lib.errors import DomainError
from members import contacts

if TYPE_CHECKING:
    from members.models import Member, WebhookDelivery, WebhookEndpoint  # noqa: F401


class MemberQuerySet(models.QuerySet["Member"]):
    """Members, found by what a person or a system can say about them."""

    def active(self) -> Self:
        """Keep those who may earn, spend and sign in."""
        return self.filter(status="active")

    def by_number(self, number: str) -> Self:
        """Find by card number, spaces and dashes forgiven."""
        return self._holding(_number(number))

    def by_phone(self, phone: str) -> Self:
        """Find by exact phone number, however it is written."""
        return self._holding(_blind("phone", contacts.phone_key, phone))

    def by_email(self, email: str) -> Self:
        """Find by exact e-mail address, in any case."""
        return self._holding(_blind("email", contacts.email_key, email))

    def by_referral_code(self, code: str) -> Self:
        """Find the member who gives this code to friends."""
        return self._holding(_referral_code(code))

    def by_external(self, source: str, external: str) -> Self:
        """Find by the id another system knows the member by."""
        return self._holding(_exact("external", external) & Q(scope=source))

    def by_login(self, login: str) -> Self:
        """Find by what a member types to sign in: card number, phone or e-mail."""
        return self._holding(_login(login))

    def search(self, term: str) -> Self:
        """Find by whatever staff have at hand: card number, phone, e-mail, referral code or outside id, exactly."""
        return self._holding(_login(term) | _referral_code(term) | _exact("external", term.strip()))

    def _holding(self, key: Q) -> Self:
        """Keep the members who hold such a key."""
        held = apps.get_model("members", "MemberKey")._default_manager.filter(key)
        return self.filter(pk__in=held.values("member_id"))


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    """The addresses at which client systems are told what happened."""

    def listening(self) -> Self:
        """Keep those that are told anything now: active, of a client system that is on."""
        return self.filter(status="active", client__is_active=True)

    def reachable(self, at: datetime) -> Self:
        """Keep those to which messages go out: without a key that works their system's messages wait."""
        keys = apps.get_model("members", "ClientKey")._default_manager
        unended = Q(expires_at__isnull=True) | Q(expires_at__gt=at)
        works = keys.filter(unended, client=models.OuterRef("client")).exclude(state="ended")
        return self.listening().filter(models.Exists(works))

    def stopped(self) -> Self:
        """Keep those that failing has stopped, and nobody has looked at yet."""
        return self.filter(status__in=["failed", "gone"])

    def with_work(self, at: datetime) -> Self:
        """Keep those to which something can be sent now."""
        deliveries = apps.get_model("members", "WebhookDelivery")._default_manager
        due = deliveries.filter(endpoint=models.OuterRef("pk"), state="waiting", next_attempt_at__lte=at)
        rested = Q(rests_until__isnull=True) | Q(rests_until__lte=at)
        return self.reachable(at).filter(rested, models.Exists(due))


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    """The messages to client systems."""

    def waiting(self) -> Self:
        """Keep those that are still to be delivered."""
        return self.filter(state="waiting")


def _number(text: str) -> Q:
    return _exact("number", contacts.without_gaps(text)) & Q(scope="")


def _referral_code(text: str) -> Q:
    return _exact("referral_code", contacts.without_gaps(text).upper()) & Q(scope="")


def _exact(kind: str, key: str) -> Q:
    """Match a key as it is, or nothing when no key could be written so."""
    return Q(kind=kind, key=key) if contacts.is_storable(key) else Q(pk__in=[])


def _blind(kind: str, index: Callable[[str], str], text: str) -> Q:
    """Match the blind index of a text, or nothing when the text cannot be such a thing."""
    try:
        return Q(kind=kind, key=index(text), scope="")
    except DomainError:
        return Q(pk__in=[])


def _login(text: str) -> Q:
    return _number(text) | _blind("phone", contacts.phone_key, text) | _blind("email", contacts.email_key, text)
