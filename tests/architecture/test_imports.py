"""The rooms: who may import whom, and what may stand where. import-linter holds the layers, this the rest."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import folders

ROOMS = ("config", "members", "points", "rewards")


def modules(*folders_below: str) -> Iterator[Path]:
    for name in folders_below:
        yield from sorted((folders.BASE_DIR / name).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_imports_point_down() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folders.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_toolbox_knows_no_app() -> None:
    for path in modules("config/lib"):
        for name in imported_names(path):
            assert name.split(".")[0] not in {"members", "points", "rewards"}, path
            assert not name.startswith("config.") or name.startswith("config.lib"), path


def test_nothing_below_imports_the_composition() -> None:
    for path in modules("members", "points", "rewards"):
        for name in imported_names(path):
            is_composition = name == "config" or (name.startswith("config.") and not name.startswith("config.lib"))
            assert not is_composition, f"{path} imports {name}"


def test_migrations_import_no_models_of_an_app() -> None:
    for room in ROOMS:
        for path in modules(f"{room}/migrations"):
            for name in imported_names(path):
                assert not name.startswith(tuple(f"{other}.models" for other in ROOMS)), f"{path} imports {name}"


@pytest.mark.parametrize("name", ["config/bootstrap.py", "manage.py"])
def test_the_launcher_needs_nothing_but_python(name: str) -> None:
    top_level = {
        name.split(".")[0]
        for node in ast.parse((folders.BASE_DIR / name).read_text()).body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert top_level <= sys.stdlib_module_names | {"config"}


def test_actions_take_the_clock_from_their_caller() -> None:
    """`timezone.now()` in an action would make it impossible to close a night again as it was."""
    for path in modules("members/actions", "points/actions", "rewards/actions"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            reads = node.func.attr in {"now", "today", "utcnow"} or (node.func.attr == "localdate" and not node.args)
            if reads:
                pytest.fail(f"{path}:{node.lineno} reads the clock; take it as at=")


def test_no_locks_name_a_host() -> None:
    for path in folders.BASE_DIR.glob("requirements*.txt"):
        assert "://" not in path.read_text(), path
