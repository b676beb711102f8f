"""The description of the API (OpenAPI 3.1): keys, problems, idempotency and languages, said once for every call."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from config.api_errors import DATABASE_AWAY, MEDIA_TYPE, TITLES, problem
from config.api_examples import CALLS, Call, refusals_of

_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457); for a refusal with its facts, such as needed and available.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {
            "type": "string",
            "description": "Stable: programs decide by it.",
            "examples": ["insufficient_points"],
        },
        "state": {
            "type": "string",
            "description": "Where the hold, order or coupon stands that this refusal is about: stable.",
            "examples": ["captured"],
        },
        "errors": {
            "type": "object",
            "description": "Reasons by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
    "additionalProperties": True,
}
_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "schema": {"type": "string", "enum": ["en", "zh-hans"]},
}
_READ = (400, 401, 403, 404, 406, 500, 503)
_WRITE = (*_READ, 409, 411, 413, 415, 422, 429)


class ScopedSchema(AutoSchema):
    """Says for each call which scope it needs, and whether a signed-in member may make it."""

    def get_description(self) -> str:  # type: ignore[override]
        scopes = " or ".join(f"`{scope}`" for scope in getattr(self.view, "scopes", {}).get(self.method.lower(), ()))
        described = super().get_description()
        return f"{described}\n\nScope: {scopes}" if scopes else str(described)

    def get_summary(self) -> str:
        return str(super().get_description()).partition("\n")[0].rstrip(".")

    def get_auth(self) -> list[dict[str, list[str]]]:
        ways: list[dict[str, list[str]]] = super().get_auth()
        for_members = self.method == "GET" and getattr(self.view, "open_to_members", False)
        return [way for way in ways if for_members or MemberSessionScheme.name not in way]


class ClientKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a client system shows its key."""

    target_class = "config.api_auth.ClientKeyAuthentication"
    name = "clientKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "lk_<id>.<secret>"}


class MemberSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a member's browser shows who is signed in."""

    target_class = "config.api_auth.MemberSessionAuthentication"
    name = "memberSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


def _introduction() -> str:
    """Say what all calls have in common, in the language of the reader."""
    paragraphs = [
        _("What a till, a shop or a core-banking system calls."),
        _(
            "**Keys.** Send `Authorization: Bearer lk_<id>.<secret>`. Each call names the scope it needs. What "
            "another system wrote is 404, like what does not exist. While a key is being replaced the old "
            "and the new one work side by side; a withdrawn key is refused within 15 seconds."
        ),
        _(
            "**Errors** are problem documents (RFC 9457, `application/problem+json`). Decide by `code`; each call "
            "shows those it can answer. `errors` gives reasons by field, and a refusal carries its facts. After 429 "
            "and 503 wait `Retry-After` seconds and send the same request again. 400 is a body that cannot be read as "
            "described; 422 is one that was read and is refused, of an event also for a text that is too long or a "
            "type that is not known."
        ),
        _(
            "**Idempotency.** Every write carries a `reference` of yours, 1 to 100 characters, unique for each kind "
            "of write, for ever. The same again gives the first answer with status 200 and "
            "`Idempotent-Replayed: true`; other content under a used reference is 409 "
            "`reference_conflict`. A refused write keeps no reference."
        ),
        _(
            '**Values.** Times are RFC 3339 with an offset. Money is `{"amount": "196.00", "currency": "CNY"}`. '
            "Points are whole numbers. An unknown field or parameter is refused; null for an optional field is the "
            "same as leaving it out. A body has a length; up to 1 MB, a list of events up to 20 MB."
        ),
        _("**Pages.** Follow `next` and `previous`; `page_size` up to 500."),
    ]
    return "\n\n".join(paragraphs)


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add to every call what all calls have in common: problems, languages, and what a repeated write answers."""
    result["info"]["description"] = _introduction()
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"] = {f"Problem{status}": _problem(status) for status in TITLES}
    for path in result.get("paths", {}).values():
        for method, operation in path.items():
            if isinstance(operation, dict) and "responses" in operation:
                _complete(operation, writes=method != "get")
    return result


def _complete(operation: dict[str, Any], *, writes: bool) -> None:
    responses = operation["responses"]
    if call := CALLS.get(operation["operationId"]):
        _illustrate(operation, call)
    for refused in _WRITE if writes else _READ:
        responses.setdefault(str(refused), {"$ref": f"#/components/responses/Problem{refused}"})
    language = {**_LANGUAGE, "description": _("The language of names, sentences and messages.")}
    operation.setdefault("parameters", []).append(language)
    if "201" in responses and "200" in responses:
        first, again = _("Done, for the first time."), _("The same was asked before: the first answer again.")
        for status, description in (("201", first), ("200", again)):
            responses[status]["description"] = responses[status].get("description") or description
        responses["200"]["headers"] = {
            "Idempotent-Replayed": {"schema": {"type": "string", "enum": ["true"]}, "required": False}
        }


def _illustrate(operation: dict[str, Any], call: Call) -> None:
    """Show a request, its answer, and each refusal of this call under its code."""
    if call.body is not None:
        for content in operation["requestBody"]["content"].values():
            content["examples"] = {"request": {"value": call.body}}
    for status in operation["responses"].keys() & {"200", "201"}:
        for content in operation["responses"][status]["content"].values():
            content["examples"] = {"answer": {"value": call.answer}}
    for refusal in refusals_of(operation["operationId"]):
        shown = operation["responses"].setdefault(str(refusal.status), _problem(refusal.status))
        value = problem(refusal.status, refusal.code, refusal.detail, refusal.facts)
        shown["content"][MEDIA_TYPE].setdefault("examples", {})[refusal.code] = {"value": value}


def _common(status: int) -> dict[str, Any]:
    """Return the codes any call may answer with under a status, each with its sentence."""
    title = TITLES[status]
    sentences: dict[int, dict[str, Any]] = {
        400: {
            "invalid": "points: " + _("This field is not known."),
            "malformed": _("The body is not JSON: line %(line)s, column %(column)s.") % {"line": 1, "column": 14},
            "not_utf8": _("The body is not UTF-8 (byte %(position)s).") % {"position": 9},
            "not_unicode": _("The body holds half a surrogate pair, which is no character."),
        },
        401: {"not_authenticated": title, "authentication_failed": _("The key is unknown, withdrawn or expired.")},
        403: {"permission_denied": _("This key lacks the scope %(scopes)s.") % {"scopes": "points:spend"}},
        404: {"not_found": title},
        406: {"not_acceptable": title},
        411: {"length_required": _("Say how long the body is: send Content-Length instead of chunks.")},
        413: {"body_too_large": _("The body is larger than this service reads.")},
        415: {"unsupported_media_type": title},
        429: {"throttled": title},
        500: {"internal_error": _("The failure was logged. Sending the request again is safe.")},
        503: {"temporarily_unavailable": DATABASE_AWAY},
    }
    return sentences.get(status, {})


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": str(TITLES[status]),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if common := _common(status):
        answer["content"][MEDIA_TYPE]["examples"] = {
            code: {"value": problem(status, code, detail)} for code, detail in common.items()
        }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer
