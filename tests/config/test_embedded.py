"""The embedded server: started by who comes first, shared, stopped by who goes last, sound after every kill."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from config import embedded, folders
from tests.config.conftest import wait_until_stopped

pytestmark = pytest.mark.server

USER_SCRIPT = """
import sys
from pathlib import Path
from config import embedded
with embedded.lease(Path(sys.argv[1])) as lease:
    print(lease.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(data_folder: Path) -> Path:
    return data_folder / "postgres"


def state_of(folder: Path) -> dict[str, str]:
    state: dict[str, str] = json.loads((folder / "server.json").read_text())
    return state


def kill(pid: str) -> None:
    process = psutil.Process(int(pid))
    process.kill()
    process.wait(10)


def query(url: str, sql: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql).fetchone()
    return row[0] if row else None


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


def another_command(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER_SCRIPT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folders.BASE_DIR,
        env={**os.environ, "PYTHONPATH": str(folders.BASE_DIR)},
    )


def address_of(command: subprocess.Popen[str]) -> str:
    assert command.stdout is not None
    return command.stdout.readline().strip()


def test_the_data_is_there_again_at_the_same_address_after_a_stop(folder: Path) -> None:
    with embedded.lease(folder) as first:
        execute(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    wait_until_stopped(folder)

    with embedded.lease(folder) as second:
        assert query(second.url, "SELECT answer FROM kept") == 42
    assert second.url == first.url


def test_the_server_sorts_by_code_point_and_keeps_what_is_committed(folder: Path) -> None:
    with embedded.lease(folder) as lease:
        assert (
            query(lease.url, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'laurel'")
            == "bC.UTF-8"
        )
        assert query(lease.url, "SELECT lower('ÄÖ')") == "äö"
        assert query(lease.url, "SHOW fsync") == "on"


def test_only_this_user_reads_the_password_and_nobody_enters_without_it(folder: Path) -> None:
    with embedded.lease(folder) as lease:
        assert (folder / "password").stat().st_mode & 0o777 == 0o600
        assert (folder / "server.json").stat().st_mode & 0o777 == 0o600
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(lease.url.replace((folder / "password").read_text(), "guess"))


def test_what_people_typed_does_not_stand_in_the_log_of_the_server(folder: Path) -> None:
    with embedded.lease(folder) as lease:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation), psycopg.connect(lease.url) as connection:
            connection.execute("SELECT 'x'::int AS answer, '13800138000' AS phone")
        log = folder / "server.log"

        assert "invalid input syntax" in log.read_text()
        assert "13800138000" not in log.read_text()
        assert log.stat().st_mode & 0o777 == 0o600


def test_parallel_commands_share_one_server_and_the_last_one_stops_it(folder: Path) -> None:
    commands = [another_command(folder) for _ in range(4)]
    addresses = {address_of(command) for command in commands}
    assert len(addresses) == 1
    server = psutil.Process(int(state_of(folder)["server"]))

    for command in commands[:3]:
        command.communicate("")
    time.sleep(1.2)
    assert query(addresses.pop(), "SELECT 1") == 1

    commands[3].communicate("")
    wait_until_stopped(folder)
    assert not server.is_running()


def test_a_command_killed_outright_gives_its_lease_back(folder: Path) -> None:
    command = another_command(folder)
    url = address_of(command)

    command.kill()
    command.wait()

    wait_until_stopped(folder)
    with embedded.lease(folder) as lease:
        assert lease.url == url
        assert query(lease.url, "SELECT 1") == 1


def test_a_killed_server_comes_back_at_the_same_address_with_every_committed_row(folder: Path) -> None:
    with embedded.lease(folder) as lease:
        execute(lease.url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        os.kill(int(state_of(folder)["server"]), signal.SIGKILL)
        time.sleep(0.2)

        with embedded.lease(folder) as again:
            assert again.url == lease.url
            assert query(again.url, "SELECT count(*) FROM kept") == 1000


def test_a_killed_supervisor_takes_the_server_with_it_and_the_next_command_recovers(folder: Path) -> None:
    with embedded.lease(folder) as lease:
        execute(lease.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        state = state_of(folder)
        kill(state["supervisor"])

        with embedded.lease(folder) as again:
            assert query(again.url, "SELECT answer FROM kept") == 42
            assert state_of(folder)["supervisor"] != state["supervisor"]


def test_server_and_supervisor_killed_at_once_leave_nothing_in_the_way(folder: Path) -> None:
    with embedded.lease(folder) as lease:
        execute(lease.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        state = state_of(folder)
        os.kill(int(state["server"]), signal.SIGKILL)
        kill(state["supervisor"])

    with embedded.lease(folder) as again:
        assert query(again.url, "SELECT answer FROM kept") == 42


def test_a_half_made_cluster_is_made_again(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18")

    with embedded.lease(folder) as lease:
        assert query(lease.url, "SELECT current_database()") == "laurel"


def test_another_program_on_the_noted_port_does_not_matter(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        folder.mkdir(parents=True)
        (folder / "port").write_text(str(other.getsockname()[1]))

        with embedded.lease(folder) as lease:
            assert query(lease.url, "SELECT 1") == 1


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with embedded.lease(folder):
        pass
    wait_until_stopped(folder)
    (folder / "data" / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(embedded.ServerError, match=r"did not start(.|\n)*9\.6"), embedded.lease(folder):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where a folder should be")

    with pytest.raises(embedded.ServerError, match="LAUREL_VAR"), embedded.lease(tmp_path / "var" / "postgres"):
        pass


def test_a_throw_away_server_leaves_nothing_behind() -> None:
    with embedded.throw_away() as lease:
        assert query(lease.url, "SHOW fsync") == "off"
        data = Path(str(query(lease.url, "SHOW data_directory")))

    deadline = time.monotonic() + 20
    while data.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not data.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change user")
def test_root_runs_the_server_as_another_user_and_opens_no_folder_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = tmp_path.parent / f"{tmp_path.name}-state"
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    state.mkdir()
    monkeypatch.setattr(embedded, "SYSTEM_STATE", state)
    owner = embedded.choose_owner()
    assert owner is not None

    assert embedded.choose_home(closed, owner).parent == state
    programs = embedded.choose_binaries(owner)

    assert embedded.can_run(owner, programs)
    assert closed.stat().st_mode & 0o777 == 0o700
