"""The triggers that keep state machines honest and their histories whole, whatever door a change comes by.

A row that changes carries who and why in its column `change`, a JSON object {actor, at, reason?, source?, reference?}.
The trigger refuses the change without it, writes the history row from it and empties the column, so the next change
has to say it anew. A history is written by these triggers alone and never rewritten.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _


def change_field() -> models.JSONField:
    """Return the column by which a change says who made it and why; empty whenever nobody is looking."""
    return models.JSONField(_("change"), null=True, editable=False)


def rows(values: Iterable[tuple[str, ...]]) -> str:
    """Write tuples of words as an SQL list of rows."""
    return ", ".join("(" + ", ".join(f"'{word}'" for word in value) + ")" for value in values)


def refuse(law: str, text: str, *arguments: str) -> str:
    """Write the statement that refuses, named like a constraint so that the error carries the law's name."""
    values = "".join(f", {argument}" for argument in arguments)
    return f"RAISE EXCEPTION '{law}: {text}'{values} USING ERRCODE = 'restrict_violation', CONSTRAINT = '{law}';"


def keeps_history(
    *, of: str, watched: str | Sequence[str], judge: str, into: str, values: dict[str, str], also: str = ""
) -> pgtrigger.Trigger:
    """Return the trigger that judges every new value of some columns and writes who, when and why into the history.

    `values` gives each further column of the history its SQL expression; `judge` and `also` are statements before and
    after the row is written.
    """
    columns = {
        **values,
        "actor": "NEW.change ->> 'actor'",
        "reason": "coalesce(NEW.change ->> 'reason', '')",
        "at": "(NEW.change ->> 'at')::timestamptz",
    }
    unchanged = " AND ".join(
        f"NEW.{column} IS NOT DISTINCT FROM OLD.{column}"
        for column in ([watched] if isinstance(watched, str) else watched)
    )
    nameless = refuse(
        f"{of}_change_names_actor", "% on % must say who and when in its column change", "TG_OP", "TG_TABLE_NAME"
    )
    return pgtrigger.Trigger(
        name="keeps_history",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update,
        func=f"""
            IF TG_OP = 'UPDATE' AND {unchanged} THEN
                NEW.change := NULL;
                RETURN NEW;
            END IF;
            {judge}
            IF coalesce(NEW.change ->> 'actor', '') = '' OR NEW.change ->> 'at' IS NULL THEN
                {nameless}
            END IF;
            INSERT INTO {into} ({", ".join(columns)}) VALUES ({", ".join(columns.values())});
            {also}
            NEW.change := NULL;
            RETURN NEW;
        """,  # noqa: S608 - made of constants of this app
    )


def judges_states(*, law: str, first: str, step: str) -> str:
    """Write the statements that let a row begin and go on only as its state machine says; both are SQL conditions."""
    return f"""
        IF TG_OP = 'INSERT' AND NOT ({first}) THEN
            {refuse(law, "a % does not begin as %", "TG_TABLE_NAME", "NEW.state")}
        ELSIF TG_OP = 'UPDATE' AND NOT ({step}) THEN
            {refuse(law, "from % to % is refused", "OLD.state", "NEW.state")}
        END IF;
    """


def never_deleted() -> tuple[pgtrigger.Trigger, ...]:
    """Rows stay: no DELETE and no TRUNCATE by anybody."""
    return (
        _refusing("no_delete", pgtrigger.Delete, "rewards_never_deleted"),
        _refusing("no_truncate", pgtrigger.Truncate, "rewards_never_deleted"),
    )


def history() -> tuple[pgtrigger.Trigger, ...]:
    """Rows come from the trigger of the table they tell about and stay as they are."""
    return (
        _refusing(
            "insert_by_trigger",
            pgtrigger.Insert,
            "rewards_history_written_by_trigger",
            pgtrigger.Condition("pg_trigger_depth() = 0"),
        ),
        _refusing("append_only", pgtrigger.Update | pgtrigger.Delete, "rewards_history_append_only"),
        _refusing("no_truncate", pgtrigger.Truncate, "rewards_history_append_only"),
    )


def written_by_trigger() -> tuple[pgtrigger.Trigger, ...]:
    """Rows that the trigger of another table makes and moves on; nobody else writes them and none goes."""
    return (
        _refusing(
            "write_by_trigger",
            pgtrigger.Insert | pgtrigger.Update,
            "rewards_history_written_by_trigger",
            pgtrigger.Condition("pg_trigger_depth() = 0"),
        ),
        *never_deleted(),
    )


def _refusing(
    name: str,
    operation: pgtrigger.core.Operation | pgtrigger.core.Operations,
    law: str,
    condition: pgtrigger.Condition | None = None,
) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement if operation is pgtrigger.Truncate else pgtrigger.Row,
        when=pgtrigger.Before,
        operation=operation,
        condition=condition,
        func=refuse(law, "% on % is refused", "TG_OP", "TG_TABLE_NAME"),
    )


def told(*, actor: str, at: datetime, **more: Any) -> dict[str, Any]:
    """Return what a change says of itself: who, when, and what else its history keeps."""
    return {"actor": actor, "at": at.isoformat(), **{name: value for name, value in more.items() if value is not None}}
