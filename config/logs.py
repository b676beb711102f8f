"""What may stand in the logs: who asked for what and when, never a secret and never personal data."""

import re

from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware
from structlog.typing import EventDict, WrappedLogger

HIDDEN = "…"
SECRET_NAMES = {
    *("authorization", "code", "cookie", "key", "password", "secret", "token"),
    *("address", "birthday", "email", "phone"),
}
# Who has a coupon's code can spend it, and who invited is nobody's business. Known by the word before the code:
# whoever misspells the rest of the address, and reaches no view, has sent it as well.
_CODE = re.compile(r"(/(?:coupons?|invited)/+)[^/?\n]+", re.IGNORECASE)


class RequestLog(RequestMiddleware):
    """One line as a request begins and one as it ends, joined by its id."""

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Return method and path without the query, which holds what people searched for."""
        return f"{request.method} {request.path}"


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide values whose name says that they are secret or personal."""
    for name in SECRET_NAMES & event.keys():
        if not isinstance(event[name], int):  # the number of an answer's status comes as `code` too
            event[name] = HIDDEN
    return event


def hide_codes(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide codes in every address, whoever logs it: the request's own lines, a refusal, a trace."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CODE.sub(rf"\1{HIDDEN}", value)
    return event
