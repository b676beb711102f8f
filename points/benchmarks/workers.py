"""Client processes of the single-call workloads: threads that call an action a given number of times."""

import threading
from multiprocessing.synchronize import Barrier as ProcessBarrier
from typing import Any

#: Two processes of four threads, as a small web server runs them.
PROCESSES = 2
THREADS = 4


def run(what: str, prefix: str, calls: int, members: list[int], ready: ProcessBarrier, done: Any) -> None:
    """Set Django up, let all threads of all processes begin together, and tell how many calls succeeded."""
    import django

    django.setup()
    from points.benchmarks import single_calls

    together = threading.Barrier(THREADS + 1, timeout=60)
    counts = [0] * THREADS
    threads = [
        threading.Thread(
            target=single_calls.call_many,
            kwargs={
                "what": what,
                "prefix": f"{prefix}-{thread}",
                "calls": calls,
                "members": members,
                "together": together,
                "counts": counts,
                "place": thread,
            },
        )
        for thread in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    try:
        together.wait()  # every thread is connected
        ready.wait(60)  # and so are the other processes; the parent starts its clock here
        together.wait()
    except threading.BrokenBarrierError:
        pass  # a thread died before the start: the count will tell
    for thread in threads:
        thread.join()
    done.put(sum(counts))
