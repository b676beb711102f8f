"""A web server of our own on this machine for as long as a workload lasts, and clients that keep it busy."""

import json
import re
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

from config import processes
from members.actions import clients
from members.models import Scope
from points.benchmarks import programme, workers
from points.benchmarks.harness import NotMeasured

HOST = "127.0.0.1"
SOURCE = "bench-till"
CLIENTS = workers.PROCESSES * workers.THREADS
READY_SECONDS = 60
TIMEOUT_SECONDS = 120
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Web:
    """A running web server on the benchmark's database, and the key of a client system it knows."""

    port: int
    key: str

    def write(self, method: str, address: str, body: Any = None) -> bytes:
        """Write a request out ahead of time."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} /{address} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def send(self, requests: Sequence[Sequence[bytes]], *, status: int) -> int:
        """Let clients send their requests at once, each its own in turn; how many were answered with this status."""
        start = Barrier(len(requests))

        def client(own: Sequence[bytes]) -> int:
            with Line(self.port) as line:
                start.wait(TIMEOUT_SECONDS)
                return sum(line.ask(request)[0] == status for request in own)

        with ThreadPoolExecutor(len(requests)) as pool:
            return sum(pool.map(client, requests))


class Line:
    """A connection that stays open: as little of a client as there can be, for its time counts on every side."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *args: object) -> None:
        self.socket.close()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and read its whole answer: status and content."""
        self.socket.sendall(request)
        read = bytearray()
        while (end := read.find(b"\r\n\r\n")) < 0:
            self._read_on(read)
        length = _LENGTH.search(read, 0, end)
        if length is None:
            raise NotMeasured(f"an answer without its length: {bytes(read[:200])!r}")
        while len(read) < end + 4 + int(length[1]):
            self._read_on(read)
        return int(read[9:12]), bytes(read[end + 4 :])

    def _read_on(self, read: bytearray) -> None:
        if not (piece := self.socket.recv(2**18)):
            raise NotMeasured("the web server closed the connection")
        read += piece


@contextmanager
def serve() -> Iterator[Web]:
    """Start the web server as in production, on the database in use, and stop it at the end whatever happens."""
    key = clients.create_client(
        name="Benchmark", code=SOURCE, scopes=Scope.values, actor=programme.ACTOR, at=programme.AT
    ).key
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            *(
                "granian",
                "--interface",
                "wsgi",
                "--host",
                HOST,
                "--port",
                str(port),
                "--no-ws",
                "--log-level",
                "warning",
            ),
            *("--workers", str(workers.PROCESSES), "--blocking-threads", str(workers.THREADS)),
            "config.benchmarks.wsgi:application",
        ]
        # Spoken to directly, without the proxy and the certificate that an installation may have before it.
        environment = {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ALLOWED_HOSTS": HOST,
            "SECURE_SSL_REDIRECT": "false",
            "PYTHONWARNINGS": "ignore",
        }
        web = processes.start("web", arguments, environment=environment, log=Path(folder) / "web.log")
        try:
            _wait_until_ready(web, port)
            yield Web(port, key)
            if not web.is_running():
                raise NotMeasured(f"the web server stopped by itself:\n{web.last_words()}")
        finally:
            processes.stop([web])


def _wait_until_ready(web: processes.Program, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while web.is_running() and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{port}/health/live", timeout=5):
            return
        time.sleep(0.1)
    raise NotMeasured(f"the web server did not start:\n{web.last_words()}")
