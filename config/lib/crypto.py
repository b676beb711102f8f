"""Authenticated encryption with named keys, and blind indexes. Knows bytes and keys, never tables or settings."""

import base64
import binascii
import hmac
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEAL_FORMAT = b"\x01"
_WRAP_FORMAT = b"\x02"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")


class KeyProblem(ValueError):
    """A key setting cannot be used; the sentence names which and why, never the key itself."""


class DecryptionError(Exception):
    """A sealed value was changed, moved to another row or column, or its key is not here."""


def new_key() -> bytes:
    """Return a fresh random 256-bit key."""
    return os.urandom(KEY_BYTES)


def decode_key(text: str) -> bytes:
    """Read a 256-bit key written as base64."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyProblem("not valid base64") from error
    if len(key) != KEY_BYTES:
        raise KeyProblem(f"{len(key)} bytes long where {KEY_BYTES} are needed")
    return key


def encode_key(key: bytes) -> str:
    """Write a key the way the settings hold it."""
    return base64.b64encode(key).decode("ascii")


def seal(key: bytes, plain: bytes, context: str) -> bytes:
    """Encrypt so that the value opens only with this key and in this context (table, column, row)."""
    nonce = os.urandom(_NONCE_BYTES)
    return _SEAL_FORMAT + nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unseal(key: bytes, sealed: bytes, context: str) -> bytes:
    """Decrypt, or raise `DecryptionError`; what cannot be opened is never returned as it is."""
    if sealed[:1] != _SEAL_FORMAT or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
        raise DecryptionError(f"{context}: not a sealed value")
    nonce = sealed[1 : 1 + _NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, sealed[1 + _NONCE_BYTES :], context.encode())
    except InvalidTag as error:
        raise DecryptionError(f"{context}: the value was changed or belongs elsewhere") from error


@dataclass(frozen=True)
class KeyRing:
    """Master keys by id. The first seals, every one opens, so a key can be retired row by row."""

    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "KeyRing":
        """Read `id:base64` texts, the current key first; refuse unreadable or repeated ones by position."""
        keys: dict[str, bytes] = {}
        for position, text in enumerate(texts, start=1):
            key_id, separator, encoded = text.partition(":")
            if not separator or not _KEY_ID.fullmatch(key_id):
                raise KeyProblem(f"key {position}: expected id:base64, the id 1 to 16 letters, digits, _ or -")
            if key_id in keys:
                raise KeyProblem(f"key {position}: the id {key_id} is used twice")
            try:
                keys[key_id] = decode_key(encoded)
            except KeyProblem as problem:
                raise KeyProblem(f"key {position} ({key_id}): {problem}") from problem
        if not keys:
            raise KeyProblem("no key is set")
        return cls(keys)

    @property
    def current_id(self) -> str:
        return next(iter(self.keys))

    def wrap(self, data_key: bytes, context: str) -> bytes:
        """Seal a data key under the current master key, whose id goes in front."""
        key_id = self.current_id
        sealed = seal(self.keys[key_id], data_key, f"{context}|{key_id}")
        return wrapped_prefix(key_id) + sealed

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Open a data key with the master key it names."""
        key_id, sealed = _split_wrapped(wrapped, context)
        if key_id not in self.keys:
            raise DecryptionError(f"{context}: the master key {key_id} is not in the settings")
        return unseal(self.keys[key_id], sealed, f"{context}|{key_id}")


def wrapped_prefix(key_id: str) -> bytes:
    """Return the bytes every data key wrapped by this master key starts with; rotation selects by it."""
    return _WRAP_FORMAT + bytes([len(key_id)]) + key_id.encode("ascii")


def _split_wrapped(wrapped: bytes, context: str) -> tuple[str, bytes]:
    length = wrapped[1] if len(wrapped) > 1 else 0
    if wrapped[:1] != _WRAP_FORMAT or not length or len(wrapped) < 2 + length:
        raise DecryptionError(f"{context}: not a wrapped key")
    return wrapped[2 : 2 + length].decode("ascii", "replace"), wrapped[2 + length :]


def keyed_digest(key: bytes, purpose: str, text: str) -> bytes:
    """Return an HMAC-SHA256 of the text, different for every purpose and useless without the key."""
    return hmac.digest(key, f"{purpose}\x00{text}".encode(), "sha256")


def blind_index(key: bytes, purpose: str, text: str) -> str:
    """Return a keyed digest as text, by which an exact value is looked up but cannot be guessed without the key."""
    return base64.urlsafe_b64encode(keyed_digest(key, purpose, text)).rstrip(b"=").decode("ascii")
