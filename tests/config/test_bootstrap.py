"""The launcher: which environment a command gets, and what a person is told when it cannot be made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import bootstrap

FAKE_UV = """#!/bin/sh
echo "$@" >> {log}
env | grep -E '^(PYENV_VERSION|VIRTUAL_ENV)=' >> {log}
case "$1 $2" in
  "--version ") echo "uv 9.9.9" ;;
  "venv --quiet")
    [ -n "$FAKE_NO_PYTHON" ] && {{ echo "error: no interpreter found" >&2; exit 2; }}
    mkdir -p {venv}/bin && ln -sf {python} {venv}/bin/python ;;
  "python find") exit 1 ;;
  "pip sync") [ -n "$FAKE_NO_NETWORK" ] && {{ echo "error: dns error" >&2; exit 1; }} ;;
esac
exit 0
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project without an environment, and a uv that only writes down what it is asked for."""
    for level, name in bootstrap.LOCKS.items():
        (tmp_path / name).write_text(f"# {level}")
    (tmp_path / ".python-version").write_text("3.13\n")
    monkeypatch.setattr(bootstrap, "BASE_DIR", tmp_path)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "TOOLS", tmp_path / ".venv-tools")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / ".venv" / "laurel.json")
    programs = tmp_path / "programs"
    programs.mkdir()
    uv = programs / "uv"
    uv.write_text(FAKE_UV.format(log=tmp_path / "uv.log", venv=tmp_path / ".venv", python=sys.executable))
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path


def calls(project: Path) -> list[str]:
    log = project / "uv.log"
    return [line for line in log.read_text().splitlines() if line != "--version"] if log.exists() else []


@pytest.mark.parametrize(("level", "lock"), list(bootstrap.LOCKS.items()))
def test_the_first_command_makes_the_environment_its_level_needs(project: Path, level: str, lock: str) -> None:
    bootstrap.ensure_environment(level)

    assert calls(project)[0].startswith("venv --quiet --clear --python 3.13 ")
    assert calls(project)[1].endswith(lock)
    assert "--require-hashes" in calls(project)[1]
    assert bootstrap.is_current(level)


def test_a_higher_level_serves_a_lower_one(project: Path) -> None:
    bootstrap.ensure_environment("dev")

    assert bootstrap.is_current("runtime")
    assert bootstrap.is_current("demo")


def test_a_lower_level_is_raised_and_never_lowered(project: Path) -> None:
    bootstrap.ensure_environment("runtime")
    assert not bootstrap.is_current("demo")
    bootstrap.ensure_environment("demo")
    (project / "requirements-demo.txt").write_text("# changed")
    assert not bootstrap.is_current("runtime")

    bootstrap.ensure_environment("runtime")

    assert [call.split()[-1] for call in calls(project) if call.startswith("pip sync")] == [
        "requirements.txt",
        "requirements-demo.txt",
        "requirements-demo.txt",
    ]


def test_another_lock_than_the_installed_one_changes_nothing(project: Path) -> None:
    bootstrap.ensure_environment("runtime")
    (project / "requirements-dev.txt").write_text("# changed")

    assert bootstrap.is_current("runtime")


def test_an_environment_somebody_else_made_keeps_its_tests(project: Path) -> None:
    (project / ".venv" / "lib" / "python3.13" / "site-packages" / "pytest").mkdir(parents=True)

    assert bootstrap.level_to_install("runtime") == "dev"


def test_what_misleads_uv_is_kept_from_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_VERSION", "3.11.7")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")

    bootstrap.ensure_environment("runtime")

    assert not [line for line in calls(project) if "=" in line and line.split("=")[0] in bootstrap.MISLEADING]


def test_the_mirror_that_pip_uses_is_passed_to_uv(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    seen: list[dict[str, str]] = []

    def capture(command: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
        seen.append(settings)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(bootstrap, "capture", capture)

    bootstrap.call_uv("uv", ["pip", "sync"])

    assert seen[0]["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"


def test_without_a_network_the_person_is_told_so_and_may_try_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NO_NETWORK", "1")
    with pytest.raises(bootstrap.Refusal, match=r"package index(.|\n)*same command again(.|\n)*dns error"):
        bootstrap.ensure_environment("runtime")
    assert not bootstrap.is_current("runtime")

    monkeypatch.delenv("FAKE_NO_NETWORK")
    bootstrap.ensure_environment("runtime")

    assert bootstrap.is_current("runtime")


def test_without_a_new_enough_python_the_person_is_told_which(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NO_PYTHON", "1")

    with pytest.raises(bootstrap.Refusal, match=r"3\.12 or newer(.|\n)*no interpreter found"):
        bootstrap.ensure_environment("runtime")


def test_without_uv_and_pip_the_person_is_told_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "python: No module named pip")
    monkeypatch.setattr(bootstrap, "find_uv", lambda: None)
    monkeypatch.setattr(bootstrap, "capture", lambda command, settings: failed)

    with pytest.raises(bootstrap.Refusal, match="has no pip"):
        bootstrap.ensure_environment("runtime")


def test_a_project_folder_of_somebody_else_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".venv-tools").write_text("a file where a folder should be")

    with pytest.raises(bootstrap.Refusal, match=str(project)):
        bootstrap.ensure_environment("runtime")


def test_a_broken_stamp_is_no_stamp(project: Path) -> None:
    (project / ".venv").mkdir()
    for text in ("", "[]", json.dumps({"level": "all"})):
        (project / ".venv" / "laurel.json").write_text(text)
        assert not bootstrap.is_current("runtime")


@pytest.mark.parametrize(
    ("command", "level"),
    [("demo", "demo"), ("load_complete_journey", "demo"), ("test", "dev"), ("migrate", "runtime"), ("", "runtime")],
)
def test_a_command_asks_for_no_more_than_it_needs(command: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def is_ready(level: str) -> bool:
        asked.append(level)
        return True

    monkeypatch.setattr(bootstrap, "is_ready", is_ready)
    monkeypatch.setattr(bootstrap, "run", lambda argv, command: 0)

    assert bootstrap.main(["manage.py", command]) == 0
    assert asked == [level]


def test_the_launcher_is_plain_inside_an_environment_that_has_everything() -> None:
    assert bootstrap.is_ready("dev")


def test_the_launcher_parses_on_every_python_from_3_8_on() -> None:
    import ast

    for name in ("manage.py", "config/bootstrap.py", "config/__init__.py"):
        path = Path(__file__).parents[2] / name
        ast.parse(path.read_text(), feature_version=(3, 8))


def test_a_database_that_is_not_there_is_one_sentence_and_no_stack_trace() -> None:
    address = "postgres://nobody@127.0.0.1:9/nothing"

    told = subprocess.run(
        [sys.executable, "manage.py", "check_books"],
        cwd=bootstrap.BASE_DIR,
        env={**os.environ, "DATABASE_URL": address},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert told.returncode == 1
    assert "Look at DATABASE_URL" in told.stdout + told.stderr
    assert "Traceback" not in told.stdout + told.stderr
