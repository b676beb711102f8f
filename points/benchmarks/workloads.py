"""The workloads by name, in the order they run."""

from collections.abc import Callable

from points.benchmarks import bulk_award, expiry, reads, rollup, single_calls
from points.benchmarks.harness import Bench, Figure

WORKLOADS: dict[str, Callable[[Bench], list[Figure]]] = {
    "bulk_award": bulk_award.run,
    "single_award": single_calls.run_awards,
    "single_spend": single_calls.run_spends,
    "expiry": expiry.run,
    "rollup": rollup.run,
    "reads": reads.run,
}
