"""Posting to addresses that people type: HTTPS only, to public addresses only, in bounded time and size.

A name is looked up once, every address it has is judged, and the connection is made to a judged address, so a name
that answers differently the second time leads nowhere. Redirects are answers like any other and never followed.
"""

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError

PORTS = frozenset({443, 8443})
LOCAL_HOST = "127.0.0.1"
URL_LIMIT = 500
EXCERPT_BYTES = 1_000
#: Of an answer no more is taken in, whatever it says of its length.
ANSWER_BYTES = 2**16

#: No space, no control character, nothing beyond ASCII, and no backslash, which readers of addresses disagree about.
_PRINTABLE = re.compile(r"[!-\[\]-~]+")
#: Two labels at least, the last beginning with a letter: 2130706433, 0177.0.0.1 and 0x7f.1 are no names.
_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
#: Public by number and not by nature: blocks of protocols and documentation, the 6to4 relays, and the host of the
#: machine in one of the clouds. Addresses that carry an IPv4 address inside (Teredo, 6to4) could lead anywhere; NAT64
#: and IPv4-mapped ones are no global unicast to begin with.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "2002::/16", "3fff::/20")
)

type Place = tuple[socket.AddressFamily, Any]


class AddressRefused(DomainError):
    """The address is not one that this installation sends to."""

    code = "url_refused"
    message = _("url: %(reason)s")

    def __init__(self, reason: Any) -> None:
        super().__init__(reason=reason)


class NotReached(Exception):
    """Nobody answered: no such name, no connection, no valid certificate, or not in time."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address, taken apart and found fit."""

    is_secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as the Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and no more of the body than a person wants to read."""

    status: int
    excerpt: str


def read_target(url: str, *, allow_local: bool = False) -> Target:
    """Take an address apart, or raise `AddressRefused` with the reason. `allow_local` admits http://127.0.0.1."""
    if len(url) > URL_LIMIT or not _PRINTABLE.fullmatch(url):
        raise AddressRefused(_("at most 500 characters, without spaces; write other letters percent-encoded."))
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise AddressRefused(_("this is not an address.")) from None
    if "@" in parts.netloc:
        raise AddressRefused(_("the address must not hold a name and a password."))
    if "#" in url:
        raise AddressRefused(_("the address must not hold a #."))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # In small letters, as the database has it.
    if url.startswith("http://") and host == LOCAL_HOST and allow_local:
        return Target(False, host, 80 if port is None else port, path)
    if not url.startswith("https://"):
        raise AddressRefused(_("the address must begin with https://."))
    port = 443 if port is None else port
    if port not in PORTS:
        raise AddressRefused(_("the port must be 443 or 8443."))
    _judge_host(host)
    return Target(True, host, port, path)


def _judge_host(host: str) -> None:
    """Refuse what is neither a full name nor a public address in its usual form."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _NAME.fullmatch(host):
            raise AddressRefused(_("the host must be a full name, such as hooks.example.com.")) from None
    else:
        if not is_public(host):
            raise AddressRefused(_("the host is not a public address."))


def is_public(address: str) -> bool:
    """Tell whether an address is one of the open Internet: not private, loopback, link-local, metadata or a tunnel."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv6Address) and (known.scope_id or known not in _GLOBAL_UNICAST):
        return False
    return known.is_global and not known.is_multicast and not any(known in each for each in _NOT_PUBLIC)


def post(url: str, *, body: bytes, headers: Mapping[str, str], seconds: float, allow_local: bool = False) -> Answer:
    """Post a body and return the answer; the whole of it takes `seconds` at most.

    Looking the name up counts, and can alone take longer: it has the limits of the machine's resolver.

    Raises `AddressRefused` when the address, or one the name stands for now, is not fit, and `NotReached`.
    """
    target = read_target(url, allow_local=allow_local)
    deadline = time.monotonic() + seconds
    places = _look_up(target)
    try:
        with _connect(target, places, deadline) as connected:
            return _exchange(_Bounded(connected, deadline), target, body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise NotReached(_told(error)) from error


def _told(error: Exception) -> str:
    """Return what went wrong in a line a person of the back office can pass on."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return f"{type(error).__name__}: {error}"[:300]


def _look_up(target: Target) -> list[Place]:
    """Return every address of the host; one that is not public condemns them all."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotReached(f"{target.host}: no such name") from error
    if target.is_secure and not all(is_public(str(place[0])) for *_rest, place in found):
        raise AddressRefused(_("the host is not a public address."))
    return [(family, place) for family, _type, _protocol, _name, place in found]


def _connect(target: Target, places: list[Place], deadline: float) -> socket.socket:
    """Connect to the first of the judged addresses that answers; the certificate must be of the name."""
    failure: OSError = OSError("no address")
    for family, place in places:
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.settimeout(_left(deadline))
            connected.connect(place)
            if not target.is_secure:
                return connected
            connected.settimeout(_left(deadline))
            return _trusted().wrap_socket(connected, server_hostname=target.host)
        except OSError as error:
            connected.close()
            failure = error
    raise failure


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Whom this machine trusts; an authority of the house is added by SSL_CERT_FILE."""
    return ssl.create_default_context()


def _exchange(connected: "_Bounded", target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = connected
    named = {"Host": target.authority, "Connection": "close", **headers}
    connection.request("POST", target.path, body, named)
    response = connection.getresponse()
    try:
        excerpt = response.read(EXCERPT_BYTES)
    except (OSError, http.client.HTTPException):
        excerpt = b""  # the status is the answer; a body that does not come to its end changes nothing
    return Answer(response.status, excerpt.decode("utf-8", "replace").replace("\x00", ""))


def _left(deadline: float) -> float:
    """Return how many seconds are left, or say that none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Bounded(io.RawIOBase):
    """A socket under one deadline and one size, as `http.client` uses it.

    A server that sends a byte now and then does not keep a worker for ever, and one that says its answer has no end
    does not fill it: after `ANSWER_BYTES` the answer is over.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self.connected = connected
        self.deadline = deadline
        self.bytes_left = ANSWER_BYTES

    def sendall(self, data: bytes) -> None:
        self.connected.settimeout(_left(self.deadline))
        self.connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def close(self) -> None:
        """Leave the socket to its owner: `http.client` closes it before the body is read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.connected.settimeout(_left(self.deadline))
        received = self.connected.recv_into(memoryview(buffer)[: self.bytes_left]) if self.bytes_left else 0
        self.bytes_left -= received
        return received
