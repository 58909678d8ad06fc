"""``zomtrace demo``: a classic case, played live and traced."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tracer.demo.pids_cgroup import PidsCgroup
from tracer.demo.scenarios.observed import Observed, SignalLog
from tracer.demo.scenarios.programs.notes import NOTES
from tracer.demo.scenarios.scenario import MIN_ZOMBIE_S, Context, Explanation, Scenario
from tracer.errors import UnavailableError
from tracer.live.callbacks import TraceCallbacks
from tracer.live.namespace import HeldWorkload
from tracer.live.run import RunOptions, run_command
from tracer.live.sources import SourceOptions
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.model.report import Report

_AT_MOST_S = 30.0
_NOTE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario after its end.

    Args:
        report: What the trace concluded.
        observed: That, and what the program noted.
    """

    report: Report
    observed: Observed


def play(
    scenario: Scenario,
    callbacks: TraceCallbacks,
    *,
    utc: bool = False,
    source_options: SourceOptions = SourceOptions(),  # noqa: B008  it is frozen
) -> Played:
    """Play a scenario and trace it.

    Args:
        scenario: Which.
        callbacks: What to call meanwhile.
        utc: Show times in UTC in the explanation.
        source_options: Where events come from.

    Raises:
        UnavailableError: No namespace, no BPF, or a program it needs is missing.
        PrivilegeError: Not root.
    """
    signal_log = SignalLog()
    notes: list[str] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zomtrace-demo-")))
        pipe = _NotePipe(directory / "notes")
        stack.callback(pipe.close)
        cgroup = _make_cgroup(scenario, notes)
        if cgroup is not None:
            stack.enter_context(cgroup)

        def on_held(workload: HeldWorkload, trace: Trace, stop: Callable[[], None]) -> None:
            if cgroup is not None:
                cgroup.add(workload.init_host_pid)
            context = Context(workload, trace, stop, cgroup, notes)

            def on_notes() -> None:
                for note in pipe.read():
                    notes.append(note)
                    scenario.on_note(context, note)

            trace.follow(pipe.fileno(), on_notes)

        report = run_command(
            scenario.command(),
            RunOptions(
                grace_s=scenario.grace_s,
                name=scenario.name,
                environment={NOTES: str(directory / "notes")},
            ),
            TraceOptions(min_zombie_ns=int(MIN_ZOMBIE_S * 1e9), duration_s=_AT_MOST_S),
            replace(callbacks, sinks=(signal_log, *callbacks.sinks)),
            on_held=on_held,
            source_options=source_options,
        )
        notes += pipe.read()
    return Played(report, Observed(report, tuple(signal_log.signals), tuple(notes), utc))


def explain(scenario: Scenario, played: Played) -> Explanation:
    """Say what the kernel did, quoting what was seen.

    Raises:
        UnavailableError: It did something else.
    """
    return scenario.explain(played.observed)


def _make_cgroup(scenario: Scenario, notes: list[str]) -> PidsCgroup | None:
    if scenario.pids_max is None:
        return None
    try:
        return PidsCgroup(scenario.pids_max)
    except UnavailableError as error:
        notes.append(f"no-cgroup {error.message}")
        return None


class _NotePipe:
    """The named pipe a program writes its notes to."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Open for writing too: it never reads as closed between two writers.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def fileno(self) -> int:
        """Readable when there are notes."""
        return self._fd

    def read(self) -> list[str]:
        """Take the whole lines that are there."""
        try:
            self._rest += os.read(self._fd, _NOTE_BYTES)
        except BlockingIOError:
            return []
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode("utf-8", "backslashreplace") for line in lines]

    def close(self) -> None:
        """Close it; its file goes with its directory."""
        os.close(self._fd)
