"""Signatures of the Standard Webhooks specification: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""

import base64
import binascii
import hmac
import secrets

PREFIX = "whsec_"
SECRET_BYTES = 32


class SecretUnreadable(ValueError):
    """A text is not a secret as the specification writes them."""


def new_secret() -> bytes:
    """Return a fresh random secret."""
    return secrets.token_bytes(SECRET_BYTES)


def write_secret(secret: bytes) -> str:
    """Write a secret the way it is given to the receiver."""
    return PREFIX + base64.b64encode(secret).decode("ascii")


def read_secret(text: str) -> bytes:
    """Read a secret as the receiver holds it."""
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretUnreadable("not whsec_ and base64") from error


def sign(secret: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one attempt to send a message; the timestamp is in seconds of the epoch."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")
