from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from config.lib import actor
from members import batches
from members.actions import auditing


class Command(BaseCommand):
    """Wrap every member's data key, and the secrets of webhooks, under the first key of LAUREL_PII_KEYS."""

    help = "Wrap every member's data key under the first key of LAUREL_PII_KEYS; stop and start it as you like."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=2_000, help="members in one transaction")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError(_("batch: a number of members is needed, 1 or more."))
        last, total = 0, 0
        while True:
            last, wrapped = batches.rewrap_data_keys(after=last, limit=options["batch"])
            if not wrapped:
                break
            total += wrapped
            self.stderr.write(_("%(total)s data keys wrapped") % {"total": total})
        secrets = batches.rewrap_webhook_secrets()
        auditing.record(
            actor=actor.system("rotate_pii_keys"),
            action="pii_keys.rotated",
            details={"wrapped": total, "webhook_secrets": secrets},
            at=timezone.now(),
        )
        if left := batches.count_outdated_keys():
            raise CommandError(
                _("%(left)s keys are still under an older master key, which must be kept. Run the command again.")
                % {"left": left}
            )
        self.stdout.write(_("%(total)s data keys are now under the current master key.") % {"total": total})
