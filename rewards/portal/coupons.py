"""A code in the member's hand: entered here it becomes the member's own."""

import math

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from config.lib import actor
from rewards.actions import coupons, guessing
from rewards.portal.access import MemberRequest, member_page
from rewards.portal.forms import dress


class CodeForm(forms.Form):
    """The code as it is printed."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
        help_text=gettext_lazy("As it is printed; capitals, spaces and dashes do not matter."),
        error_messages={"required": gettext_lazy("Enter the code.")},
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they are
        dress(self)


@member_page
def enter_code(request: MemberRequest) -> HttpResponse:
    """Ask for a code and make its coupon the member's own; who enters too many wrong ones has to wait."""
    form = CodeForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return render(request, "portal/enter_code.html", {"form": form}, status=422 if form.errors else 200)
    now, who = timezone.now(), actor.member(request.member.number)
    seconds = guessing.seconds_to_wait(door=who, at=now)
    if not seconds:
        try:
            coupon = coupons.claim(code=form.cleaned_data["code"], member=request.member, actor=who, at=now)
        except coupons.CouponForTill as refusal:
            form.add_error("code", str(refusal))
        except coupons.CouponUnusable:
            seconds = guessing.count_miss(door=who, at=now)
            form.add_error("code", _("This code cannot be used. Please check it letter by letter."))
        else:
            messages.success(request, _("The coupon is yours."))
            return redirect("coupon", coupon.pk)
    return (
        _wait(request, seconds) if seconds else render(request, "portal/enter_code.html", {"form": form}, status=422)
    )


def _wait(request: MemberRequest, seconds: float) -> HttpResponse:
    """Tell how long to wait, and nothing about the code."""
    form, minutes = CodeForm(request.POST), math.ceil(seconds / 60)
    told = ngettext(
        "Too many wrong codes. Please try again in %(minutes)s minute.",
        "Too many wrong codes. Please try again in %(minutes)s minutes.",
        minutes,
    )
    form.add_error("code", told % {"minutes": minutes})
    response = render(request, "portal/enter_code.html", {"form": form}, status=429)
    response["Retry-After"] = str(math.ceil(seconds))
    return response
