"""A data folder for servers of our own."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import embedded


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """Give a data folder the server's user can come to also when root runs the tests: pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="laurel-data-"))
    folder.chmod(0o755)
    yield folder
    if (folder / "postgres").is_dir():
        wait_until_stopped(folder / "postgres")
    shutil.rmtree(folder)


def wait_until_stopped(folder: Path) -> None:
    """Wait until the supervisor of an embedded server has ended."""
    with embedded.open_lock(folder, "supervisor.lock") as lock:
        deadline = time.monotonic() + 30
        while not embedded.try_lock(lock):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert not (folder / "server.json").exists()
