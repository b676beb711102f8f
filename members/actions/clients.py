"""Client systems: their keys are made, shown once, recognised, replaced and withdrawn here."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing, profiles
from members.models import RESERVED_SOURCES, Client, ClientKey, KeyState, Scope

PREFIX = "lk_"
REMEMBERED_SECONDS = 15
LONGEST_GRACE = timedelta(days=90)
_REMEMBERED_KEYS = 1_000
_NAME_LIMIT = 100
_REASON_LIMIT = 500
_remembered: dict[bytes, tuple[float, ClientKey]] = {}


class ScopeUnknown(DomainError):
    code = "scope_unknown"
    message = _("scope: %(scope)s is not one of %(known)s.")


class ClientCodeUnusable(DomainError):
    code = "client_code_unusable"
    message = _("code: a client system needs a code of letters, digits and dashes that is neither reserved nor taken.")


class KeyEndsInThePast(DomainError):
    code = "key_ends_in_the_past"
    message = _("expires_at: the key would have ended before it is made.")


class GraceNegative(DomainError):
    code = "grace_negative"
    message = _("grace: the old key cannot have ended before now; 0 ends it at once.")


class GraceTooLong(DomainError):
    code = "grace_too_long"
    message = _("grace: the old key can go on working for at most %(days)s days.")


class TwoKeysWork(DomainError):
    code = "two_keys_work"
    message = _("grace: two keys work already. Withdraw the older one first, or let the present one end at once.")


class KeyHasEnded(DomainError):
    code = "key_has_ended"
    message = _("This key was withdrawn or replaced before.")


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
    """Make a client system with its key. `code` is the source of all it writes; without one it is made of the name.

    Raises TextUnusable, ClientCodeUnusable, ScopeUnknown and KeyEndsInThePast.
    """
    name = profiles.clean_text("name", name, limit=_NAME_LIMIT)
    code = code or slugify(name)
    scopes = _known_scopes(scopes)
    if not code or code != slugify(code) or len(code) > 50 or code in RESERVED_SOURCES:
        raise ClientCodeUnusable
    _refuse_past(expires_at, at)
    client = Client(name=name, code=code, scopes=scopes, created_at=at)
    try:
        with transaction.atomic():
            client.save(force_insert=True)
            made = _make_key(client, expires_at, at)
            auditing.record(actor=actor, action="client.created", details={"client": code, "scopes": scopes}, at=at)
    except IntegrityError as error:
        raise ClientCodeUnusable from error
    return made


@transaction.atomic
def rotate_key(
    *,
    client: Client,
    grace: timedelta = timedelta(0),
    expires_at: datetime | None = None,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> NewKey:
    """Give a client a new key. The present one goes on working for `grace`, though never beyond its own end.

    Without grace the old one is refused within `REMEMBERED_SECONDS`. Raises GraceNegative, GraceTooLong, TextUnusable,
    KeyEndsInThePast and, when an older key is still being replaced, TwoKeysWork.
    """
    reason = profiles.clean_text("reason", reason, limit=_REASON_LIMIT, lines=True)
    if grace < timedelta(0):
        raise GraceNegative
    if grace > LONGEST_GRACE:
        raise GraceTooLong(days=LONGEST_GRACE.days)
    _refuse_past(expires_at, at)
    _lock(client)
    _make_room(client, grace, at)
    made = _make_key(client, expires_at, at)
    details = {"client": client.code, "grace_hours": grace.total_seconds() / 3600}
    auditing.record(actor=actor, action="client.key_renewed", reason=reason, details=details, at=at)
    forget()
    return made


@transaction.atomic
def withdraw_key(*, key: ClientKey, reason: str, actor: Actor, at: datetime) -> None:
    """End a key now: every process refuses it within `REMEMBERED_SECONDS`. Raises KeyHasEnded."""
    _lock(key.client)
    if not _end(key, at):
        raise KeyHasEnded
    details = {"client": key.client.code, "key_id": key.key_id}
    auditing.record(actor=actor, action="client.key_withdrawn", reason=reason, details=details, at=at)
    forget()


def authenticate(key: str, at: datetime) -> Client | None:
    """Return the client this key belongs to, or None. One query, and none while the process remembers the key.

    A key that was withdrawn is still let in for at most `REMEMBERED_SECONDS` by a process that has just seen it.
    """
    if not key.isascii():
        return None
    digest = hashlib.sha256(key.encode()).digest()
    known = _recall(digest) or _look_up(key, digest)
    if known is None or not known.works(at):
        return None
    _note_use(known, at)
    return known.client


def forget() -> None:
    """Drop every remembered key of this process."""
    _remembered.clear()


def _known_scopes(scopes: Iterable[str]) -> list[str]:
    known = sorted(set(scopes))
    for scope in known:
        if scope not in Scope.values:
            raise ScopeUnknown(scope=scope, known=", ".join(Scope.values))
    return known


def _refuse_past(expires_at: datetime | None, at: datetime) -> None:
    if expires_at and expires_at <= at:
        raise KeyEndsInThePast


def _lock(client: Client) -> None:
    """Let one person at a time change the keys of a system."""
    Client.objects.select_for_update().get(pk=client.pk)


def _make_room(client: Client, grace: timedelta, at: datetime) -> None:
    """Put the present key on its way out, so that there is none in use."""
    live = {key.state: key for key in client.keys.exclude(state=KeyState.ENDED)}
    present, older = live.get(KeyState.CURRENT), live.get(KeyState.RETIRING)
    if older and not older.works(at):
        _end(older, older.expires_at or at)
        older = None
    if present is None:
        return
    if not grace or not present.works(at):
        _end(present, at)
        return
    if older:
        raise TwoKeysWork
    end = min(present.expires_at or at + grace, at + grace)
    client.keys.filter(pk=present.pk).update(state=KeyState.RETIRING, expires_at=end)


def _end(key: ClientKey, at: datetime) -> bool:
    """End a key; False if it had ended before."""
    live = ClientKey.objects.filter(pk=key.pk).exclude(state=KeyState.ENDED)
    return live.update(state=KeyState.ENDED, ended_at=at) == 1


def _make_key(client: Client, expires_at: datetime | None, at: datetime) -> NewKey:
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    client.keys.create(key_id=key_id, secret_hash=_hash(secret), expires_at=expires_at, created_at=at)
    return NewKey(client, f"{PREFIX}{key_id}.{secret}")


def _hash(secret: str) -> bytes:
    """Hash a secret of 256 random bits: nothing can be guessed, so a slow hash would only slow every request."""
    return hashlib.sha256(secret.encode()).digest()


def _recall(digest: bytes) -> ClientKey | None:
    until, key = _remembered.get(digest, (0.0, None))
    return key if until > time.monotonic() else None


def _look_up(key: str, digest: bytes) -> ClientKey | None:
    key_id, _dot, secret = key.removeprefix(PREFIX).partition(".")
    if not key.startswith(PREFIX) or not key_id.isalnum() or not secret:
        return None
    live = ClientKey.objects.exclude(state=KeyState.ENDED).select_related("client")
    found = live.filter(key_id=key_id, client__is_active=True).first()
    if found is None or not hmac.compare_digest(bytes(found.secret_hash), _hash(secret)):
        return None
    if len(_remembered) >= _REMEMBERED_KEYS:
        forget()
    _remembered[digest] = (time.monotonic() + REMEMBERED_SECONDS, found)
    return found


def _note_use(key: ClientKey, at: datetime) -> None:
    """Keep the day of the last use: one small write a day and key, not one a request."""
    today = timezone.localdate(at)
    if key.last_used_on is None or key.last_used_on < today:
        unseen = Q(last_used_on__isnull=True) | Q(last_used_on__lt=today)
        ClientKey.objects.filter(unseen, pk=key.pk).update(last_used_on=today)
        key.last_used_on = today
