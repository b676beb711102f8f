"""Coupons and the batches they are made in."""

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.lib.errors import DomainError
from config.lib.queue import enqueue
from members.actions import auditing
from members.admin.base import ActionPage, AdminPage, DayFilter, ReadOnlyAdmin, display, moment, shown_moment
from members.admin.forms import ReasonForm
from members.admin.screen import Cell, Panel
from members.models import Member
from points.admin.reading import count, last_day, member_link, number, sum_of_money
from rewards import batches
from rewards.actions import coupons
from rewards.admin.forms import AssignForm, BatchForm, CodesForm, GiveForm, OutsideBatchForm
from rewards.models import (
    USABLE_COUPON_STATES,
    CodeOrigin,
    Coupon,
    CouponBatch,
    CouponEvent,
    CouponGiving,
    CouponReservation,
    CouponState,
    CouponUse,
    GivingState,
)

STATE_LABELS = {
    "issued": "info",
    "assigned": "primary",
    "reserved": "warning",
    "redeemed": "success",
    "rolled_back": "primary",
    "expired": "",
    "void": "danger",
}
RESERVATION_LABELS = {"held": "warning", "used": "success", "released": ""}
GIVING_LABELS = {"running": "info", "done": "success", "short": "danger"}


def worth(terms: Any) -> str:
    """Return what a coupon takes off, in a few words."""
    most, least = terms.most_minor, terms.minimum_minor
    if terms.value_minor is not None:
        value = sum_of_money(terms.value_minor, terms.currency)
    elif terms.percent is not None:
        value = f"{terms.percent}%"
    elif terms.free_sku:
        value = now_("a free %(item)s") % {"item": terms.free_sku}
    else:
        value = now_("a free item of %(category)s") % {"category": terms.free_category}
    if most is not None:
        value = now_("%(value)s, at most %(most)s") % {"value": value, "most": sum_of_money(most, terms.currency)}
    if least:
        value = now_("%(value)s from %(least)s on") % {"value": value, "least": sum_of_money(least, terms.currency)}
    return value


def conditions(terms: Any) -> str:
    """Return where, how often and with what a coupon can be used, in a few words."""
    said = [", ".join(terms.channels)] if terms.channels else []
    if terms.uses > 1:
        said.append(ngettext("%(uses)s use", "%(uses)s uses", terms.uses) % {"uses": number(terms.uses)})
    if terms.uses_per_member is not None:
        each = ngettext("%(uses)s use a member", "%(uses)s uses a member", terms.uses_per_member)
        said.append(each % {"uses": number(terms.uses_per_member)})
    if not terms.combinable:
        said.append(now_("not with other coupons"))
    if terms.valid_days is not None:
        days = ngettext(
            "%(days)s day from the day it is given", "%(days)s days from the day it is given", terms.valid_days
        )
        said.append(days % {"days": number(terms.valid_days)})
    return " · ".join(said) or "–"


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

    list_display = ("masked_code", "shown_state", "shown_worth", "owner", "reward", "batch", "issued", "shown_end")
    list_filter = (("state", ChoicesDropdownFilter), ("issued_at", DayFilter))
    search_fields = ("code",)
    search_help_text = _("Code, or the member's card number, phone or e-mail")
    ordering = ("-id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("masked_code", "state"),
                    ("owner", "reward"),
                    ("batch", "shown_worth"),
                    ("shown_conditions", "shown_uses"),
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

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the whole code to who may change coupons or take their codes along, for whoever reads it can use it."""
        fieldsets: Any = super().get_fieldsets(request, obj)
        if not (request.user.has_perm("rewards.change_coupon") or request.user.has_perm(ExportPage.permission)):
            return fieldsets
        ((title, options),) = fieldsets
        (_code, state), *others = options["fields"]
        return ((title, {**options, "fields": (("grouped_code", state), *others)}),)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        coupon: Coupon = context["original"]
        context["tables"] = [_uses(coupon), _reservations(coupon), _life(coupon)]
        may = request.user.has_perm("rewards.change_coupon")
        context["can_void"] = may and coupon.state in (*USABLE_COUPON_STATES, CouponState.RESERVED)
        is_free = coupon.member_id is None and coupon.used == 0
        context["can_assign"] = may and is_free and coupon.state in USABLE_COUPON_STATES
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=pgettext_lazy("coupon", "code"))
    def masked_code(self, coupon: Coupon) -> str:
        return coupon.masked_code

    @display(description=pgettext_lazy("coupon", "code"))
    def grouped_code(self, coupon: Coupon) -> str:
        return coupon.grouped_code

    @display(description=_("status"), label=STATE_LABELS)
    def shown_state(self, coupon: Coupon) -> tuple[str, str]:
        return coupon.state, coupon.get_state_display()

    @display(description=_("worth"))
    def shown_worth(self, coupon: Coupon) -> str:
        return worth(coupon)

    @display(description=_("conditions"))
    def shown_conditions(self, coupon: Coupon) -> str:
        return conditions(coupon)

    @display(description=_("uses so far"))
    def shown_uses(self, coupon: Coupon) -> str:
        return f"{number(coupon.used)} / {number(coupon.uses)}"

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


def _uses(coupon: Coupon) -> Panel:
    """Show the last uses and returns, with who did it and on which bill."""
    steps = list(CouponUse.objects.filter(coupon=coupon).order_by("-id")[:100])
    people = Member.objects.in_bulk({step.member_id for step in steps if step.member_id})
    rows = [
        (
            shown_moment(step.at),
            Cell(_("Given back"), label="warning") if step.gives_back_id else Cell(_("Used"), label="success"),
            member_link(people[step.member_id]) if step.member_id in people else "–",
            Cell(sum_of_money(step.amount_minor, coupon.currency), is_number=True),
            Cell(sum_of_money(step.discount_minor, coupon.currency), is_number=True),
            step.channel,
            " / ".join(filter(None, [step.source, step.reference])),
            step.bill,
            step.actor,
        )
        for step in steps
    ]
    headers = (
        _("time"), _("step"), _("member"), _("amount"), _("discount"), _("channel"), _("reference"), _("bill"),
        _("actor"),
    )  # fmt: skip
    return Panel(_("Uses"), headers, rows, _("Not used yet."))


def _reservations(coupon: Coupon) -> Panel:
    """Show for which checkouts it is or was kept."""
    rows = [
        (
            shown_moment(kept.at),
            shown_moment(kept.expires_at),
            Cell(kept.get_state_display(), label=RESERVATION_LABELS[kept.state]),
            f"{kept.source} / {kept.reference}",
            kept.actor,
            shown_moment(kept.ended_at),
            kept.ended_by,
            kept.ended_reason,
        )
        for kept in CouponReservation.objects.filter(coupon=coupon).order_by("-id")[:20]
    ]
    headers = (
        _("time"), _("until"), _("status"), _("reference"), _("actor"), _("ended at"), _("ended by"), _("reason"),
    )  # fmt: skip
    return Panel(_("Reservations"), headers, rows, _("Never reserved."))


class NewBatchPage(ActionPage):
    """A batch of codes: the terms at once, the codes by the worker."""

    title = _("Make a batch of coupons")
    intro = _("The codes are made by the worker; a large batch takes minutes. Its page shows how far it has come.")
    submit_label = _("Make the codes")
    form_class: Any = BatchForm
    permission = "rewards.add_couponbatch"
    batch: CouponBatch

    def confirmation(self, form: Any) -> list[tuple[Any, Any]]:
        said = form.cleaned_data
        terms = CouponBatch(**form.terms())
        return [
            (_("name"), said["name"]),
            (_("Number of codes"), number(said["quantity"])),
            (_("Worth"), worth(terms)),
            (_("Conditions"), conditions(terms)),
            (_("Last day"), last_day(said["expires_at"])),
        ]

    def act(self, form: Any) -> Any:
        batch = self.make(form, quantity=form.cleaned_data["quantity"])
        enqueue("rewards.issue_codes", batch_id=batch.pk)
        return _("The codes are being made.")

    def get_success_url(self) -> str:
        return reverse("admin:rewards_couponbatch_change", args=[self.batch.pk])

    def make(self, form: Any, **more: Any) -> CouponBatch:
        """Write the batch, whose terms stand from now on."""
        at = timezone.now()
        self.batch = batch = CouponBatch.objects.create(**form.terms(), **more, created_by=self.actor, created_at=at)
        details = {"batch": batch.pk, "quantity": batch.quantity, "origin": batch.origin}
        auditing.record(actor=self.actor, action="couponbatch.added", details=details, at=at)
        return batch


class _TakesCodesIn(ActionPage):
    """Codes from outside: the good ones are taken in, the others named with the reason."""

    template_name = "admin/rewards/codes.html"

    def take_in(self, form: Any, batch: CouponBatch) -> batches.TakenIn:
        """Take the codes of the form into the batch, and write down that somebody did."""
        at = timezone.now()
        result = batches.take_in(batch=batch, rows=form.rows, actor=self.actor, at=at)
        details = {"batch": batch.pk, "taken": result.taken, "refused": len(result.refused)}
        auditing.record(actor=self.actor, action="couponbatch.codes_taken_in", details=details, at=at)
        self.batch, self.result = batch, result
        return result

    def done(self, form: Any, told: Any) -> HttpResponse:
        """Show what was left out; without that, the batch."""
        page = reverse("admin:rewards_couponbatch_change", args=[self.batch.pk])
        if not self.result.refused:
            messages.success(self.request, told)
            return redirect(page)
        rows = [(count(one.row), one.code, str(one.reason)) for one in self.result.refused[:500]]
        panel = Panel(_("Left out"), (_("row"), pgettext_lazy("coupon", "code"), _("reason")), rows, "")
        return self.render_to_response(self.get_context_data(form=form, result=told, panel=panel, back=page))


def _told(result: batches.TakenIn) -> str:
    words = now_("Taken in: %(taken)s. There before: %(there)s. Left out: %(refused)s.")
    return words % {
        "taken": number(result.taken),
        "there": number(result.there),
        "refused": number(len(result.refused)),
    }


class OutsideBatchPage(_TakesCodesIn, NewBatchPage):
    """A batch of codes that somebody else made, or a word to be printed."""

    title = _("Take in codes from outside")
    intro = _("Codes that were printed elsewhere, or a word such as SPRING. They keep their own letters.")
    submit_label = _("Take in the codes")
    form_class = OutsideBatchForm

    def confirmation(self, form: Any) -> list[tuple[Any, Any]]:
        return []

    def act(self, form: Any) -> Any:
        batch = self.make(form, origin=CodeOrigin.OUTSIDE, quantity=1)
        result = self.take_in(form, batch)
        if not result.taken:
            raise NothingTakenIn(reason=str(result.refused[0].reason))
        return _told(result)


class AddCodesPage(_TakesCodesIn):
    """More codes for a batch from outside; the same file again changes nothing."""

    title = _("Add codes from outside")
    submit_label = _("Take in the codes")
    form_class = CodesForm
    permission = "rewards.add_couponbatch"

    def is_allowed(self, request: HttpRequest) -> bool:
        return super().is_allowed(request) and self.subject.origin == CodeOrigin.OUTSIDE

    def act(self, form: Any) -> Any:
        return _told(self.take_in(form, self.subject))


class NothingTakenIn(DomainError):
    code = "nothing_taken_in"
    message = _("file: no code could be taken in: %(reason)s")


class GivePage(ActionPage):
    """A batch given to a tier or segment by the worker, one code to each member."""

    title = _("Give the batch to members")
    intro = _("Each active member gets one code; who has one of this batch already gets none.")
    submit_label = _("Give")
    form_class = GiveForm
    permission = "rewards.change_coupon"

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"batch": self.subject}

    def confirmation(self, form: GiveForm) -> list[tuple[Any, Any]]:
        giving = self._giving(form)
        return [
            (_("Batch"), self.subject),
            (_("tier"), giving.tier or _("All tiers")),
            (_("segment"), giving.segment),
            (_("Members"), number(batches.audience(giving).count())),
            (_("Free codes"), number(form.free_codes().count())),
        ]

    def act(self, form: GiveForm) -> Any:
        giving = self._giving(form)
        giving.wanted = batches.audience(giving).count()
        giving.save()
        details = {"batch": self.subject.pk, "giving": giving.pk, "members": giving.wanted}
        auditing.record(
            actor=self.actor,
            action="couponbatch.given",
            details=details,
            reason=giving.reason,
            at=giving.created_at,
        )
        enqueue("rewards.give_coupons", giving_id=giving.pk)
        return _("The codes are being given.")

    def _giving(self, form: GiveForm) -> CouponGiving:
        return CouponGiving(batch=self.subject, **form.cleaned_data, created_by=self.actor, created_at=timezone.now())


class GoOnPage(AdminPage):
    """What a worker left unfinished, begun again: codes still to be made, members still without."""

    permission = "rewards.add_couponbatch"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        batch: CouponBatch = self.subject
        enqueue("rewards.issue_codes", batch_id=batch.pk)
        for giving in batch.givings.exclude(state=GivingState.DONE):
            enqueue("rewards.give_coupons", giving_id=giving.pk)
        messages.success(request, _("The worker goes on with it."))
        return redirect("admin:rewards_couponbatch_change", batch.pk)


class ExportPage(AdminPage):
    """The codes of a batch as a file for the printer; who took them is written down, for a code is money."""

    permission = "rewards.export_couponbatch"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> StreamingHttpResponse:
        batch: CouponBatch = self.subject
        details = {"batch": batch.pk, "codes": batch.made}
        auditing.record(actor=self.actor, action="couponbatch.exported", details=details, at=timezone.now())
        response = StreamingHttpResponse(_lines(batch), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="coupons-{batch.pk}.csv"'
        return response


class _Echo:
    """A file that gives back what is written into it, for a writer that wants one."""

    def write(self, text: str) -> str:
        return text


def _lines(batch: CouponBatch) -> Iterator[str]:
    """Yield the codes as lines of CSV; a text from outside is never a formula to the spreadsheet that opens it."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + str(writer.writerow(["code", "status", "member", "uses", "used", "expires_at"]))
    coupons_ = Coupon.objects.filter(batch=batch).order_by("id")
    columns = ("code", "state", "member__number", "uses", "used", "expires_at")
    for code, state, member, uses, used, end in coupons_.values_list(*columns).iterator(chunk_size=2_000):
        safe = f"'{code}" if code[:1] in ("=", "+", "-", "@") else code
        ends = timezone.localtime(end).isoformat() if end else ""
        yield str(writer.writerow([safe, state, member or "", uses, used, ends]))


@admin.register(CouponBatch)
class CouponBatchAdmin(ReadOnlyAdmin):
    """Codes made in one go."""

    list_display = ("name", "shown_origin", "shown_made", "shown_worth", "created", "created_by", "shown_end")
    search_fields = ("name",)
    ordering = ("-id",)
    fields = (
        ("name", "shown_origin"),
        ("shown_made", "shown_worth"),
        ("shown_conditions", "begins"),
        ("shown_end", "created"),
        "created_by",
    )
    change_form_template = "admin/rewards/couponbatch.html"
    custom_urls = (
        ("new/", "rewards_couponbatch_new", NewBatchPage.as_view()),
        ("outside/", "rewards_couponbatch_outside", OutsideBatchPage.as_view()),
        ("<path:object_id>/codes/", "rewards_couponbatch_codes", AddCodesPage.as_view()),
        ("<path:object_id>/give/", "rewards_couponbatch_give", GivePage.as_view()),
        ("<path:object_id>/go-on/", "rewards_couponbatch_go_on", GoOnPage.as_view()),
        ("<path:object_id>/export/", "rewards_couponbatch_export", ExportPage.as_view()),
    )
    created = moment("created_at", _("created at"))
    begins = moment("valid_from", _("valid from"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(NewBatchPage.permission))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:rewards_couponbatch_new")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        batch: CouponBatch = context["original"]
        givings = list(batch.givings.select_related("tier").order_by("-id")[:20])
        context["tables"] = [_givings(givings), _states(batch)]
        context["steps"] = _steps(request, batch, givings)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("origin"))
    def shown_origin(self, batch: CouponBatch) -> str:
        return batch.get_origin_display()

    @display(description=_("codes made"))
    def shown_made(self, batch: CouponBatch) -> str:
        return f"{number(batch.made)} / {number(batch.quantity)}"

    @display(description=_("worth"))
    def shown_worth(self, batch: CouponBatch) -> str:
        return worth(batch)

    @display(description=_("conditions"))
    def shown_conditions(self, batch: CouponBatch) -> str:
        return conditions(batch)

    @display(description=_("last day"))
    def shown_end(self, batch: CouponBatch) -> str:
        return last_day(batch.expires_at)


def _steps(request: HttpRequest, batch: CouponBatch, givings: list[CouponGiving]) -> list[dict[str, Any]]:
    """Return the buttons of what can be done with a batch now."""
    is_unfinished = not batch.is_made or any(giving.state != GivingState.DONE for giving in givings)
    offered = [
        ("give", GivePage.permission, _("Give to members"), "redeem", False, True),
        ("codes", AddCodesPage.permission, _("Add codes"), "playlist_add", False, batch.origin == CodeOrigin.OUTSIDE),
        ("export", ExportPage.permission, _("Take the codes along"), "download", True, batch.made > 0),
        ("go_on", GoOnPage.permission, _("Go on"), "resume", True, is_unfinished),
    ]
    return [
        {
            "title": title,
            "icon": icon,
            "is_post": is_post,
            "link": reverse(f"admin:rewards_couponbatch_{name}", args=[batch.pk]),
        }
        for name, permission, title, icon, is_post, is_offered in offered
        if is_offered and request.user.has_perm(permission)
    ]


def _givings(givings: list[CouponGiving]) -> Panel:
    """Show to whom the batch was given, and how far that has come."""
    rows = [
        (
            shown_moment(giving.created_at),
            giving.tier or _("All tiers"),
            giving.segment,
            Cell(f"{number(giving.given)} / {number(giving.wanted)}", is_number=True),
            Cell(giving.get_state_display(), label=GIVING_LABELS[giving.state]),
            giving.created_by,
            giving.reason,
        )
        for giving in givings
    ]
    headers = (_("time"), _("tier"), _("segment"), _("given"), _("status"), _("actor"), _("reason"))
    return Panel(_("Given to members"), headers, rows, _("Not given to anybody yet."))


def _states(batch: CouponBatch) -> Panel:
    """Show how many codes of a batch stand where."""
    counts = Coupon.objects.filter(batch=batch).order_by().values_list("state").annotate(Count("pk"))
    rows = [(Cell(CouponState(state).label, label=STATE_LABELS[state]), count(codes)) for state, codes in counts]
    return Panel(_("Codes by status"), (_("status"), _("codes")), rows, _("No codes yet."))
