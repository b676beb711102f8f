"""`manage.py demo` as a stranger runs it: starts, tells, serves, stops, starts again on the same data."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config import embedded, folders, processes
from config.management.commands import demo
from config.management.commands import test as test_command

READY_SECONDS = 240


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still does anything; one that waits for its parent to ask how it ended does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


class Demo:
    """A demo in a process of its own, in a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.output = folder / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment.update(LAUREL_VAR=str(self.folder), PYTHONUNBUFFERED="1")
        command = [sys.executable, "manage.py", "demo", "--port", str(self.port)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folders.BASE_DIR, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the demo ended by itself:\n{self.output.read_text()}")
            if "Stop with Ctrl-C" in self.output.read_text():
                assert self.get("/health/ready")["status"] == "ready"
                return
            time.sleep(0.2)
        pytest.fail("the demo did not become ready")

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def stop(self, order: signal.Signals = signal.SIGINT) -> str:
        assert self.process is not None
        self.process.send_signal(order)
        self.process.wait(timeout=240)  # patience for a busy machine, not a promise
        return self.output.read_text()

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children


@pytest.fixture
def a_demo(data_folder: Path) -> Iterator[Demo]:
    a_demo = Demo(data_folder)
    yield a_demo
    if a_demo.process is not None and a_demo.process.poll() is None:
        a_demo.process.kill()
        a_demo.process.wait()


@pytest.mark.server
@pytest.mark.slow
def test_the_demo_starts_tells_serves_stops_and_starts_again(a_demo: Demo) -> None:
    a_demo.start()
    a_demo.wait_until_ready()
    facts_file = a_demo.folder / "demo.json"
    facts = json.loads(facts_file.read_text())
    family = a_demo.family()

    assert set(facts) == {"url", "database_url", "staff", "member", "client_key"}
    assert facts["url"] == f"http://127.0.0.1:{a_demo.port}"
    assert facts_file.stat().st_mode & 0o777 == 0o600
    assert a_demo.get("/health/live") == {"status": "live"}

    output = a_demo.stop()
    assert a_demo.process is not None
    assert a_demo.process.returncode == 0, output
    assert f"{facts['url']}/admin/" in output
    assert not [process for process in family if is_alive(process)]

    a_demo.start()
    a_demo.wait_until_ready()
    assert json.loads(facts_file.read_text())["client_key"] == facts["client_key"]

    family = a_demo.family()
    a_demo.process.kill()
    a_demo.process.wait()
    _, left = psutil.wait_procs(family, timeout=120)
    assert not [process for process in left if is_alive(process)], "what a killed demo started must not outlive it"


@pytest.mark.server
def test_a_second_demo_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with embedded.open_lock(tmp_path, "demo.lock") as lock:
        assert embedded.try_lock(lock)
        done = subprocess.run(
            [sys.executable, "manage.py", "demo", "--port", str(free_port())],
            cwd=folders.BASE_DIR,
            env={**os.environ, "LAUREL_VAR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert "already runs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_is_said_with_a_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(CommandError, match=rf"Port {port} (.|\n)*--port {port + 1}"):
            demo.refuse_busy_port("127.0.0.1", port)


@pytest.mark.parametrize("port", ["70000", "-1", "0", "x", "65536", "٣"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(CommandError, match="1 to 65535"):
        call_command("demo", "--port", port)


def test_the_last_port_is_not_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", 65_535))
        except OSError:
            pytest.skip("somebody has port 65535")
        other.listen()

        with pytest.raises(CommandError, match=r"--port 8000"):
            demo.refuse_busy_port("127.0.0.1", 65_535)


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "x" * 300, "2001:db8::7"])
def test_an_address_of_another_machine_is_not_taken_for_a_busy_port(host: str) -> None:
    with pytest.raises(CommandError, match="an address of this machine"):
        demo.refuse_busy_port(host, free_port())


@pytest.mark.parametrize(
    ("host", "seen"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_address_is_shown_as_a_browser_wants_it(host: str, seen: str) -> None:
    assert demo.visible_host(host) == seen


def test_the_other_family_of_addresses_is_probed_as_such() -> None:
    with socket.socket(socket.AF_INET6) as other:
        try:
            other.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(CommandError, match=rf"Port {port} on ::1 cannot be used: Address already in use"):
            demo.refuse_busy_port("::1", port)
    demo.refuse_busy_port("::1", port)


def test_the_log_of_the_run_before_stays_and_nobody_else_reads_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUREL_VAR", str(tmp_path / "var"))
    log = tmp_path / "var" / "logs" / "web.log"

    for module in ("this", "platform"):
        processes.start("web", [module], environment={}, log=log).process.wait()

    earlier = log.with_name("web.log.1")
    assert "The Zen of Python" in earlier.read_text()
    assert "The Zen of Python" not in log.read_text()
    assert [file.stat().st_mode & 0o777 for file in (log, earlier)] == [0o600, 0o600]
    assert (tmp_path / "var").stat().st_mode & 0o066 == 0


@pytest.mark.parametrize(
    ("arguments", "is_single"),
    [([], False), (["-k", "money"], False), (["tests/config/test_money.py"], True), (["tests/a.py::test_b"], True)],
)
def test_tests_run_in_parallel_unless_a_file_is_named(arguments: list[str], is_single: bool) -> None:
    assert test_command.names_a_file(arguments) is is_single
