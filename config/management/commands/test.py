"""`manage.py test`: the whole suite with pytest, in parallel where that pays."""

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from config import folders


class Command(BaseCommand):
    """Hand over to pytest with the same arguments: it loads the settings anew, as those of a test."""

    help = "Runs the tests with pytest; arguments are pytest's own (files, -k, -x, -n0 …)."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        arguments = argv[2:]
        if {"-h", "--help"} & set(arguments):
            super().run_from_argv(argv)
            return
        if not names_a_file(arguments) and not any(each.startswith(("-n", "--numprocesses")) for each in arguments):
            arguments = ["-n", "auto", "--dist", "worksteal", *arguments]
        os.chdir(folders.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606

    def handle(self, *args: Any, **options: Any) -> None:
        """Nothing is left to do: pytest has taken the process over."""


def names_a_file(arguments: list[str]) -> bool:
    """Tell whether single files or tests are asked for: a second process would cost more than it saves."""
    return any(Path(each.split("::")[0]).suffix == ".py" for each in arguments)
