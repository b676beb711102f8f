"""What every view of the API shares: the clock, the caller, and answers to first and repeated writes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from members.api.callers import Caller, CallerMay
from members.api.fields import CONTROL
from members.models import Member

REPLAYED = "Idempotent-Replayed"


class Body(serializers.Serializer[Any]):
    """What a call sends. An unknown field is refused: a misspelt `money` must not become an event without money.

    Null for what may be left out is the same as leaving it out, unless `null_clears`.
    """

    null_clears: ClassVar[bool] = False

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        for field in fields.values():
            field.allow_null = field.allow_null or not (field.required or self.null_clears)
        return fields

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(str(name) for name in data if name not in self.fields) if isinstance(data, Mapping) else []
        problems: dict[str, Any] = {printable(name): [_("This field is not known.")] for name in unknown[:20]}
        validated = None
        try:
            validated = super().to_internal_value(data)
        except ValidationError as error:
            problems |= cast(dict[str, Any], error.detail)
        if problems:
            raise ValidationError(problems)
        return validated


class LengthRequired(APIException):
    """A body that does not say how long it is would be read as none at all."""

    status_code = 411
    default_code = "length_required"
    default_detail = _("Say how long the body is: send Content-Length instead of chunks.")


class ApiView(APIView):
    """A view of the API. `scopes` names for each method the scopes of which a client system needs one."""

    scopes: ClassVar[Mapping[str, tuple[str, ...]]]
    open_to_members: ClassVar[bool] = False
    #: Bytes of a body; a call that takes lists says more.
    largest_body: ClassVar[int] = 2**20
    #: What may stand behind the question mark when reading, beside filters and pages; nothing may when writing.
    queries: ClassVar[tuple[str, ...]] = ()
    filterset_class: ClassVar[Any] = None
    pagination_class: ClassVar[Any] = None
    permission_classes = [CallerMay]
    http_method_names = ["get", "head", "post", "patch"]
    at: datetime

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view: Any = super().as_view(**initkwargs)
        # A redirect to the address with the slash would lose the body of a POST.
        view.should_append_slash = False
        return view

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.at = timezone.now()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        self._refuse_unknown_queries(request)
        _refuse_control_characters(request)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")  # what a member has is nobody's to keep on the way
        return response

    @property
    def caller(self) -> Caller:
        caller: Any = self.request.user
        return cast(Caller, caller)

    def read(self, body: type[Body]) -> dict[str, Any]:
        """Return the body of the request, or refuse it field by field."""
        serializer = body(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        validated: dict[str, Any] = serializer.validated_data
        return {name: value for name, value in validated.items() if value is not None or body.null_clears}

    def get_member(self, number: str) -> Member:
        """Return the member with this card number, or 404: also when it is not the caller's own."""
        member = Member.objects.select_related("tier").by_number(number).first()
        if member is None or (self.caller.member and self.caller.member != member):
            raise Http404
        return member

    def _refuse_unknown_queries(self, request: Request) -> None:
        """A misspelt filter must not become a list of everybody, nor what was meant as a preview a write."""
        known: set[str] = set()
        if request.method in ("GET", "HEAD"):
            known = {*self.queries, *(self.filterset_class.base_filters if self.filterset_class else ())}
            known |= {"cursor", "page_size"} if self.pagination_class else set()
        unknown = sorted(request.query_params.keys() - known)
        if unknown:
            raise ValidationError({printable(name): [_("This parameter is not known.")] for name in unknown[:20]})


def _refuse_control_characters(request: Request) -> None:
    """No parameter needs them, and the database takes no text with a NUL."""
    wrong = [name for name, values in request.query_params.lists() if any(map(CONTROL.search, values))]
    if wrong:
        raise ValidationError({printable(name): [_("Control characters are not allowed.")] for name in wrong[:20]})


def first_or_again(content: Any, *, replayed: bool) -> Response:
    """Answer a write: 201 the first time, and 200 with a header when the same was asked before."""
    if replayed:
        return Response(content, status=200, headers={REPLAYED: "true"})
    return Response(content, status=201)


def moment(value: datetime | None) -> str | None:
    """Write a moment the way the API does: RFC 3339 with the programme's offset."""
    return None if value is None else timezone.localtime(value).isoformat()


def printable(text: str) -> str:
    """Return what a caller sent in a form that can always be sent back: short and without broken characters."""
    return text[:100].encode("utf-8", "replace").decode()
