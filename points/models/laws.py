"""The triggers that keep the books: written by the posting function alone, never rewritten by anybody."""

import pgtrigger

#: The database role that owns the ledger functions; nobody logs in as it.
LEDGER_ROLE = "laurel_ledger"


def _refuse(
    name: str, operation: pgtrigger.core.Operation | pgtrigger.core.Operations, law: str, *, always: bool
) -> pgtrigger.Trigger:
    level = pgtrigger.Statement if operation is pgtrigger.Truncate else pgtrigger.Row
    return pgtrigger.Trigger(
        name=name,
        level=level,
        when=pgtrigger.Before,
        operation=operation,
        condition=None if always else pgtrigger.Condition(f"current_user <> '{LEDGER_ROLE}'"),
        func=f"RAISE EXCEPTION '{law}: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';",
    )


def refuse_if(law: str, condition: str, text: str) -> str:
    """Write the statement that refuses, named like a constraint so that the error carries the law's name."""
    raised = f"RAISE EXCEPTION '{law}: {text}' USING ERRCODE = 'restrict_violation', CONSTRAINT = '{law}';"
    return f"IF {condition} THEN {raised} END IF;"


def append_only() -> tuple[pgtrigger.Trigger, ...]:
    """Rows come from the ledger functions and stay as they are: no UPDATE, DELETE or TRUNCATE by anybody."""
    return (
        _refuse("insert_by_function", pgtrigger.Insert, "ledger_written_by_function", always=False),
        _refuse("append_only", pgtrigger.Update | pgtrigger.Delete, "ledger_append_only", always=True),
        _refuse("no_truncate", pgtrigger.Truncate, "ledger_append_only", always=True),
    )


def function_only() -> tuple[pgtrigger.Trigger, ...]:
    """Rows are made and changed by the ledger functions, and deleted by nobody."""
    return (
        _refuse("write_by_function", pgtrigger.Insert | pgtrigger.Update, "ledger_written_by_function", always=False),
        _refuse("no_delete", pgtrigger.Delete, "ledger_append_only", always=True),
        _refuse("no_truncate", pgtrigger.Truncate, "ledger_append_only", always=True),
    )
