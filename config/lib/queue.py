"""Work for later: a task is queued by name once what it is about is committed."""

from functools import partial
from typing import Any

from django.db import transaction

# A person waits for the answer meanwhile: one more try, then the log says it.
RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1}


def enqueue(task: str, /, **arguments: Any) -> None:
    """Queue a task after the transaction commits; a dead broker is logged and never undoes what was committed.

    A task may be delivered twice, so it must be safe to run twice.
    """
    transaction.on_commit(partial(send, task, **arguments), robust=True)


def send_in(seconds: float, task: str, /, **arguments: Any) -> None:
    """Queue a task now, to be begun after a while; where tasks run at once there is no later, and nothing is done."""
    from celery import current_app

    if not current_app.conf.task_always_eager:
        current_app.send_task(
            task, kwargs=arguments, countdown=seconds, expires=seconds + 600, retry=True, retry_policy=RETRY_POLICY
        )


def send(task: str, /, **arguments: Any) -> None:
    """Queue a task now; raises when the broker is away."""
    from celery import current_app

    if current_app.conf.task_always_eager:
        current_app.loader.import_default_modules()
        current_app.tasks[task].apply(kwargs=arguments, throw=True)
    else:
        current_app.send_task(task, kwargs=arguments, retry=True, retry_policy=RETRY_POLICY)
