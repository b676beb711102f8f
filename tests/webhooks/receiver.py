"""A client system that is told: a real HTTP server on this machine, which remembers all it was sent."""

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


@dataclass(frozen=True)
class Message:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.content["type"])

    @property
    def data(self) -> Any:
        return self.content["data"]


class Receiver:
    """Answers 200 until told otherwise; `answer` may look at the message and give a status, or a status and a text."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.messages: list[Message] = []
        self.answer: Callable[[Message], int | tuple[int, str]] = lambda message: 200
        self.extra_headers: dict[str, str] = {}
        self.delay = 0.0
        self.drip = 0.0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                message = Message(self.path, {name.lower(): text for name, text in self.headers.items()}, body)
                owner.messages.append(message)
                time.sleep(owner.delay)
                answer = owner.answer(message)
                status, text = answer if isinstance(answer, tuple) else (answer, "thanks")
                self.send_response(status)
                for name, value in owner.extra_headers.items():
                    self.send_header(name, value)
                while owner.drip:
                    self.wfile.write(b"x-slow: yes\r\n")
                    time.sleep(owner.drip)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_request(self, code: Any = "-", size: Any = "-") -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None  # type: ignore[method-assign]
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = Thread(target=lambda: self.server.serve_forever(poll_interval=0.05), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.drip = 0
        self.server.shutdown()
        self.server.server_close()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def types(self) -> list[str]:
        return [message.type for message in self.messages]
