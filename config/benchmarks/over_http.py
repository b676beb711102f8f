"""Events and balances over HTTP, beside the same action in Python and beside a view that does nothing."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from config.benchmarks import web
from config.benchmarks.web import CLIENTS, Line
from members.api.fields import write_money
from members.models import Member
from points.actions import awarding
from points.actions.awarding import BATCH_LIMIT, IncomingEvent
from points.benchmarks import programme, single_calls
from points.benchmarks.harness import Bench, Figure, NotMeasured, Side, alternate, compare

BULK, CALLS = "http_bulk", "http_calls"


def run_bulk(bench: Bench) -> list[Figure]:
    """Send 10,000 events in one call, and hand the same to the action."""
    programme.set_up(bench, members=bench.size(20_000, 20))
    events = min(BATCH_LIMIT, bench.size(10_000, 20))
    at = timezone.now()
    incoming: list[IncomingEvent] = []
    request = b""

    with web.serve() as server, Line(server.port) as line:

        def prepare(number: int) -> None:
            nonlocal request
            incoming[:] = _purchases(events, f"r{number}", at)
            request = server.write("POST", "api/v1/events/", [_body(event) for event in incoming])

        def over_http(_number: int) -> int:
            status, answer = line.ask(request)
            return sum(bool(row["entries"]) for row in json.loads(answer)) if status == 200 else 0

        def in_python(_number: int) -> int:
            results = awarding.award_many(events=incoming, source="python", actor=programme.ACTOR, at=at)
            return sum(bool(result.awards) for result in results)

        ours, other = alternate(
            bench,
            BULK,
            [
                Side("POST events/", _kept(bench, web.SOURCE, over_http), prepare),
                Side("award_many", _kept(bench, "python", in_python)),
            ],
        )
    _check(bench, BULK, [*ours, *other], events)
    return [
        compare(
            ours,
            other,
            workload=BULK,
            name="POST events/ ÷ award_many",
            unit="events",
            aim=0.5,
            note=f"{events} events in one call, both told what each gave; the client reads its answer too",
        )
    ]


def run_calls(bench: Bench) -> list[Figure]:
    """Send events one by one and read balances, by as many clients as the web server has threads."""
    programme.set_up(bench, members=bench.size(20_000, 50))
    members = programme.member_ids(bench)
    calls = bench.size(400, 5)
    at = timezone.now()
    seconds: list[float] = []
    posts: list[list[bytes]] = []

    def in_python(number: int) -> int:
        seconds.append(single_calls.python_clients("award", f"p{number}", calls, members))
        return calls * CLIENTS

    with web.serve() as server:

        def write_posts(number: int, address: str) -> None:
            bodies = [_body(event) for event in _purchases(calls * CLIENTS, f"r{number}", at)]
            posts[:] = _shared_out([server.write("POST", address, body) for body in bodies])

        def post(_number: int) -> int:
            return server.send(posts, status=201)

        ours, bare, python = alternate(
            bench,
            CALLS,
            [
                Side("event", _kept(bench, web.SOURCE, post), lambda number: write_posts(number, "api/v1/events/")),
                Side("bare view", post, lambda number: write_posts(number, "no-op/")),
                Side("awarding.award", _kept(bench, "bench", in_python)),
            ],
        )
        numbers = list(_numbers(calls * CLIENTS).values()) * CLIENTS
        wanted = [server.write("GET", f"api/v1/members/{number}/balance/") for number in numbers[: calls * CLIENTS]]
        reads, nothings = _shared_out(wanted), _shared_out([server.write("GET", "no-op/")] * len(wanted))
        balances, bare_reads = alternate(
            bench,
            f"{CALLS}, reads",
            [
                Side("balance", lambda _: server.send(reads, status=200)),
                Side("bare view", lambda _: server.send(nothings, status=200)),
            ],
        )
    _check(bench, CALLS, [*ours, *bare, *python, *balances, *bare_reads], calls * CLIENTS)
    # The Python side times itself: starting its processes is no part of a call.
    python = [(done, taken) for (done, _), taken in zip(python, seconds[1:], strict=True)]
    about: dict[str, Any] = {"workload": CALLS, "unit": "calls"}
    served = f"{CLIENTS} clients of a web server with as many threads; the bare view has its middleware too"
    same = "the same call in as many processes and threads"
    return [
        compare(ours, bare, name="POST events/ ÷ bare view", aim=0.35, note=served, **about),
        compare(ours, python, name="POST events/ ÷ awarding.award", aim=None, note=same, **about),
        compare(balances, bare_reads, name="GET balance/ ÷ bare view", aim=None, note=served, **about),
    ]


def _kept(bench: Bench, source: str, work: Callable[[int], int]) -> Callable[[int], int]:
    """Count the events in the books beside what a side says: a call that was refused must not look fast."""

    def counted(number: int) -> int:
        query, given = "SELECT count(*) FROM points_event WHERE source = %(source)s", {"source": source}
        before = int(bench.value(query, given))
        said = work(number)
        kept = int(bench.value(query, given)) - before
        if said != kept:
            raise NotMeasured(f"{source}: {said} events were answered and {kept} are kept")
        return kept

    return counted


def _check(bench: Bench, workload: str, measured: Sequence[tuple[int, float]], wanted: int) -> None:
    """Refuse a figure of less than was asked for, or of broken books."""
    if {done for done, _seconds in measured} != {wanted}:
        raise NotMeasured(f"{workload}: {[done for done, _ in measured]} calls succeeded instead of {wanted} each")
    bench.check_books(workload)


def _numbers(most: int) -> dict[int, str]:
    """Card numbers of the first members, by id."""
    return dict(Member.objects.order_by("id").values_list("id", "number")[:most])


def _purchases(count: int, prefix: str, at: datetime) -> list[IncomingEvent]:
    """Purchases of members by their card numbers, as client systems know them."""
    numbers = _numbers(100_000)
    incoming = programme.purchases(count, members=list(numbers), prefix=prefix, at=at)
    return [replace(event, member=numbers[event.member_id or 0], member_id=None) for event in incoming]


def _body(event: IncomingEvent) -> dict[str, Any]:
    """An event as a till writes it."""
    return {
        "reference": event.reference,
        "member": event.member,
        "type": event.type,
        "occurred_at": event.occurred_at.isoformat(),
        "money": write_money(event.amount_minor or 0, event.currency),
        "channel": event.channel,
        "store": event.store,
    }


def _shared_out(requests: Sequence[bytes]) -> list[list[bytes]]:
    """Deal requests to the clients."""
    return [list(requests[client::CLIENTS]) for client in range(CLIENTS)]
