"""What the installation itself remembers; everything of the programme belongs to the apps."""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _


class WorkerHeartbeat(models.Model):
    """The last moment a worker carried out the scheduled heartbeat: beat, broker and worker all live."""

    name = models.CharField(_("name"), max_length=40, primary_key=True)
    beat_at = models.DateTimeField(_("beat at"))

    class Meta:
        verbose_name = _("worker heartbeat")
        verbose_name_plural = _("worker heartbeats")

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at:%Y-%m-%d %H:%M:%S}"

    def age_seconds(self, at: datetime) -> float:
        """Return how long ago it beat."""
        return (at - self.beat_at).total_seconds()
