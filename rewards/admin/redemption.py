"""Orders: the queue of what waits, and each step an order can take."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from config.lib import actor
from config.lib.errors import DomainError
from members.actions import auditing
from members.admin.base import (
    ActionPage,
    AdminPage,
    DayFilter,
    ReadOnlyAdmin,
    display,
    moment,
    shown_day,
    shown_moment,
)
from members.admin.screen import Cell, Panel
from members.models import Member
from points.admin.reading import link, member_link, number, sum_of_money
from rewards.actions import booking, fulfilling, paying, redeeming
from rewards.actions.booking import Booking
from rewards.admin.forms import (
    BookingForm,
    NoShowForm,
    PaymentForm,
    ReasonForOrderForm,
    ReturnForm,
    ShipForm,
    WriteOffForm,
)
from rewards.models import (
    OPEN_STATES,
    REDEMPTION_TRANSITIONS,
    Redemption,
    RedemptionChange,
    RedemptionState,
    RedemptionTopic,
    RewardKind,
)
from rewards.querysets import normalise_code

PERMISSION = "rewards.change_redemption"
STATE_LABELS = {
    "placed": "warning",
    "approved": "info",
    "shipped": "info",
    "ready": "primary",
    "completed": "success",
    "cancelled": "",
    "returned": "",
    "no_show": "danger",
}


def shown_money(redemption: Redemption) -> str:
    """Return what an order costs besides the points."""
    return sum_of_money(redemption.money_minor, redemption.money_currency)


def shown_booking(redemption: Redemption | RedemptionChange) -> str:
    """Return when and where a service is booked."""
    return f"{shown_moment(redemption.booked_for)} {redemption.booked_place}" if redemption.booked_for else "–"


def waiting_badge(request: HttpRequest) -> str:
    """Return how many orders wait for somebody of the back office, for the sidebar."""
    if not request.user.has_perm("rewards.view_redemption"):
        return ""
    waiting = Redemption.objects.waiting().order_by()[:100].count()
    return "99+" if waiting > 99 else str(waiting or "")


def next_states(redemption: Redemption) -> set[str]:
    """Return where an order can go from here and now: unpaid nowhere but back, missed only after its time."""
    here = (redemption.kind, redemption.state)
    following = {new for kind, old, new in REDEMPTION_TRANSITIONS if (kind, old) == here}
    if redemption.is_unpaid:
        following &= {RedemptionState.CANCELLED}
    if redemption.booked_for is None or redemption.booked_for > timezone.now():
        following -= {RedemptionState.NO_SHOW}
    return following


class OrderPage(ActionPage):
    """A step of an order."""

    permission = PERMISSION


class ShipPage(OrderPage):
    """An order handed to a carrier."""

    title = _("Ship the order")
    submit_label = _("Shipped")
    form_class = ShipForm

    def act(self, form: ShipForm) -> Any:
        said = form.cleaned_data
        fulfilling.ship(
            redemption=self.subject,
            carrier=said["carrier"],
            tracking=said["tracking"],
            actor=self.actor,
            at=timezone.now(),
        )
        return _("The order is on its way.")


class PaymentPage(OrderPage):
    """The money of an order, paid over the counter."""

    title = _("Record the payment")
    submit_label = _("Paid")
    form_class = PaymentForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        due = _("Due: %(money)s.") % {"money": shown_money(self.subject)}
        return super().get_context_data(**{"intro": due} | kwargs)

    def act(self, form: PaymentForm) -> Any:
        redemption: Redemption = self.subject
        paying.record_payment(
            redemption=redemption,
            amount_minor=redemption.money_minor or 0,
            currency=redemption.money_currency,
            source=fulfilling.SOURCE,
            reference=form.cleaned_data["reference"],
            actor=self.actor,
            at=timezone.now(),
        )
        return _("The order is paid.")


class BookingPage(OrderPage):
    """The time and place of a service."""

    title = _("Book a time and place")
    submit_label = _("Book")
    form_class = BookingForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"redemption": self.subject}

    def get_initial(self) -> dict[str, Any]:
        redemption: Redemption = self.subject
        return {
            "booking": redemption.booked_for,
            "place": redemption.booked_place,
            "reference": f"book-{uuid.uuid4().hex}",
        }

    def act(self, form: BookingForm) -> Any:
        said = form.cleaned_data
        booked = booking.reschedule(
            redemption=self.subject,
            booking=Booking(at=said["booking"], place=said["place"].strip()),
            source=fulfilling.SOURCE,
            reference=said["reference"],
            reason=said["reason"],
            actor=self.actor,
            at=timezone.now(),
            though_due=True,
        )
        return _("Booked: %(booking)s.") % {"booking": shown_booking(booked.redemption)}


class NoShowPage(OrderPage):
    """A member who did not come."""

    title = _("No-show")
    intro = _("The member did not come at the booked time. The points stay spent unless you give them back.")
    submit_label = _("No-show")
    form_class = NoShowForm
    is_dangerous = True

    def act(self, form: NoShowForm) -> Any:
        fulfilling.no_show(
            redemption=self.subject,
            restore=form.cleaned_data["restore"],
            reason=form.cleaned_data["reason"],
            actor=self.actor,
            at=timezone.now(),
        )
        if not form.cleaned_data["restore"]:
            return _("The order is a no-show; its points stay spent.")
        return _("The order is returned; %(points)s points are back.") % {"points": number(self.subject.points)}


class CancelPage(OrderPage):
    """An order taken back before it was delivered."""

    title = _("Cancel the order")
    intro = _("The points return to the lots they left, the pieces to the stock, and an unused coupon becomes void.")
    submit_label = _("Cancel the order")
    form_class = ReasonForOrderForm
    is_dangerous = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        redemption: Redemption = self.subject
        if redemption.paid_at is not None:
            back = _("The member paid %(money)s: give it back where it was paid.")
            kwargs = {"intro": f"{self.intro} {back % {'money': shown_money(redemption)}}"} | kwargs
        return super().get_context_data(**kwargs)

    def act(self, form: ReasonForOrderForm) -> Any:
        redemption: Redemption = self.subject
        redeeming.cancel(
            redemption=redemption,
            source=fulfilling.SOURCE,
            reference=f"cancel-{redemption.key}",
            reason=form.cleaned_data["reason"],
            actor=self.actor,
            at=timezone.now(),
            though_due=True,
        )
        return _("The order is cancelled; %(points)s points are back.") % {"points": number(redemption.points)}


class ReturnPage(OrderPage):
    """An order that came back, a no-show that is excused, or a service that was written off by mistake."""

    title = _("Take the order back")
    intro = _("The points return to the lots they left.")
    submit_label = _("Take the order back")
    form_class = ReturnForm
    is_dangerous = True

    def get_initial(self) -> dict[str, Any]:
        """A visit that was missed does not come back into stock, a piece or a visit nobody made does."""
        return {"restock": self.subject.state != RedemptionState.NO_SHOW}

    def act(self, form: ReturnForm) -> Any:
        fulfilling.return_(
            redemption=self.subject,
            reason=form.cleaned_data["reason"],
            restock=form.cleaned_data["restock"],
            actor=self.actor,
            at=timezone.now(),
        )
        return _("The order is returned; %(points)s points are back.") % {"points": number(self.subject.points)}


class WriteOffPage(OrderPage):
    """The counter: a member shows a code, the order is completed."""

    title = _("Write off a code")
    intro = _("Type or scan the code that the member shows for a pick-up or a service.")
    submit_label = _("Write off")
    form_class = WriteOffForm
    written: Redemption

    def confirmation(self, form: WriteOffForm) -> list[tuple[Any, Any]]:
        """Ask once more where the member is expected on another day: the code may be of another visit."""
        orders = Redemption.objects.by_pickup_code(form.cleaned_data["code"]).filter(state=RedemptionState.READY)
        redemption = orders.select_related("reward").first()
        if redemption is None or redemption.booked_for is None:
            return []
        today = timezone.localdate()
        if timezone.localdate(redemption.booked_for) == today:
            return []
        return [
            (_("reward"), f"{redemption.reward} × {redemption.quantity}"),
            (_("booked for"), shown_booking(redemption)),
            (_("Today"), shown_day(today)),
        ]

    def act(self, form: WriteOffForm) -> Any:
        self.written = fulfilling.write_off(code=form.cleaned_data["code"], actor=self.actor, at=timezone.now())
        facts = {"reward": self.written.reward, "quantity": self.written.quantity}
        told = _("Written off: %(reward)s × %(quantity)s.") % facts
        return f"{told} {shown_booking(self.written)}" if self.written.booked_for else told

    def get_success_url(self) -> str:
        return reverse("admin:rewards_redemption_write_off")


class StepPage(AdminPage):
    """A step that needs no words, posted from a button."""

    permission = PERMISSION
    step: Callable[..., Redemption] = fulfilling.approve
    told: Any = ""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("admin:rewards_redemption_change", self.subject.pk)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            self.step(redemption=self.subject, actor=self.actor, at=timezone.now())
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, self.told)
        return redirect("admin:rewards_redemption_change", self.subject.pk)


class AddressPage(AdminPage):
    """Where to send an order, in the clear; that it was read is written down."""

    permission = PERMISSION

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("admin:rewards_redemption_change", self.subject.pk)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        redemption: Redemption = self.subject
        auditing.record(
            actor=self.actor,
            action="member.revealed",
            subject=redemption.member,
            reason="fulfilment",
            details={"fields": ["address"], "redemption": str(redemption.key)},
            at=timezone.now(),
        )
        context = self.get_context_data(redemption=redemption, address=redemption.address, member=redemption.member)
        return TemplateResponse(request, "admin/rewards/address.html", context)


_approve = StepPage.as_view(step=staticmethod(fulfilling.approve), told=_("The order is approved."))
_ready = StepPage.as_view(
    step=staticmethod(fulfilling.ready), told=_("The order is ready; the member has a write-off code.")
)
_complete = StepPage.as_view(step=staticmethod(fulfilling.complete), told=_("The order is completed."))

#: What leads an order into each state: the page, the words on its button, an icon, and whether it is posted at once.
_BUTTONS: dict[str, tuple[str, Any, str, bool]] = {
    RedemptionState.APPROVED: ("approve", _("Approve"), "check", True),
    RedemptionState.SHIPPED: ("ship", _("Ship"), "local_shipping", False),
    RedemptionState.READY: ("ready", _("Ready for pick-up"), "storefront", True),
    RedemptionState.COMPLETED: ("complete", _("Complete"), "done_all", True),
    RedemptionState.CANCELLED: ("cancel", _("Cancel the order"), "cancel", False),
    RedemptionState.RETURNED: ("take_back", _("Take back"), "undo", False),
    RedemptionState.NO_SHOW: ("no_show", _("No-show"), "person_off", False),
}


class QueueFilter(DropdownFilter):  # type: ignore[misc]
    """What waits, by default; or any state, or everything."""

    title = _("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("all", _("All")), *RedemptionState.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen == "all" or (chosen is None and is_narrowed(request)):
            return queryset
        return queryset.filter(state=chosen) if chosen else queryset.filter(state__in=OPEN_STATES)


def is_narrowed(request: HttpRequest) -> bool:
    """Tell whether somebody looks for particular orders, among which the done ones belong."""
    return bool(request.GET.get("q") or request.GET.get("member__exact"))


@admin.register(Redemption)
class RedemptionAdmin(ReadOnlyAdmin):
    """Orders; first those that wait, longest waiting first."""

    list_display = (
        "placed",
        "member_number",
        "reward",
        "shown_quantity",
        "shown_state",
        "shown_points",
        "changed",
        "carriage",
        "booked",
    )
    list_filter = (
        QueueFilter,
        ("kind", ChoicesDropdownFilter),
        ("placed_at", DayFilter),
        ("booked_for", DayFilter),
    )
    search_fields = ("key",)
    search_help_text = _("Card number, phone, e-mail, write-off code, tracking number or order id")
    list_select_related = ("member", "reward", "variant")
    actions = ("approve_selected", "ready_selected", "complete_selected")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("member_number", "state"),
                    ("reward", "shown_quantity"),
                    ("shown_points", "entry_link"),
                    ("money", "paid"),
                    ("placed", "changed"),
                    ("source", "reference"),
                    ("carriage", "coupon"),
                    ("booked",),
                    ("key", "shown_code"),
                )
            },
        ),
    )
    change_form_template = "admin/rewards/redemption.html"
    custom_urls = (
        ("write-off/", "rewards_redemption_write_off", WriteOffPage.as_view()),
        ("<path:object_id>/approve/", "rewards_redemption_approve", _approve),
        ("<path:object_id>/ship/", "rewards_redemption_ship", ShipPage.as_view()),
        ("<path:object_id>/ready/", "rewards_redemption_ready", _ready),
        ("<path:object_id>/payment/", "rewards_redemption_payment", PaymentPage.as_view()),
        ("<path:object_id>/book/", "rewards_redemption_book", BookingPage.as_view()),
        ("<path:object_id>/no-show/", "rewards_redemption_no_show", NoShowPage.as_view()),
        ("<path:object_id>/complete/", "rewards_redemption_complete", _complete),
        ("<path:object_id>/cancel/", "rewards_redemption_cancel", CancelPage.as_view()),
        ("<path:object_id>/take-back/", "rewards_redemption_take_back", ReturnPage.as_view()),
        ("<path:object_id>/address/", "rewards_redemption_address", AddressPage.as_view()),
    )
    placed = moment("placed_at", _("placed at"))
    changed = moment("changed_at", _("changed at"))
    paid = moment("paid_at", _("paid at"))

    def has_fulfil_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this person moves orders on."""
        return bool(request.user.has_perm(PERMISSION))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The queue by how long it waits, everything else newest first."""
        return ("-id",) if request.GET.get("state") or is_narrowed(request) else ("changed_at", "id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            people = list(Member.objects.search(term).values_list("pk", flat=True)[:100])
            wanted = Q(member_id__in=people) | Q(pickup_code=normalise_code(term)) & ~Q(pickup_code="")
            queryset = queryset.filter(wanted | Q(tracking=term) | _by_key(term))
        return queryset, False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        redemption: Redemption = context["original"]
        may = self.has_fulfil_permission(request)
        context["tables"] = [_history(redemption)]
        context["steps"] = _steps(redemption) if may else []
        context["address_page"] = ""
        if may and redemption.kind == RewardKind.GIFT and redemption.state in OPEN_STATES and redemption.address:
            context["address_page"] = reverse("admin:rewards_redemption_address", args=[redemption.pk])
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Approve the selected orders"), permissions=["fulfil"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._step_all(request, queryset, fulfilling.approve)

    @admin.action(description=_("Put the selected orders out for pick-up"), permissions=["fulfil"])
    def ready_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._step_all(request, queryset, fulfilling.ready)

    @admin.action(description=_("Complete the selected orders"), permissions=["fulfil"])
    def complete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._step_all(request, queryset, fulfilling.complete)

    def _step_all(self, request: HttpRequest, queryset: QuerySet[Any], step: Callable[..., Redemption]) -> None:
        """Take the step with each order; those that stand elsewhere are named and left."""
        who, at, moved = actor.staff(request.user), timezone.now(), 0
        for redemption in queryset.select_related("member", "reward"):
            try:
                step(redemption=redemption, actor=who, at=at)
                moved += 1
            except DomainError as refusal:
                messages.error(request, f"{redemption.member.grouped_number}, {redemption.reward}: {refusal}")
        if moved:
            told = ngettext("%(number)s order moved on.", "%(number)s orders moved on.", moved) % {"number": moved}
            messages.success(request, told)

    @display(description=_("member"))
    def member_number(self, redemption: Redemption) -> Any:
        return member_link(redemption.member)

    @display(description=_("quantity"))
    def shown_quantity(self, redemption: Redemption) -> str:
        return f"{redemption.quantity} × {redemption.variant}" if redemption.variant else str(redemption.quantity)

    @display(description=_("status"), label=STATE_LABELS)
    def shown_state(self, redemption: Redemption) -> tuple[str, str]:
        return redemption.state, redemption.get_state_display()

    @display(description=_("points"))
    def shown_points(self, redemption: Redemption) -> str:
        return number(redemption.points)

    @display(description=_("price in money"))
    def money(self, redemption: Redemption) -> str:
        return "–" if redemption.money_minor is None else shown_money(redemption)

    @display(description=_("booked for"))
    def booked(self, redemption: Redemption) -> str:
        return shown_booking(redemption)

    @display(description=_("carrier"))
    def carriage(self, redemption: Redemption) -> str:
        return " ".join(filter(None, [redemption.carrier, redemption.tracking])) or "–"

    @display(description=_("write-off code"))
    def shown_code(self, redemption: Redemption) -> str:
        """Staff see that there is a code, not which: the member must show it."""
        return f"****-{redemption.pickup_code[-4:]}" if redemption.pickup_code else "–"

    @display(description=_("points entry"))
    def entry_link(self, redemption: Redemption) -> Any:
        return link("entry", redemption.entry_id, f"#{redemption.entry_id}")


def _by_key(term: str) -> Q:
    """Match the id of an order, if that is what the term is."""
    try:
        return Q(key=uuid.UUID(term))
    except ValueError:
        return Q(pk__in=[])


def _steps(redemption: Redemption) -> list[dict[str, Any]]:
    """Return the buttons of the steps that follow from here, and of what can be said of the order meanwhile."""
    following = next_states(redemption)
    buttons = [button for state, button in _BUTTONS.items() if state in following]
    if redemption.can_be_booked:
        buttons.insert(0, ("book", _("Book a time and place"), "event", False))
    if redemption.is_unpaid and redemption.state == RedemptionState.PLACED:
        buttons.insert(0, ("payment", _("Record the payment"), "payments", False))
    return [
        {
            "title": title,
            "icon": icon,
            "is_post": is_post,
            "link": reverse(f"admin:rewards_redemption_{name}", args=[redemption.pk]),
        }
        for name, title, icon, is_post in buttons
    ]


def _history(redemption: Redemption) -> Panel:
    """Show every step of an order."""
    changes = RedemptionChange.objects.filter(member_id=redemption.member_id, redemption_id=redemption.pk)
    rows = [
        (
            shown_moment(change.at),
            Cell(change.title, label=STATE_LABELS[change.to_state]),
            change.actor,
            " ".join(filter(None, [_details(change), now_(change.reason) if change.reason else ""])),
        )
        for change in changes.order_by("-id")[:50]
    ]
    return Panel(_("Steps"), (_("time"), _("status"), _("actor"), _("reason")), rows, _("Nothing yet."))


def _details(change: RedemptionChange) -> str:
    """Return for what time and place it was booked, or under which number it was paid."""
    if change.topic == RedemptionTopic.BOOKING:
        return shown_booking(change)
    return change.reference if change.topic == RedemptionTopic.PAYMENT else ""
