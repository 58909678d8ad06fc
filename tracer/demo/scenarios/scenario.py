"""What a scenario is: a program, what is done to it, and what it shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

# --list needs names, not what plays them.
if TYPE_CHECKING:
    from tracer.demo.pids_cgroup import PidsCgroup
    from tracer.demo.scenarios.observed import Observed
    from tracer.live.namespace import HeldWorkload
    from tracer.live.trace import Trace

_PROGRAMS = Path(__file__).with_name("programs")
_SETTLE_S = 0.7
MIN_ZOMBIE_S = 1.0
"""A zombie as old as this is worth naming, in a demo as in any trace."""
ZOMBIE_S = 1.3
"""For how long scenarios leave zombies lying."""


@dataclass(slots=True)
class Context:
    """Where a scenario plays: what it may do while its program runs.

    Args:
        workload: The program; PID 1 of its namespace.
        trace: The trace of it.
        stop: Begins the stop: stop signal, grace, SIGKILL.
        cgroup: The pids cgroup it is in, or None.
        notes: The lines the program has written about itself so far.
    """

    workload: HeldWorkload
    trace: Trace
    stop: Callable[[], None]
    cgroup: PidsCgroup | None
    notes: list[str] = field(default_factory=list)

    def stop_after(self, seconds: float) -> None:
        """Begin the stop in a moment."""
        self.trace.schedule.after(seconds, self.stop)


def stop_when_ready(context: Context, note: str) -> None:
    """Begin the stop a moment after the program says it is ready."""
    if note == "ready":
        context.stop_after(_SETTLE_S)


def stop_when_zombies_are_old(context: Context, note: str) -> None:
    """Begin the stop once the zombies there are have come of age."""
    if note == "ready":
        context.stop_after(ZOMBIE_S)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the kernel did, quoting what was seen, and how to fix it.

    Args:
        steps: What happened and why, one paragraph a step.
        remedy: What to do about it, or what to remember.
    """

    steps: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A classic case that can be played.

    Args:
        name: As the command line calls it.
        title: What it shows, in one line.
        plan: What is going to happen, in two or three lines.
        program: The module in ``programs`` that plays PID 1 (or is started by
            the init in front); it is called as the scenario is.
        arguments: Its arguments.
        explain: Turns what was seen into an explanation; raises
            :class:`~tracer.errors.UnavailableError` where the kernel did not do
            what the scenario is about.
        init_prefix: Finds an init to run as PID 1, or None for none.
        on_note: Called with each line the program writes about itself.
        grace_s: From the stop signal to SIGKILL.
        pids_max: The limit of a pids cgroup around it, or None for none.
    """

    name: str
    title: str
    plan: str
    program: str
    explain: Callable[[Observed], Explanation]
    arguments: tuple[str, ...] = ()
    init_prefix: Callable[[], list[str]] | None = None
    on_note: Callable[[Context, str], None] = stop_when_ready
    grace_s: float = 2.0
    pids_max: int | None = None

    def command(self) -> Sequence[str]:
        """What to run: a Python of one's own, quick to start and alone."""
        prefix = self.init_prefix() if self.init_prefix is not None else []
        return [
            *prefix,
            sys.executable,
            "-I",
            "-S",
            str(_PROGRAMS),
            self.program,
            self.name,
            *self.arguments,
        ]
