"""The page on which staff credit or debit a member's points."""

import secrets
from functools import cached_property
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from members.admin.base import ActionPage, sentence_of
from members.models import Member
from points import reports
from points.actions import adjusting
from points.actions.posting import InsufficientPoints
from points.admin.forms import AdjustForm
from points.admin.reading import number

PERMISSION = "points.propose_adjustment"


class AdjustPage(ActionPage):
    """A credit or a debit with its reason; sent twice it is posted once."""

    title = _("Adjust points")
    intro = _(
        "An adjustment is an entry in the books, under your name. It cannot be changed; "
        "a mistake is corrected by another one."
    )
    submit_label = _("Go on")
    form_class = AdjustForm
    permission = PERMISSION

    @cached_property
    def subject(self) -> Member:
        return get_object_or_404(Member, pk=self.kwargs["member_id"])

    @property
    def subject_label(self) -> str:
        """The member and what there is to adjust."""
        balances = reports.balances(member=self.subject, at=timezone.now())
        figures = [f"{one.name} {number(one.available)}" for one in balances]
        return " · ".join([self.subject.grouped_number, self.subject.masked_name, *figures])

    def subject_url(self) -> str:
        return reverse("admin:members_member_change", args=[self.subject.pk])

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | {"reference": f"adjust-{secrets.token_hex(8)}", "direction": "credit"}

    def form_valid(self, form: AdjustForm) -> HttpResponse:
        """Refuse before the person is asked to confirm what is refused after."""
        missing = -form.signed_points() - self._available(form)
        if "confirmed" not in self.request.POST and missing > 0:
            refusal = InsufficientPoints(needed=form.cleaned_data["points"], available=self._available(form))
            form.add_error("points", sentence_of(refusal))
            return self.form_invalid(form)
        return super().form_valid(form)

    def _available(self, form: AdjustForm) -> int:
        """What the member can spend of the chosen points."""
        now = reports.balances(member=self.subject, at=timezone.now())
        return next((one.available for one in now if one.code == form.cleaned_data["point_type"].code), 0)

    def confirmation(self, form: AdjustForm) -> list[tuple[Any, Any]]:
        chosen, points = form.cleaned_data["point_type"], form.signed_points()
        available = self._available(form)
        return [
            (_("Member"), f"{self.subject.grouped_number} · {self.subject.masked_name}"),
            (_("Adjustment"), f"{'+' if points > 0 else '−'}{number(abs(points))} {chosen}"),
            (_("Available"), f"{number(available)} → {number(available + points)}"),
            (_("Reason"), form.cleaned_data["reason"]),
            (_("Note for the member"), form.cleaned_data["note"]),
        ]

    def act(self, form: AdjustForm) -> Any:
        posted = adjusting.adjust(
            member=self.subject,
            points=form.cleaned_data["points"],
            credit=form.cleaned_data["direction"] == "credit",
            reason=form.cleaned_data["reason"],
            note=form.cleaned_data["note"],
            reference=form.cleaned_data["reference"],
            point_type=form.cleaned_data["point_type"].code,
            actor=self.actor,
            at=timezone.now(),
        )
        if posted.replayed:
            return _("This adjustment was posted before; nothing was posted again.")
        return _("Posted: %(points)s points. Available now: %(available)s.") % {
            "points": number(posted.points),
            "available": number(posted.available),
        }
