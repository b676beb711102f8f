"""Who may come in: client systems and their keys, staff and their roles, and the trail of what they did."""

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from members.actions import clients, staffing
from members.actions.staffing import StaffRole
from members.admin.base import (
    ActionPage,
    AdminPage,
    DayFilter,
    ReadOnlyAdmin,
    ScreenAdmin,
    display,
    moment,
    shown_day,
    shown_moment,
)
from members.admin.forms import ClientForm, NewKeyForm, ReasonForm
from members.admin.screen import Cell, Panel, screen
from members.admin.trail import action_of, reason_of
from members.models import AuditRecord, Client, ClientKey, KeyState, Member, Scope, User

if TYPE_CHECKING:
    _UserAdmin = auth_admin.UserAdmin[User]
else:
    _UserAdmin = auth_admin.UserAdmin

admin.site.unregister(Group)  # Django's own screen, without the theme


class KeyPage(ActionPage):
    """An action that makes a key, which is shown this once."""

    template_name = "admin/action_page.html"

    def done(self, form: Any, told: clients.NewKey) -> HttpResponse:
        context = AdminPage.get_context_data(self, client=told.client, key=told.key, back=self.list_url())
        return TemplateResponse(self.request, "admin/members/key.html", context)


class NewClientPage(KeyPage):
    """A new client system with its first key."""

    title = _("Add a client system")
    intro = _("Its key is shown once, on the next page. Only a hash of it is kept.")
    submit_label = _("Make the key")
    form_class = ClientForm
    permission = "members.add_client"

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        _offer_scopes(form.fields["scopes"], self.request)
        return form

    def act(self, form: ClientForm) -> clients.NewKey:
        return clients.create_client(**form.cleaned_data, actor=self.actor, at=timezone.now())


class NewKeyPage(KeyPage):
    """A new key for a client system; the old one works beside it for as long as is asked."""

    title = _("Make a new key")
    intro = _("It is shown once, on the next page. Put it into the system before the present key ends.")
    submit_label = _("Make a new key")
    form_class = NewKeyForm
    permission = "members.change_client"

    def is_allowed(self, request: HttpRequest) -> bool:
        """Tell whether this person may hold the key: it opens all that the system may do."""
        return super().is_allowed(request) and staffing.may_renew_key(_person(request), self.subject.scopes)

    def act(self, form: NewKeyForm) -> clients.NewKey:
        return clients.rotate_key(client=self.subject, **form.cleaned_data, actor=self.actor, at=timezone.now())


class WithdrawKeyPage(ActionPage):
    """A key ended before its time: anybody who looks after systems may do it, for it opens nothing."""

    title = _("Withdraw a key")
    intro = _("Calls with this key are refused within fifteen seconds. It cannot be undone.")
    submit_label = _("Withdraw the key")
    form_class = ReasonForm
    permission = "members.change_client"
    is_dangerous = True

    @cached_property
    def key(self) -> ClientKey:
        """The key, one of this system."""
        return get_object_or_404(ClientKey, client=self.subject, pk=self.kwargs["key"])

    @property
    def subject_label(self) -> str:
        """The system and the public half of the key."""
        return f"{self.subject} · {self.key}"

    def act(self, form: ReasonForm) -> str:
        clients.withdraw_key(key=self.key, **form.cleaned_data, actor=self.actor, at=timezone.now())
        return _("The key %(key)s was withdrawn.") % {"key": self.key}


class ClientChangeForm(forms.ModelForm):  # type: ignore[type-arg]
    """What may change of a client system: never its code, never its keys."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), choices=Scope, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = Client
        fields = ("name", "scopes", "is_active")


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _offer_scopes(field: Any, request: HttpRequest) -> None:
    """Offer the scopes this person may give; another one is refused beside the field."""
    field.choices = [(scope.value, scope.label) for scope in staffing.grantable_scopes(_person(request))]


@admin.register(Client)
class ClientAdmin(ScreenAdmin):
    """Systems that call the API."""

    form = ClientChangeForm
    list_display = ("name", "code", "shown_scopes", "is_active", "last_used", "ends")
    list_filter = (("is_active", BooleanRadioFilter),)
    search_fields = ("name", "code", "keys__key_id")
    readonly_fields = ("code", "created_at")
    fieldsets = ((None, {"fields": ("name", "code", "is_active", "scopes", "created_at")}),)
    custom_urls = (
        ("new/", "members_client_new", NewClientPage.as_view()),
        ("<path:object_id>/new-key/", "members_client_new_key", NewKeyPage.as_view()),
        ("<path:object_id>/keys/<int:key>/withdraw/", "members_client_withdraw", WithdrawKeyPage.as_view()),
    )
    change_form_template = "admin/members/client.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("keys")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:members_client_new")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Who may not give all scopes of a system leaves them as they are."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        may = obj is None or staffing.may_renew_key(_person(request), obj.scopes)
        return fixed if may else (*fixed, "scopes")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "scopes" in form.base_fields:
            form.base_fields["scopes"] = copy.deepcopy(form.base_fields["scopes"])  # of this request's form alone
            _offer_scopes(form.base_fields["scopes"], request)
        return form

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        client = context.get("original")
        may = client is not None and staffing.may_renew_key(_person(request), client.scopes)
        table = _keys(client, may_withdraw=self.has_change_permission(request)) if client else None
        return super().render_change_form(request, context | {"may_renew_key": may, "keys": table}, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        clients.forget()

    @display(description=_("scopes"))
    def shown_scopes(self, client: Client) -> str:
        return ", ".join(client.scopes)

    @display(description=_("last used on"))
    def last_used(self, client: Client) -> str:
        return shown_day(max((key.last_used_on for key in client.keys.all() if key.last_used_on), default=None))

    @display(description=_("expires"))
    def ends(self, client: Client) -> str:
        """When the key in use ends; systems without a key that works are told apart at a glance."""
        at = timezone.now()
        working = [key for key in client.keys.all() if key.works(at)]
        if not working:
            return now_("no key works")
        return shown_moment(None if None in (ends := [key.expires_at for key in working]) else max(filter(None, ends)))


_KEY_LABELS = {"current": "success", "retiring": "warning", "ended": ""}


def _keys(client: Client, *, may_withdraw: bool) -> Panel:
    """Show the keys of a system, the newest first; what works can be withdrawn."""
    at = timezone.now()
    rows = []
    for key in client.keys.all():
        state = Cell(key.get_state_display(), label=_KEY_LABELS[key.state])
        if key.state != KeyState.ENDED and not key.works(at):
            state = Cell(_("expired"), label="")
        page = reverse("admin:members_client_withdraw", args=[client.pk, key.pk])
        step = Cell(_("Withdraw"), href=page) if may_withdraw and key.works(at) else ""
        ends = shown_moment(key.ended_at or key.expires_at)
        rows.append((Cell(key.key_id), state, shown_moment(key.created_at), shown_day(key.last_used_on), ends, step))
    headers = (_("key"), _("state"), _("created"), _("last used on"), _("ends"), "")
    return Panel(title=_("Keys"), headers=headers, rows=rows, empty=_("Nothing yet."), slug="keys")


@admin.register(Group)
class GroupAdmin(ScreenAdmin):
    """Roles: what a person of the back office may do."""

    list_display = ("role", "people", "rights")
    search_fields = ("name",)
    filter_horizontal = ("permissions",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        counts = {"people": Count("user", distinct=True), "rights": Count("permissions", distinct=True)}
        annotated: QuerySet[Any] = super().get_queryset(request).annotate(**counts)
        return annotated

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **kwargs | _named_choices(db_field))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Call the list what the sidebar calls it; Django's word is “groups”."""
        return super().changelist_view(request, {"title": _("Roles")} | (extra_context or {}))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_add_permission(request) and _person(request).is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers alone change what a role may do: who could, could give himself anything."""
        return bool(super().has_change_permission(request, obj) and _person(request).is_superuser)

    @display(description=_("role"), ordering="name")
    def role(self, group: Group) -> str:
        return role_name(group)

    @display(description=_("people"))
    def people(self, group: Any) -> int:
        return int(group.people)

    @display(description=_("permissions"))
    def rights(self, group: Any) -> int:
        return int(group.rights)


def role_name(group: Group) -> str:
    """Return what a role is called: ours in the reader's language, those of the house as it named them."""
    return str(StaffRole(group.name).label) if group.name in StaffRole.values else group.name


_WITHOUT_SCREENS = ("contenttypes", "pghistory", "sessions")
#: Django keeps the names of its four rights in English, in the database.
_RIGHTS = {"add": _("may add"), "change": _("may change"), "delete": _("may delete"), "view": _("may view")}


class PermissionsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Permissions in the reader's language."""

    def label_from_instance(self, obj: Any) -> str:
        verb = obj.codename.partition("_")[0]
        right = _RIGHTS[verb] if obj.name.startswith(f"Can {verb} ") and verb in _RIGHTS else now_(obj.name)
        return f"{obj.content_type.app_labeled_name.partition(' | ')[0]} | {now_(obj.content_type.name)} | {right}"


class RolesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Roles in the reader's language."""

    def label_from_instance(self, obj: Any) -> str:
        return role_name(obj)


def _named_choices(db_field: Any) -> dict[str, Any]:
    """Choose permissions and roles by names one can read; permissions with what their names need, in one query."""
    if db_field.name == "groups":
        return {"form_class": RolesField, "widget": UnfoldAdminCheckboxSelectMultipleWidget}
    rights = Permission.objects.exclude(content_type__app_label__in=_WITHOUT_SCREENS).select_related("content_type")
    return {"form_class": PermissionsField, "queryset": rights}


class StaffCreationForm(UserCreationForm):  # type: ignore[misc]
    """A new person of the back office."""

    class Meta:
        model = User
        fields = ("username",)


class StaffChangeForm(UserChangeForm):  # type: ignore[misc]
    """A person of the back office, changed."""

    class Meta:
        model = User
        fields = (
            "username",
            "password",
            "first_name",
            "last_name",
            "email",
            "is_active",
            "is_superuser",
            "groups",
            "user_permissions",
        )


@admin.register(User)
class UserAdmin(_UserAdmin, ScreenAdmin):
    """Staff. Members' sign-ins are not here: they belong to the member's page."""

    form = StaffChangeForm
    add_form = StaffCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "shown_name", "email", "roles", "is_active", "is_superuser", "seen")
    list_filter = (("is_active", BooleanRadioFilter), ("is_superuser", BooleanRadioFilter))
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": (("first_name", "last_name"), "email")}),
        (_("Roles"), {"fields": ("is_active", "groups")}),
        (_("Beyond roles"), {"classes": ("collapse",), "fields": ("is_superuser", "user_permissions")}),
        (_("Dates"), {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")
    seen = moment("last_login", _("last login"))
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(member__isnull=True).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Nobody lifts himself up: superusers alone make superusers, and no one else changes his own roles."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fixed
        own = ("groups", "is_active") if obj == request.user else ()
        return (*fixed, "is_superuser", "user_permissions", *own)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes whoever may do more than he, nor sets his password."""
        allowed = super().has_change_permission(request, obj)
        return bool(allowed and (obj is None or staffing.may_manage(_person(request), obj)))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the roles without any right this person lacks; another one is refused beside the field."""
        choices = _named_choices(db_field)
        if db_field.name == "groups":
            choices["queryset"] = staffing.grantable_roles(_person(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs | choices)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = True  # who is made here works here
        super().save_model(request, obj, form, change)

    @display(description=_("name"))
    def shown_name(self, user: User) -> str:
        return user.get_full_name()

    @display(description=_("roles"))
    def roles(self, user: User) -> str:
        return ", ".join(map(role_name, user.groups.all()))


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnlyAdmin):
    """What was done and looked at, newest first."""

    list_display = ("shown_at", "actor", "shown_action", "subject", "shown_reason")
    list_filter = (("at", DayFilter),)
    search_fields = ("actor",)
    search_help_text = _("Who (staff:alice), an action (member.revealed), or a card number")
    fields = (("shown_at", "actor"), ("shown_action", "action"), ("subject", "shown_reason"), "details")
    shown_at = moment("at", _("time"))

    @display(description=_("action"))
    def shown_action(self, record: AuditRecord) -> str:
        return action_of(record)

    @display(description=_("reason"))
    def shown_reason(self, record: AuditRecord) -> str:
        return reason_of(record) or "–"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The action stands there twice: in words, and as it is searched for."""
        return super().get_form(request, obj, change=change, **kwargs | {"labels": {"action": _("code")}})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match a whole actor, a whole action or a member: the trail is long and no part of a word is indexed."""
        if term := search_term.strip():
            people = Member.objects.by_number(term).values("pk")
            queryset = queryset.filter(Q(actor=term) | Q(action=term) | Q(subject__in=people))
        return queryset, False


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    """Sign-ins that failed; deleting one lets the person try again at once."""

    list_display = ("tried", "username", "ip_address", "failures_since_start", "path_info")
    search_fields = ("username",)
    fields = ("attempt_time", "username", "ip_address", "user_agent", "failures_since_start", "path_info")
    ordering = ("-id",)
    tried = moment("attempt_time", _("time"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return ScreenAdmin.has_delete_permission(self, request, obj)


def _trail(request: HttpRequest, member: Member) -> Panel:
    """Show who did or looked at what of a member."""
    records = AuditRecord.objects.filter(subject=member)[:10]
    return Panel(
        title=_("Audit trail"),
        headers=(_("time"), _("actor"), _("action"), _("reason")),
        rows=[(shown_moment(one.at), one.actor, action_of(one), reason_of(one)) for one in records],
        empty=_("Nothing yet."),
        slug="audit",
    )


screen.panels.append((90, "members.view_auditrecord", _trail))
