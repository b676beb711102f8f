"""`manage.py demo`: the whole of Laurel on this machine, with data to look at, until Ctrl-C."""

import errno
import hashlib
import json
import os
import signal
import socket
import sys
import time
import urllib.request
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from config import embedded, folders, health, processes

READY_SECONDS = 180


class Command(BaseCommand):
    """Prepare database, data and files, run web server and worker, and stop them again."""

    help = "Runs everything on this machine with demo data, until Ctrl-C; the data stays for the next time."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=port_number, default=8000, help="the port of the web server (8000)")
        parser.add_argument("--host", default="127.0.0.1", help="the address it listens on (this machine alone)")
        parser.add_argument("--data", choices=["small", "year"], default="small", help="how much data to start with")

    def handle(self, *args: Any, port: int, host: str, data: str, **options: Any) -> None:
        # Ctrl-C too: a shell that starts us in the background has it ignored, and Python then installs no handler.
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGHUP, _interrupt)
        with self._only_one(), suppress(KeyboardInterrupt):
            refuse_busy_port(host, port)
            self._prepare(size=data)
            sign_ins = self._seed(size=data)
            url = f"http://{visible_host(host)}:{port}"
            write_facts(url, sign_ins)
            self._run(host, port, url, sign_ins)
        self.stdout.write("Stopped. The data stays; the same command starts again on it.")

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """Refuse a second demo on the same data: two would queue and close for each other."""
        with embedded.open_lock(folders.data_folder(), "demo.lock") as lock:
            if not embedded.try_lock(lock):
                raise CommandError(
                    "A demo already runs on this data folder; stop it, or name another with LAUREL_VAR."
                )
            yield

    def _prepare(self, *, size: str) -> None:
        """Bring tables and static files up to date."""
        self.stdout.write(f"Laurel demo, data in {folders.data_folder()}")
        with self._step("database"), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version')")
            self._note(f"PostgreSQL {cursor.fetchone()[0].split()[0]}")
        with self._step("tables"):
            missing = health.count_missing_migrations()
            if missing:
                call_command("migrate", verbosity=0, interactive=False)
            self._note(f"{missing} changes made" if missing else "up to date")
        with self._step("static files"):
            self._note("collected" if collect_static_files() else "up to date")

    def _seed(self, *, size: str) -> dict[str, Any]:
        """Fill an empty installation with staff, members and their history; return how to sign in."""
        if find_spec("config.demo") is None:
            return {}
        demo = import_module("config.demo")
        with self._step("demo data"), Bars() as bars:
            sign_ins: dict[str, Any] = demo.seed(size=size, progress=bars.show)
        return sign_ins

    def _run(self, host: str, port: int, url: str, sign_ins: dict[str, Any]) -> None:
        """Run web server and worker until somebody stops us or one of them dies."""
        environment = serving_environment(host, url)
        logs = folders.data_folder() / "logs"
        programs: list[processes.Program] = []
        try:
            with self._step("web server and worker"):
                release_queued_tasks()
                programs.append(
                    processes.start("web", web_arguments(host, port), environment=environment, log=logs / "web.log")
                )
                programs.append(
                    processes.start("worker", worker_arguments(), environment=environment, log=logs / "worker.log")
                )
                wait_until_ready(url, programs)
            self._tell(url, sign_ins, logs)
            watch(programs)
        finally:
            processes.stop(programs)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """Say what is being done, and how long it took."""
        started = time.monotonic()
        self._words: list[str] = []
        if self.stdout.isatty():
            self.stdout.write(f"  {name} …", ending="\r")
            self.stdout.flush()
        yield
        words = " ".join(self._words) or "ready"
        self.stdout.write(f"  {name:<24}{words:<24}{time.monotonic() - started:5.1f} s")
        self.stdout.flush()

    def _note(self, words: str) -> None:
        """Say how the running step ended."""
        self._words.append(words)

    def _tell(self, url: str, sign_ins: dict[str, Any], logs: Path) -> None:
        """Print where to go and how to sign in."""
        staff, member = sign_ins.get("staff", {}), sign_ins.get("member", {})
        rows = [
            ("Portal", f"{url}/", " / ".join(filter(None, [member.get("login"), member.get("password")]))),
            ("Back office", f"{url}/admin/", " / ".join(filter(None, [staff.get("username"), staff.get("password")]))),
            ("API", f"{url}/api/v1/docs/", f"Bearer {sign_ins['client_key']}" if "client_key" in sign_ins else ""),
        ]
        self.stdout.write("")
        for name, address, sign_in in rows:
            self.stdout.write(f"  {name:<14}{address:<38}{sign_in}")
        self.stdout.write(f"\nLogs are in {logs}. Stop with Ctrl-C; the data stays for the next time.")
        self.stdout.flush()


class Bars:
    """Progress bars of the seed, one a topic; a plain line each where nobody watches."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *args: object) -> None:
        self._close()

    def show(self, topic: str, done: int, total: int) -> None:
        """Show that `done` of `total` things of a topic are made."""
        if self.bar is None or self.bar.desc.removesuffix(": ") != f"    {topic}":
            self._close()
            self.bar = tqdm(
                total=total, desc=f"    {topic}", file=sys.stderr, leave=False, disable=not sys.stderr.isatty()
            )
            if self.bar.disable:
                self.bar.desc = f"    {topic}"
        self.bar.total = total
        self.bar.update(done - self.bar.n)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Treat a polite end from outside like Ctrl-C."""
    raise KeyboardInterrupt


def port_number(text: str) -> int:
    """Return a port somebody can be sent to; 0 would be another one each time."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65_535):
        raise ArgumentTypeError("a number from 1 to 65535 is needed")
    return int(text)


def visible_host(host: str) -> str:
    """Return what a browser on this machine calls the address: every address is also 127.0.0.1 or [::1]."""
    seen = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{seen}]" if ":" in seen else seen


def refuse_busy_port(host: str, port: int) -> None:
    """Stop before any work when another program has the port, or the address is not one of this machine."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        refusal = f"Port {port} on {host} cannot be used: {getattr(error, 'strerror', None) or error}.\n"
        if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES):
            other = port + 1 if 1_024 <= port < 65_535 else 8000
            refusal += f"Stop the program that has it, or choose another: python3 manage.py demo --port {other}"
        else:
            refusal += "Choose an address of this machine: python3 manage.py demo --host 127.0.0.1"
        raise CommandError(refusal) from None


def collect_static_files() -> bool:
    """Gather static files for the web server unless the same ones are there; tell whether it was needed."""
    stamp = Path(settings.STATIC_ROOT) / "collected"
    digest = digest_static_files()
    with suppress(OSError):
        if stamp.read_text(encoding="utf-8") == digest:
            return False
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    stamp.write_text(digest, encoding="utf-8")
    return True


def digest_static_files() -> str:
    """Return a digest of the names, sizes and times of every static file of every app."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def write_facts(url: str, sign_ins: dict[str, Any]) -> None:
    """Write down for scripts where the demo is and how to sign in, readable by this user alone."""
    facts = {
        "url": url,
        "database_url": os.environ.get("DATABASE_URL") or settings.DATABASE_URL,
        "staff": sign_ins.get("staff"),
        "member": sign_ins.get("member"),
        "client_key": sign_ins.get("client_key"),
    }
    folders.write_private(folders.data_folder() / "demo.json", json.dumps(facts, indent=2) + "\n")


def serving_environment(host: str, url: str) -> dict[str, str]:
    """Return what web server and worker need to know beyond our own environment: plain HTTP on this machine."""
    counters = folders.data_folder() / "metrics"
    folders.make_folder(counters)
    for old in counters.glob("*.db"):
        old.unlink()
    environment = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": settings.DATABASE_URL,
        "LAUREL_HTTPS": "false",
        "LAUREL_WEBHOOKS_LOCAL": "true",
        "LAUREL_URL": url,
        "PROMETHEUS_MULTIPROC_DIR": str(counters),
        "PYTHONWARNINGS": "ignore",
    }
    if host not in ("127.0.0.1", "localhost", "::1") and "ALLOWED_HOSTS" not in os.environ:
        environment["ALLOWED_HOSTS"] = "*"  # the person opened it to the network by name
    return environment


def web_arguments(host: str, port: int) -> list[str]:
    """Return how the web server is started: WSGI, which costs a third of ASGI for views like ours."""
    workers = min(2, os.cpu_count() or 1)
    return [
        *("granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--workers", str(workers)),
        *("--blocking-threads", "2", "--no-ws", "--log-level", "warning", "--workers-kill-timeout", "5"),
        "config.wsgi:application",
    ]


def worker_arguments() -> list[str]:
    """Return how the worker is started, with the scheduler inside it."""
    schedule = str(folders.data_folder() / "beat-schedule")
    return [
        *("celery", "-A", "config.celery", "worker", "-B", "-s", schedule, "-n", "laurel@local", "--concurrency", "1"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    ]


def release_queued_tasks() -> None:
    """Make tasks a killed worker had in hand visible at once: on the embedded server no other worker can live."""
    if embedded.known_url() != settings.DATABASE_URL or not settings.CELERY_BROKER_URL.startswith("pgmq://"):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"pgmq.q_{settings.CELERY_TASK_DEFAULT_QUEUE}"])
        if cursor.fetchone()[0]:
            cursor.execute(f"UPDATE pgmq.q_{settings.CELERY_TASK_DEFAULT_QUEUE} SET vt = now() WHERE vt > now()")  # noqa: S608


def wait_until_ready(url: str, programs: list[processes.Program]) -> None:
    """Wait until the web server says it may get traffic."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        refuse_dead(programs)
        with suppress(OSError), urllib.request.urlopen(f"{url}/health/ready", timeout=5):  # noqa: S310  our own address
            return
        time.sleep(0.1)
    raise CommandError(f"The web server did not answer within {READY_SECONDS} s:\n{programs[0].last_words()}")


def watch(programs: list[processes.Program]) -> None:
    """Stay until somebody stops us, or until a program dies by itself."""
    while True:
        refuse_dead(programs)
        time.sleep(0.5)


def refuse_dead(programs: list[processes.Program]) -> None:
    """Say which program died and what it said last."""
    for program in programs:
        if not program.is_running():
            raise CommandError(
                f"The {program.name} stopped by itself; its log {program.log} ends:\n{program.last_words()}"
            )
