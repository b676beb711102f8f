"""What a production installation must have set; `manage.py check --deploy` says what is missing."""

import os
from typing import Any

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
