"""Programs this project runs beside itself: started so that they die with it, stopped with all they started."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from config import folders

STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1


def signal_when_parent_dies(order: signal.Signals, parent: int) -> Callable[[], None]:
    """Return what a child does before its program starts, so that the kernel stops it when its parent dies."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def ask() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, order)
            if os.getppid() != parent:
                os._exit(1)

    return ask


@dataclass(frozen=True)
class Program:
    """A running program and the file its words go to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def is_running(self) -> bool:
        """Tell whether it still runs."""
        return self.process.poll() is None

    def last_words(self, lines: int = 12) -> str:
        """Return the end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def start(name: str, arguments: list[str], *, environment: Mapping[str, str], log: Path) -> Program:
    """Start a Python module of our environment out of reach of the terminal's Ctrl-C, which is ours to pass on."""
    with folders.open_log(log) as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folders.BASE_DIR,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=signal_when_parent_dies(signal.SIGTERM, os.getpid()),
        )
    return Program(name, process, log)


def stop(programs: Iterable[Program]) -> None:
    """Ask every program to finish what it has in hand, then end whatever is left of it and its children."""
    programs = list(programs)
    family = [member for program in programs for member in _family(program)]
    for program in programs:
        with suppress(ProcessLookupError):
            program.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for program in programs:
        with suppress(subprocess.TimeoutExpired):
            program.process.wait(max(deadline - time.monotonic(), 0.1))
    _, left = psutil.wait_procs(family, timeout=1)
    for member in left:
        with suppress(psutil.Error):
            member.kill()
    for program in programs:
        program.process.wait()


def _family(program: Program) -> list[psutil.Process]:
    """Return a program and everything it started."""
    try:
        process = psutil.Process(program.process.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
