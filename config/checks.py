"""What an installation must have set, and set right: `manage.py check`; with `--deploy` also what production must."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from config.lib import money

SECRETS = ("SECRET_KEY", "LAUREL_PII_KEYS", "LAUREL_PII_INDEX_KEY")


@register(Tags.security, deploy=True)
def check_secrets(**kwargs: Any) -> list[CheckMessage]:
    """Ask for every secret in the environment: files one machine made for itself are not there on the next."""
    return [
        Error(
            f"{name} is not set, so this machine made one for itself in its data folder.",
            hint="Set it in the environment, the same on every machine; a lost key means lost personal data.",
            id="laurel.E001",
        )
        for name in SECRETS
        if not os.environ.get(name)
    ]


@register(Tags.models)
def check_currency(**kwargs: Any) -> list[CheckMessage]:
    """Refuse a currency that no amount could be written in."""
    try:
        money.exponent_of(settings.LAUREL_CURRENCY)
    except money.UnknownCurrency as refusal:
        told = f"LAUREL_CURRENCY: {refusal}"
        return [Error(told, hint="Three capital letters of ISO 4217, such as CNY.", id="laurel.E003")]
    return []


@register(Tags.security, deploy=True)
def check_webhooks(**kwargs: Any) -> list[CheckMessage]:
    """Keep what staff type from reaching services that listen on the server itself."""
    if not settings.LAUREL_WEBHOOKS_LOCAL:
        return []
    told = "LAUREL_WEBHOOKS_LOCAL lets webhooks go to http://127.0.0.1, where services listen that trust this machine."
    return [Error(told, hint="Leave it unset in production.", id="laurel.E002")]
