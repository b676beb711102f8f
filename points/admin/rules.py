"""Earning rules on screen: written as drafts, previewed on events that did not happen, put into force and retired."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from config.lib.errors import DomainError
from members.admin import trail
from members.admin.base import (
    ActionPage,
    AdminPage,
    TranslatedAdmin,
    blame,
    display,
    moment,
    sentence_of,
    shown_day,
    shown_moment,
)
from members.admin.forms import ReasonForm
from members.admin.styling import StyledForm
from points.actions import awarding, ruling
from points.actions.awarding import IncomingEvent
from points.admin.forms import EarningRuleForm, PreviewForm, RetireForm
from points.admin.reading import number, sum_of_money
from points.admin.verdicts import shown_verdicts, type_names, weekday
from points.models import AwardKind, EarningRule, EventType, PointType, RuleStatus

trail.LABELS |= {
    "rule.activated": _("Rule put into force"),
    "rule.shadowed": _("Rule put into the shadow"),
    "rule.retired": _("Rule retired"),
    "rule.versioned": _("New version of a rule"),
}
STATUS_LABELS = {"draft": "info", "shadow": "warning", "active": "success", "retired": ""}
#: What may still change of a version that has been in force; the trigger on the table says the same.
FREE_WHEN_SETTLED = frozenset(
    {"name", "name_en", "name_zh_hans", "description", "description_en", "description_zh_hans", "valid_until"}
)


def is_settled(rule: EarningRule | None) -> bool:
    """Tell whether a version has been in force."""
    return rule is not None and rule.status in (RuleStatus.ACTIVE, RuleStatus.RETIRED)


class PreviewPage(AdminPage):
    """What an event would give and why, with nothing stored; for a draft also its own word."""

    template_name = "admin/points/preview.html"
    title = _("Preview")
    permission = "points.view_earningrule"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**{"form": PreviewForm(initial=self._first_guess())} | kwargs)

    def _first_guess(self) -> dict[str, Any]:
        """Begin with an event that the rule would like."""
        rule: EarningRule | None = self.subject
        if rule is None:
            return {"type": EventType.PURCHASE, "amount": "100.00"}
        guess = {"type": (rule.event_types or [EventType.PURCHASE])[0], "currency": rule.currency, "amount": "100.00"}
        for name, values in (("channel", rule.channels), ("store", rule.stores), ("category", rule.categories)):
            guess |= {name: values[0]} if values else {}
        return guess

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = PreviewForm(request.POST)
        answer: dict[str, Any] = {"form": form}
        if form.is_valid():
            try:
                answer |= self._answer(form)
            except DomainError as refusal:
                blame(form, refusal)
        return self.render_to_response(self.get_context_data(**answer))

    def _answer(self, form: PreviewForm) -> dict[str, Any]:
        event = _imagined(form)
        # The clock stands where the event is, so that next month's campaign can be tried today.
        at = max(timezone.now(), event.occurred_at)
        verdicts = awarding.preview(event=event, at=at)
        rule: EarningRule | None = self.subject
        own = [] if rule is None or is_settled(rule) else awarding.preview(event=event, at=at, only_rules=[rule.pk])
        names, totals = type_names(), dict[str, int]()
        for verdict in verdicts:
            totals[verdict.point_type] = totals.get(verdict.point_type, 0) + verdict.points
        return {
            "is_answered": True,
            "verdicts": shown_verdicts(verdicts, event.currency),
            "own": shown_verdicts(own, event.currency),
            "totals": [(number(points), names[code]) for code, points in totals.items()],
        }


def _imagined(form: PreviewForm) -> IncomingEvent:
    """Return the event the form describes."""
    said = form.cleaned_data
    amount, category = said.get("amount_minor"), said["category"]
    item = {"category": category, "quantity": 1, "amount_minor": amount or 0}
    return IncomingEvent(
        reference="preview",
        type=said["type"],
        occurred_at=said["occurred_at"],
        member_id=said["member"].pk,
        amount_minor=amount,
        currency=said["currency"] if amount is not None else "",
        channel=said["channel"],
        store=said["store"],
        attributes=said["attributes"] or {},
        items=[item] if category else None,
    )


class RulePage(ActionPage):
    """A step in the life of a rule."""

    form_class: type[StyledForm] = ReasonForm
    permission = "points.change_earningrule"


class ActivatePage(RulePage):
    """A draft put into force."""

    title = _("Put into force")
    intro = _(
        "From then on its terms cannot be changed: a change is a new version. "
        "The version before it ends when it begins."
    )
    submit_label = _("Put into force")

    def confirmation(self, form: ReasonForm) -> list[tuple[Any, Any]]:
        rule: EarningRule = self.subject
        begins = max(rule.valid_from, timezone.now())
        return [
            (_("Rule"), str(rule)),
            (_("Award"), award_of(rule)),
            (_("Begins"), shown_moment(begins)),
            (_("Ends"), shown_moment(rule.valid_until) if rule.valid_until else _("never")),
            (_("Reason"), form.cleaned_data["reason"]),
        ]

    def act(self, form: ReasonForm) -> Any:
        rule = ruling.activate(rule=self.subject, actor=self.actor, at=timezone.now())
        return _("%(rule)s is in force.") % {"rule": rule}


class RetirePage(RulePage):
    """A rule ended."""

    title = _("Retire the rule")
    intro = _("Events from before the end that arrive late are still decided by it.")
    submit_label = _("Retire the rule")
    form_class = RetireForm
    is_dangerous = True
    called: ClassVar[dict[str, str]] = {"valid_until": "until"}

    def act(self, form: RetireForm) -> Any:
        said = form.cleaned_data
        rule = ruling.retire(
            rule=self.subject, until=said["until"], reason=said["reason"], actor=self.actor, at=timezone.now()
        )
        return _("%(rule)s ends %(end)s.") % {"rule": rule, "end": shown_moment(rule.valid_until)}


class StepPage(AdminPage):
    """A step that needs no words: posted from a button, it happens at once."""

    permission = "points.change_earningrule"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect(rule_address(self.subject))

    def step(self) -> tuple[EarningRule, Any]:
        """Do it; returns the rule to show next and what to tell."""
        raise NotImplementedError

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            rule, told = self.step()
        except DomainError as refusal:
            messages.error(request, sentence_of(refusal))
            return redirect(rule_address(self.subject))
        messages.success(request, told)
        return redirect(rule_address(rule))


class NewVersionPage(StepPage):
    """A copy as a draft."""

    permission = "points.add_earningrule"

    def step(self) -> tuple[EarningRule, Any]:
        draft = ruling.new_version(rule=self.subject, actor=self.actor, at=timezone.now())
        return draft, _(
            "This is a draft of the next version. The present one stays in force until you put this one into force."
        )


class ShadowPage(StepPage):
    """A draft that runs along and awards nothing."""

    def step(self) -> tuple[EarningRule, Any]:
        rule = ruling.shadow(rule=self.subject, actor=self.actor, at=timezone.now())
        return rule, _("The rule runs along in the shadow and awards nothing.")


def rule_address(rule: EarningRule) -> str:
    """Return the page of a rule."""
    return reverse("admin:points_earningrule_change", args=[rule.pk])


def award_of(rule: EarningRule) -> str:
    """Return what a rule gives, in a few words."""
    points, name = f"{rule.points.normalize():,f}", str(rule.point_type)
    if rule.award_kind == AwardKind.MULTIPLIER:
        return f"× {points} {name}"
    if rule.award_kind == AwardKind.FIXED:
        return f"{points} {name}"
    return f"{points} {name} / {sum_of_money(rule.per_minor, rule.currency)}"


@admin.register(EarningRule)
class EarningRuleAdmin(TranslatedAdmin):
    """The versions of the rules."""

    form = EarningRuleForm
    list_display = ("name", "shown_version", "shown_status", "shown_award", "shown_kind", "shown_period", "priority")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("point_type", RelatedDropdownFilter),
        ("award_kind", ChoicesDropdownFilter),
    )
    search_fields = ("code", "name_en", "name_zh_hans")
    ordering = ("code", "-version")
    sortable_by = ()
    actions = None
    readonly_fields = ("version", "status")
    change_form_template = "admin/points/rule.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name_en", "name_zh_hans"),
                    ("description_en", "description_zh_hans"),
                    ("code", "version"),
                    ("status", "priority"),
                    ("valid_from", "valid_until"),
                )
            },
        ),
        (
            _("Award"),
            {
                "classes": ("tab",),
                "fields": (
                    ("point_type", "award_kind"),
                    ("points", "per_minor"),
                    ("amount_basis", "rounding"),
                    ("is_base", "stacking_group"),
                    "tier_multipliers",
                ),
            },
        ),
        (
            _("Conditions"),
            {
                "classes": ("tab",),
                "fields": (
                    "event_types",
                    ("amount_from_minor", "amount_below_minor"),
                    ("currency", "channels"),
                    ("stores", "categories"),
                    ("tiers", "segments"),
                    "weekdays",
                    ("hour_from", "hour_below"),
                    ("first_ever", "birthday_month"),
                    ("attributes_contain", "attributes_path"),
                ),
            },
        ),
        (
            _("Limits"),
            {
                "classes": ("tab",),
                "fields": (("cap_day", "cap_week"), ("cap_month", "cap_lifetime"), "budget"),
            },
        ),
        (
            _("Pending and expiry"),
            {
                "classes": ("tab",),
                "fields": (("pending_days", "expiry_policy"), ("expiry_value", "expiry_on")),
            },
        ),
    )
    custom_urls = (
        ("preview/", "points_earningrule_preview", PreviewPage.as_view()),
        ("<path:object_id>/preview/", "points_earningrule_preview_of", PreviewPage.as_view()),
        ("<path:object_id>/activate/", "points_earningrule_activate", ActivatePage.as_view()),
        ("<path:object_id>/shadow/", "points_earningrule_shadow", ShadowPage.as_view()),
        ("<path:object_id>/retire/", "points_earningrule_retire", RetirePage.as_view()),
        ("<path:object_id>/new-version/", "points_earningrule_new_version", NewVersionPage.as_view()),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything but names and end, once the version has been in force."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        if obj is None or (self.has_change_permission(request, obj) and not is_settled(obj)):
            return fixed
        names = flatten_fieldsets(self.get_fieldsets(request, obj))
        return tuple(dict.fromkeys([*fixed, *(name for name in names if name not in FREE_WHEN_SETTLED)]))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A version that cannot be changed is read in words instead of columns."""
        if not is_settled(obj) and self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return [
            (title, options | {"fields": [tuple(map(_in_words, _line(line))) for line in options["fields"]]})
            for title, options in self.fieldsets
        ]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj) and not is_settled(obj))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("point_type")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        first = PointType.objects.order_by("pk").first()
        return {"point_type": first, **super().get_changeform_initial_data(request)}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        rule: EarningRule | None = context.get("original")
        context["steps"] = _steps(rule, self, request) if rule else []
        context["is_settled"] = is_settled(rule)
        return super().render_change_form(request, context, *args, **kwargs)

    read_valid_from = moment("valid_from", _("valid from"))

    @display(description=_("points"))
    def read_points(self, rule: EarningRule) -> str:
        return f"{rule.points.normalize():,f}"

    @display(description=_("for each"))
    def read_per_minor(self, rule: EarningRule) -> str:
        return sum_of_money(rule.per_minor, rule.currency)

    @display(description=_("amount from"))
    def read_amount_from_minor(self, rule: EarningRule) -> str:
        return sum_of_money(rule.amount_from_minor, rule.currency)

    @display(description=_("amount below"))
    def read_amount_below_minor(self, rule: EarningRule) -> str:
        return sum_of_money(rule.amount_below_minor, rule.currency)

    @display(description=_("event types"))
    def read_event_types(self, rule: EarningRule) -> str:
        return ", ".join(str(EventType(each).label) for each in rule.event_types) or now_("any")

    @display(description=_("weekdays"))
    def read_weekdays(self, rule: EarningRule) -> str:
        return ", ".join(map(weekday, rule.weekdays)) or now_("any")

    @display(description=_("tier multipliers"))
    def read_tier_multipliers(self, rule: EarningRule) -> str:
        return ", ".join(f"{tier} × {factor}" for tier, factor in rule.tier_multipliers.items()) or "–"

    @display(description=_("version"))
    def shown_version(self, rule: EarningRule) -> str:
        return f"{rule.code} v{rule.version}"

    @display(description=_("status"), label=STATUS_LABELS)
    def shown_status(self, rule: EarningRule) -> tuple[str, str]:
        return rule.status, short_status(rule)

    @display(description=_("award"))
    def shown_award(self, rule: EarningRule) -> str:
        return award_of(rule)

    @display(description=_("points are"))
    def shown_kind(self, rule: EarningRule) -> str:
        return now_("base") if rule.is_base else now_("bonus")

    @display(description=_("period"))
    def shown_period(self, rule: EarningRule) -> str:
        ends = shown_day(timezone.localdate(rule.valid_until)) if rule.valid_until else "…"
        return f"{shown_day(timezone.localdate(rule.valid_from))} – {ends}"


def _line(line: Any) -> tuple[str, ...]:
    return line if isinstance(line, tuple) else (line,)


def _in_words(name: str) -> str:
    """Return the line that says a column in words, where there is one."""
    return f"read_{name}" if hasattr(EarningRuleAdmin, f"read_{name}") else name


def short_status(rule: EarningRule) -> str:
    """Return the status in a word, as a list has room for."""
    return now_("Shadow") if rule.status == RuleStatus.SHADOW else rule.get_status_display()


def _steps(rule: EarningRule, screen: EarningRuleAdmin, request: HttpRequest) -> list[dict[str, Any]]:
    """Return the buttons that a rule's status leaves open."""
    preview = {"title": _("Preview"), "icon": "visibility", "name": "preview_of", "is_post": False}
    steps: list[dict[str, Any]] = [preview]
    if screen.has_change_permission(request):
        if rule.status == RuleStatus.DRAFT:
            steps.append({"title": _("Shadow"), "icon": "contrast", "name": "shadow", "is_post": True})
        if not is_settled(rule):
            steps.append({"title": _("Put into force"), "icon": "play_arrow", "name": "activate", "is_post": False})
        if rule.status == RuleStatus.ACTIVE:
            steps.append({"title": _("Retire"), "icon": "stop", "name": "retire", "is_post": False})
    if is_settled(rule) and screen.has_add_permission(request):
        steps.append({"title": _("New version"), "icon": "content_copy", "name": "new_version", "is_post": True})
    return [step | {"link": reverse(f"admin:points_earningrule_{step['name']}", args=[rule.pk])} for step in steps]
