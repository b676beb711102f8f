from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConfigConfig(AppConfig):
    """Composition of the apps: commands, health, the queue's schema and the worker's heartbeat."""

    name = "config"
    verbose_name = _("Operation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from config import celery  # noqa: F401  the app must exist before the first task is queued
