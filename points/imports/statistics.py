"""What the server knows of its tables while they are filled in one go."""

from django.db import connection

TABLES = (
    "members_member",
    "members_memberkey",
    "points_balance",
    "points_entry",
    "points_event",
    "points_lot",
    "points_reference",
)
#: The block indexes by which a night finds what its day recorded.
BLOCK_INDEXES = ("event_recorded", "entry_recorded")


def begin_bulk() -> None:
    """Keep this session from compiling its queries: compiling takes a second where they take a tenth of one."""
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")


def refresh_at(step: int) -> None:
    """Look at the tables anew at steps 1, 2, 4, 8 … of a bulk load.

    Autovacuum would do it a minute later; until then the planner takes full tables for empty ones.
    """
    if step > 0 and step & (step - 1) == 0:
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {', '.join(TABLES)}")


def summarise_blocks() -> None:
    """Let the block indexes know the pages that were added; until a vacuum does, they are all read each time."""
    with connection.cursor() as cursor:
        for index in BLOCK_INDEXES:
            cursor.execute("SELECT brin_summarize_new_values(%s)", [index])
