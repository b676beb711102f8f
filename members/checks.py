"""What must be set before personal data can be kept, told at start-up instead of at the first member."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from config.lib import crypto


@register()
def check_pii_keys(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every master key must be readable, and none may be the key of the blind indexes."""
    try:
        ring = crypto.KeyRing.parse(filter(None, getattr(settings, "LAUREL_PII_KEYS", "").split(",")))
    except crypto.KeyProblem as problem:
        hint = "Set LAUREL_PII_KEYS to id:base64, the current key first; a key is 32 random bytes."
        return [Error(f"LAUREL_PII_KEYS: {problem}", hint=hint, id="members.E001")]
    try:
        index_key = crypto.decode_key(getattr(settings, "LAUREL_PII_INDEX_KEY", ""))
    except crypto.KeyProblem as problem:
        hint = "Set LAUREL_PII_INDEX_KEY to 32 random bytes as base64, and never change it."
        return [Error(f"LAUREL_PII_INDEX_KEY: {problem}", hint=hint, id="members.E002")]
    if index_key in ring.keys.values():
        hint = "Make a second key: one that indexes must not be one that opens."
        return [Error("LAUREL_PII_INDEX_KEY is also one of LAUREL_PII_KEYS", hint=hint, id="members.E003")]
    return []
