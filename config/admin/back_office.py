"""The admin site: Unfold's, under the one policy it can work with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csp import csp_override

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
else:
    from unfold.forms import AuthenticationForm
    from unfold.sites import UnfoldAdminSite as AdminSite

#: Unfold's Alpine evaluates expressions and styles elements; the portal allows neither.
POLICY: dict[str, Any] = settings.SECURE_CSP | {
    "script-src": [CSP.SELF, CSP.NONCE, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
}


class StaffSignInForm(AuthenticationForm):
    """The staff's door: to a member's right password it says what it says to a wrong one, and counts it too."""

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username is not None and password:
            user = authenticate(self.request, username=username, password=password, staff_only=True)
            if user is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(user)
            self.user_cache = user
        return self.cleaned_data


class BackOffice(AdminSite):
    """Where staff work."""

    login_form = StaffSignInForm
    site_title = _("Laurel back office")
    index_title = _("Overview")
    enable_nav_sidebar = True

    def get_urls(self) -> list[Any]:
        """Leave out the road from any row of any table to its public page: ours have none."""
        return [pattern for pattern in super().get_urls() if getattr(pattern, "name", None) != "view_on_site"]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        return csp_override(POLICY)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().login(request, extra_context)
        if request.method == "POST" and response.get("Location") == settings.LOGIN_REDIRECT_URL:
            response["Location"] = reverse("admin:index")  # the members' pages, where nobody works
        response._csp_config = POLICY  # type: ignore[attr-defined]  # what csp_override sets, for the one view Django does not wrap
        return response
