"""Who may see a page: a signed-in member, and nobody else's browser afterwards."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from members.models import Member, User

SOURCE = "portal"


class MemberRequest(HttpRequest):
    """A request of a member who has signed in."""

    user: User
    member: Member
    htmx: HtmxDetails


def member_page[**P](
    view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Show a page to a member; one who was given a password at a counter chooses another before anything else."""

    @first_page
    @wraps(view)
    def page(request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.must_change_password:
            place = "change_password"
            return HttpResponseClientRedirect(reverse(place)) if request.htmx else redirect(place)
        return view(request, *args, **kwargs)

    return page


def sent_from[**P](
    place: str,
) -> Callable[
    [Callable[Concatenate[MemberRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Act on a form that was sent; who comes to its address otherwise is led to the page where the form stands.

    That happens: by reload, by the language button below a refusal, or after signing in anew.
    """

    def decorate(
        view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        act = require_http_methods(["GET", "HEAD", "POST"])(member_page(view))

        @wraps(view)
        def page(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if request.method in ("GET", "HEAD"):
                return HttpResponseRedirect(reverse(place, args=args, kwargs=kwargs))
            return act(request, *args, **kwargs)

        return page

    return decorate


def first_page[**P](
    view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Show a page to a member, whoever made the password; send strangers to the sign-in and staff to their own side.

    Nothing of it is cached.
    """

    @never_cache
    @wraps(view)
    def page(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        user = request.user
        if not isinstance(user, User) or not user.is_authenticated:
            return _to_sign_in(request)
        if user.member is None:
            return render(request, "portal/staff.html", status=200 if request.method == "GET" else 403)
        mine = cast(MemberRequest, request)
        mine.member = user.member
        return view(mine, *args, **kwargs)

    return page


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """Lead to the sign-in; a part of a page must not be replaced by a whole one."""
    if cast(MemberRequest, request).htmx:
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    return redirect_to_login(request.get_full_path())
