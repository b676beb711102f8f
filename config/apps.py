from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class ConfigConfig(AppConfig):
    """Composition of the apps: commands, health, the queue's schema and the worker's heartbeat."""

    name = "config"
    verbose_name = _("Operation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from config import celery, checks  # noqa: F401  the app must exist before the first task is queued


class BackOfficeConfig(AdminConfig):
    """Django's admin with the back office as its site."""

    default = False  # of the two configurations in this module the other one is this app's
    default_site = "config.admin.back_office.BackOffice"
