"""A real worker on every broker we name in the README does a task, and the same task twice does no harm."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection

from config import folders, processes
from config.management.commands import demo
from config.models import WorkerHeartbeat

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]

BROKERS = {
    "pgmq": "",  # the database itself, which is what an empty setting means
    "redis": os.environ.get("LAUREL_TEST_REDIS_URL", "redis://127.0.0.1:6379/9"),
    "rabbitmq": os.environ.get("LAUREL_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}


def skip_unless_reachable(url: str) -> None:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=2).close()
    except OSError as error:
        pytest.skip(f"no {address.scheme} broker at {address.hostname}:{address.port} ({error.strerror})")


def database_url() -> str:
    database = connection.settings_dict
    user, password = quote(str(database["USER"]), safe=""), quote(str(database["PASSWORD"]), safe="")
    host = quote(str(database["HOST"] or "127.0.0.1"), safe="")
    return f"postgres://{user}:{password}@{host}:{database['PORT'] or 5432}/{database['NAME']}"


def wait_for[Value](look: Callable[[], Value | None], log: Path) -> Value:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        value = look()
        if value is not None:
            return value
        time.sleep(0.1)
    pytest.fail(f"the worker did not do the task; its log says:\n{log.read_text()[-3000:]}")


def beat_after(moment: datetime | None) -> Callable[[], datetime | None]:
    def look() -> datetime | None:
        beat = WorkerHeartbeat.objects.filter(name="worker").first()
        return beat.beat_at if beat and (moment is None or beat.beat_at > moment) else None

    return look


@pytest.fixture(params=list(BROKERS))
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    url = BROKERS[request.param]
    if url:
        skip_unless_reachable(url)
    return {
        "DATABASE_URL": database_url(),
        "CELERY_BROKER_URL": url,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LAUREL_VAR": str(tmp_path / "var"),
    }


ASK = """
import time
import django
django.setup()
import config.celery
from config.lib import queue
begun = time.monotonic()
try:
    queue.send_in(1, "config.heartbeat")
except Exception:
    print(time.monotonic() - begun)
"""


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_takes_connections_and_says_nothing_is_given_up_within_seconds(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://guest:guest@127.0.0.1:{silent.getsockname()[1]}//"
        environment = {
            **os.environ,
            "CELERY_BROKER_URL": url,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }

        asked = subprocess.run(
            [sys.executable, "-c", ASK],
            cwd=folders.BASE_DIR,
            env=environment,
            timeout=30,
            capture_output=True,
            text=True,
        )

    assert float(asked.stdout) < 8


def call_heartbeat(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "celery", "-A", "config.celery", "call", "config.heartbeat"]
    subprocess.run(command, cwd=folders.BASE_DIR, env={**os.environ, **environment}, check=True, capture_output=True)


def test_a_real_worker_does_a_task_and_the_same_task_again(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    (tmp_path / "var").mkdir()
    arguments = [each.replace("laurel@local", "laurel-test@local") for each in demo.worker_arguments()]
    arguments[arguments.index("-s") + 1] = str(tmp_path / "beat-schedule")
    worker = processes.start("worker", arguments, environment=environment, log=log)
    try:
        first = wait_for(beat_after(None), log)  # it shows itself when it is ready
        call_heartbeat(environment)
        second = wait_for(beat_after(first), log)
        call_heartbeat(environment)
        wait_for(beat_after(second), log)
    finally:
        processes.stop([worker])

    assert WorkerHeartbeat.objects.count() == 1
    assert not worker.is_running()
