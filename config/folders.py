"""Where things lie on disk: the project, its data folder and the secrets it makes. Standard library only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

BASE_DIR = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Return the folder of everything this installation writes: `$LAUREL_VAR`, or `var/` in the project."""
    return Path(os.environ.get("LAUREL_VAR") or BASE_DIR / "var").resolve()


def make_folder(folder: Path) -> None:
    """Make a folder. The data folder itself is for its owner alone; root's lets the server's own user through."""
    data = data_folder()
    if folder == data or data in folder.parents:
        data.mkdir(mode=0o711 if os.name == "posix" and os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


def open_log(path: Path) -> BinaryIO:
    """Open a log anew, readable by its owner alone; the one of the run before stays beside it as `.1`."""
    make_folder(path.parent)
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def write_private(path: Path, text: str) -> None:
    """Put a file in place at once and whole, readable by its owner alone."""
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def keep_secret(name: str, make: Callable[[], str]) -> str:
    """Return the secret kept under this name in the data folder; the first caller makes it, racers agree on one."""
    path = data_folder() / "secrets" / name
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        make_folder(path.parent)
        path.parent.chmod(0o700)
    partial = path.with_name(f".{name}.{os.getpid()}")
    write_private(partial, make() + "\n")
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
    return path.read_text(encoding="utf-8").strip()
