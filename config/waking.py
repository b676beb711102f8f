"""After a request that may have written something, whoever is to be told of it is told soon and not by the minute."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from members.actions import webhooks

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def wake_webhooks(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Wake the webhooks after each write that was answered well, whichever door it came by."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method not in _READING and response.status_code < 400:
            webhooks.wake()
        return response

    return middleware
