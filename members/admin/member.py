"""The screens of members: find one, see everything about him, change what may be changed with a reason."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from members.actions import auditing, enrolling, signing_in, updating
from members.actions.profiles import Profile
from members.admin.base import ActionPage, AdminPage, DayFilter, ScreenAdmin, display, moment, shown_moment
from members.admin.exporting import ExportingAdmin, MemberResource
from members.admin.forms import EditForm, EnrolForm, ReasonForm, RevealForm, TierForm
from members.admin.screen import MemberAction, Panel, screen
from members.models import Member, MemberStatus, TierChange

STATUS_LABELS = {"active": "success", "suspended": "warning", "closed": "danger", "merged": "info"}
PERSONAL = ("name", "phone", "email", "birthday", "address")
_OPEN = (MemberStatus.ACTIVE, MemberStatus.SUSPENDED)


class MemberPage(AdminPage):
    """Everything about one member on one page, personal data masked."""

    template_name = "admin/members/page.html"
    permission = "members.view_member"

    def is_allowed(self, request: HttpRequest) -> bool:
        return bool(self.model_admin.has_view_permission(request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**member_context(self.request, self.subject), **kwargs)


def member_context(request: HttpRequest, member: Member, *, is_revealed: bool = False) -> dict[str, Any]:
    """Return what the page of a member shows; personal data in the clear only when it was asked for with a reason."""
    return {
        "title": member.grouped_number,
        "member": member,
        "status_tone": STATUS_LABELS[member.status],
        "is_revealed": is_revealed,
        "personal": _personal_data(member, is_revealed=is_revealed),
        "figures": screen.figures_of(request, member),
        "panels": screen.panels_of(request, member),
        "member_actions": screen.actions_of(request, member),
        "can_reveal": member.data_key is not None and request.user.has_perm("members.read_personal_data"),
    }


def _personal_data(member: Member, *, is_revealed: bool) -> list[tuple[Any, Any]]:
    """Return the lines of the personal card."""
    if member.data_key is None:
        return []
    values: dict[str, Any] = {name: getattr(member, name) for name in PERSONAL}
    if not is_revealed:
        values = {
            "name": member.masked_name,
            "phone": member.masked_phone,
            "email": member.masked_email,
            "birthday": "****" if values["birthday"] else "",
            "address": "****" if values["address"] else "",
        }
    return [(Member._meta.get_field(name).verbose_name, values[name]) for name in PERSONAL]  # type: ignore[union-attr]


class MemberActionPage(ActionPage):
    """A page of one action on one member, who is named at its head."""

    #: Where a membership must stand for the page to open; anywhere, if nothing is said.
    open_to: tuple[str, ...] = ()

    @property
    def subject_label(self) -> str:
        """The card number and the masked name."""
        member: Member = self.subject
        return f"{member.grouped_number} · {member.masked_name}" if member.data_key else member.grouped_number

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Open for a member it can be done to; by its address alone it leads nowhere else."""
        member: Member = self.subject
        if self.open_to and member.status not in self.open_to:
            messages.error(request, _("The membership is %(status)s.") % {"status": member.get_status_display()})
            return redirect(self.subject_url())
        return super().get(request, *args, **kwargs)


class RevealPage(MemberActionPage):
    """Personal data in the clear, once, for a reason that is kept."""

    title = _("Show personal data")
    intro = _("Your name, the time and the reason are written into the audit trail before anything is shown.")
    submit_label = _("Show")
    form_class = RevealForm
    permission = "members.read_personal_data"

    def act(self, form: RevealForm) -> str:
        auditing.record(
            actor=self.actor,
            action="member.revealed",
            subject=self.subject,
            reason=form.reason(),
            details={"fields": PERSONAL},
            at=timezone.now(),
        )
        return ""

    def done(self, form: Any, told: Any) -> HttpResponse:
        context = AdminPage.get_context_data(self) | member_context(self.request, self.subject, is_revealed=True)
        return TemplateResponse(self.request, MemberPage.template_name, context)


class EnrolPage(ActionPage):
    """A new member, taken in at the counter."""

    title = _("Enrol a member")
    submit_label = _("Enrol")
    form_class = EnrolForm
    permission = "members.add_member"
    enrolled: Member

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | {"reference": uuid.uuid4().hex, "language": "zh-hans"}

    def act(self, form: EnrolForm) -> Any:
        said = {name: form.cleaned_data[name] for name in form.cleaned_data if name != "language"}
        result = enrolling.enrol(
            source="admin",
            actor=self.actor,
            at=timezone.now(),
            **said | {"language": form.cleaned_data["language"]},
        )
        self.enrolled = result.member
        return _("%(number)s is a member now.") % {"number": result.member.grouped_number}

    def get_success_url(self) -> str:
        return reverse("admin:members_member_change", args=[self.enrolled.pk])


class EditPage(MemberActionPage):
    """A changed profile; seeing the form is reading personal data and is written down as such."""

    title = _("Change the profile")
    form_class = EditForm
    permission = "members.change_member"
    open_to = _OPEN

    def is_allowed(self, request: HttpRequest) -> bool:
        return super().is_allowed(request) and request.user.has_perm("members.read_personal_data")

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | EditForm.values_of(self.subject)

    def render_to_response(self, context: dict[str, Any], **how: Any) -> HttpResponse:
        """Show the form: whoever sees it has read what stands in it."""
        if self.request.method == "GET":
            auditing.record(
                actor=self.actor,
                action="member.revealed",
                subject=self.subject,
                reason="edit",
                details={"fields": PERSONAL},
                at=timezone.now(),
            )
        return super().render_to_response(context, **how)

    def act(self, form: EditForm) -> Any:
        changes = Profile(**{name: form.cleaned_data[name] for name in form.changed_data if name != "reason"})  # type: ignore[typeddict-item]
        updating.update_profile(
            member=self.subject,
            changes=changes,
            actor=self.actor,
            at=timezone.now(),
            reason=form.cleaned_data["reason"],
        )
        return _("The profile is changed.")


class StandingPage(MemberActionPage):
    """A membership suspended, reinstated or closed, with the reason."""

    form_class = ReasonForm
    permission = "members.change_standing"
    status = ""
    told: Any = ""

    def act(self, form: ReasonForm) -> Any:
        updating.change_standing(
            member=self.subject,
            status=self.status,
            reason=form.cleaned_data["reason"],
            actor=self.actor,
            at=timezone.now(),
        )
        return self.told


class ClosePage(StandingPage):
    """A membership closed: what the member still has is named before, for it can no longer be spent."""

    title = _("Close the membership")
    submit_label = _("Close the membership")
    status = MemberStatus.CLOSED
    told = _("The membership is closed.")
    is_dangerous = True
    open_to = _OPEN

    @property
    def intro(self) -> str:
        """What closing means for this member."""
        figures = [f"{each.label} {each.value}" for each in screen.figures_of(self.request, self.subject)]
        said = [
            _("A closed membership cannot be opened again."),
            _("Points that remain cannot be spent any more; they stay in the books until they expire."),
            _("What there is: %(figures)s.") % {"figures": " · ".join(figures)} if figures else "",
        ]
        return " ".join(map(str, filter(None, said)))


class TierPage(MemberActionPage):
    """Another tier, given by hand."""

    title = _("Change the tier")
    form_class = TierForm
    permission = "members.change_standing"
    open_to = _OPEN

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | {"tier": self.subject.tier_id}

    def act(self, form: TierForm) -> Any:
        updating.assign_tier(
            member=self.subject,
            tier=form.cleaned_data["tier"],
            reason=form.cleaned_data["reason"],
            actor=self.actor,
            at=timezone.now(),
        )
        return _("The tier is changed.")


class PasswordPage(MemberActionPage):
    """A password for the portal, made here and shown this once; the member chooses another with the first sign-in."""

    title = _("Set a password")
    intro = _(
        "For a member who never had a password or has forgotten it: make sure of who is asking. The new password is"
        " shown once, on the next page. The old one stops working, and whoever is signed in with it is signed out."
    )
    submit_label = _("Set a password")
    form_class = ReasonForm
    permission = "members.give_password"

    def act(self, form: ReasonForm) -> str:
        return signing_in.give_password(
            member=self.subject, reason=form.cleaned_data["reason"], actor=self.actor, at=timezone.now()
        )

    def done(self, form: Any, told: str) -> HttpResponse:
        context = AdminPage.get_context_data(self, member=self.subject, password=told, back=self.subject_url())
        return TemplateResponse(self.request, "admin/members/password.html", context)


_suspend = StandingPage.as_view(
    status=MemberStatus.SUSPENDED,
    title=_("Suspend the membership"),
    intro=_("The member can neither sign in, earn nor spend until reinstated. Points keep their expiry."),
    submit_label=_("Suspend"),
    told=_("The membership is suspended."),
    is_dangerous=True,
    open_to=(MemberStatus.ACTIVE,),
)
_reinstate = StandingPage.as_view(
    status=MemberStatus.ACTIVE,
    title=_("Reinstate the membership"),
    submit_label=_("Reinstate"),
    told=_("The membership is active again."),
    open_to=(MemberStatus.SUSPENDED,),
)


def _is(*statuses: str) -> Callable[[Member], bool]:
    return lambda member: member.status in statuses


screen.actions += [
    MemberAction(_("Edit"), "edit", "admin:members_member_edit", "members.change_member", _is("active", "suspended")),
    MemberAction(
        pgettext_lazy("action", "Tier"),
        "military_tech",
        "admin:members_member_tier",
        "members.change_standing",
        _is("active", "suspended"),
    ),
    MemberAction(
        _("Set a password"), "password", "admin:members_member_password", "members.give_password", _is("active")
    ),
    MemberAction(_("Suspend"), "block", "admin:members_member_suspend", "members.change_standing", _is("active")),
    MemberAction(
        _("Reinstate"), "check_circle", "admin:members_member_reinstate", "members.change_standing", _is("suspended")
    ),
    MemberAction(
        _("Close the membership"),
        "cancel",
        "admin:members_member_close",
        "members.change_standing",
        _is("active", "suspended"),
    ),
]


def _tiers(request: HttpRequest, member: Member) -> Panel:
    """Show which tiers a member was in: what happened is judged by the one of its time."""
    changes = TierChange.objects.filter(member=member).select_related("tier")[:10]
    return Panel(
        title=_("Tier history"),
        headers=(_("tier"), _("holds from"), _("actor")),
        rows=[(str(change.tier), shown_moment(change.since), change.actor or "–") for change in changes],
        empty=_("Nothing yet."),
        slug="tiers",
    )


screen.panels.append((80, "members.view_member", _tiers))


@admin.register(Member)
class MemberAdmin(ExportingAdmin, ScreenAdmin):
    """Members: found by exactly what a person can say about himself."""

    resource_classes = (MemberResource,)
    export_permission = "members.export_members"
    list_display = ("grouped_number", "shown_name", "shown_phone", "shown_tier", "shown_status", "joined")
    list_display_links = ("grouped_number",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("tier", RelatedDropdownFilter),
        ("joined_at", DayFilter),
    )
    search_fields = ("number",)
    search_help_text = _(
        "Card number, phone, e-mail, referral code or outside id, exactly; names are sealed and not searched"
    )
    ordering = ("-id",)
    sortable_by = ()
    actions = None
    custom_urls = (
        ("enrol/", "members_member_enrol", EnrolPage.as_view()),
        ("<path:object_id>/reveal/", "members_member_reveal", RevealPage.as_view()),
        ("<path:object_id>/edit/", "members_member_edit", EditPage.as_view()),
        ("<path:object_id>/tier/", "members_member_tier", TierPage.as_view()),
        ("<path:object_id>/password/", "members_member_password", PasswordPage.as_view()),
        ("<path:object_id>/suspend/", "members_member_suspend", _suspend),
        ("<path:object_id>/reinstate/", "members_member_reinstate", _reinstate),
        ("<path:object_id>/close/", "members_member_close", ClosePage.as_view()),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Put what other apps know of a member before the date of joining."""
        columns = [_column(title, show) for title, show, _relations in screen.columns]
        return [*self.list_display[:-1], *columns, self.list_display[-1]]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        relations = [relation for _title, _show, wanted in screen.columns for relation in wanted]
        return super().get_queryset(request).prefetch_related(*relations)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look a member up by key: nothing of a member is searched by parts."""
        if search_term.strip():
            queryset = queryset.search(search_term)  # type: ignore[attr-defined]
        return queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Open the page of the one member a search found, which is what the clerk searched for."""
        if (term := request.GET.get("q", "").strip()) and len(request.GET) == 1 and self.has_view_permission(request):
            found = list(Member.objects.search(term).values_list("pk", flat=True)[:2])
            if len(found) == 1:
                return redirect("admin:members_member_change", found[0])
        return super().changelist_view(request, extra_context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:members_member_enrol")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return MemberPage.as_view()(request, model_admin=self, object_id=object_id)

    joined = moment("joined_at", _("joined"))

    @display(description=_("card number"))
    def grouped_number(self, member: Member) -> str:
        return member.grouped_number

    @display(description=_("full name"))
    def shown_name(self, member: Member) -> str:
        return member.masked_name if member.data_key else "–"

    @display(description=_("phone"))
    def shown_phone(self, member: Member) -> str:
        return member.masked_phone if member.data_key else "–"

    @display(description=_("tier"))
    def shown_tier(self, member: Member) -> str:
        return str(member.tier)

    @display(description=_("status"), label=STATUS_LABELS)
    def shown_status(self, member: Member) -> tuple[str, str]:
        return member.status, member.get_status_display()


def _column(title: Any, show: Callable[[Member], Any]) -> Callable[[Member], Any]:
    """Return a column as the admin wants it: a function with a title."""

    @display(description=title)
    def column(member: Member) -> Any:
        return show(member)

    return column
