"""What a production installation must have set; `manage.py check --deploy` says what is missing."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

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


@register(Tags.security, deploy=True)
def check_webhooks(**kwargs: Any) -> list[CheckMessage]:
    """Keep what staff type from reaching services that listen on the server itself."""
    if not settings.LAUREL_WEBHOOKS_LOCAL:
        return []
    told = "LAUREL_WEBHOOKS_LOCAL lets webhooks go to http://127.0.0.1, where services listen that trust this machine."
    return [Error(told, hint="Leave it unset in production.", id="laurel.E002")]
