"""Every workload by name, in the order they run: those of the ledger, then those that need more than it."""

from collections.abc import Callable

from config.benchmarks import over_http, redeeming
from points.benchmarks import workloads
from points.benchmarks.harness import Bench, Figure

WORKLOADS: dict[str, Callable[[Bench], list[Figure]]] = {
    **workloads.WORKLOADS,
    over_http.BULK: over_http.run_bulk,
    over_http.CALLS: over_http.run_calls,
    redeeming.NAME: redeeming.run,
}
