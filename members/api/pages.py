"""Pages by key: the next one starts where the last one ended, however many rows came or share a date meanwhile."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, ClassVar

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

PAGE_SIZE = 50
LARGEST_PAGE = 500
_LARGEST_ID = 2**63 - 1


class KeyPages(BasePagination):
    """Cuts a queryset into pages along `keys`, columns that together are unique and all run the same way.

    A cursor is the key of the row a page starts behind; `b` before it means that the page lies before that row.
    """

    keys: ClassVar[Mapping[str, type]] = {"id": int}
    descending: ClassVar[bool] = False

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.address = request.build_absolute_uri()
        size = page_size(request)
        backwards, key = self._read(request.query_params.get("cursor", ""))
        if key:
            queryset = queryset.filter(self._beyond(key, backwards))
        # One row more than asked for tells whether there is another page.
        found = list(queryset.order_by(*self._ordering(backwards))[: size + 1])
        more, rows = len(found) > size, found[:size]
        if backwards:
            rows.reverse()
        self.has_next, self.has_previous = (bool(key), more) if backwards else (more, bool(key))
        self.rows = rows
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self._link(forward=True), "previous": self._link(forward=False), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": str(_("Taken from `next` or `previous`; not made by hand.")),
            },
            {
                "name": "page_size",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE_SIZE},
                "description": str(_("Rows on a page.")),
            },
        ]

    def _ordering(self, backwards: bool) -> list[str]:
        sign = "-" if self.descending is not backwards else ""
        return [sign + name for name in self.keys]

    def _beyond(self, key: Sequence[Any], backwards: bool) -> Q:
        """Match the rows behind (or before) a key: beyond it in a column, and equal in those before that."""
        comparison = "lt" if self.descending is not backwards else "gt"
        found, equal = Q(), Q()
        for name, value in zip(self.keys, key, strict=True):
            found |= equal & Q(**{f"{name}__{comparison}": value})
            equal &= Q(**{name: value})
        return found

    def _link(self, *, forward: bool) -> str | None:
        if not self.rows or not (self.has_next if forward else self.has_previous):
            return None
        row = self.rows[-1 if forward else 0]
        key = [getattr(row, name) for name in self.keys]
        return replace_query_param(self.address, "cursor", write_cursor(*key, backwards=not forward))

    def _read(self, cursor: str) -> tuple[bool, list[Any]]:
        backwards, key = read_cursor(cursor)
        if key and [type(word) for word in key] != list(self.keys.values()):
            raise _unreadable()
        return backwards, key


class NumberedPages(KeyPages):
    """Pages along one number, the largest first."""

    descending = True


def page_size(request: Request) -> int:
    """Return how many rows the caller wants: 1 to 500."""
    text = request.query_params.get("page_size", "")
    if not text:
        return PAGE_SIZE
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= size <= LARGEST_PAGE:
        raise ValidationError({"page_size": [_("Expected a number from 1 to 500.")]})
    return size


def page_of_list(rows: Sequence[Any], request: Request) -> tuple[list[Any], dict[str, Any]]:
    """Cut what is a list already, by position; return the page and the envelope its rendered rows go into."""
    size, (backwards, key) = page_size(request), read_cursor(request.query_params.get("cursor", ""))
    if key and type(key[0]) is not int:
        raise _unreadable()
    place = min(key[0], len(rows)) if key else 0
    start, end = (max(0, place - size), place) if backwards else (place, place + size)
    address = remove_query_param(request.build_absolute_uri(), "cursor")
    following = replace_query_param(address, "cursor", write_cursor(end)) if end < len(rows) else None
    preceding = replace_query_param(address, "cursor", write_cursor(start, backwards=True)) if start else None
    return list(rows[start:end]), {"next": following, "previous": preceding, "results": []}


def write_cursor(*key: Any, backwards: bool = False) -> str:
    """Write a key as text nobody is tempted to make by hand."""
    words = [value.isoformat() if isinstance(value, date) else value for value in key]
    text = json.dumps([*(["b"] if backwards else []), *words], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[bool, list[Any]]:
    """Read a cursor back; whatever was not written here is refused."""
    if not cursor:
        return False, []
    try:
        words = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(words, list) or len(words) > 5:
            raise ValueError(cursor)
        backwards = words[:1] == ["b"]
        key = [_read_word(word) for word in words[1 if backwards else 0 :]]
        if not key:
            raise ValueError(cursor)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise _unreadable() from error
    return backwards, key


def _read_word(word: Any) -> Any:
    if type(word) is int and 0 <= word <= _LARGEST_ID:
        return word
    if len(word) == 10:
        return date.fromisoformat(word)
    moment = datetime.fromisoformat(word)
    if moment.tzinfo is None:
        raise ValueError(word)
    return moment.astimezone(UTC)  # PostgreSQL knows no offset of 16 hours or more


def _unreadable() -> ValidationError:
    return ValidationError({"cursor": [_("This is not a cursor of this list.")]})
