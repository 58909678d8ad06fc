"""What is known of one process from the events so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracer.correlate.asked import AskedBefore
from tracer.correlate.suspects import Suspects
from tracer.model.events import Precision, SigchldAction
from tracer.model.identity import ProcessKey, ProcessSnapshot
from tracer.model.signals import Disposition
from tracer.model.verdicts import Cause, ReapKind
from tracer.model.wait_status import WaitStatus

if TYPE_CHECKING:
    from tracer.correlate.scope import Scope
    from tracer.correlate.suspects import SentSignal

RCU_SLACK_NS = 1_000_000_000
"""How far sched_process_free may trail the release (seen: 10 to 25 ms, 530 under load)."""


@dataclass(slots=True)
class ReapDuty:
    """The duty of one process to reap a zombie, from some time on.

    Args:
        holder: The process that the kernel notified: parent, tracer or adopter.
        since_ns: When it was notified.
        signo: By which signal.
        by: In whose context: the zombie's own, or the former parent's.
        sigchld: What it does about SIGCHLD.
        nocldwait: Whether its SIGCHLD action has SA_NOCLDWAIT.
    """

    holder: ProcessKey
    since_ns: int
    signo: int
    by: ProcessKey | None
    sigchld: SigchldAction
    nocldwait: bool


@dataclass(slots=True)
class ZombieState:
    """The time between a process's end and its release.

    ``duties`` is empty where no process was notified, or where that was not seen.
    ``may_be_notified``: a notification was seen that may be for this one or another.
    """

    begin_ns: int
    begin_precision: Precision
    duties: list[ReapDuty] = field(default_factory=list)
    may_be_notified: bool = False

    @property
    def holder(self) -> ProcessKey | None:
        """The process that was notified last, or None."""
        return self.duties[-1].holder if self.duties else None


@dataclass(slots=True)
class ReapState:
    """The release of a process.

    Args:
        boot_ns: When, or no later than when.
        precision: Of that time.
        kind: How.
        reaper: Who, or None.
        reaper_comm: Its name, or None.
        zombie_ns: How long it was a zombie, or None.
        zombie_precision: Of that duration.
        rests_on: The kinds of record whose absence this verdict rests on.
        is_stand_in: No hook saw it: the bound is only as close as the tracer was prompt.
    """

    boot_ns: int
    precision: Precision
    kind: ReapKind
    reaper: ProcessKey | None
    reaper_comm: str | None
    zombie_ns: int | None
    zombie_precision: Precision
    rests_on: frozenset[str] = frozenset()
    is_stand_in: bool = False


@dataclass(slots=True)
class StopSignalSeen:
    """A stop signal, or a translation, that a process was sent while it was being stopped.

    Args:
        boot_ns: When.
        disposition: What the process had arranged for it.
        signo: Which.
        sender: Who sent it, or None.
        sender_comm: That one's name.
        is_dropped: The kernel dropped it, as it went to an init without a handler.
    """

    boot_ns: int
    disposition: Disposition
    signo: int = 0
    sender: ProcessKey | None = None
    sender_comm: str = ""
    is_dropped: bool = False


@dataclass(slots=True)
class ProcessState:
    """One process from birth to release.

    Args:
        snapshot: The newest description of it.
        key: Its identity.
        born_ns: Its birth.
        is_seeded: It was there before tracing began.
        is_seen_late: Its birth should have been seen and was not.
        original_parent: Who had to reap it at its birth or when it was first seen.
        original_parent_pidns_inum: Where that process lived then.
        scopes: What it is a member of, innermost first.
        led: Of which of those it is the init.
        exit_signo: What its parent is sent when it ends; 0 = nothing.
        exit_ns: When its last thread ended.
        is_exit_bound: That is an upper bound: the record of it is missing.
        leader_exit_ns: When its main thread ended, others living on.
        is_leader_exit_bound: It had ended before tracing began.
        leader_alone_until_ns: When the last of those ended.
        live_threads: Threads left when its main thread ended.
        seen_until_ns: The last instant at which it provably was in the process
            table.
        alive_until_ns: The last instant at which a thread of it provably lived.
        parent_seen_ns: The last instant at which its first parent was seen to be its parent
            still: an orphan never comes back to it.
        gone_by_ns: An instant by which its pid had been given to another.
        teardown_signalled_ns: When a teardown of its namespace sent it SIGKILL.
        program_ns: When it first executed a program, where that was seen.
        newest_comm: Its name in the newest record that speaks of it; None = as in
            ``snapshot``.
        told_ns: When a process of its own container last sent it a signal.
        translated: The first other signal than the stop signal that such a process sent
            it while it was being stopped.
        executed_ns: When it last executed a program; None = not since it was seen.
        children_reaped: How many children it has reaped.
        children_kept: How many of its children are not forgotten.
        stands_for: How many processes it stands for: itself, and those of one fate
            with it that are forgotten.
        stands_since_ns: The birth of the oldest of those.
        asked: Signals it lived on after; None = none was seen.
        came_in: Where its parent is forgotten: the scopes it, or an ancestor, had been
            put into from outside.
    """

    snapshot: ProcessSnapshot
    born_ns: int
    is_seeded: bool
    is_seen_late: bool
    original_parent: ProcessKey | None
    original_parent_pidns_inum: int | None
    scopes: tuple[Scope, ...] = ()
    led: tuple[Scope, ...] = ()
    exit_signo: int = 17
    exit_ns: int | None = None
    is_exit_bound: bool = False
    status: WaitStatus | None = None
    cause: Cause | None = None
    fatal_signal: SentSignal | None = None
    leader_exit_ns: int | None = None
    is_leader_exit_bound: bool = False
    leader_alone_until_ns: int | None = None
    live_threads: int = 1
    tracer_host_pid: int | None = None
    parent_sigchld: SigchldAction = SigchldAction.UNKNOWN
    zombie: ZombieState | None = None
    reap: ReapState | None = None
    seen_until_ns: int = 0
    alive_until_ns: int = 0
    parent_seen_ns: int = 0
    gone_by_ns: int | None = None
    oom_by_tid: int | None = None
    teardown_signalled_ns: int | None = None
    program_ns: int | None = None
    newest_comm: str | None = None
    told_ns: int | None = None
    translated: StopSignalSeen | None = None
    executed_ns: int | None = None
    stop_signal: StopSignalSeen | None = None
    children_reaped: int = 0
    children_kept: int = 0
    stands_for: int = 1
    stands_since_ns: int | None = None
    came_in: tuple[Scope, ...] | None = None
    is_stopped: bool = False
    asked: AskedBefore | None = None
    suspects: Suspects = field(default_factory=Suspects)
    key: ProcessKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.snapshot.key

    @property
    def comm(self) -> str:
        """Its newest name, from whichever record."""
        return self.newest_comm or self.snapshot.comm

    @property
    def is_alive(self) -> bool:
        """Whether any thread of it still runs, as far as was seen."""
        return self.exit_ns is None and self.reap is None

    @property
    def is_released(self) -> bool:
        """Whether it left the process table."""
        return self.reap is not None

    @property
    def is_injected(self) -> bool:
        """Whether it was put into its PID namespace from outside.

        Its namespace's init has a parent outside too, and is not.
        """
        return (
            not self.snapshot.is_init
            and self.original_parent_pidns_inum is not None
            and self.snapshot.pidns_inum is not None
            and self.original_parent_pidns_inum != self.snapshot.pidns_inum
        )

    def note_presence(self, boot_ns: int, *, is_alive: bool) -> None:
        """Enter a sign that it is in the process table, alive or not."""
        if boot_ns > self.seen_until_ns:  # noqa: PLR1730  a call less, for each record
            self.seen_until_ns = boot_ns
        if is_alive and boot_ns > self.alive_until_ns:
            self.alive_until_ns = boot_ns

    def told_zombie_ns(self, reap: ReapState) -> int:
        """How long it was a zombie, without the time for which the tracer alone was late."""
        zombie_ns = reap.zombie_ns or 0
        if not reap.is_stand_in or self.zombie is None:
            return zombie_ns
        return min(zombie_ns, max(0, self.seen_until_ns - self.zombie.begin_ns))

    def had_stop_signal_since(self, boot_ns: int) -> bool:
        """Whether it was sent its stop's signal at an instant or later."""
        return self.stop_signal is not None and self.stop_signal.boot_ns >= boot_ns

    def signalled_since(self, boot_ns: int) -> StopSignalSeen | None:
        """The stop signal it was sent at an instant or later, else what stood for it."""
        for seen in (self.stop_signal, self.translated):
            if seen is not None and seen.boot_ns >= boot_ns:
                return seen
        return None

    def was_released_before(self, boot_ns: int, *, would_show: bool = False) -> bool:
        """Whether it was certainly, or most likely, gone at an instant.

        An upper bound trails the release by an RCU grace period. What is freed
        within one of the instant is taken for gone if it had just ended, as most are
        reaped at once; a zombie that had been left lying was not reaped just then.

        Args:
            boot_ns: The instant.
            would_show: Every process that existed then was signalled a moment later,
                zombies too: one that was not signalled was gone.
        """
        reap = self.reap
        if reap is None:
            return self.gone_by_ns is not None and self.gone_by_ns <= boot_ns
        if reap.precision is Precision.EXACT:
            # A process that reaps itself is never there as a zombie after its exit.
            is_past = self.exit_ns is not None and self.exit_ns <= boot_ns
            was_none = reap.zombie_ns == 0 and reap.zombie_precision is Precision.EXACT
            return reap.boot_ns <= boot_ns or (is_past and was_none)
        if self.exit_ns is None or self.exit_ns > boot_ns or self.seen_until_ns > boot_ns:
            return False
        if would_show or (self.gone_by_ns is not None and self.gone_by_ns <= boot_ns):
            return True
        zombie = self.zombie
        was_lying = (
            zombie is not None
            and reap.kind is not ReapKind.AUTO
            and (
                zombie.begin_precision is Precision.LOWER_BOUND
                or boot_ns - zombie.begin_ns >= RCU_SLACK_NS
            )
        )
        return not was_lying and reap.boot_ns - RCU_SLACK_NS <= boot_ns


def responsible_for(state: ProcessState) -> ProcessKey | None:
    """Who has to reap a process: the process notified last, else its parent."""
    holder = state.zombie.holder if state.zombie is not None else None
    return holder or state.snapshot.parent_key
