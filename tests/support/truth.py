"""What a workload of the classic cases wrote down about itself, and its run."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.exit_oracle import ExitOracle
from tests.support.waiting import PATIENCE, wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Json, Result, Zomtrace, raw_status
from tracer.kernel.netlink import ConnectorExit

_LONG_S = PATIENCE**0.5
LYING = ("--min-zombie", f"{_LONG_S:.1f}")
LYING_MS = round(1300 * _LONG_S)
"""What leaves a zombie lying leaves it for so long; what does not, for less than
:data:`LYING` says, at whatever speed a program runs."""

_SAME_EXIT_NS = round(300_000_000 * PATIENCE**2)
"""Between the tracepoint's time of an exit and the connector's, which for a PID 1
comes once its namespace is empty, and where a kernel is preemptible any time later."""


@dataclass(frozen=True)
class Truth:
    """The lines of a truth file, by their first word; see tests/workloads/truth.h."""

    path: Path

    def rows(self, word: str) -> list[list[str]]:
        """The rest of each line that begins with a word, split."""
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [rest for first, *rest in lines if first == word]

    def pids(self, word: str) -> list[int]:
        """The pids told under a word."""
        return [int(row[0]) for row in self.rows(word)]

    def map(self, word: str) -> dict[int, int]:
        """Pid -> the number told with it."""
        rows = self.rows(word)
        told = {int(row[0]): int(row[1]) for row in rows}
        assert len(told) == len(rows), f"{word}: a pid came twice"
        return told

    def number(self, word: str) -> int:
        """The one number told under a word."""
        ((value,),) = self.rows(word)
        return int(value)

    @property
    def is_ready(self) -> bool:
        """Whether the workload has said so."""
        return self.path.exists() and bool(self.rows("ready"))


@dataclass(frozen=True)
class Classic:
    """A traced run of a classic case.

    Attributes:
        result: What zomtrace said.
        truth: What the workload wrote.
        exits: Host pid -> raw wait status of every process of the report that
            ended, from the process connector.
    """

    result: Result
    truth: Truth
    exits: dict[int, int]

    @property
    def by_ns_pid(self) -> dict[int, Json]:
        """The report's processes by their pid in the namespace."""
        processes = {process["ns_pid"]: process for process in self.result.report["processes"]}
        assert len(processes) == len(self.result.report["processes"])
        return processes

    def zombie_pids(self) -> list[int]:
        """The pids in the namespace of the report's zombies."""
        return sorted(zombie["ns_pid"] for zombie in self.result.report["zombies"])

    def signals(self, signal_name: str) -> list[Json]:
        """The events of a signal, without exit notifications."""
        return self.result.of_kind("signal", signal=signal_name)

    def check(self) -> None:
        """What holds for every classic case: nothing lost, every exit as others saw it."""
        report = self.result.report
        assert report["complete"] is True, report["lost"]
        assert report["lost"] == {}
        ended = {process["host_pid"]: process for process in report["processes"]}
        assert len(ended) == len(report["processes"])
        assert self.exits == {pid: raw_status(ended[pid]) for pid in self.exits}


def play(
    truth_path: Path,
    name: str,
    *arguments: object,
    options: tuple[str, ...] = (),
    prefix: tuple[str, ...] = (),
    command: tuple[str, ...] | None = None,
    stops: bool = False,
    by_connector: bool = True,
) -> Classic:
    """Run a workload under ``zomtrace run`` and compare what can be at once.

    Args:
        truth_path: Where it shall write.
        name: The workload: tests/workloads/NAME.c.
        *arguments: Its arguments.
        options: Of ``zomtrace run``.
        prefix: What to start it by (an init).
        command: The whole command instead, ``{}`` standing for the workload.
        by_connector: Compare every status with the process connector's, which
            tells those of threads: a leader that ends first is not its process.
        stops: Begin the stop when it says it is ready; else it ends by itself.
    """
    binary = str(workload(name))
    argv = command or (*prefix, binary, *(str(argument) for argument in arguments))
    argv = tuple(word.replace("{}", binary) for word in argv)
    truth = Truth(truth_path)
    env = {**os.environ, "ZT_TRUTH": str(truth_path)}
    if "--min-zombie" not in options:
        # A second is long for a zombie only where a program runs at full speed.
        options = (*options, "--min-zombie", str(PATIENCE))
    with ExitOracle() as oracle:
        with Zomtrace("run", *options, "--", *argv, env=env) as trace:
            if stops:
                wait_for(
                    lambda: truth.is_ready or trace.process.poll() is not None,
                    f"{name} is ready",
                    within_s=60,
                )
                trace.interrupt(signal.SIGTERM)
            result = trace.finish()
        exits = {
            process["host_pid"]: wait_for(
                lambda process=process: _exit_of(oracle, process),  # type: ignore[misc]
                f"the process connector tells the exit of {process}",
            ).status.raw
            for process in result.report["processes"]
            if by_connector and process["end"] != "running"
        }
    classic = Classic(result, truth, exits)
    classic.check()
    return classic


def _exit_of(oracle: ExitOracle, process: Json) -> ConnectorExit | None:
    """The exit of a process that is not one of another with the same pid."""
    mono_to_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    ended_ns = process["end_boot_ns"] - mono_to_boot_ns
    return next(
        (
            event
            for event in list(oracle.exits)
            if event.host_pid == process["host_pid"]
            and abs(event.mono_ns - ended_ns) < _SAME_EXIT_NS
        ),
        None,
    )
