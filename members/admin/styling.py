"""Plain Django forms in the back office's dress."""

from typing import Any

from django import forms
from django.utils.text import capfirst
from unfold import widgets

#: Which widget of the theme stands in for which of Django's; the more special one first.
_DRESSES: tuple[tuple[type[forms.Widget], type[forms.Widget]], ...] = (
    (forms.SplitDateTimeWidget, widgets.UnfoldAdminSplitDateTimeWidget),
    (forms.CheckboxSelectMultiple, widgets.UnfoldAdminCheckboxSelectMultipleWidget),
    (forms.RadioSelect, widgets.UnfoldAdminRadioSelectWidget),
    (forms.SelectMultiple, widgets.UnfoldAdminSelectMultipleWidget),
    (forms.Select, widgets.UnfoldAdminSelectWidget),
    (forms.Textarea, widgets.UnfoldAdminTextareaWidget),
    (forms.CheckboxInput, widgets.UnfoldBooleanSwitchWidget),
    (forms.ClearableFileInput, widgets.UnfoldAdminFileFieldWidget),
    (forms.DateInput, widgets.UnfoldAdminSingleDateWidget),
    (forms.EmailInput, widgets.UnfoldAdminEmailInputWidget),
    (forms.NumberInput, widgets.UnfoldAdminIntegerFieldWidget),
    (forms.TextInput, widgets.UnfoldAdminTextInputWidget),
)


class StyledForm(forms.Form):
    """A form whose fields look like those of the admin's own change forms."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(field.label)
            dress(field)


def dress(field: forms.Field) -> None:
    """Give one field the theme's widget, keeping its attributes and choices."""
    plain = field.widget
    if plain.is_hidden or type(plain).__module__.startswith("unfold"):
        return
    for kind, themed in _DRESSES:
        if isinstance(plain, kind):
            # The admin's date widgets name the calendar's strings in their media; the number input knows decimals.
            widget = themed(attrs=dict(plain.attrs))
            widget.attrs = {**plain.attrs, **widget.attrs}
            widget.is_required = field.required
            field.widget = widget
            if isinstance(field, forms.ChoiceField):
                widget.choices = field.choices  # type: ignore[attr-defined]
            return
