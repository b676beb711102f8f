"""`manage.py makemessages`: Django's, with what this project always wants, and the compiled catalogue at once."""

import re
import subprocess
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import makemessages

#: Django language zh-hans. English is what the sources are written in and needs no catalogue.
LOCALE = "zh_Hans"
_NOT_OURS = ["var", "tests", "static", "*.txt"]
_CREATED = re.compile(r'^"POT-Creation-Date: .*\n', re.MULTILINE)


class Command(makemessages.Command):
    """Collect the texts of templates and sources into config/locale, and compile them.

    No line numbers, no wrapping, no date and no guessed translations: a catalogue changes where a text changes.
    """

    help = "Brings config/locale up to date with the sources and compiles it; needs GNU gettext."
    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=now_"]  # gettext beside a lazy _
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def add_arguments(self, parser: CommandParser) -> None:
        """Set what this project always wants; each can still be said on the command line."""
        super().add_arguments(parser)
        parser.set_defaults(add_location="file", no_wrap=True, no_obsolete=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the catalogue, then its compiled form."""
        options["locale"] = options["locale"] or [LOCALE]
        options["ignore_patterns"] = [*options["ignore_patterns"], *_NOT_OURS]
        super().handle(*args, **options)

    def write_po_file(self, potfile: str, locale: str) -> None:
        """Write one catalogue without the date, which would make every run a change, and compile it."""
        super().write_po_file(potfile, locale)
        path = Path(self.default_locale_path or "", locale, "LC_MESSAGES", f"{self.domain}.po")
        path.write_text(_CREATED.sub("", path.read_text("utf-8"), count=1), "utf-8")
        subprocess.run(  # noqa: S603  our own files
            ["msgfmt", "--check-format", "--output-file", path.with_suffix(".mo"), path],  # noqa: S607
            check=True,
        )
