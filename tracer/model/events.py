"""What happened: the past facts a correlator reads, one dataclass a fact.

Every event carries ``boot_ns`` (CLOCK_BOOTTIME, ns). Events hold what the
kernel said and nothing that was concluded from it; conclusions are verdicts
(:mod:`tracer.model.verdicts`). None = unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from tracer.model.fact import fact
from tracer.model.identity import Actor, ProcessKey, ProcessSnapshot
from tracer.model.signals import Disposition, SignalResult
from tracer.model.target import Container, Target
from tracer.model.wait_status import WaitStatus


class SigchldAction(StrEnum):
    """What a parent does about SIGCHLD."""

    DEFAULT = "default"
    IGNORED = "ignored"
    CAUGHT = "caught"
    UNKNOWN = "unknown"


class Precision(StrEnum):
    """How good a time is."""

    EXACT = "exact"
    UPPER_BOUND = "upper_bound"
    LOWER_BOUND = "lower_bound"


class SignalInfo(StrEnum):
    """Which siginfo the sender gave the kernel (kernel/signal.c).

    NONE is SEND_SIG_NOINFO, KERNEL is SEND_SIG_PRIV, FILLED a real siginfo.
    """

    NONE = "none"
    KERNEL = "kernel"
    FILLED = "filled"


BPF_SOURCE = "bpf"
"""The source of a trace that sees everything there is to see."""


@fact
class HookState:
    """One row of the hook plan as it was attached.

    Args:
        name: The row: exit, reap, signal, teardown, oom, fork, exec, ...
        source: What serves it: ``kprobe:release_task``,
            ``raw_tp:sched_process_free``; None when nothing does.
        degrades: What is less exact for want of a better hook, or None.
    """

    name: str
    source: str | None
    degrades: str | None = None


@fact
class AttachedEvent:
    """All hooks are live: what happens after this is seen.

    ``utc_offset_ns`` is CLOCK_REALTIME minus CLOCK_BOOTTIME at this moment.
    ``source`` is ``bpf`` or ``netlink``.
    """

    boot_ns: int
    utc_offset_ns: int
    kernel: str
    machine: str
    source: str
    hooks: tuple[HookState, ...]
    target: Target

    @property
    def unseen_kinds(self) -> frozenset[str]:
        """The kinds of record that this source never gives: nothing follows from their absence.

        What one BPF hook cannot see on some kernel another one sees, or the
        correlator knows of it.
        """
        if self.source == BPF_SOURCE:
            return frozenset()
        return frozenset(hook.name for hook in self.hooks if hook.source is None)


@fact
class ProcessEvent:
    """A process that was there before tracing began (from the task iterator)."""

    boot_ns: int
    process: ProcessSnapshot
    is_zombie: bool
    live_threads: int
    status: WaitStatus | None
    own_sigchld: SigchldAction
    parent_sigchld: SigchldAction
    tracer_host_pid: int | None


@fact
class ForkEvent:
    """A new process; ``creator`` called fork, ``process.parent_*`` must reap."""

    boot_ns: int
    process: ProcessSnapshot
    creator: Actor
    exit_signo: int


@fact
class ExecEvent:
    """The process runs another program now."""

    boot_ns: int
    process: ProcessSnapshot


@fact
class ExitBeginEvent:
    """The last thread of a process entered do_exit."""

    boot_ns: int
    process: ProcessSnapshot


@fact
class ExitEvent:
    """A thread group ended, or (``live_threads`` > 0) only its leader did."""

    boot_ns: int
    process: ProcessSnapshot
    status: WaitStatus
    live_threads: int
    exit_signo: int
    parent_sigchld: SigchldAction
    parent_nocldwait: bool
    tracer_host_pid: int | None


@fact
class ReapEvent:
    """A process left the process table.

    With precision EXACT ``actor`` is who was running (release_task), or None where a
    pidfd gave the time; with UPPER_BOUND (sched_process_free) it is None.
    ``process.parent_*`` is the final real_parent either way; as it may dangle where
    there is no actor, trust it only where it names a process that is known by other
    means. ``status`` is what waitpid returned, ``parent_sigchld`` what that parent does
    about SIGCHLD. ``seen_boot_ns`` is set where no hook saw it: the process was
    there at that instant and not at ``boot_ns``, and how far apart they are is up to
    the tracer.
    """

    boot_ns: int
    process: ProcessSnapshot
    actor: Actor | None
    precision: Precision
    status: WaitStatus | None = None
    parent_sigchld: SigchldAction = SigchldAction.UNKNOWN
    seen_boot_ns: int | None = None


@fact
class LifetimeEvent:
    """A process was born, ended by itself and was reaped by who forked it.

    Emitted once, at the release. ``process`` is as it was in the end; its parent forked
    it, was notified of its exit and waited for it. ``executed`` is the name after its last
    exec. ``precision`` is that of ``boot_ns``; where it is None the process still lives, and
    ``boot_ns`` is when it was emitted. ``seen_boot_ns`` is as in :class:`ReapEvent`.

    ``si_code`` to ``result`` are of the exit notification.
    """

    boot_ns: int
    process: ProcessSnapshot
    born_comm: str
    forked_ns: int
    exec_ns: int | None
    executed: str | None
    exit_ns: int | None
    status: WaitStatus | None
    notified_ns: int | None
    precision: Precision | None
    parent_sigchld: SigchldAction
    si_code: int
    si_pid: int
    disposition: Disposition
    result: SignalResult
    seen_boot_ns: int | None = None


@fact
class SignalEvent:
    """A signal was generated for ``process``.

    ``actor`` is the kernel's current: the sender only where ``info`` is FILLED
    by a user's system call (``si_code`` <= 0); else in whose context the kernel
    raised it. ``si_pid`` is as the target's namespace sees it.
    ``target_group_exit``: the process had begun to die before, of another signal
    or by exit_group; the signal that begins a death does not show it.
    ``notified_child`` is set where this is an exit notification, with the start
    0 where only the pid is known. ``repeats`` like it were sent before it and only
    counted, the first of them at ``repeats_since_ns``: its target handles or ignores
    them. ``cpu_limit_s`` is the limit (RLIMIT_CPU) that the target's CPU time had
    reached, where the kernel raised SIGKILL or SIGXCPU for it; None = it had reached
    none, or the kernel side did not tell.
    """

    boot_ns: int
    process: ProcessSnapshot
    target_host_tid: int
    signo: int
    info: SignalInfo
    si_code: int | None
    si_pid: int | None
    actor: Actor
    result: SignalResult
    disposition: Disposition
    is_group: bool
    target_group_exit: bool
    target_live_threads: int
    target_exit_state: int
    target_unkillable: bool
    target_pdeath_signo: int
    actor_is_reaper: bool
    actor_is_self: bool
    actor_is_tracer: bool
    is_notification: bool
    notified_child: ProcessKey | None
    parent_nocldwait: bool
    repeats: int = 0
    repeats_since_ns: int | None = None
    cpu_limit_s: int | None = None


@fact
class DeliverEvent:
    """A signal left the pending set to be acted upon.

    ``si_code`` and ``si_pid`` are those of its siginfo, None where it has none:
    a thread that dies because its process does is shown such a SIGKILL.
    """

    boot_ns: int
    process: ProcessSnapshot
    target_host_tid: int
    signo: int
    si_code: int | None
    disposition: Disposition
    si_pid: int | None = None


class TeardownPhase(StrEnum):
    """Which end of a namespace teardown."""

    BEGIN = "begin"
    END = "end"


@fact
class TeardownEvent:
    """zap_pid_ns_processes was entered, or returned; ``process`` is the init."""

    boot_ns: int
    process: ProcessSnapshot
    phase: TeardownPhase


@fact
class OomEvent:
    """The OOM killer marked a victim; ``actor`` asked for the memory."""

    boot_ns: int
    process: ProcessSnapshot
    actor: Actor


@fact
class ForkFailedEvent:
    """A clone failed; ``process`` is the caller."""

    boot_ns: int
    process: ProcessSnapshot
    errno: int


TRACER_SOURCE = "tracer"
"""Of observations that the tracer makes of itself."""
PLACED_SOURCES = frozenset({"proc", "cgroup"})
"""Sources whose readings come in order: all that happened before was emitted before."""


@fact
class ObservationEvent:
    """A reading of /proc, a cgroup or an engine that a verdict rests on.

    Args:
        source: Where it was read: ``proc``, ``cgroup``, ``docker``, ...; ``tracer``
            where it says how far the tracer was behind.
        about: The process it speaks of, or None.
        values: What was read: JSON types only.
    """

    boot_ns: int
    source: str
    about: ProcessKey | None
    values: Mapping[str, Any] = field(default_factory=dict)


@fact
class ContainerEvent:
    """A container was resolved: it exists and this is how to recognise it."""

    boot_ns: int
    container: Container


OVERRUN = "overrun"
"""Of losses whose number is not known: how often there was no room for events."""


@fact
class LossEvent:
    """Records the kernel side could not deliver.

    They were lost between ``since_boot_ns`` (when nothing of them had been lost
    yet; None = at any time before) and ``boot_ns``. ``lost`` goes by kind of
    record; ``late`` stands for records that came too late to be sorted in, and
    ``overrun`` counts how often events of any kind were lost, at least one each time.
    """

    boot_ns: int
    lost: Mapping[str, int]
    since_boot_ns: int | None = None


@fact
class EndEvent:
    """The trace ended here; nothing later was seen."""

    boot_ns: int
    reason: str


KernelEvent = (
    ProcessEvent
    | ForkEvent
    | ExecEvent
    | ExitBeginEvent
    | ExitEvent
    | ReapEvent
    | LifetimeEvent
    | SignalEvent
    | DeliverEvent
    | TeardownEvent
    | OomEvent
    | ForkFailedEvent
)
Event = KernelEvent | AttachedEvent | ObservationEvent | ContainerEvent | LossEvent | EndEvent
