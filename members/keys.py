"""The keys of personal data: master keys from the settings, a data key per member, and the blind index."""

from functools import lru_cache

from django.conf import settings

from config.lib import crypto


@lru_cache(maxsize=8)
def _parsed(texts: tuple[str, ...]) -> crypto.KeyRing:
    return crypto.KeyRing.parse(texts)


def master_keys() -> crypto.KeyRing:
    """Return the ring of `LAUREL_PII_KEYS`; its first key is the one new data keys are wrapped with."""
    return _parsed(tuple(settings.LAUREL_PII_KEYS.split(",")))


def context(table: str, column: str, row: int) -> str:
    """Name the one place a ciphertext belongs to; it is authenticated with the value."""
    return f"{table}.{column}.{row}"


def new_data_key(table: str, row: int) -> tuple[bytes, bytes]:
    """Make a member's own key: (plain, wrapped). Losing the wrapped one forgets the person."""
    plain = crypto.new_key()
    return plain, master_keys().wrap(plain, context(table, "data_key", row))


def unwrap(wrapped: bytes, table: str, row: int) -> bytes:
    """Open the data key of one row."""
    return master_keys().unwrap(wrapped, context(table, "data_key", row))


def rewrap(wrapped: bytes, table: str, row: int) -> bytes:
    """Wrap the same data key under the current master key."""
    return master_keys().wrap(unwrap(wrapped, table, row), context(table, "data_key", row))


def seal_secret(secret: bytes, table: str, column: str, row: int) -> bytes:
    """Seal what is no member's but must not lie open either, such as the secret of a webhook endpoint."""
    return master_keys().wrap(secret, context(table, column, row))


def open_secret(sealed: bytes, table: str, column: str, row: int) -> bytes:
    """Open such a secret."""
    return master_keys().unwrap(sealed, context(table, column, row))


def current_prefix() -> bytes:
    """Return the first bytes of every data key wrapped under the current master key."""
    return crypto.wrapped_prefix(master_keys().current_id)


@lru_cache(maxsize=8)
def _index_key(text: str) -> bytes:
    return crypto.decode_key(text)


def blind(kind: str, normalised: str) -> str:
    """Return the blind index under which a phone number or e-mail address is looked up."""
    return crypto.blind_index(_index_key(settings.LAUREL_PII_INDEX_KEY), kind, normalised)


def content_digest(purpose: str, content: str) -> bytes:
    """Return the digest that tells same content from other content without giving the content away."""
    return crypto.keyed_digest(_index_key(settings.LAUREL_PII_INDEX_KEY), purpose, content)
