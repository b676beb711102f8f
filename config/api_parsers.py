"""Reading request bodies: UTF-8 JSON as the standard has it, of a size that fits, or a reason why not."""

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from config.api_errors import BodyTooLarge

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJSONParser(BaseParser):
    """JSON without NaN, without bytes of another encoding and without characters that no text can hold.

    Not a subclass of the framework's own, which gets every body read whole before it is asked.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = _read(stream, parser_context or {})
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ParseError(
                _("The body is not UTF-8 (byte %(position)s).") % {"position": error.start}, code="not_utf8"
            ) from error
        try:
            content = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise ParseError(
                _("The body is not JSON: line %(line)s, column %(column)s.")
                % {"line": error.lineno, "column": error.colno}
            ) from error
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body holds a number or a nesting that cannot be read.")) from error
        if _SURROGATE.search(text) and not _is_unicode(content):
            raise ParseError(_("The body holds half a surrogate pair, which is no character."), code="not_unicode")
        return content


def _read(stream: IO[Any], context: Mapping[str, Any]) -> bytes:
    """Read a body that fits its call; one that says it is longer is refused before any of it is read."""
    limit = min(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, getattr(context.get("view"), "largest_body", 2**63))
    told = str(context["request"].META.get("CONTENT_LENGTH") or "") if "request" in context else ""
    if told.isdigit() and int(told) > limit:
        raise BodyTooLarge
    raw: bytes = stream.read(limit + 1)
    if len(raw) > limit:
        raise BodyTooLarge
    return raw


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, whose names are unique: of points 5 and points 500 nobody knows which was meant."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in content if names.count(name) > 1)[:100].encode("utf-8", "replace").decode()
        raise ParseError(_("The body names %(name)s twice in one object.") % {"name": twice})
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _is_unicode(content: Any) -> bool:
    """Tell whether every text can be written as UTF-8; walks without recursion, for the nesting is the caller's."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
        elif isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return True
