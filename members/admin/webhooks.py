"""Webhooks: the addresses at which client systems are told, and every message to them with what became of it."""

import json
import uuid
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from config.lib import actor
from members import delivering
from members.actions import webhooks
from members.admin.base import ActionPage, AdminPage, DayFilter, ReadOnlyAdmin, display, moment, shown_moment
from members.admin.forms import NewWebhookForm, ReasonForm, RotateForm, WebhookForm
from members.admin.styling import StyledForm
from members.models import DeliveryState, EndpointStatus, Member, WebhookDelivery, WebhookEndpoint, WebhookType

CHANGE = "members.change_webhookendpoint"
RESEND = "members.resend_webhookdelivery"
#: Messages that one person sends again at once.
RESEND_LIMIT = 10_000
STATUS_LABELS = {"active": "success", "disabled": "", "failed": "danger", "gone": "danger"}
STATE_LABELS = {"waiting": "info", "delivered": "success", "failed": "danger"}


def stopped_badge(request: HttpRequest) -> str:
    """Return how many endpoints failing has stopped, for the sidebar."""
    if not request.user.has_perm("members.view_webhookendpoint"):
        return ""
    return str(WebhookEndpoint.objects.stopped().order_by()[:100].count() or "")


class SecretPage(ActionPage):
    """An action that makes a secret, which is shown this once."""

    def done(self, form: Any, told: webhooks.NewSecret) -> HttpResponse:
        address = reverse("admin:members_webhookendpoint_change", args=[told.endpoint.pk])
        context = AdminPage.get_context_data(self, endpoint=told.endpoint, secret=told.secret, back=address)
        return TemplateResponse(self.request, "admin/members/secret.html", context)


class NewEndpointPage(SecretPage):
    """A new address at which a client system is told."""

    title = _("Add a webhook")
    intro = _("It is told of what happens from now on. Its secret is shown once, on the next page.")
    submit_label = _("Make the secret")
    form_class = NewWebhookForm
    permission = "members.add_webhookendpoint"

    def act(self, form: NewWebhookForm) -> webhooks.NewSecret:
        return webhooks.create_endpoint(**form.cleaned_data, actor=self.actor, at=timezone.now())


class RotatePage(SecretPage):
    """A new secret for an endpoint, with the old one good for a while."""

    title = _("Make a new secret")
    intro = _("While both are good, every message is signed with both, so the receiver can change over at leisure.")
    submit_label = _("Make a new secret")
    form_class = RotateForm
    permission = CHANGE
    is_dangerous = True

    def act(self, form: RotateForm) -> webhooks.NewSecret:
        grace = timedelta(hours=form.cleaned_data["grace_hours"])
        return webhooks.rotate_secret(endpoint=self.subject, grace=grace, actor=self.actor, at=timezone.now())


class ChangeEndpointPage(ActionPage):
    """Another address, or other events."""

    title = _("Change the webhook")
    intro = _("Messages that wait go to the new address.")
    form_class = WebhookForm
    permission = CHANGE

    def get_initial(self) -> dict[str, Any]:
        endpoint: WebhookEndpoint = self.subject
        return {"name": endpoint.name, "url": endpoint.url, "types": endpoint.types}

    def act(self, form: WebhookForm) -> Any:
        webhooks.change_endpoint(endpoint=self.subject, **form.cleaned_data, actor=self.actor, at=timezone.now())
        return _("The webhook is changed.")


class DisablePage(ActionPage):
    """An endpoint that is told nothing any more."""

    title = _("Disable the webhook")
    intro = _("What waits is kept for a while. Of what happens while it is disabled it is never told.")
    submit_label = _("Disable")
    form_class = ReasonForm
    permission = CHANGE
    is_dangerous = True

    def act(self, form: ReasonForm) -> Any:
        reason = form.cleaned_data["reason"]
        webhooks.stop(endpoint=self.subject, reason=reason, actor=self.actor, at=timezone.now())
        return _("The webhook is disabled.")


class ActivatePage(ActionPage):
    """An endpoint that is told again."""

    title = _("Start the webhook again")
    intro = _("It is sent what waited, and told of what happens from now on.")
    submit_label = _("Start")
    form_class = StyledForm
    permission = CHANGE

    def act(self, form: StyledForm) -> Any:
        webhooks.activate(endpoint=self.subject, actor=self.actor, at=timezone.now())
        return _("The webhook is active.")


class TestPage(ActionPage):
    """A test message, to see whether the receiver understands."""

    title = _("Send a test")
    intro = _("A message of the kind webhook.test goes the way of every other; see below what came back.")
    submit_label = _("Send")
    form_class = StyledForm
    permission = CHANGE
    delivery: WebhookDelivery

    def act(self, form: StyledForm) -> Any:
        self.delivery = webhooks.send_test(endpoint=self.subject, actor=self.actor, at=timezone.now())
        return _("The test is on its way.")

    def get_success_url(self) -> str:
        return reverse("admin:members_webhookdelivery_change", args=[self.delivery.pk])


#: The pages of an endpoint: name, title, icon, and whether they are for one that is active (None: for any).
_PAGES: tuple[tuple[str, type[ActionPage], str, bool | None], ...] = (
    ("change", ChangeEndpointPage, "edit", None),
    ("test", TestPage, "send", True),
    ("rotate", RotatePage, "key", None),
    ("stop", DisablePage, "block", True),
    ("start", ActivatePage, "play_arrow", False),
)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    """Where client systems are told what happened."""

    list_display = ("name", "client", "url", "shown_status", "waiting", "shown_failing", "created")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("name", "url", "client__code")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("client", "status"),
                    "url",
                    "shown_types",
                    ("created", "secret_until"),
                    ("shown_failing", "rests"),
                )
            },
        ),
    )
    change_form_template = "admin/members/steps.html"
    custom_urls = (
        ("new/", "members_webhookendpoint_new", NewEndpointPage.as_view()),
        *(
            (f"<path:object_id>/{name}-webhook/", f"members_webhookendpoint_{name}_page", page.as_view())
            for name, page, _icon, _active in _PAGES
        ),
    )
    created = moment("created_at", _("created"))
    rests = moment("rests_until", _("rests until"))
    secret_until = moment("previous_until", _("previous secret good until"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("members.add_webhookendpoint"))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:members_webhookendpoint_new")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        endpoint: WebhookEndpoint = context["original"]
        context["steps"] = [
            {
                "title": page.title,
                "icon": icon,
                "link": reverse(f"admin:members_webhookendpoint_{name}_page", args=[endpoint.pk]),
            }
            for name, page, icon, for_active in _PAGES
            if for_active in (None, endpoint.is_active) and request.user.has_perm(page.permission)
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("status"), label=STATUS_LABELS)
    def shown_status(self, endpoint: WebhookEndpoint) -> tuple[str, str]:
        return endpoint.status, endpoint.get_status_display()

    @display(description=_("told of"))
    def shown_types(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(str(WebhookType(each).label) for each in endpoint.types)

    @display(description=_("failing since"))
    def shown_failing(self, endpoint: WebhookEndpoint) -> str:
        since = shown_moment(endpoint.failing_since)
        return f"{since} (× {endpoint.failures})" if endpoint.failures else since

    @display(description=_("waiting"))
    def waiting(self, endpoint: WebhookEndpoint) -> Any:
        address = reverse("admin:members_webhookdelivery_changelist")
        text = _("messages")
        return format_html(
            '<a class="lr-link" href="{}?endpoint__id__exact={}&state__exact={}">{}</a>',
            address,
            endpoint.pk,
            DeliveryState.WAITING.value,
            text,
        )


class ResendPage(AdminPage):
    """One message again, posted from its button."""

    permission = RESEND

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("admin:members_webhookdelivery_change", self.subject.pk)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _resend(request, [self.subject.pk])
        return redirect("admin:members_webhookdelivery_change", self.subject.pk)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Every message to a client system, newest first."""

    list_display = ("happened", "endpoint", "type", "member_link", "shown_state", "attempts", "next", "shown_answer")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("endpoint", RelatedDropdownFilter),
        ("type", ChoicesDropdownFilter),
        ("at", DayFilter),
    )
    search_fields = ("key",)
    search_help_text = _("Card number, phone, e-mail, or the id of a message")
    actions = ("resend_selected",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("endpoint", "state"),
                    ("type", "member_link"),
                    ("happened", "message_id"),
                    ("attempts", "attempted"),
                    ("next", "finished"),
                    "shown_answer",
                    "body",
                )
            },
        ),
    )
    change_form_template = "admin/members/steps.html"
    custom_urls = (("<path:object_id>/resend/", "members_webhookdelivery_resend", ResendPage.as_view()),)
    happened = moment("at", _("time"))
    attempted = moment("attempted_at", _("last attempt"))
    finished = moment("finished_at", _("finished"))

    def has_resend_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this person sends messages again."""
        return bool(request.user.has_perm(RESEND))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            people = list(Member.objects.search(term).values_list("pk", flat=True)[:100])
            queryset = queryset.filter(Q(member_id__in=people) | _by_message(term))
        return queryset, False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        address = reverse("admin:members_webhookdelivery_resend", args=[context["original"].pk])
        again = {"title": _("Send again"), "icon": "replay", "link": address, "is_post": True}
        context["steps"] = [again] if self.has_resend_permission(request) else []
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Send the selected messages again"), permissions=["resend"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        _resend(request, list(queryset.order_by("id").values_list("pk", flat=True)[:RESEND_LIMIT]))

    @display(description=_("member"))
    def member_link(self, delivery: WebhookDelivery) -> Any:
        if delivery.member is None:
            return "–"
        address = reverse("admin:members_member_change", args=[delivery.member.pk])
        return format_html('<a class="lr-link" href="{}">{}</a>', address, delivery.member.grouped_number)

    @display(description=_("status"), label=STATE_LABELS)
    def shown_state(self, delivery: WebhookDelivery) -> tuple[str, str]:
        return delivery.state, delivery.get_state_display()

    @display(description=_("next attempt"))
    def next(self, delivery: WebhookDelivery) -> str:
        """Nothing is tried while the endpoint is stopped, and nothing after the end."""
        is_on = delivery.state == DeliveryState.WAITING and delivery.endpoint.status == EndpointStatus.ACTIVE
        return shown_moment(delivery.next_attempt_at) if is_on else "–"

    @display(description=_("answer"))
    def shown_answer(self, delivery: WebhookDelivery) -> str:
        words = " ".join(filter(None, [str(delivery.answer_status or ""), delivery.answer[:200]]))
        return words or "–"

    @display(description=_("message"))
    def body(self, delivery: WebhookDelivery) -> Any:
        text = json.dumps(json.loads(delivering.body_of(delivery)), ensure_ascii=False, indent=2)
        return format_html('<pre class="lr-code">{}</pre>', text)


def _by_message(term: str) -> Q:
    """Match the id of a message, if that is what the term is."""
    try:
        return Q(key=uuid.UUID(term.removeprefix("msg_")))
    except ValueError:
        return Q(pk__in=[])


def _resend(request: HttpRequest, deliveries: list[int]) -> None:
    count = webhooks.resend(deliveries=deliveries, actor=actor.staff(request.user), at=timezone.now())
    told = ngettext("%(number)s message is sent again.", "%(number)s messages are sent again.", count)
    if count:
        messages.success(request, told % {"number": count})
    else:
        messages.warning(request, _("Nothing to do: it is being sent at this moment."))
