"""SQL kept as files: read by reports and actions, and by migrations as steps that can be undone."""

from functools import cache
from pathlib import Path

from django.db.migrations import RunSQL


@cache
def read(path: Path) -> str:
    """Return the text of a `.sql` file, read once a process."""
    return path.read_text(encoding="utf-8")


def run_sql(migration: str, *names: str, undo: str | None = None) -> RunSQL:
    """Return a migration step that runs `.sql` files in order; `migration` is the migration's `__file__`.

    A name is looked for beside the migration, then in the app's `sql/` folder. The step is undone by the statements in
    `undo`, else by the files called `<name>.undo.sql`, in reverse order; without either it is refused.
    """
    paths = [find(migration, name) for name in names]
    if undo is None:
        undo_paths = [path.with_suffix(".undo.sql") for path in reversed(paths)]
        missing = [path.name for path in undo_paths if not path.exists()]
        if missing:
            raise FileNotFoundError(
                f"{', '.join(missing)}: a migration must be reversible; write the file or pass undo="
            )
        undo = "\n".join(read(path) for path in undo_paths)
    return RunSQL("\n".join(read(path) for path in paths), undo)


def find(migration: str, name: str) -> Path:
    """Return the `.sql` file a migration means: beside it, or in the app's `sql/` folder."""
    folder = Path(migration).parent
    for path in (folder / name, folder.parent / "sql" / name):
        if path.exists():
            return path
    raise FileNotFoundError(f"{name} lies neither beside the migration nor in {folder.parent.name}/sql/")
