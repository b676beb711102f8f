from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from config.lib import actor
from config.lib.errors import DomainError
from members.actions import clients
from members.models import Client


class Command(BaseCommand):
    """Make a new key beside the present one of a client system and print it, once."""

    help = "Make a new key for a client system and print it. The present key goes on working for --grace-hours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", help="the code of the client system")
        parser.add_argument(
            "--grace-hours", type=int, default=168, help="0 ends the present key at once (168: a week)"
        )
        parser.add_argument("--reason", default="", help="kept for the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.objects.filter(code=options["code"]).first() if options["code"].isascii() else None
        if client is None:
            raise CommandError(_("There is no client system with the code “%(code)s”.") % {"code": options["code"]})
        try:
            made = clients.rotate_key(
                client=client,
                grace=timedelta(hours=min(max(-1, options["grace_hours"]), 10_000)),
                reason=options["reason"],
                actor=actor.system("rotate_client_key"),
                at=timezone.now(),
            )
        except DomainError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stderr.write(_("Keep this key safe, it is not shown again."))
        self.stdout.write(made.key)
