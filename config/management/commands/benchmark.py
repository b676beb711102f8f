"""`manage.py benchmark`: what the ledger costs beside the least that does the same, as ratios of one run."""

import json
import os
import signal
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from config.benchmarks.workloads import WORKLOADS
from points.benchmarks import harness
from points.benchmarks.harness import Bench, Figure, NotMeasured


class Command(BaseCommand):
    """Measure in a database of our own on the same server, and drop it at the end."""

    help = (
        "Measures bulk award, single award and spend, the nightly expiry, the rollup and the reads beside minimal "
        "hand-written SQL, then events, balances and orders over HTTP, in a database made for it on the same server "
        "and dropped at the end. Prints ratios of one run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print figures for machines")
        parser.add_argument(
            "--scale", type=float, default=1.0, help="of the sizes: 1 is 100,000 events and a million lots"
        )
        parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), metavar="NAME", help=", ".join(WORKLOADS))

    def handle(self, *args: Any, scale: float, only: list[str] | None, **options: Any) -> None:
        if not 0 < scale <= 100:
            raise CommandError("--scale: a number above 0 and up to 100 is needed.")
        bench = Bench(scale=scale, quiet=not sys.stderr.isatty())
        signal.signal(signal.SIGTERM, _interrupt)
        figures: list[Figure] = []
        started = time.monotonic()
        try:
            machine = _machine(scale)
            with harness.own_database() as template:
                for name in only or WORKLOADS:
                    with harness.fresh_copy(template):
                        found = WORKLOADS[name](bench)
                    figures += found
                    if not options["json"]:
                        self._print_figures(found)
        except NotMeasured as reason:
            raise CommandError(f"No figures: {reason}") from None
        except DatabaseError as error:
            raise CommandError(f"The database refused: {str(error).strip()}") from None
        except KeyboardInterrupt:
            raise CommandError("Stopped; the benchmark's database is dropped.", returncode=130) from None
        machine["seconds"] = round(time.monotonic() - started)
        if options["json"]:
            facts = {**machine, "remarks": bench.remarks, "figures": [_facts(figure) for figure in figures]}
            self.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False))
        else:
            self._print_machine(machine, bench.remarks)

    def _print_figures(self, figures: list[Figure]) -> None:
        for figure in figures:
            aim = "" if figure.aim is None else f"{'≥' if figure.sense == 'at_least' else '≤'} {figure.aim:g}"
            verdict = {None: "", True: "reached", False: "short"}[figure.is_reached]
            span = f"({min(figure.ratios):.2f}–{max(figure.ratios):.2f})"
            self.stdout.write(
                f"{figure.workload:<13}{figure.name:<52}{figure.ratio:>7.3f} {span:<14}{aim:<8}{verdict:<9}"
                f"{figure.ours:>11,.0f} : {figure.other:>11,.0f} {figure.unit}/s, {figure.done:,} a round"
            )
            self.stdout.write(f"{'':<13}{figure.note}")

    def _print_machine(self, machine: dict[str, Any], remarks: list[str]) -> None:
        self.stdout.write(", ".join(f"{name} {value}" for name, value in machine.items()))
        self.stdout.write(
            "Ratios are medians of three rounds after one to warm up, the sides in turn; the books agreed."
        )
        for remark in remarks:
            self.stdout.write(remark)


def _machine(scale: float) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('shared_buffers'), current_setting('fsync')"
        )
        version, buffers, fsync = cursor.fetchone()
    return {
        "PostgreSQL": version,
        "shared_buffers": buffers,
        "fsync": fsync,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "Python": sys.version.split()[0],
        "scale": scale,
    }


def _facts(figure: Figure) -> dict[str, Any]:
    return {**asdict(figure), "reached": figure.is_reached}


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
