"""How often one event asks the database, counted on the wire: the check of the connection and BEGIN count too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from psycopg.pq import Trace

from members.actions import clients
from members.models import Member
from points.api import answers
from tests.api.conftest import Caller, purchase

pytestmark = pytest.mark.django_db(transaction=True)


def trips(tmp_path: Path, work: Callable[[], object]) -> int:
    """Return how many times the server said it was ready for the next question."""
    connection.ensure_connection()
    kept: Any = connection
    # As in production, where a connection that was kept is asked whether it still lives.
    kept.health_check_enabled, kept.health_check_done = True, False
    wire = kept.connection.pgconn
    with (tmp_path / "wire").open("w+") as trace:
        wire.trace(trace.fileno())
        wire.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            work()
        finally:
            wire.untrace()
    return (tmp_path / "wire").read_text(errors="replace").count("ReadyForQuery")


def test_one_event_is_at_most_three_round_trips(till: Caller, alice: Member, tmp_path: Path) -> None:
    def send(reference: str) -> None:
        assert till.post("events/", purchase(alice, reference)).status == 201

    first = trips(tmp_path, lambda: send("first of the day"))
    remembered = trips(tmp_path, lambda: send("key remembered"))
    clients.forget()
    looked_up = trips(tmp_path, lambda: send("key looked up"))
    clients.forget()
    answers._rule_codes.clear()
    new_process = trips(tmp_path, lambda: send("another process"))

    # The connection, the event; the key once in fifteen seconds. Once a process the codes of the rules, once a day
    # and key the day of its use; once in fifteen seconds whether anybody is to be told by webhook.
    assert (remembered, looked_up, new_process, first) == (2, 3, 4, 6)


def test_a_list_of_events_costs_no_more_than_one(till: Caller, alice: Member, tmp_path: Path) -> None:
    till.post("events/", purchase(alice, "warm"))

    listed = [purchase(alice, f"row-{number}", "1.00") for number in range(200)]

    assert trips(tmp_path, lambda: till.post("events/", listed)) == 2
