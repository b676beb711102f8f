"""One award and one spend at a time through the Python actions, beside the same SQL functions called by pgbench."""

import multiprocessing
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection

from members.models import Member
from points.actions import awarding, catalogue, spending
from points.benchmarks import programme, workers
from points.benchmarks.harness import Bench, Figure, NotMeasured, Side, alternate, compare, database_url, sections

SQL = sections(Path(__file__).with_suffix(".sql"))
CLIENTS = workers.PROCESSES * workers.THREADS
AT = programme.AT


def run_awards(bench: Bench) -> list[Figure]:
    """One event a call, told what it gave."""
    return _run(bench, "single_award", "award")


def run_spends(bench: Bench) -> list[Figure]:
    """One redemption a call, over several lots of different ends."""
    return _run(bench, "single_spend", "spend")


def _run(bench: Bench, name: str, what: str) -> list[Figure]:
    programme.set_up(bench, members=bench.size(20_000, 50))
    members = programme.member_ids(bench)
    calls = bench.size(1_000, 5)
    if what == "spend":
        _load_lots(bench, members)
    table = "points_event" if what == "award" else "points_entry"
    before = 0

    def count(work: Callable[[int], None]) -> Callable[[int], int]:
        """Count rows, not answers: a client that died must not look fast."""

        def counted(number: int) -> int:
            nonlocal before
            before = int(bench.value(f"SELECT count(*) FROM {table} WHERE source = 'bench'"))
            work(number)
            return int(bench.value(f"SELECT count(*) FROM {table} WHERE source = 'bench'")) - before

        return counted

    other_name = "pgbench" if shutil.which("pgbench") else "psycopg loop"
    seconds: dict[str, list[float]] = {"ours": [], "other": []}

    def ours(number: int) -> None:
        seconds["ours"].append(python_clients(what, f"p{number}", calls, members))

    def other(number: int) -> None:
        run = _pgbench if other_name == "pgbench" else _psycopg_clients
        seconds["other"].append(run(what, f"b{number}", calls, members))

    mine, theirs = alternate(bench, name, [Side("Python", count(ours)), Side(other_name, count(other))])
    bench.check_books(name)
    expected = calls * CLIENTS
    if any(done != expected for done, _ in mine + theirs):
        raise NotMeasured(f"{name}: {[done for done, _ in mine + theirs]} calls succeeded instead of {expected} each")
    # The sides time themselves: starting Python processes is no part of a call.
    mine = [(done, taken) for (done, _), taken in zip(mine, seconds["ours"][1:], strict=True)]
    theirs = [(done, taken) for (done, _), taken in zip(theirs, seconds["other"][1:], strict=True)]
    return [
        compare(
            mine,
            theirs,
            workload=name,
            name=f"{what}ing.{what} ÷ {other_name}" if what == "spend" else f"awarding.award ÷ {other_name}",
            unit="calls",
            aim=0.5,
            note=f"{workers.PROCESSES} processes × {workers.THREADS} threads against {CLIENTS} clients",
        )
    ]


def _load_lots(bench: Bench, members: list[int]) -> None:
    """Give every member ten lots that end one after the other."""
    with bench.bar("lots", len(members) * 10) as bar:
        for start in range(0, len(members), 1_000):
            bar.update(
                bench.value(SQL["lots"], {"members": members[start : start + 1_000], "at": programme.BEGINNING})
            )


# Our side.


def python_clients(what: str, prefix: str, calls: int, members: list[int]) -> float:
    """Seconds from the moment that all threads stand ready until the last call is answered."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(workers.PROCESSES + 1)
    done = context.Queue()
    processes = [
        context.Process(target=workers.run, args=(what, f"{prefix}-{place}", calls, members, ready, done))
        for place in range(workers.PROCESSES)
    ]
    for process in processes:
        process.start()
    try:
        ready.wait(120)
        started = time.perf_counter()
        succeeded = sum(done.get(timeout=600) for _ in processes)
        taken = time.perf_counter() - started
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    if succeeded != calls * CLIENTS:
        raise NotMeasured(f"{what}: {succeeded} of {calls * CLIENTS} calls succeeded")
    return taken


def call_many(
    *,
    what: str,
    prefix: str,
    calls: int,
    members: list[int],
    together: threading.Barrier,
    counts: list[int],
    place: int,
) -> None:
    """Call the action so many times for members in no order, and count what succeeded."""
    chance = random.Random(prefix)
    call = _award_one if what == "award" else _spend_one
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        catalogue.type_id("points")
        together.wait()
        together.wait()
        for number in range(calls):
            counts[place] += call(chance.choice(members), f"{prefix}-{number}", number)
    except BaseException:
        together.abort()
        raise
    finally:
        connection.close()


def _award_one(member_id: int, reference: str, number: int) -> bool:
    event = awarding.IncomingEvent(
        reference=reference,
        type="purchase",
        member_id=member_id,
        occurred_at=AT - timedelta(seconds=number),
        amount_minor=100 + number % 10_000,
        currency="CNY",
        channel="in-store",
        store="7",
    )
    result = awarding.award(event=event, source="bench", actor=programme.ACTOR, at=AT)
    return result.status == "accepted" and len(result.awards) == 2


def _spend_one(member_id: int, reference: str, number: int) -> bool:
    posted = spending.spend(
        member=Member(id=member_id),
        points=1 + number % 20,
        source="bench",
        reference=reference,
        actor=programme.ACTOR,
        at=AT,
    )
    return not posted.replayed


# The other side: the same function, the same arguments, no Python or as little as there can be.


def _statement(what: str) -> str:
    return SQL[what].replace("@zone", settings.TIME_ZONE).replace("@at", AT.isoformat())


def _pgbench(what: str, prefix: str, calls: int, members: list[int]) -> float:
    """Seconds that pgbench needs for the calls, connections made before."""
    script = "\n".join(
        [
            "\\set n :n + 1",
            f"\\set member random({members[0]}, {members[-1]})",
            " ".join(_statement(what).replace("@prefix", prefix).split()) + ";",
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script, encoding="utf-8")
        answer = subprocess.run(
            [
                "pgbench", "--no-vacuum", "--file", str(path), "--define", "n=0", "--client", str(CLIENTS),
                "--jobs", str(workers.PROCESSES), "--transactions", str(calls), database_url(),
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    for line in answer.stdout.splitlines():
        if line.startswith("tps = "):
            return calls * CLIENTS / float(line.split()[2])
    raise NotMeasured(f"pgbench: {answer.stderr[-500:] or answer.stdout[-500:]}")


def _psycopg_clients(what: str, prefix: str, calls: int, members: list[int]) -> float:
    """The same by threads of this process that send one text after the other; for machines without pgbench."""
    import psycopg

    together = threading.Barrier(CLIENTS + 1)

    def client(place: int) -> None:
        chance = random.Random(place)
        with psycopg.connect(database_url(), autocommit=True) as link:
            together.wait()
            for number in range(1, calls + 1):
                values = {
                    "@prefix": prefix,
                    ":client_id": str(place),
                    ":member": str(chance.choice(members)),
                    ":n": str(number),
                }
                text = _statement(what)
                for name, value in values.items():
                    text = text.replace(name, value)
                link.execute(text.encode())

    threads = [threading.Thread(target=client, args=(place,)) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    together.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started
