"""`manage.py check_books`: exit 0 when the books agree, else name each break and exit 1."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from points import reports


class Command(BaseCommand):
    help = "Check that entries, balances, lots, draws, holds and hash chains agree, and print the trial balance."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in reports.trial_balance():
            self.stdout.write(
                f"{line.code}: issued {line.issued} = available {line.available} + pending {line.pending}"
                f" + held {line.held} - owed {line.owed} + redeemed {line.redeemed} + expired {line.expired}"
                f" + transferred {line.transferred}; trial balance {line.total}"
            )
        breaks = reports.check_books()
        for one in breaks:
            self.stdout.write(str(one))
        if breaks or any(line.total for line in reports.trial_balance()):
            self.stdout.write(f"{len(breaks)} breaks.")
            sys.exit(1)
        self.stdout.write("The books agree.")
