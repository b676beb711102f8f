"""What a member can see and change of the own membership: details, language, password."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from config.lib import actor
from config.lib.errors import DomainError
from members.actions import signing_in, updating
from rewards.portal.access import MemberRequest, first_page, member_page, sent_from
from rewards.portal.forms import LanguageForm, PasswordForm
from rewards.portal.signing_in import remember_language


@member_page
def show_profile(request: MemberRequest) -> HttpResponse:
    """Show what the programme knows of the member."""
    form = LanguageForm(initial={"language": request.member.language})
    return render(request, "portal/profile.html", {"member": request.member, "form": form})


@sent_from("profile")
def choose_language(request: MemberRequest) -> HttpResponse:
    """Speak another language with the member, here and in what is sent."""
    member, form = request.member, LanguageForm(request.POST)
    if not form.is_valid():
        return render(request, "portal/profile.html", {"member": member, "form": form}, status=422)
    language = form.cleaned_data["language"]
    updating.update_profile(
        member=member, changes={"language": language}, actor=actor.member(member.number), at=timezone.now()
    )
    response = redirect("profile")
    remember_language(response, language)
    messages.success(request, _("The language was changed."))
    return response


@sensitive_post_parameters()
@first_page
def change_password(request: MemberRequest) -> HttpResponse:
    """Set a new password; this session goes on, every other one ends. With it a first sign-in is complete."""
    is_first = request.user.must_change_password
    form = PasswordForm(request.POST if request.method == "POST" else None, user=request.user)
    if request.method == "POST" and form.is_valid() and _set_password(request, form):
        messages.success(request, _("Your password was changed."))
        return redirect("home" if is_first else "profile")
    return render(
        request, "portal/password.html", {"form": form, "is_first": is_first}, status=422 if form.errors else 200
    )


def _set_password(request: MemberRequest, form: PasswordForm) -> bool:
    member = request.member
    try:
        user = signing_in.set_password(
            member=member, password=form.cleaned_data["new"], actor=actor.member(member.number), at=timezone.now()
        )
    except DomainError as error:
        form.add_error("new", str(error))
        return False
    update_session_auth_hash(request, user)
    return True
