"""The door: signing in and out."""

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpResponse
from django.utils.translation import activate

from members.models import User
from rewards.portal.forms import SignInForm


class SignIn(LoginView):
    """Sign a member in, and somebody of the back office too."""

    form_class = SignInForm
    template_name = "portal/sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: SignInForm) -> HttpResponse:  # type: ignore[override]
        response = super().form_valid(form)
        speak_to(form.get_user(), response, chosen=self.request.COOKIES)
        return response


class SignOut(LogoutView):
    """End the session."""

    next_page = "sign_in"


def speak_to(user: User, response: HttpResponse, chosen: dict[str, str]) -> None:
    """Speak the language on the member's profile, unless this browser has chosen one."""
    if user.member is not None and settings.LANGUAGE_COOKIE_NAME not in chosen:
        remember_language(response, user.member.language)


def remember_language(response: HttpResponse, language: str) -> None:
    """Keep the language in this browser, as Django's own switch does."""
    activate(language)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.LANGUAGE_COOKIE_PATH,
        domain=settings.LANGUAGE_COOKIE_DOMAIN,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,
    )
