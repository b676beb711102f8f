from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from config.lib import actor
from config.lib.errors import DomainError
from members.actions import clients
from members.models import Scope


class Command(BaseCommand):
    """Make a client system and print its key, once."""

    help = "Make a client system and print its key. The key is shown this once and kept nowhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--code", default="", help="the source of what it writes; made of the name if left out")
        parser.add_argument(
            "--scope", action="append", default=[], choices=Scope.values, help="may be given more than once"
        )
        parser.add_argument(
            "--expires-at",
            type=datetime.fromisoformat,
            help="when the key ends, such as 2027-12-31T00:00; never without it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        expires_at: datetime | None = options["expires_at"]
        try:
            made = clients.create_client(
                name=options["name"],
                code=options["code"],
                scopes=options["scope"],
                expires_at=timezone.make_aware(expires_at) if expires_at and not expires_at.tzinfo else expires_at,
                actor=actor.system("create_client"),
                at=timezone.now(),
            )
        except DomainError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stderr.write(_("Keep this key safe, it is not shown again."))
        self.stdout.write(made.key)
