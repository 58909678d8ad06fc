"""What is known of one process, as the events so far tell it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.model.events import Precision, SigchldAction, SignalEvent
from tracer.model.identity import ProcessKey, ProcessSnapshot
from tracer.model.signals import Disposition
from tracer.model.verdicts import Cause, ReapKind
from tracer.model.wait_status import WaitStatus


@dataclass(slots=True)
class ZombieState:
    """The time between a process's end and its release.

    ``notified`` is whom the kernel told last (parent, tracer or adopter): the
    process that must wait for this one. ``renotified_ns`` is set when it was
    handed on to another.
    """

    begin_ns: int
    begin_precision: Precision
    notified: ProcessKey | None = None
    notified_nocldwait: bool = False
    renotified_ns: int | None = None


@dataclass(slots=True)
class ReapState:
    """The release of a process."""

    boot_ns: int
    precision: Precision
    kind: ReapKind
    reaper: ProcessKey | None
    reaper_comm: str | None
    zombie_ns: int | None
    zombie_precision: Precision


@dataclass(frozen=True, slots=True)
class SentSignal:
    """A signal that could kill, and why it was sent as far as it alone tells."""

    event: SignalEvent
    cause: Cause | None


@dataclass(slots=True)
class ProcessState:
    """One process from birth to release.

    ``original_parent`` is who had to reap it at its birth (or when it was
    first seen); ``snapshot`` is the newest description of it.
    """

    snapshot: ProcessSnapshot
    born_ns: int
    is_seeded: bool
    is_seen_late: bool
    original_parent: ProcessKey | None
    original_parent_comm: str | None
    exit_signo: int = 17
    exit_ns: int | None = None
    status: WaitStatus | None = None
    cause: Cause | None = None
    fatal_signal: SentSignal | None = None
    leader_exit_ns: int | None = None
    live_threads: int = 1
    tracer_host_pid: int | None = None
    parent_sigchld: SigchldAction = SigchldAction.UNKNOWN
    zombie: ZombieState | None = None
    reap: ReapState | None = None
    oom_ns: int | None = None
    teardown_signalled: bool = False
    fatal_candidates: list[SentSignal] = field(default_factory=list)
    signalled_from_inside_ns: list[int] = field(default_factory=list)
    stop_signals: list[tuple[int, Disposition]] = field(default_factory=list)

    @property
    def key(self) -> ProcessKey:
        """Its identity."""
        return self.snapshot.key

    @property
    def comm(self) -> str:
        """Its newest name."""
        return self.snapshot.comm

    @property
    def is_alive(self) -> bool:
        """Whether any thread of it still runs."""
        return self.exit_ns is None

    @property
    def is_released(self) -> bool:
        """Whether it left the process table."""
        return self.reap is not None

    def was_released_before(self, boot_ns: int) -> bool:
        """Whether it was certainly, or most likely, gone at an instant.

        An upper bound trails the release by an RCU grace period; a zombie
        freed within one of the instant, and not signalled by a teardown since
        (which names every zombie that is left), is taken for gone.
        """
        reap = self.reap
        if reap is None:
            return False
        if reap.precision is Precision.EXACT:
            return reap.boot_ns <= boot_ns
        if reap.kind is ReapKind.AUTO and self.exit_ns is not None:
            return self.exit_ns <= boot_ns
        if self.teardown_signalled or self.exit_ns is None or self.exit_ns > boot_ns:
            return False
        return reap.boot_ns - RCU_SLACK_NS <= boot_ns


RCU_SLACK_NS = 50_000_000
"""How far sched_process_free may trail the release (seen: 10 to 25 ms)."""
