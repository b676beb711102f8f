"""Every error of the API as a problem document (RFC 9457): a stable code, a sentence, the fields, the facts."""

import math
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.utils.translation import gettext_lazy as _
from django.views import defaults
from psycopg.errors import ReadOnlySqlTransaction
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from config.lib.errors import DomainError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
DATABASE_AWAY = _("The database does not answer. Send the request again in a moment; nothing was half done.")

TITLES: dict[int, Any] = {
    400: _("The request cannot be read."),
    401: _("Sign in first."),
    403: _("This is not allowed."),
    404: _("There is nothing here."),
    405: _("This method does not exist here."),
    406: _("This format is not offered."),
    409: _("This contradicts an earlier request."),
    411: _("The length of the body is missing."),
    413: _("The request is too large."),
    415: _("This content type is not understood."),
    422: _("A rule of the programme refuses this."),
    429: _("Too many requests."),
    500: _("Something went wrong on our side."),
    503: _("The service is not available at the moment."),
}
# What REST framework calls the same things.
CODES = {
    "not_authenticated": "not_authenticated",
    "authentication_failed": "authentication_failed",
    "permission_denied": "permission_denied",
    "parse_error": "malformed",
    "not_found": "not_found",
    "method_not_allowed": "method_not_allowed",
    "not_acceptable": "not_acceptable",
    "unsupported_media_type": "unsupported_media_type",
    "throttled": "throttled",
}
_FIELD_FIRST = re.compile(r"([a-z_]+)[:：]\s*(.+)", re.DOTALL)
logger = structlog.get_logger(__name__)


class BodyTooLarge(exceptions.APIException):
    """More was sent than the API reads in one request."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"
    default_detail = _("The body is larger than this service reads.")


def is_database_away(error: BaseException | None) -> bool:
    """Tell whether the database does not answer, is overloaded, or has just become a standby that only reads."""
    if isinstance(error, (OperationalError, InterfaceError)):
        return True
    return isinstance(error, InternalError) and isinstance(error.__cause__, ReadOnlySqlTransaction)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Turn whatever a view raised into a problem document; what nobody expected is logged and hardly told."""
    if isinstance(error, DomainError):
        return _refused(error)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, (SuspiciousOperation, UnreadablePostError)):
        error = BodyTooLarge() if isinstance(error, RequestDataTooBig) else exceptions.ParseError()
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error)
    if isinstance(error, exceptions.APIException):
        return _known(error)
    if is_database_away(error):
        logger.warning("api_database_away", error=type(error).__name__, reason=str(error)[:300])
        return _response(503, "temporarily_unavailable", DATABASE_AWAY, headers={"Retry-After": str(RETRY_SECONDS)})
    request = context.get("request")
    # Whoever listens logs it with its trace, as for any other view.
    got_request_exception.send(sender=None, request=getattr(request, "_request", request))
    return _response(500, "internal_error", _("The failure was logged. Sending the request again is safe."))


def problem(status_code: int, code: str, detail: Any, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of a problem document. A fact never hides a standard member."""
    standard: dict[str, Any] = {
        "type": "about:blank" if code in CODES.values() else f"urn:laurel:problem:{code}",
        "title": str(TITLES.get(status_code, TITLES[400 if status_code < 500 else 500])),
        "status": status_code,
        "detail": str(detail),
        "code": code,
    }
    return {**(facts or {}), **standard}


def _response(
    status_code: int,
    code: str,
    detail: Any,
    facts: Mapping[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    content = problem(status_code, code, detail, facts)
    return Response(content, status=status_code, headers=headers, content_type=MEDIA_TYPE)


def _refused(error: DomainError) -> Response:
    """A rule said no: its code, its facts, and the field it names at the head of its sentence."""
    detail = str(error)
    facts = dict(error.facts)
    if match := _FIELD_FIRST.fullmatch(detail):
        facts["errors"] = {match.group(1): [match.group(2)]}
    return _response(error.status, error.code, detail, facts)


def _invalid(error: exceptions.ValidationError) -> Response:
    errors = flatten(error.detail)
    detail = " ".join(f"{field}: {reasons[0]}" for field, reasons in list(errors.items())[:3])
    return _response(400, "invalid", detail, {"errors": errors})


def _known(error: exceptions.APIException) -> Response:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    own = str(getattr(error.detail, "code", error.default_code))
    return _response(error.status_code, CODES.get(own, own), error.detail, headers=headers)


def flatten(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Return errors by the path of their field, such as items.0.money."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            path = prefix if name == "non_field_errors" and prefix else f"{prefix}.{name}" if prefix else str(name)
            found |= flatten(inner, path)
        return found
    if isinstance(detail, list) and any(isinstance(inner, (Mapping, list)) for inner in detail):
        lists: dict[str, list[str]] = {}
        for index, inner in enumerate(detail):
            lists |= flatten(inner, f"{prefix}.{index}" if prefix else str(index)) if inner else {}
        return lists
    reasons = detail if isinstance(detail, list) else [detail]
    return {prefix or "non_field_errors": [str(reason) for reason in reasons]}


# Handlers for what goes wrong outside a view: unknown addresses, unreadable hosts, a failing middleware. Below /api/
# they answer with a problem document too, elsewhere with Django's pages.


def is_api(request: HttpRequest) -> bool:
    """Tell whether the address belongs to the API."""
    return request.path_info.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 400."""
    if not is_api(request):
        return defaults.bad_request(request, exception)
    return _plain(400, "malformed", _("The request cannot be read."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 403."""
    if not is_api(request):
        return defaults.permission_denied(request, exception)
    return _plain(403, "permission_denied", _("This is not allowed."))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 404; addresses of the API end with a slash."""
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    if request.path_info.endswith("/"):
        return _plain(404, "not_found", _("The API has no such address."))
    return _plain(404, "not_found", _("The API has no such address. Its addresses end with a slash."))


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer 500, or below the API 503 when it was the database that failed before a view was reached."""
    if not is_api(request):
        return defaults.server_error(request)
    if is_database_away(sys.exception()):
        answer = _plain(503, "temporarily_unavailable", DATABASE_AWAY)
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer
    return _plain(500, "internal_error", _("The failure was logged. Sending the request again is safe."))


def _plain(status_code: int, code: str, detail: Any) -> HttpResponse:
    content = problem(status_code, code, detail)
    return JsonResponse(content, status=status_code, content_type=MEDIA_TYPE, encoder=JSONEncoder)
