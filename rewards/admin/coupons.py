"""Coupons and the batches they are made in."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.lib.queue import enqueue
from members.actions import auditing
from members.admin.base import ActionPage, DayFilter, ReadOnlyAdmin, display, moment, shown_moment
from members.admin.forms import ReasonForm
from members.admin.screen import Cell, Panel
from members.models import Member
from points.admin.reading import count, last_day, member_link, number, sum_of_money
from rewards.actions import coupons
from rewards.admin.forms import AssignForm, BatchForm
from rewards.models import USABLE_COUPON_STATES, Coupon, CouponBatch, CouponEvent, CouponState

STATE_LABELS = {
    "issued": "info",
    "assigned": "primary",
    "reserved": "warning",
    "redeemed": "success",
    "rolled_back": "primary",
    "expired": "",
    "void": "danger",
}


def worth(terms: Any) -> str:
    """Return what a coupon takes off, in a few words."""
    value = sum_of_money(terms.value_minor, terms.currency) if terms.value_minor is not None else f"{terms.percent}%"
    if not terms.minimum_minor:
        return value
    least = sum_of_money(terms.minimum_minor, terms.currency)
    return now_("%(value)s from %(least)s on") % {"value": value, "least": least}


class VoidPage(ActionPage):
    """A coupon taken out of use."""

    title = _("Void the coupon")
    intro = _("A void coupon cannot be used by anybody again.")
    submit_label = _("Void the coupon")
    form_class = ReasonForm
    permission = "rewards.change_coupon"
    is_dangerous = True

    def act(self, form: ReasonForm) -> Any:
        coupons.void(coupon=self.subject, reason=form.cleaned_data["reason"], actor=self.actor, at=timezone.now())
        return _("The coupon is void.")


class AssignPage(ActionPage):
    """A free coupon given to a member."""

    title = _("Give the coupon to a member")
    submit_label = _("Give")
    form_class = AssignForm
    permission = "rewards.change_coupon"

    def act(self, form: AssignForm) -> Any:
        said = form.cleaned_data
        coupons.assign(
            coupon=self.subject, member=said["member"], reason=said["reason"], actor=self.actor, at=timezone.now()
        )
        return _("The coupon belongs to %(number)s.") % {"number": said["member"].grouped_number}


@admin.register(Coupon)
class CouponAdmin(ReadOnlyAdmin):
    """Codes and what became of them."""

    list_display = ("grouped_code", "shown_state", "shown_worth", "owner", "reward", "batch", "issued", "shown_end")
    list_filter = (("state", ChoicesDropdownFilter), ("issued_at", DayFilter))
    search_fields = ("code",)
    search_help_text = _("Code, or the member's card number, phone or e-mail")
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("grouped_code", "state"),
                    ("owner", "reward"),
                    ("batch", "shown_worth"),
                    ("issued", "begins"),
                    "shown_end",
                )
            },
        ),
    )
    change_form_template = "admin/rewards/coupon.html"
    custom_urls = (
        ("<path:object_id>/void/", "rewards_coupon_void", VoidPage.as_view()),
        ("<path:object_id>/assign/", "rewards_coupon_assign", AssignPage.as_view()),
    )
    issued = moment("issued_at", _("issued at"))
    begins = moment("valid_from", _("valid from"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            people = list(Member.objects.search(term).values_list("pk", flat=True)[:100])
            found = list(Coupon.objects.by_code(term).values_list("pk", flat=True)[:1])
            queryset = queryset.filter(Q(pk__in=found) | Q(member_id__in=people))
        return queryset, False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        coupon: Coupon = context["original"]
        context["tables"] = [_life(coupon)]
        may = request.user.has_perm("rewards.change_coupon")
        context["can_void"] = may and coupon.state in (*USABLE_COUPON_STATES, CouponState.RESERVED)
        context["can_assign"] = may and coupon.state == CouponState.ISSUED and coupon.member_id is None
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("code"))
    def grouped_code(self, coupon: Coupon) -> str:
        return coupon.grouped_code

    @display(description=_("status"), label=STATE_LABELS)
    def shown_state(self, coupon: Coupon) -> tuple[str, str]:
        return coupon.state, coupon.get_state_display()

    @display(description=_("worth"))
    def shown_worth(self, coupon: Coupon) -> str:
        return worth(coupon)

    @display(description=_("member"))
    def owner(self, coupon: Coupon) -> Any:
        return member_link(coupon.member) if coupon.member else "–"

    @display(description=_("last day"))
    def shown_end(self, coupon: Coupon) -> str:
        return last_day(coupon.expires_at)


def _life(coupon: Coupon) -> Panel:
    """Show every step of a coupon."""
    rows = [
        (
            shown_moment(step.at),
            Cell(step.get_to_state_display(), label=STATE_LABELS[step.to_state]),
            Cell(sum_of_money(step.amount_minor, coupon.currency), is_number=True),
            Cell(sum_of_money(step.discount_minor, coupon.currency), is_number=True),
            " / ".join(filter(None, [step.source, step.reference])),
            step.actor,
            step.reason,
        )
        for step in CouponEvent.objects.filter(coupon=coupon).order_by("-id")[:100]
    ]
    headers = (_("time"), _("status"), _("amount"), _("discount"), _("reference"), _("actor"), _("reason"))
    return Panel(_("Life of the coupon"), headers, rows, _("Nothing yet."))


class NewBatchPage(ActionPage):
    """A batch of codes: the terms at once, the codes by the worker."""

    title = _("Make a batch of coupons")
    intro = _("The codes are made by the worker; a large batch takes a minute.")
    submit_label = _("Make the codes")
    form_class = BatchForm
    permission = "rewards.add_couponbatch"

    def confirmation(self, form: BatchForm) -> list[tuple[Any, Any]]:
        said = form.cleaned_data
        terms = CouponBatch(**{name: said[name] for name in ("value_minor", "percent", "minimum_minor", "currency")})
        return [
            (_("name"), said["name"]),
            (_("Number of codes"), number(said["quantity"])),
            (_("Worth"), worth(terms)),
            (_("Last day"), last_day(said["expires_at"])),
        ]

    def act(self, form: BatchForm) -> Any:
        at = timezone.now()
        batch = CouponBatch.objects.create(**form.cleaned_data, created_by=self.actor, created_at=at)
        details = {"batch": batch.pk, "quantity": batch.quantity}
        auditing.record(actor=self.actor, action="couponbatch.added", details=details, at=at)
        enqueue("rewards.issue_codes", batch_id=batch.pk)
        return _("The codes are being made.")


@admin.register(CouponBatch)
class CouponBatchAdmin(ReadOnlyAdmin):
    """Codes made in one go."""

    list_display = ("name", "shown_quantity", "shown_worth", "made", "created_by", "shown_end")
    search_fields = ("name",)
    ordering = ("-id",)
    fields = (("name", "shown_quantity"), ("shown_worth", "shown_end"), ("made", "created_by"))
    custom_urls = (("new/", "rewards_couponbatch_new", NewBatchPage.as_view()),)
    made = moment("created_at", _("created at"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(NewBatchPage.permission))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:rewards_couponbatch_new")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["tables"] = [_states(context["original"])]
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("number of codes"))
    def shown_quantity(self, batch: CouponBatch) -> str:
        return number(batch.quantity)

    @display(description=_("worth"))
    def shown_worth(self, batch: CouponBatch) -> str:
        return worth(batch)

    @display(description=_("last day"))
    def shown_end(self, batch: CouponBatch) -> str:
        return last_day(batch.expires_at)


def _states(batch: CouponBatch) -> Panel:
    """Show how many codes of a batch stand where."""
    counts = Coupon.objects.filter(batch=batch).order_by().values_list("state").annotate(Count("pk"))
    rows = [(Cell(CouponState(state).label, label=STATE_LABELS[state]), count(codes)) for state, codes in counts]
    return Panel(_("Codes by status"), (_("status"), _("codes")), rows, _("No codes yet."))
