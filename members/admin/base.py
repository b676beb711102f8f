"""What every screen of the back office shares: who may do what, how far lists count, and the page of one action."""

import contextlib
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.options import ActionLocation
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView, TemplateView

from config.lib import actor
from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing

if TYPE_CHECKING:
    from django.contrib.admin import FieldListFilter as RangeDateFilter
    from django.contrib.admin import ModelAdmin
    from django.contrib.admin.views.main import ChangeList

    def action[F: Callable[..., Any]](**how: Any) -> Callable[[F], F]: ...
    def display[F: Callable[..., Any]](**how: Any) -> Callable[[F], F]: ...

    class _Screen(ModelAdmin[Any]):
        pass

    class _Translated:
        pass

    class _FormView(FormView[Any]):
        pass
else:
    from modeltranslation.admin import TranslationAdmin as _Translated
    from unfold.admin import ModelAdmin as _Screen
    from unfold.contrib.filters.admin import RangeDateFilter
    from unfold.decorators import action, display
    from unfold.views import ChangeList

    _FormView = FormView

__all__ = ["action", "display"]


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to a bound: nobody leafs through a million rows, and counting them all takes a second each time."""

    BOUND = 10_000
    template_name = "admin/bounded_pagination.html"

    @cached_property
    def counted(self) -> int:
        """How many rows there are, at most one more than the bound."""
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return rows.order_by()[: self.BOUND + 1].count()
        return len(rows)

    @cached_property
    def count(self) -> int:
        return min(self.counted, self.BOUND)

    @property
    def is_beyond(self) -> bool:
        """Whether there are more rows than are counted."""
        return self.counted > self.BOUND


class DayFilter(RangeDateFilter):
    """Moments from one local day to another, both included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        path = self.field_path
        since, until = self._day(f"{path}_from"), self._day(f"{path}_to")
        is_moment = isinstance(self.field, models.DateTimeField)
        if since:
            queryset = queryset.filter(**{f"{path}__gte": start_of(since) if is_moment else since})
        if until:
            after = until + timedelta(days=1)
            queryset = queryset.filter(**{f"{path}__lt": start_of(after) if is_moment else after})
        return queryset

    def _day(self, parameter: str) -> date | None:
        """Return the day that was asked for; a year in which nothing lies, or that has no next one, is no day."""
        with contextlib.suppress(ValueError):
            day = parse_date(str(self.used_parameters.get(parameter) or ""))
            return day if day and 1900 <= day.year <= 2200 else None
        return None


def shown_moment(at: datetime | None) -> str:
    """Return a moment in the programme's time zone as tables show it: the same length and order in every language."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else "–"


def shown_day(day: date | None) -> str:
    """Return a day as tables show it."""
    return f"{day:%Y-%m-%d}" if day else "–"


def moment(name: str, title: Any) -> Any:
    """Return a column or line that shows a moment of the row."""

    @display(description=title)
    def column(self: Any, row: Any) -> str:
        return shown_moment(getattr(row, name))

    return column


def start_of(day: date) -> datetime:
    """The first moment of a local day."""
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())


class BoundedChangeList(ChangeList):
    """A list whose head does not repeat the count that its foot shows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count


class ScreenAdmin(_Screen):
    """A screen of the back office; what is changed on it is written into the audit trail."""

    warn_unsaved_form = True
    list_filter_submit = True
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # a count for each choice of each filter is a scan for each
    paginator = BoundedPaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Fetch what rows point at for the whole page at once."""
        return super().get_queryset(request).fetch_mode(models.FETCH_PEERS)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = models.BLANK_CHOICE_DASH,
        action_location: Any = ActionLocation.CHANGE_LIST,
    ) -> Any:
        """Let Django say where the actions stand; the theme's own method does not pass it on yet."""
        return super(_Screen, self).get_action_choices(request, default_choices, action_location)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._audit(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._audit(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._audit(request, obj, "deleted", "")
        return super().log_deletions(request, queryset)

    def _audit(self, request: HttpRequest, obj: Any, verb: str, message: Any) -> None:
        auditing.record(
            actor=actor.staff(request.user),
            action=f"{self.opts.model_name}.{verb}",
            details={"object": str(obj)[:200], "id": str(obj.pk), "change": message},
            at=timezone.now(),
        )


#: What a text that is kept in several languages is called in each of them.
_IN_LANGUAGE: dict[str, Any] = {"en": _("%(name)s (English)"), "zh-hans": _("%(name)s (Chinese)")}


class TranslatedAdmin(ScreenAdmin, _Translated):
    """A screen of something that has a name in each language; the languages stand beside each other."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Say the language of a field as people do, not by its code."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and (label := _IN_LANGUAGE.get(getattr(db_field, "language", ""))):
            field.label = label % {"name": capfirst(str(db_field.translated_field.verbose_name))}
        return field


class ReadOnlyAdmin(ScreenAdmin):
    """Rows to look at: nobody adds, changes or deletes them here, whatever they may do elsewhere."""

    actions: Any = None
    sortable_by: ClassVar[Any] = ()
    change_form_template = "admin/readonly.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AdminPage(TemplateView):
    """A page of a screen that is neither its list nor its form."""

    model_admin: Any = None
    title: Any = ""
    permission = ""

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.model_admin = kwargs.pop("model_admin")
        super().setup(request, *args, **kwargs)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.is_allowed(request):
            raise PermissionDenied
        request.current_app = self.model_admin.admin_site.name
        return super().dispatch(request, *args, **kwargs)

    def is_allowed(self, request: HttpRequest) -> bool:
        """Tell whether this person may see the page."""
        return bool(request.user.has_perm(self.permission))

    @cached_property
    def subject(self) -> Any:
        """The row the page is about, if it is about one."""
        if (object_id := self.kwargs.get("object_id")) is None:
            return None
        found = self.model_admin.get_object(self.request, object_id)
        if found is None:
            raise Http404
        return found

    @property
    def actor(self) -> Actor:
        """Who is working here, as the books name people."""
        return actor.staff(self.request.user)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        standing = {
            **self.model_admin.admin_site.each_context(self.request),
            "title": self.title,
            "opts": self.model_admin.opts,
            "model_admin": self.model_admin,
            "subject": self.subject,
            "original": self.subject,
        }
        return super().get_context_data(**standing | kwargs)


class ActionPage(AdminPage, _FormView):
    """One form before one action: it asks, repeats what was asked where that matters, calls, and tells what happened.

    A refusal is shown beside the field it names, and nothing has changed.
    """

    template_name = "admin/action_page.html"
    intro: Any = ""
    subject_label: Any = ""
    submit_label: Any = _("Save")
    is_dangerous = False
    #: What this form calls a field that refusals name otherwise.
    called: ClassVar[dict[str, str]] = {}

    def act(self, form: Any) -> Any:
        """Call the action; returns what to tell the person."""
        raise NotImplementedError

    def confirmation(self, form: Any) -> list[tuple[Any, Any]]:
        """What to repeat before it is done, as (name, value); nothing: done at once."""
        return []

    def get_success_url(self) -> str:
        return self.subject_url() if self.subject else self.list_url()

    def list_url(self) -> str:
        """The list of the screen this page belongs to."""
        opts = self.model_admin.opts
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")

    def subject_url(self) -> str:
        """The page of the row this action is about."""
        opts = self.model_admin.opts
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[self.subject.pk])

    def form_valid(self, form: Any) -> HttpResponse:
        if "confirmed" not in self.request.POST and (lines := self.confirmation(form)):
            return self.render_to_response(self.get_context_data(form=form, confirmation=lines))
        try:
            with transaction.atomic():
                told = self.act(form)
        except DomainError as refusal:
            blame(form, refusal, **self.called)
            return self.form_invalid(form)
        return self.done(form, told)

    def done(self, form: Any, told: Any) -> HttpResponse:
        """Answer after the action."""
        if told:
            messages.success(self.request, told)
        return redirect(self.get_success_url())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        asked = {
            "intro": self.intro,
            "subject_label": self.subject_label,
            "submit_label": self.submit_label,
            "is_dangerous": self.is_dangerous,
            "back": self.subject_url() if self.subject else self.list_url(),
        }
        return super().get_context_data(**asked | kwargs)


#: A refusal names what it is about as callers of the API know it: a word of theirs, a colon, the sentence.
_NAMED = re.compile(r"([a-z][a-z_]*): (?=\S)")


def _named(refusal: DomainError) -> tuple[str, str]:
    """Return the field a refusal names, if it names one, and its sentence as people begin one."""
    text = str(refusal)
    found = _NAMED.match(text)
    return (found[1], capfirst(text[found.end() :])) if found else ("", capfirst(text))


def sentence_of(refusal: DomainError) -> str:
    """Return what a refusal says to a person, who does not know the names of fields."""
    return _named(refusal)[1]


def blame(form: forms.Form, refusal: DomainError, **called: str) -> None:
    """Show a refusal beside the field it names, else above the form; `called` says what a form calls a field."""
    name, sentence = _named(refusal)
    name = called.get(name, name)
    is_shown = name in form.fields and not form.fields[name].widget.is_hidden
    form.add_error(name if is_shown else None, sentence)
