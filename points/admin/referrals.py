"""Invitations on screen: the terms, every verdict, and the quarantine with its two ways out."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from members.admin import trail
from members.admin.base import ActionPage, DayFilter, TranslatedAdmin, display, moment
from members.admin.forms import ReasonForm
from members.admin.screen import Cell, Panel
from members.models import Member
from points.actions import referring
from points.admin.reading import LedgerAdmin, member_address, member_link, sum_of_money
from points.models import Referral, ReferralCondition, ReferralProgramme, ReferralStatus

PERMISSION = "points.decide_referral"
trail.LABELS |= {"referral.released": _("Referral released"), "referral.rejected": _("Referral rejected")}
STATUS_LABELS = {
    "rewarded": "success",
    "unpaid": "",
    "capped": "",
    "open": "warning",
    "released": "success",
    "rejected": "danger",
}
KINDS = {
    "same_device": _("Joined from the same device"),
    "same_phone": _("The same telephone"),
    "same_email": _("The same mailbox"),
    "same_address": _("The same address"),
    "chain": _("Alike somebody further up the chain of invitations"),
    "sibling": _("Alike another friend of the same referrer"),
    "many_from_device": _("Many friends from one device"),
}


def open_badge(request: HttpRequest) -> str:
    """Return how many invitations wait in quarantine, for the sidebar."""
    if not request.user.has_perm("points.view_referral"):
        return ""
    waiting = Referral.objects.in_quarantine()[:100].count()
    return "99+" if waiting > 99 else str(waiting or "")


class ReleasePage(ActionPage):
    """An invitation that is in order after all."""

    title = _("Release the referral")
    intro = _("Both are rewarded now, as the rules for the events say, and once only.")
    submit_label = _("Release")
    form_class = ReasonForm
    permission = PERMISSION

    def act(self, form: ReasonForm) -> Any:
        referring.release(
            referral=self.subject, reason=form.cleaned_data["reason"], actor=self.actor, at=timezone.now()
        )
        return _("The referral is released and rewarded.")


class RejectPage(ActionPage):
    """An invitation of oneself, or by a ring."""

    title = _("Reject the referral")
    intro = _("Nobody is rewarded for this friend, now or later. The member reads that it does not meet the terms.")
    submit_label = _("Reject")
    form_class = ReasonForm
    permission = PERMISSION
    is_dangerous = True

    def act(self, form: ReasonForm) -> Any:
        referring.reject(
            referral=self.subject, reason=form.cleaned_data["reason"], actor=self.actor, at=timezone.now()
        )
        return _("The referral is rejected.")


@admin.register(Referral)
class ReferralAdmin(LedgerAdmin):
    """Verdicts on invitations, newest first; the quarantine is the filter “In quarantine”."""

    search_help_text = _("Card number, phone or e-mail of either, or #id")
    list_display = ("shown_id", "shown_status", "member_number", "shown_friend", "shown_evidence", "met", "decided_by")
    list_display_links = ("shown_id",)
    list_filter = (("status", ChoicesDropdownFilter), ("recorded_at", DayFilter))
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("member_number", "shown_friend"),
                    ("status", "programme"),
                    ("met", "recorded"),
                    ("enrolled_by", "decided_by"),
                    ("decided", "reason"),
                )
            },
        ),
    )
    change_form_template = "admin/points/referral.html"
    custom_urls = (
        ("<path:object_id>/release/", "points_referral_release", ReleasePage.as_view()),
        ("<path:object_id>/reject/", "points_referral_reject", RejectPage.as_view()),
    )
    met = moment("happened_at", _("condition met"))
    recorded = moment("recorded_at", _("recorded at"))
    decided = moment("decided_at", _("decided at"))

    def matching(self, term: str) -> Q:
        if term.startswith("#"):
            return super().matching(term)
        people = list(Member.objects.search(term).values_list("pk", flat=True)[:100])
        return Q(member_id__in=people) | Q(friend_id__in=people)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        referral: Referral = context["original"]
        context["tables"] = [_evidence_of(referral)]
        context["can_decide"] = referral.status == ReferralStatus.OPEN and request.user.has_perm(PERMISSION)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=pgettext_lazy("in a sequence", "number"))
    def shown_id(self, referral: Referral) -> str:
        return f"#{referral.pk}"

    @display(description=_("status"), label=STATUS_LABELS)
    def shown_status(self, referral: Referral) -> tuple[str, str]:
        return referral.status, referral.get_status_display()

    @display(description=_("friend"))
    def shown_friend(self, referral: Referral) -> Any:
        return member_link(referral.friend)

    @display(description=_("evidence"))
    def shown_evidence(self, referral: Referral) -> str:
        return "; ".join(str(KINDS.get(one["kind"], one["kind"])) for one in referral.evidence) or "–"


def _evidence_of(referral: Referral) -> Panel:
    """Show what looked odd, and in comparison with whom."""
    numbers = {number for one in referral.evidence for number in one["members"]}
    people = dict(Member.objects.filter(number__in=numbers).values_list("number", "pk"))
    rows = [
        (
            KINDS.get(one["kind"], one["kind"]),
            Cell(number, href=member_address(people[number]) if number in people else ""),
        )
        for one in referral.evidence
        for number in one["members"]
    ]
    return Panel(_("Evidence"), (_("what"), _("member")), rows, _("Nothing looked odd."))


@admin.register(ReferralProgramme)
class ReferralProgrammeAdmin(TranslatedAdmin):
    """The terms for friends who join in a period; terms that are over stay, for their friends."""

    list_display = ("name", "begins", "ends", "converts_on", "shown_least", "within_days", "cap", "cap_period")
    ordering = ("-valid_from",)
    sortable_by = ()
    actions = None
    begins = moment("valid_from", _("valid from"))
    ends = moment("valid_until", _("valid until"))
    fieldsets = (
        (None, {"fields": (("name_en", "name_zh_hans"), ("valid_from", "valid_until"))}),
        (_("Condition"), {"fields": ("converts_on", ("amount_from_minor", "currency"), ("within_days", "wait_days"))}),
        (_("Limits"), {"fields": (("cap", "cap_period"), ("device_limit", "device_hours"))}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("purchase of at least"))
    def shown_least(self, programme: ReferralProgramme) -> str:
        if programme.converts_on != ReferralCondition.PURCHASE:
            return "–"
        return sum_of_money(programme.amount_from_minor, programme.currency)
