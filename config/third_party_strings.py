"""Texts of packages that come without a Chinese catalogue, named here so that ours has them too.

Nothing imports this: `manage.py makemessages` reads it, and Django looks a text up in our catalogue whoever shows it.
tests/config/test_catalogue.py tells what a newer Unfold adds. Line breaks and spaces are the packages' own.
"""

from django.utils.translation import gettext_noop as _
from django.utils.translation import ngettext_lazy

DJANGO = [  # what its own Chinese lacks
    _("- Select an option -"),
    _("Filter by %(field_name)s"),
    _("No %s matches the given query."),
    ngettext_lazy("…and %(count)d more object.", "…and %(count)d more objects.", "count"),
]

UNFOLD = [
    _("Add new item"),
    _("After you've created a user, you’ll be able to edit more user options."),
    _("All applications"),
    _("Apply Filters"),
    _(
        'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? '
        "All of the following related items will be deleted:"
    ),
    _("Available shortcuts"),
    _("Cancel"),
    _("Changelist shortcuts"),
    _("Choose file to upload"),
    _("Click to cancel"),
    _("Click to download"),
    _("Command tool shortcuts"),
    _("Create new record"),
    _("Dark"),
    _("Dataset not found. No action performed."),
    _("Date"),
    _("Date from"),
    _("Date to"),
    _(
        "Deleting the %(object_name)s '%(escaped_object)s' would require deleting "
        "the following protected related objects:"
    ),
    _(
        "Deleting the %(object_name)s '%(escaped_object)s' would result in deleting related objects, "
        "but your account doesn't have permission to delete the following types of objects:"
    ),
    _("False"),
    _("Forgotten your password or username?"),
    _("From"),
    _("General"),
    _("Global shortcuts"),
    _("Go back"),
    _("Image preview"),
    _("Light"),
    _("Navigate"),
    _("Next"),
    _("No data"),
    _("No results found"),
    _("Not enough data."),
    _("Nothing matched your search"),
    _("Open command tool"),
    _("Open selection"),
    _("Open selection in new tab"),
    _("Open shortcuts list"),
    _("Previous"),
    _(
        "Raw passwords are not stored, so there is no way to see this user’s password, "
        'but you can change the password using <a href="{}" '
        'class="text-primary-600 dark:text-primary-500">this form</a>.'
    ),
    _("Recent searches"),
    _("Record picture"),
    _("Reset filters"),
    _("Return to site"),
    _("Run the selected action"),
    _("Search apps and models..."),
    _("Select"),
    _("Select action"),
    _("Select action to run"),
    _("Select currency"),
    _("Select format"),
    _("Select record"),
    _("Select value"),
    _("System"),
    _("This exporter will export the following fields"),
    _("This item will be deleted."),
    _("This page yielded into no results."),
    _("To"),
    _("Toggle dark/light mode"),
    _("Toggle filter"),
    _("Toggle password visibility"),
    _("Toggle sidebar"),
    _("True"),
    _("Type to search"),
    _("Value"),
    _("View traceback"),
    _("Welcome back to"),
    _("You can not create nested object without parent"),
    _("You have been successfully logged out from the administration"),
    ngettext_lazy(
        "\n                    Export %(len)s selected item.\n                ",
        "\n                    Export %(len)s selected items.\n                ",
        "len",
    ),
    ngettext_lazy(
        '\n            Found <span class="font-medium text-important">%(counter)s</span> result '
        "in %(time)s seconds\n        ",
        '\n            Found <span class="font-medium text-important">%(counter)s</span> results '
        "in %(time)s seconds\n        ",
        "counter",
    ),
]

AXES = [
    _("Access Attempt"),
    _("Account locked: too many login attempts. Contact an admin to unlock your account."),
    _("Account locked: too many login attempts. Please try again later."),
    _("Attempt Time"),
    _("Expires At"),
    _("Failed Logins"),
    _("GET Data"),
    _("HTTP Accept"),
    _("IP Address"),
    _("Logout Time"),
    _("POST Data"),
    _("Path"),
    _("User Agent"),
    _("access attempt"),
    _("access attempt expiration"),
    _("access attempts"),
    _("access failure"),
    _("access failures"),
    _("access log"),
    _("access logs"),
]

PGHISTORY = [  # it names the tables it makes after ours
    _("member history"),
    _("reward history"),
    _("tier history"),
]

SPECTACULAR = [
    _("No response body"),
    _("Unspecified response body"),
]
