"""The hook plan: which hook serves which row, best first, and what the others cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tracer.kernel.view import KernelFeatures
from tracer.model.events import HookState

KPROBE_PMU = Path("/sys/bus/event_source/devices/kprobe/type")


class Attach(StrEnum):
    """How a program is hung up."""

    RAW_TRACEPOINT = "raw_tp"
    TRACEPOINT = "tp"
    KPROBE = "kprobe"
    KRETPROBE = "kretprobe"
    ITERATOR = "iter"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program that can serve a row.

    Args:
        program: The C function.
        source_file: Where it is, under bpf/.
        attach: How it is attached.
        point: The tracepoint's, kernel function's or iterator's name; of a tracepoint
            seen as perf does, with its group: ``sched/sched_process_exit``.
        degrades: What is less exact with this one than with a better one.
        unfit: Given the kernel's features, says why it cannot be used, or None.
    """

    program: str
    source_file: str
    attach: Attach
    point: str
    degrades: str | None = None
    unfit: Callable[[KernelFeatures], str | None] | None = None

    @property
    def source(self) -> str:
        """The name that HookState shows: ``kprobe:release_task``."""
        return f"{self.attach}:{self.point}"

    @property
    def needs_kprobes(self) -> bool:
        """Whether it is a kprobe or kretprobe."""
        return self.attach in {Attach.KPROBE, Attach.KRETPROBE}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing we want to see.

    Args:
        name: The row as users know it.
        kind: The wire kind (ZT_KIND_* without prefix, lower case) it emits.
        candidates: Best first.
        absent: What is not seen if no candidate works.
        required: Without it there is no trace at all.
        spare_for: The row whose records this one emits where that row's program
            is not run; whichever comes first emits the event, once.
        is_needed: Given the kernel's features, whether the row is a matter at
            all; else it has no outcome.
    """

    name: str
    kind: str
    candidates: tuple[Candidate, ...]
    absent: str
    required: bool = False
    spare_for: str | None = None
    is_needed: Callable[[KernelFeatures], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Rejection:
    """A better candidate that could not be used, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of a row.

    Args:
        state: What serves it and what that costs.
        rejected: The better candidates, best first.
    """

    state: HookState
    rejected: tuple[Rejection, ...]


def _mark_victim_has_task(features: KernelFeatures) -> str | None:
    if features.mark_victim is None:
        return "this kernel has no tracepoint mark_victim"
    if features.mark_victim == "pid":
        return "its only argument on this kernel is a pid"
    return None


def _mark_victim_has_pid(features: KernelFeatures) -> str | None:
    if features.mark_victim == "pid":
        return None
    return _mark_victim_has_task(features) or "the tracepoint mark_victim provides the same data"


def _tracepoints_preempt(features: KernelFeatures) -> bool:
    return features.tracepoints_preempt


def _raw(program: str, source_file: str, point: str) -> Candidate:
    return Candidate(program, source_file, Attach.RAW_TRACEPOINT, point)


def _spare(program: str, source_file: str, point: str) -> tuple[Candidate]:
    return (Candidate(program, source_file, Attach.TRACEPOINT, point),)


ROWS = (
    Row(
        "exit",
        "exit",
        (_raw("zt_exit", "exit.c", "sched_process_exit"),),
        absent="exits are not seen",
        required=True,
    ),
    Row(
        "exit_spare",
        "exit",
        _spare("zt_exit_spare", "exit_spare.c", "sched/sched_process_exit"),
        absent="where tracepoints can be preempted (7.0 and later), exits can be missed;"
        " they are counted",
        spare_for="exit",
        is_needed=_tracepoints_preempt,
    ),
    Row(
        "exit_begin",
        "exit_begin",
        (Candidate("zt_exit_begin", "exit_begin.c", Attach.KPROBE, "do_exit"),),
        absent="how long a process took to exit before the exit was reported is unknown",
    ),
    Row(
        "reap",
        "reap",
        (Candidate("zt_reap", "reap.c", Attach.KPROBE, "release_task"),),
        absent="the time of a reap is an upper bound, about 10 to 25 ms late",
    ),
    Row(
        "free",
        "free",
        (_raw("zt_free", "free.c", "sched_process_free"),),
        absent="reaps are not seen",
        required=True,
        spare_for="reap",
    ),
    Row(
        "signal",
        "signal",
        (_raw("zt_signal", "signal.c", "signal_generate"),),
        absent="signals are not seen",
        required=True,
    ),
    Row(
        "deliver",
        "deliver",
        (_raw("zt_deliver", "deliver.c", "signal_deliver"),),
        absent="signal delivery is not seen",
    ),
    Row(
        "fork",
        "fork",
        (_raw("zt_fork", "fork.c", "sched_wakeup_new"),),
        absent="new processes are not seen",
        required=True,
    ),
    Row(
        "exec",
        "exec",
        (_raw("zt_exec", "exec.c", "sched_process_exec"),),
        absent="a process keeps the name it had when tracing began",
    ),
    Row(
        "exec_spare",
        "exec",
        _spare("zt_exec_spare", "exec_spare.c", "sched/sched_process_exec"),
        absent="where tracepoints can be preempted (7.0 and later), execs can be missed;"
        " they are counted",
        spare_for="exec",
        is_needed=_tracepoints_preempt,
    ),
    Row(
        "teardown_begin",
        "teardown_begin",
        (
            Candidate(
                "zt_teardown_begin", "teardown_begin.c", Attach.KPROBE, "zap_pid_ns_processes"
            ),
        ),
        absent="the start of a teardown is taken from the exit of its init",
    ),
    Row(
        "teardown_end",
        "teardown_end",
        (Candidate("zt_teardown_end", "teardown_end.c", Attach.KRETPROBE, "zap_pid_ns_processes"),),
        absent="the end of a teardown is taken from the exit notification of its init",
    ),
    Row(
        "oom",
        "oom",
        (
            Candidate(
                "zt_oom",
                "oom.c",
                Attach.RAW_TRACEPOINT,
                "mark_victim",
                unfit=_mark_victim_has_task,
            ),
            Candidate(
                "zt_oom_kprobe",
                "oom_kprobe.c",
                Attach.KPROBE,
                "__oom_kill_process",
                unfit=_mark_victim_has_pid,
            ),
            Candidate(
                "zt_oom_pid",
                "oom_pid.c",
                Attach.RAW_TRACEPOINT,
                "mark_victim",
                degrades="only the pid of an OOM victim is known",
                unfit=_mark_victim_has_pid,
            ),
        ),
        absent="the OOM killer is not seen",
    ),
    Row(
        "fork_failed",
        "fork_failed",
        (Candidate("zt_fork_failed", "fork_failed.c", Attach.KRETPROBE, "kernel_clone"),),
        absent="failed forks are only counted (pids.events), their callers are unknown",
    ),
    Row(
        "seed",
        "process",
        (Candidate("bpf_iter__task", "seed.c", Attach.ITERATOR, "task"),),
        absent="processes that existed before the trace are unknown",
        required=True,
    ),
    Row(
        "folded",
        "lifetime",
        (Candidate("bpf_iter__bpf_map_elem", "folded.c", Attach.ITERATOR, "bpf_map_elem"),),
        absent="lifetimes whose release no hook saw would not be found",
        required=True,
    ),
)


def kprobes_unavailable() -> str | None:
    """Say why this kernel has no kprobes, or None if it has.

    Source:
        /sys/bus/event_source/devices/kprobe (CONFIG_KPROBE_EVENTS, 4.17 on).
    """
    if KPROBE_PMU.exists():
        return None
    return "this kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)"


def usable_candidates(
    features: KernelFeatures, *, kprobes_refused: str | None
) -> Iterator[tuple[Row, Candidate, str | None]]:
    """Go through every candidate of every row, best first.

    Args:
        features: What BTF says.
        kprobes_refused: Why kprobes are out of the question, or None.

    Yields:
        The row, the candidate, and why it cannot be used (None: worth trying).
    """
    for row in ROWS:
        if not row.is_needed(features):
            continue
        for candidate in row.candidates:
            reason = candidate.unfit(features) if candidate.unfit else None
            if reason is None and candidate.needs_kprobes:
                reason = kprobes_refused
                if reason is None and candidate.point not in features.functions:
                    reason = f"this kernel has no function {candidate.point}"
            yield row, candidate, reason


def settle(
    features: KernelFeatures,
    *,
    kprobes_refused: str | None,
    try_attach: Callable[[Row, Candidate], str | None],
) -> tuple[RowOutcome, ...]:
    """Choose a candidate for every row.

    Args:
        features: What BTF says.
        kprobes_refused: Why kprobes are out of the question, or None.
        try_attach: Attaches a candidate; returns why it could not, or None.

    Returns:
        One outcome a row that is needed, in the order of :data:`ROWS`.
    """
    chosen: dict[str, Candidate] = {}
    rejected: dict[str, list[Rejection]] = {row.name: [] for row in ROWS}
    for row, candidate, unusable in usable_candidates(features, kprobes_refused=kprobes_refused):
        if row.name in chosen:
            continue
        reason = unusable if unusable is not None else try_attach(row, candidate)
        if reason is None:
            chosen[row.name] = candidate
        else:
            rejected[row.name].append(Rejection(candidate.source, reason))
    outcomes = []
    for row in ROWS:
        if not row.is_needed(features):
            continue
        candidate_or_none = chosen.get(row.name)
        if candidate_or_none is None:
            state = HookState(row.name, None, row.absent)
        else:
            state = HookState(row.name, candidate_or_none.source, candidate_or_none.degrades)
        outcomes.append(RowOutcome(state, tuple(rejected[row.name])))
    return tuple(outcomes)
