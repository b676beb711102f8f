from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PointsConfig(AppConfig):
    """How much: events, earning rules, the ledger and the night."""

    name = "points"
    verbose_name = _("Points")
