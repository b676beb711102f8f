"""What may stand in the logs: who asked for what and when, never a secret and never personal data."""

from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django_structlog.middlewares import RequestMiddleware
from structlog.typing import EventDict, WrappedLogger

HIDDEN = "…"
SECRET_ARGUMENTS = ("code", "token", "key")  # of an address: who has a coupon's code can spend it
SECRET_NAMES = {
    *("authorization", "code", "cookie", "key", "password", "secret", "token"),
    *("address", "birthday", "email", "phone"),
}


class RequestLog(RequestMiddleware):
    """One line as a request begins and one as it ends, joined by its id."""

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Return method and path without the query, which holds what people searched for, and without codes."""
        path = request.path
        try:
            # By the time of the answer it is known, and need not be looked up again.
            arguments = (request.resolver_match or resolve(request.path_info)).kwargs
        except Resolver404:
            arguments = {}
        for name in SECRET_ARGUMENTS:
            if name in arguments:
                path = path.replace(str(arguments[name]), HIDDEN)
        return f"{request.method} {path}"


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide values whose name says that they are secret or personal."""
    for name in SECRET_NAMES & event.keys():
        if not isinstance(event[name], int):  # the number of an answer's status comes as `code` too
            event[name] = HIDDEN
    return event
