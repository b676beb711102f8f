"""`manage.py close --date YYYY-MM-DD`: the night of one business date by hand."""

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from config.lib.errors import DomainError
from points import closing


class Command(BaseCommand):
    help = "Close a business date: mature, void stale holds, expire, roll up, check the books. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--date", type=date.fromisoformat, help="The business date; without it, every day that is due."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        with tqdm(unit="", desc="close", disable=not self.stderr.isatty()) as bar:

            def progress(step: str, count: int) -> None:
                bar.set_description(step)
                bar.update(count)

            try:
                if options["date"]:
                    reports = closing.close(business_date=options["date"], at=at, progress=progress)
                else:
                    days = closing.close_due(at=at, progress=progress)
                    reports = []
            except DomainError as error:
                raise CommandError(str(error)) from error
        for report in reports:
            counts = ", ".join(f"{name} {count}" for name, count in report.counts.items())
            self.stdout.write(f"{report.name}: {counts}")
        if not options["date"]:
            self.stdout.write(", ".join(day.isoformat() for day in days) or "Nothing is due.")
