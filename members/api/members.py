"""Members over the API: enrolled, found, read and changed."""

from datetime import date
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import CharFilter, ChoiceFilter, DjangoFilterBackend, FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from members.actions import auditing, enrolling, updating
from members.actions.profiles import Profile
from members.api.base import ApiView, Body, first_or_again, moment
from members.api.fields import AttributesField, DayField, MomentField, ReferenceField, TextField
from members.api.pages import KeyPages
from members.models import Member, MemberStatus, Scope
from members.querysets import MemberQuerySet


class MemberAnswer(serializers.Serializer[Any]):
    """A member as client systems see him."""

    number = serializers.CharField()
    status = serializers.ChoiceField(MemberStatus.choices)
    tier = serializers.CharField(help_text=_("The code of the tier."))
    name = serializers.CharField(allow_blank=True)
    phone = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_blank=True)
    birthday = serializers.DateField(allow_null=True)
    language = serializers.CharField()
    referral_code = serializers.CharField()
    joined_at = MomentField()
    attributes = AttributesField()


class EnrolmentBody(Body):
    """Somebody to take into the programme."""

    reference = ReferenceField()
    name = TextField(max_length=150)
    phone = TextField(max_length=40, required=False, allow_blank=True)
    email = TextField(max_length=254, required=False, allow_blank=True)
    birthday = DayField(required=False)
    language = TextField(max_length=10, required=False, allow_blank=True)
    tier = TextField(max_length=32, required=False, allow_blank=True)
    referral_code = TextField(max_length=20, required=False, allow_blank=True)
    attributes = AttributesField(
        required=False,
        help_text=_(
            "A JSON object of your own. “device”, the device somebody joins from, helps to tell friends from the same "
            "person."
        ),
    )


class ProfileBody(Body):
    """The parts of a profile to change; what is left out stays. Null or an empty text takes a part away."""

    null_clears = True
    reference = ReferenceField(required=False, help_text=_("Not kept: the same change twice is one change."))
    name = TextField(max_length=150, required=False)
    phone = TextField(max_length=40, required=False, allow_blank=True, allow_null=True)
    email = TextField(max_length=254, required=False, allow_blank=True, allow_null=True)
    birthday = DayField(required=False, allow_null=True)
    language = TextField(max_length=10, required=False)
    attributes = AttributesField(
        required=False, help_text=_("In place of all there were. “device” alone stays as it was told first.")
    )


class MemberFilter(FilterSet):  # type: ignore[misc]
    """Exact look-ups; phone and e-mail go through the blind index."""

    number = CharFilter(method="by_number", max_length=40)
    phone = CharFilter(method="by_phone", max_length=40)
    email = CharFilter(method="by_email", max_length=254)
    tier = CharFilter("tier__code", max_length=32)
    status = ChoiceFilter(choices=MemberStatus.choices)

    def by_number(self, members: MemberQuerySet, name: str, value: str) -> MemberQuerySet:
        return members.by_number(value)

    def by_phone(self, members: MemberQuerySet, name: str, value: str) -> MemberQuerySet:
        return members.by_phone(value)

    def by_email(self, members: MemberQuerySet, name: str, value: str) -> MemberQuerySet:
        return members.by_email(value)


class MembersView(ApiView):
    """Enrol somebody, or look somebody up."""

    scopes: ClassVar = {"get": (Scope.MEMBERS_READ,), "post": (Scope.MEMBERS_WRITE,)}
    filter_backends = [DjangoFilterBackend]
    filterset_class = MemberFilter
    pagination_class = KeyPages
    queryset = Member.objects.all()

    @extend_schema(operation_id="find_members", responses=MemberAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Find members by card number, phone, e-mail, tier or status, each exactly."""
        found = DjangoFilterBackend().filter_queryset(request, Member.objects.select_related("tier"), self)
        pages = KeyPages()
        members = pages.paginate_queryset(found, request, self)
        self._note_reading(members, sorted(MemberFilter.base_filters.keys() & request.query_params.keys()))
        return pages.get_paginated_response([show_member(member) for member in members])

    @extend_schema(
        operation_id="enrol_member", request=EnrolmentBody, responses={200: MemberAnswer, 201: MemberAnswer}
    )
    def post(self, request: Request) -> Response:
        """Take a person into the programme; the same reference with the same content gives the same member again."""
        body = self.read(EnrolmentBody)
        text: dict[str, Any] = {
            name: body.get(name) or "" for name in ("phone", "email", "language", "tier", "referral_code")
        }
        enrolled = enrolling.enrol(
            reference=body["reference"],
            name=body["name"],
            **text,
            birthday=body.get("birthday"),
            attributes=body.get("attributes"),
            source=self.caller.source,
            actor=self.caller.actor,
            at=self.at,
        )
        return first_or_again(show_member(enrolled.member), replayed=enrolled.replayed)

    def _note_reading(self, members: list[Member], by: list[str]) -> None:
        """Leave in the audit trail that personal data was read: whose if it is one member's, how many otherwise."""
        if members:
            auditing.record(
                actor=self.caller.actor,
                action="members.read",
                subject=members[0] if len(members) == 1 else None,
                details={"by": by, "members": len(members)},
                at=self.at,
            )


class MemberView(ApiView):
    """One member, read or changed."""

    scopes: ClassVar = {"get": (Scope.MEMBERS_READ,), "patch": (Scope.MEMBERS_WRITE,)}
    open_to_members = True

    @extend_schema(operation_id="get_member", responses=MemberAnswer)
    def get(self, request: Request, number: str) -> Response:
        """Read one member."""
        member = self.get_member(number)
        if self.caller.client:
            auditing.record(actor=self.caller.actor, action="member.read", subject=member, at=self.at)
        return Response(show_member(member))

    @extend_schema(operation_id="change_member", request=ProfileBody, responses=MemberAnswer)
    def patch(self, request: Request, number: str) -> Response:
        """Change the given parts of a profile. Repeating it changes nothing more, so it needs no reference."""
        member = self.get_member(number)
        body, changes = self.read(ProfileBody), Profile()
        body.pop("reference", None)
        for name, value in body.items():
            changes[name] = value if name in ("birthday", "attributes") else value or ""  # type: ignore[literal-required]
        if not changes:
            raise ValidationError({"non_field_errors": [_("Name at least one part to change.")]})
        changed = updating.update_profile(member=member, changes=changes, actor=self.caller.actor, at=self.at)
        return Response(show_member(changed))


def show_member(member: Member) -> dict[str, Any]:
    """Render a member."""
    birthday: date | None = member.birthday
    return {
        "number": member.number,
        "status": member.status,
        "tier": member.tier.code,
        "name": member.name,
        "phone": member.phone,
        "email": member.email,
        "birthday": birthday.isoformat() if birthday else None,
        "language": member.language,
        "referral_code": member.referral_code,
        "joined_at": moment(member.joined_at),
        "attributes": member.attributes,
    }
