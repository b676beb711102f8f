"""The Celery application: tasks are found in each app's tasks.py, settings are the CELERY_ names in settings.py."""

import os
from pathlib import Path
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("laurel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
def make_data_folder(**kwargs: Any) -> None:
    """Give the scheduler's memory a place before it looks for it."""
    Path(app.conf.beat_schedule_filename).parent.mkdir(parents=True, exist_ok=True)


@signals.worker_ready.connect
def show_life(**kwargs: Any) -> None:
    """Beat at once, not only when the schedule comes round."""
    app.send_task("config.heartbeat")
