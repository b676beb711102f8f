"""Client systems: their keys are made, shown once, recognised and withdrawn here."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing
from members.models import RESERVED_SOURCES, Client, Scope

PREFIX = "lk_"
REMEMBERED_SECONDS = 15
_REMEMBERED_KEYS = 1_000
_remembered: dict[bytes, tuple[float, Client]] = {}


class ScopeUnknown(DomainError):
    code = "scope_unknown"
    message = _("scope: %(scope)s is not one of %(known)s.")


class ClientCodeUnusable(DomainError):
    code = "client_code_unusable"
    message = _("code: a client system needs a code of letters, digits and dashes that is neither reserved nor taken.")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A client and its full key, which can be shown this once and never again."""

    client: Client
    key: str


def create_client(
    *,
    name: str,
    scopes: Iterable[str],
    code: str = "",
    expires_at: datetime | None = None,
    actor: Actor,
    at: datetime,
) -> NewKey:
    """Make a client system with its key. `code` is the source of all it writes; without one it is made of the name."""
    code = code or slugify(name)
    scopes = _known_scopes(scopes)
    if not code or code != slugify(code) or len(code) > 50 or code in RESERVED_SOURCES:
        raise ClientCodeUnusable
    key_id, secret = _new_key()
    client = Client(name=name, code=code, scopes=scopes, expires_at=expires_at, created_at=at)
    client.key_id, client.secret_hash = key_id, _hash(secret)
    try:
        with transaction.atomic():
            client.save(force_insert=True)
            auditing.record(actor=actor, action="client.created", details={"client": code, "scopes": scopes}, at=at)
    except IntegrityError as error:
        raise ClientCodeUnusable from error
    return NewKey(client, f"{PREFIX}{key_id}.{secret}")


@transaction.atomic
def renew_key(*, client: Client, actor: Actor, at: datetime) -> NewKey:
    """Give a client a new key; the old one is refused within `REMEMBERED_SECONDS`."""
    key_id, secret = _new_key()
    client.key_id, client.secret_hash = key_id, _hash(secret)
    client.save(update_fields=["key_id", "secret_hash"])
    auditing.record(actor=actor, action="client.key_renewed", details={"client": client.code}, at=at)
    forget()
    return NewKey(client, f"{PREFIX}{key_id}.{secret}")


def authenticate(key: str, at: datetime) -> Client | None:
    """Return the client this key belongs to, or None. One query, and none while the process remembers the key.

    A key that was withdrawn is still let in for at most `REMEMBERED_SECONDS` by a process that has just seen it.
    """
    if not key.isascii():
        return None
    digest = hashlib.sha256(key.encode()).digest()
    client = _recall(digest) or _look_up(key, digest)
    if client is None or (client.expires_at and client.expires_at <= at):
        return None
    _note_use(client, at)
    return client


def forget() -> None:
    """Drop every remembered key of this process."""
    _remembered.clear()


def _known_scopes(scopes: Iterable[str]) -> list[str]:
    known = sorted(set(scopes))
    for scope in known:
        if scope not in Scope.values:
            raise ScopeUnknown(scope=scope, known=", ".join(Scope.values))
    return known


def _new_key() -> tuple[str, str]:
    return secrets.token_hex(6), secrets.token_urlsafe(32)


def _hash(secret: str) -> bytes:
    """Hash a secret of 256 random bits: nothing can be guessed, so a slow hash would only slow every request."""
    return hashlib.sha256(secret.encode()).digest()


def _recall(digest: bytes) -> Client | None:
    until, client = _remembered.get(digest, (0.0, None))
    return client if until > time.monotonic() else None


def _look_up(key: str, digest: bytes) -> Client | None:
    key_id, _dot, secret = key.removeprefix(PREFIX).partition(".")
    if not key.startswith(PREFIX) or not key_id.isalnum() or not secret:
        return None
    client = Client.objects.filter(key_id=key_id, is_active=True).first()
    if client is None or not hmac.compare_digest(bytes(client.secret_hash), _hash(secret)):
        return None
    if len(_remembered) >= _REMEMBERED_KEYS:
        forget()
    _remembered[digest] = (time.monotonic() + REMEMBERED_SECONDS, client)
    return client


def _note_use(client: Client, at: datetime) -> None:
    """Keep the day of the last use: one small write a day and client, not one a request."""
    today = timezone.localdate(at)
    if client.last_used_on is None or client.last_used_on < today:
        unseen = Q(last_used_on__isnull=True) | Q(last_used_on__lt=today)
        Client.objects.filter(unseen, pk=client.pk).update(last_used_on=today)
        client.last_used_on = today
