"""Whether a report tells the truth about a history of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.model.kernel import Kernel
from tests.model.process import Ns, Proc, Stop
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import summarise
from tracer.model.events import EndEvent, Event, Precision
from tracer.model.report import ProcessReport, Report, StopReport, ZombieReport
from tracer.model.verdicts import Cause, End, ReapKind, StopOutcome
from tracer.model.wait_status import WaitStatus

_RCU_NS = 600_000_000
_NEAR_NS = 1_100_000_000
_BETWEEN_NS = 40_000_000
"""From an init's end to the teardown: exit_ptrace() may come in between."""


def report_of(events: Iterable[Event], end_ns: int, *, min_zombie_ns: int) -> Report:
    """What the correlator makes of a stream."""
    return summarise(correlator_of(events, end_ns, min_zombie_ns=min_zombie_ns))


def correlator_of(events: Iterable[Event], end_ns: int, *, min_zombie_ns: int) -> Correlator:
    """The state that a stream leads to."""
    correlator = Correlator(CorrelatorOptions(min_zombie_ns=min_zombie_ns))
    for event in events:
        correlator.feed(event)
    correlator.feed(EndEvent(end_ns, "model"))
    return correlator


class Oracle:
    """The truth of a history, against what a report says.

    Args:
        kernel: The model, at the end.
        target: The traced namespace.
        attached_ns: When tracing began.
        is_exact: The stream told of releases as they happened.
        is_lossy: Something was lost: "unknown" is always right then.
    """

    def __init__(
        self,
        kernel: Kernel,
        target: Ns,
        attached_ns: int,
        *,
        is_exact: bool,
        is_lossy: bool = False,
    ) -> None:
        self.kernel = kernel
        self.attached_ns = attached_ns
        self.is_exact = is_exact
        self.is_lossy = is_lossy
        self.procs = {
            proc.key: proc for proc in kernel.procs
            if proc.is_in(target)
            and (proc.released_t is None or proc.released_t >= attached_ns)
        }  # fmt: skip

    def differences(self, report: Report) -> Iterator[str]:
        """Every statement of the report that is not true, and what it omits."""
        told = {(one.host_pid, one.start_boot_ns): one for one in report.processes}
        if not self.is_lossy:
            for key in self.procs.keys() - told.keys():
                yield f"{key} is missing"
        for key, one in told.items():
            proc = self.procs.get(key)
            if proc is None:
                yield f"{key} {one.comm} never was"
            else:
                yield from (f"{key} {text}" for text in self._process(proc, one))
        for zombie in report.zombies:
            candidates = [proc for proc in self.procs.values() if proc.pid == zombie.host_pid]
            if not any(not list(self._zombie(proc, zombie)) for proc in candidates):
                reasons = [list(self._zombie(proc, zombie)) for proc in candidates]
                yield f"no such zombie: {zombie}: {reasons}"
        if not self.is_lossy:
            listed = {(one.host_pid, one.begin_boot_ns) for one in report.zombies if not one.reaped}
            for proc in self.procs.values():
                if proc.state == "zombie" and proc.pid not in {pid for pid, _ in listed}:
                    yield f"{proc.key} is a zombie and not listed"
        yield from self._stops(report)

    def _process(self, proc: Proc, one: ProcessReport) -> Iterator[str]:
        status = WaitStatus.from_raw(proc.status or 0) if proc.exit_t is not None else None
        end = End.RUNNING
        if status is not None:
            end = End.EXIT if status.signo is None else End.SIGNAL
        was_before = proc.exit_t is not None and proc.exit_t < self.attached_ns
        if one.end is not end and not (one.end is None and (self.is_lossy or was_before)):
            yield f"end {one.end}, not {end}"
        if status is not None and one.end is not None:
            if (one.exit_code, one.term_signal) != (status.exit_code, status.signal_name):
                yield f"status {one.exit_code} {one.term_signal}, not {status}"
        cause = None
        if status is not None and status.signo is not None:
            cause = Cause(proc.cause or "unknown")
        if one.cause is not cause and not (
            one.end is None or self._may_be_unknown(proc, one.cause, cause)
        ):
            yield f"cause {one.cause}, not {cause}"
        yield from self._reap(proc, one)

    def _may_be_unknown(self, proc: Proc, told: Cause | None, truth: Cause | None) -> bool:
        if told in (None, Cause.UNKNOWN) and self.is_lossy:
            return True
        # What was sent before tracing began was not seen.
        asked_before = any(
            stop.begin < self.attached_ns for ns in proc.ns.chain() for stop in ns.stops
        )
        if asked_before and truth in (Cause.GRACE_EXPIRED, Cause.STOP_SIGNAL):
            return told in (
                Cause.KILL, Cause.RUNTIME_KILL, Cause.CGROUP_KILL, Cause.SELF, Cause.UNKNOWN
            )  # fmt: skip
        if not self.kernel.drops and (proc.signalled_t or 0) <= self.attached_ns:
            # Older kernels deliver to the dying: the second looks like the first.
            return True
        return (
            told is Cause.UNKNOWN
            and truth is not None
            and proc.start < self.attached_ns
            and (proc.signalled_t or 0) <= self.attached_ns
        )

    def _reap(self, proc: Proc, one: ProcessReport) -> Iterator[str]:
        if proc.released_t is None:
            if one.reap_kind is not None:
                yield f"reaped ({one.reap_kind}), but it is there"
            return
        if one.reap_kind is None:
            if not self.is_lossy:
                yield "not said to be reaped"
            return
        # Without kprobes only the parent's pointer tells, if nobody was told.
        is_untold = not self.is_exact and (
            not proc.exit_signal_seen
            or proc.last_exit_signal == 0
            or (proc.zombie_t or 0) < self.attached_ns
            or proc.is_parent_lost
            or proc.is_parents_tracee
        )
        unknown = one.reap_kind is ReapKind.UNKNOWN and (
            self.is_lossy or is_untold or (proc.zombie_t or 0) < self.attached_ns
        )
        kind = ReapKind(proc.kind or "unknown")
        early = (proc.handed_t or 0) < self.attached_ns and kind is ReapKind.ADOPTER
        if one.reap_kind is not kind and not unknown and not (
            early and one.reap_kind is ReapKind.PARENT
        ):  # fmt: skip
            yield f"{one.reap_kind}, not {kind}"
        reaper = proc.reaper.pid if proc.reaper is not None else None
        if one.reaper_host_pid != reaper and not (
            one.reaper_host_pid is None and (unknown or self.is_lossy or is_untold)
        ):
            yield f"reaped by {one.reaper_host_pid}, not {reaper} ({kind})"

    def _zombie(self, proc: Proc, zombie: ZombieReport) -> Iterator[str]:
        if zombie.live_threads:
            if not proc.had_leader_alone:
                yield "its leader never was alone"
            return
        if proc.zombie_t is None:
            yield "never a zombie"
            return
        if zombie.reaped != (proc.released_t is not None):
            yield f"reaped {zombie.reaped}"
        until = proc.released_t if proc.released_t is not None else self.kernel.t
        truth, told = until - proc.zombie_t, zombie.zombie_ns
        if told is None:
            return
        if zombie.precision is Precision.EXACT and told != truth:
            yield f"{told} ns exactly, not {truth}"
        if zombie.precision is Precision.UPPER_BOUND and told < truth:
            yield f"{told} ns at most, but {truth}"
        if zombie.precision is Precision.LOWER_BOUND and told > truth:
            yield f"{told} ns at least, but {truth}"
        if zombie.precision is Precision.UPPER_BOUND and not self.is_lossy and (
            told > truth + _RCU_NS and proc.exit_signal_seen and proc.zombie_t >= self.attached_ns
        ):  # fmt: skip
            yield f"{told} ns, far above {truth}"

    def _stops(self, report: Report) -> Iterator[str]:
        by_init: dict[tuple[int, int], list[StopReport]] = {}
        for stop in report.stops:
            key = next(
                (k for k in self.procs
                 if k[0] == stop.init_host_pid and self._is_init(k, stop)), None
            )  # fmt: skip
            if key is None:
                yield f"a stop of nobody: {stop}"
            else:
                by_init.setdefault(key, []).append(stop)
        for key, proc in self.procs.items():
            if not proc.is_init:
                continue
            truth = [stop for stop in proc.ns.stops
                     if stop.end is None or stop.end >= self.attached_ns]  # fmt: skip
            told = by_init.get(key, [])
            if self.is_lossy or any(stop.begin < self.attached_ns for stop in truth):
                continue
            if len(truth) != len(told):
                yield f"{key}: {len(told)} stops, not {len(truth)}"
                continue
            for true, one in zip(truth, told, strict=True):
                yield from (f"stop of {key}: {text}" for text in self._stop(true, one))

    def _is_init(self, key: tuple[int, int], stop: StopReport) -> bool:
        proc = self.procs[key]
        return (
            proc.is_init
            and proc.start <= stop.begin_boot_ns
            and (proc.released_t is None or proc.released_t >= stop.begin_boot_ns)
        )

    def _stop(self, stop: Stop, one: StopReport) -> Iterator[str]:  # noqa: C901
        outcome = None
        if stop.survived:
            outcome = StopOutcome.SURVIVED
        elif stop.init_exit is not None:
            outcome = StopOutcome.STOPPED
        for name, told, truth in (
            ("begin", one.begin_boot_ns, stop.begin),
            ("trigger", one.trigger, stop.trigger),
            ("outcome", one.outcome, outcome),
            ("escalated", one.escalated, stop.escalated),
            ("init exit", one.init_exit_boot_ns, stop.init_exit),
            ("asked", one.stop_signal is not None, stop.asked),
        ):
            if told != truth:
                yield f"{name} {told}, not {truth}"
        if one.end_boot_ns is None or stop.end is None:
            if one.end_boot_ns != stop.end:
                yield f"end {one.end_boot_ns}, not {stop.end}"
        elif not stop.end <= one.end_boot_ns <= stop.end + (_RCU_NS if not stop.survived else 0):
            yield f"end {one.end_boot_ns}, not {stop.end}"
        counts = {"sigkilled": 0, "signalled": 0, "exited": 0, "already_zombie": 0, "survived": 0}
        until = stop.end if stop.end is not None else self.kernel.t
        unsure = 0
        for member in stop.members:
            if not _was_on_its_way(member, stop):
                counts[_fate(member, stop, until)] += 1
        for proc in self.procs.values():
            if proc.released_t is None or proc.exit_t is None or proc.exit_t > stop.begin:
                continue
            is_near = abs(proc.released_t - stop.begin) < _NEAR_NS
            if stop.trigger == "init_exit":
                # The teardown shows who was there; but for who went in between.
                is_near = stop.begin <= proc.released_t <= stop.begin + _BETWEEN_NS
            unsure += is_near and (not self.is_exact or proc.had_leader_alone)
        for name, truth in counts.items():
            told = getattr(one, name)
            slack = unsure if name == "already_zombie" else 0
            if abs(told - truth) > slack:
                yield f"{name} {told}, not {truth}"
        if one.members != sum(getattr(one, name) for name in counts):
            yield f"{one.members} members are not the sum"


def _was_on_its_way(member: Proc, stop: Stop) -> bool:
    """Whether it had ended and was about to go by itself: never a zombie."""
    return (
        member.exit_t is not None
        and member.exit_t <= stop.begin
        and member.released_t is not None
        and member.released_t == member.zombie_t
    )


def _fate(member: Proc, stop: Stop, until: int) -> str:
    if member.exit_t is None or member.exit_t > until:
        return "survived"
    if member.exit_t <= stop.begin:
        return "already_zombie"
    signo = (member.status or 0) & 0x7F
    if signo:
        return "sigkilled" if signo == 9 else "signalled"
    return "exited"
