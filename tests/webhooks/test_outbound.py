"""Sending to addresses that strangers name reaches nothing but public HTTPS servers, whatever the name says."""

import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.lib import outbound
from config.lib.outbound import AddressRefused, NotReached

from .receiver import Receiver

REFUSED = [
    "",
    "hooks.example.com",
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "HTTPS://hooks.example.com/",
    "HTTP://127.0.0.1/",
    "file:///etc/passwd",
    "//hooks.example.com/",
    "https:///path",
    "https://user:password@hooks.example.com/",
    "https://user@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com/#there",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\r\nHost: inside",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:443x/",
    "https://пример.example.com/",
    "https://localhost/",
    "https://localhost:8443/",
    "https://metadata/",
    "https://hooks.example.com./",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://127.0.0.1.:443/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[hooks.example.com]/",
    "https://hooks.example.com/" + "x" * 500,
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_a_public_https_one_is_refused(url: str) -> None:
    for allow_local in (False, True):
        with pytest.raises(AddressRefused):
            outbound.read_target(url, allow_local=allow_local)


def test_a_public_https_address_is_taken_apart() -> None:
    target = outbound.read_target("https://Hooks.Example.com:8443/laurel/in?x=%20&y=1")

    assert (target.host, target.port, target.path) == ("hooks.example.com", 8443, "/laurel/in?x=%20&y=1")
    assert target.authority == "hooks.example.com:8443"
    assert outbound.read_target("https://hooks.example.com").authority == "hooks.example.com"
    assert outbound.read_target("https://[2606:4700::1]/").authority == "[2606:4700::1]"


def test_plain_http_goes_to_this_machine_alone_and_only_where_that_is_allowed() -> None:
    assert outbound.read_target("http://127.0.0.1:9000/x", allow_local=True).port == 9000
    for url in ("http://127.0.0.1:9000/x", "http://localhost:9000/x", "http://127.0.0.2/", "http://[::1]/"):
        with pytest.raises(AddressRefused):
            outbound.read_target(url, allow_local=url.startswith("http://127.0.0.1") is False)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "100::1", "2001::1",
        "2001:1::1", "2001:4:112::1", "2001:20::1", "2001:db8::1", "3fff::1",
        "2002:7f00:1::1", "fc00::1", "fd00:ec2::254", "fe80::1",
        "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "hooks.example.com", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_open_internet_are_known(address: str) -> None:
    assert not outbound.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450::1"])
def test_addresses_of_the_open_internet_are_known(address: str) -> None:
    assert outbound.is_public(address)


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[tuple[str, int]]) -> list[str]:
    """Let every look-up give the next of these answers, the last one for ever; the names asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        places = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address, _port in places]
        return [(family, socket.SOCK_STREAM, 6, "", place) for family, place in zip(families, places, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    "answers",
    [
        [("127.0.0.1", 443)],
        [("169.254.169.254", 443)],
        [("8.8.8.8", 443), ("10.0.0.1", 443)],
        [("::1", 443)],
        [("::ffff:10.0.0.1", 443)],
        [("2606:4700::1", 443), ("fd00::1", 443)],
    ],
)
def test_a_name_that_stands_for_an_inner_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[str, int]]
) -> None:
    names(monkeypatch, answers)
    monkeypatch.setattr(socket, "socket", lambda *args: pytest.fail("connected"))

    with pytest.raises(AddressRefused):
        outbound.post("https://rebind.example.com/", body=b"{}", headers={}, seconds=2)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Return the context of a server with a certificate for this name, and the file of the authority that made it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, secret = folder / "authority.pem", folder / "key.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, secret)
    return context, authority


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Trust an authority as an operator would, and take the machine's own address for a public one."""

    def trust(authority: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        monkeypatch.setattr(outbound, "_trusted", ssl.create_default_context)
        monkeypatch.setattr(outbound, "is_public", lambda address: True)

    return trust


def test_a_name_is_looked_up_once_and_the_judged_address_connected_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusting: Callable[[Path], None]
) -> None:
    context, authority = certificate(tmp_path, "hooks.example.com")
    trusting(authority)
    indicated: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: indicated.append(name)
    with Receiver(context) as receiver:
        asked = names(monkeypatch, [("127.0.0.1", receiver.port)], [("127.0.0.1", 9)])

        answer = outbound.post(
            "https://hooks.example.com/in?a=1", body=b'{"a":1}', headers={"webhook-id": "msg_1"}, seconds=5
        )

    assert (answer.status, answer.excerpt) == (200, "thanks")
    assert asked == ["hooks.example.com"]
    assert indicated == ["hooks.example.com"]
    (message,) = receiver.messages
    assert (message.path, message.body) == ("/in?a=1", b'{"a":1}')
    assert message.headers["host"] == "hooks.example.com"
    assert message.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("name", ["other.example.com", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusting: Callable[[Path], None], name: str
) -> None:
    context, authority = certificate(tmp_path, name)
    trusting(authority)
    with Receiver(context) as receiver:
        names(monkeypatch, [("127.0.0.1", receiver.port)])

        with pytest.raises(NotReached, match="certificate"):
            outbound.post("https://hooks.example.com/", body=b"{}", headers={}, seconds=5)

    assert receiver.messages == []


def test_a_certificate_nobody_vouches_for_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context, _authority = certificate(tmp_path, "hooks.example.com")
    monkeypatch.setattr(outbound, "is_public", lambda address: True)
    with Receiver(context) as receiver:
        names(monkeypatch, [("127.0.0.1", receiver.port)])

        with pytest.raises(NotReached, match="certificate"):
            outbound.post("https://hooks.example.com/", body=b"{}", headers={}, seconds=5)

    assert receiver.messages == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver, status: int) -> None:
    with Receiver() as inside:
        receiver.extra_headers = {"Location": inside.url}
        receiver.answer = lambda message: status

        answer = outbound.post(receiver.url, body=b"{}", headers={}, seconds=5, allow_local=True)

    assert answer.status == status
    assert inside.messages == []


def test_of_a_long_answer_only_the_beginning_is_kept_and_no_character_the_database_refuses(receiver: Receiver) -> None:
    receiver.answer = lambda message: (500, "a\x00b" + "c" * 100_000)

    answer = outbound.post(receiver.url, body=b"{}", headers={}, seconds=5, allow_local=True)

    assert answer.status == 500
    assert answer.excerpt.startswith("abc")
    assert len(answer.excerpt) < outbound.EXCERPT_BYTES


ENDLESS = {
    "a chunk of less than nothing": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "an enormous chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "an enormous length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX-Long: ",
}


@pytest.mark.parametrize("beginning", ENDLESS)
def test_an_answer_without_end_is_taken_in_to_a_small_part(beginning: str) -> None:
    sent = 0

    def answer_for_ever() -> None:
        nonlocal sent
        connected, _address = server.accept()
        with connected, suppress(OSError):
            connected.recv(10_000)
            connected.sendall(ENDLESS[beginning])
            while sent < 60_000_000:
                sent += connected.send(b"x" * 100_000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=answer_for_ever)
        thread.start()
        tracemalloc.start()
        with suppress(NotReached):
            outbound.post(
                f"http://127.0.0.1:{server.getsockname()[1]}/", body=b"{}", headers={}, seconds=5, allow_local=True
            )
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        thread.join(10)

    assert sent < 60_000_000
    assert peak < 2_000_000


def test_a_slow_look_up_leaves_less_time_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up_slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.3)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail("connected"))

    with pytest.raises(NotReached, match="timed out"):
        outbound.post("https://hooks.example.com/", body=b"{}", headers={}, seconds=0.2)


def test_a_server_that_keeps_silent_is_left(receiver: Receiver) -> None:
    receiver.delay = 2
    started = time.monotonic()

    with pytest.raises(NotReached, match="timed out"):
        outbound.post(receiver.url, body=b"{}", headers={}, seconds=0.3, allow_local=True)

    assert time.monotonic() - started < 1.5


def test_a_server_that_sends_a_line_now_and_then_is_left_too(receiver: Receiver) -> None:
    receiver.drip = 0.05
    started = time.monotonic()

    with pytest.raises(NotReached):
        outbound.post(receiver.url, body=b"{}", headers={}, seconds=0.5, allow_local=True)

    assert time.monotonic() - started < 2


def test_nobody_there_and_no_such_name_are_told(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    with pytest.raises(NotReached, match="refused"):
        outbound.post(f"http://127.0.0.1:{closed}/", body=b"{}", headers={}, seconds=2, allow_local=True)

    def no_such_name(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(NotReached, match="no such name"):
        outbound.post("https://gone.example.com/", body=b"{}", headers={}, seconds=2)


def test_what_is_no_http_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def babble() -> None:
            connected, _address = server.accept()
            with connected:
                connected.recv(10_000)
                connected.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = Thread(target=babble)
        thread.start()
        with pytest.raises(NotReached):
            outbound.post(
                f"http://127.0.0.1:{server.getsockname()[1]}/", body=b"{}", headers={}, seconds=2, allow_local=True
            )
        thread.join(5)
