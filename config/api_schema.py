"""The description of the API (OpenAPI 3.1): keys, problems, idempotency and languages, said once for every call."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from config.api_errors import MEDIA_TYPE, TITLES

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
    "description": "The language of names, sentences and messages.",
}
_INTRODUCTION = """\
What a till, a shop or a core-banking system calls.

**Keys.** Send `Authorization: Bearer lk_<id>.<secret>`. Each call names the scope it needs. What another system wrote
is 404, like what does not exist.

**Errors** are problem documents (RFC 9457, `application/problem+json`). Decide by `code`; `errors` gives reasons by
field, and a refusal carries its facts. After 429 and 503 wait `Retry-After` seconds and send the same request again.

**Idempotency.** Every write carries a `reference` of yours, 1 to 100 characters, unique for each kind of write, for
ever. The same again gives the first answer with status 200 and `Idempotent-Replayed: true`; other content under a used
reference is 409 `reference_conflict`. A refused write keeps no reference.

**Values.** Times are RFC 3339 with an offset. Money is `{"amount": "196.00", "currency": "CNY"}`. Points are whole
numbers. An unknown field is refused; null for an optional one is the same as leaving it out.

**Pages.** Follow `next` and `previous`; `page_size` up to 500.
"""
_FIRST = "Done, for the first time."
_AGAIN = "The same was asked before: the first answer again."
_READ = (400, 401, 403, 404, 406, 500, 503)
_WRITE = (*_READ, 409, 413, 415, 422, 429)


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


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add to every call what all calls have in common: problems, languages, and what a repeated write answers."""
    result["info"]["description"] = _INTRODUCTION
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
    for refused in _WRITE if writes else _READ:
        responses.setdefault(str(refused), {"$ref": f"#/components/responses/Problem{refused}"})
    operation.setdefault("parameters", []).append(_LANGUAGE)
    if "201" in responses and "200" in responses:
        for status, description in (("201", _FIRST), ("200", _AGAIN)):
            responses[status]["description"] = responses[status].get("description") or description
        responses["200"]["headers"] = {
            "Idempotent-Replayed": {"schema": {"type": "string", "enum": ["true"]}, "required": False}
        }


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": str(TITLES[status]),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer
