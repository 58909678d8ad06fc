"""The command line of scripts/bench."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from benchmark.docs import RESULTS_FILE, SCHEMA, load_results, write_pages
from benchmark.errors import (
    EXIT_INTERRUPTED,
    EXIT_NOISY,
    EXIT_OK,
    EXIT_USAGE,
    BenchError,
)
from benchmark.figures import noise
from benchmark.load import busiest, busy_share
from benchmark.measure import QUICK, Bench, Results, Sizes
from benchmark.once import measure_once
from benchmark.peers import FORK, FORK_ONE, PEERS, STORMS
from benchmark.place import Place, mount_trace_events
from benchmark.table import render_figures, target_lines

_DESCRIPTION = """\
Measure zomtrace and its peers side by side, in turns, on this machine: how much
they slow work down, what they cost, what they lose, how soon they show it.
"""
_EPILOG = """\
examples:
  scripts/bench                              all of it: 12 minutes, on an idle machine
  scripts/bench --quick                      a look, in 2 minutes
  scripts/bench --only zt-all --only fork    one peer, one storm
  scripts/bench --docs                       put the last results into the pages

exit status: 0 done, 2 wrong usage, 69 cannot be done here, 75 the machine is too
busy for a comparison (--accept-noise measures all the same).
"""
_BUSY_SHARE = 0.10
_NOISE = 0.10


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*(one.name for one in PEERS), *STORMS]
    add = parser.add_argument
    add("--rounds", type=int, metavar="N", help="how often everybody has a turn (3)")
    add("--quick", action="store_true", help="one round, little of everything")
    add("--only", action="append", default=[], metavar="PEER|WORKLOAD", choices=names,
        help=f"only these; may be repeated: {', '.join(names)}")  # fmt: skip
    add("--storms-only", action="store_true", help="leave out what is measured once")
    add("--burst", type=float, metavar="S", help="how long a burst of a storm is (0.4)")
    add("--long", type=float, metavar="S", help="how long the long storm is (60)")
    add("--accept-noise", action="store_true", help="measure on a busy machine too")
    add("--noise", type=float, default=_NOISE, metavar="SHARE",
        help=f"how far nothing attached may be from itself ({_NOISE})")  # fmt: skip
    add("--output", type=Path, default=RESULTS_FILE, metavar="FILE",
        help="where the results go, as JSON (build/bench.json)")  # fmt: skip
    add("--docs", action="store_true",
        help="write the last results into docs/performance.md and README.md, and end")  # fmt: skip
    add("--show", action="store_true", help="print the last results again, and end")
    return parser


def _sizes(arguments: argparse.Namespace) -> Sizes:
    sizes = QUICK if arguments.quick else Sizes()
    if arguments.rounds is not None:
        sizes = replace(sizes, rounds=arguments.rounds)
    if arguments.burst is not None:
        sizes = replace(sizes, burst_s=arguments.burst)
    if arguments.long is not None:
        sizes = replace(sizes, long_s=arguments.long)
    return sizes


def _require_quiet(*, accept: bool) -> None:
    share = busy_share(2.0)
    if share <= _BUSY_SHARE:
        return
    text = f"the machine is {share:.0%} busy before anything is measured: {busiest()}"
    if not accept:
        raise BenchError(
            text, hint="end that, or give --accept-noise: figures for no comparison",
            status=EXIT_NOISY,
        )  # fmt: skip
    print(f"bench: {text}", file=sys.stderr)


def _host() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {"kernel": platform.release(), "cpus": os.cpu_count() or 1, "model": model}


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    if os.geteuid() != 0:
        raise BenchError("needs root", hint="sudo scripts/bench", status=77)
    wanted = set(arguments.only)
    peers = [one for one in PEERS if one.name in wanted] or list(PEERS)
    storms = [storm for storm in STORMS if storm in wanted] or list(STORMS)
    sizes = _sizes(arguments)
    _require_quiet(accept=arguments.accept_noise)
    mount_trace_events()
    began = time.monotonic()
    with Place() as place, Bench(place, sizes, peers, storms, os.cpu_count() or 1) as bench:
        bench.rounds()
        if not arguments.storms_only:
            measure_once(bench)
        results = bench.results
    data = _data(results, sizes, arguments, argv, time.monotonic() - began)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return _show(data, arguments)


def _data(
    results: Results,
    sizes: Sizes,
    arguments: argparse.Namespace,
    argv: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    shares = noise(results.runs)
    too_noisy = [storm for storm, share in shares.items() if share > arguments.noise]
    return {
        "schema": SCHEMA,
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": " ".join(("scripts/bench", *argv)),
        "seconds": seconds,
        "host": _host(),
        "sizes": asdict(sizes),
        "rounds": sizes.rounds,
        "noise": shares,
        "too_noisy": [] if arguments.accept_noise else too_noisy,
        # Without these there is nothing to say; one without another storm says so.
        "comparable": all(
            shares.get(storm, 1.0) <= arguments.noise
            for storm in (FORK, FORK_ONE)
            if any(storm in run["storms"] for run in results.runs)
        ),
        **asdict(results),
    }


def _show(data: dict[str, Any], arguments: argparse.Namespace) -> int:
    if not data["comparable"]:
        parts = ", ".join(f"{storm} {share:.0%}" for storm, share in data["noise"].items())
        print(
            "bench: nothing attached, compared with itself as the others are, is out by more than"
            f" {arguments.noise:.0%}: {parts}: the machine is too noisy for a comparison",
            file=sys.stderr,
        )
        if not arguments.accept_noise:
            print("bench: --show --accept-noise prints the figures all the same", file=sys.stderr)
            return EXIT_NOISY
    print(render_figures(data))
    print(target_lines(data), end="")
    return EXIT_OK


def _interrupt(_signo: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.docs:
        for page in write_pages(arguments.output):
            print(page)
        return EXIT_OK
    if arguments.show:
        return _show(dict(load_results(arguments.output)), arguments)
    if arguments.rounds is not None and arguments.rounds < 1:
        print("bench: --rounds takes a number of at least 1", file=sys.stderr)
        return EXIT_USAGE
    # SIGINT as well: a shell that starts us in the background has it ignored.
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, _interrupt)
    return _run(arguments, argv)


def main() -> int:
    """Run, and turn what went wrong into an exit status."""
    try:
        return _main(sys.argv[1:])
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("bench: stopped; everything it had started is gone", file=sys.stderr)
        return EXIT_INTERRUPTED
