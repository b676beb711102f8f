from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def deafen_triggers(using: str, **_kwargs: object) -> None:
    """Take from pgtrigger the setting that switches its triggers off: a law that anybody may ignore is none.

    pgtrigger writes this function anew whenever a migration installs a trigger, so it is replaced after every migrate.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT format('%I._pgtrigger_should_ignore(name)', n.nspname) FROM pg_proc p"
            " JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = '_pgtrigger_should_ignore'"
        )
        for (signature,) in cursor.fetchall():
            named = signature.replace("(name)", "(trigger_name name)")
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {named} RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false'"
            )


class ConfigConfig(AppConfig):
    """Composition of the apps: commands, health, the queue's schema and the worker's heartbeat."""

    name = "config"
    verbose_name = _("Operation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from config import celery, checks  # noqa: F401  the app must exist before the first task is queued

        post_migrate.connect(deafen_triggers, sender=self)


class BackOfficeConfig(AdminConfig):
    """Django's admin with the back office as its site."""

    default = False  # of the two configurations in this module the other one is this app's
    default_site = "config.admin.back_office.BackOffice"
