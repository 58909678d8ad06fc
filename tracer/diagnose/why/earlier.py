"""Who was killed before a stop began: what led to it may be among that."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.diagnose.why.evidence import Evidence
from tracer.diagnose.why.signals import signal_steps
from tracer.model.report import ProcessReport, StopReport
from tracer.model.verdicts import Cause
from tracer.model.why import WhyStep
from tracer.wording.why_words import fate, named

_MOST = 5
_KILLS = frozenset({
    Cause.OOM, Cause.KILL, Cause.RUNTIME_KILL, Cause.CGROUP_KILL, Cause.FAULT, Cause.SECCOMP,
    Cause.RLIMIT_CPU,
})  # fmt: skip


def earlier_deaths(evidence: Evidence, stop: StopReport) -> list[ProcessReport]:
    """The processes of what was stopped that were killed before that, in order."""
    return sorted(
        (
            each
            for each in evidence.report.processes
            if (each.cause in _KILLS or _is_by_kernels_own(each))
            and not each.is_init
            and each.end_boot_ns is not None
            and each.end_boot_ns < stop.begin_boot_ns
            and (each.pidns_inum, each.container_id) == (stop.pidns_inum, stop.container_id)
        ),
        key=lambda each: each.end_boot_ns or 0,
    )


def _is_by_kernels_own(process: ProcessReport) -> bool:
    """Whether the kernel killed a process in its own context, for no reason that is known."""
    return (
        process.cause is Cause.UNKNOWN
        and process.sender_comm is None
        and process.trigger_host_pid == process.host_pid
    )


def earlier_steps(evidence: Evidence, stop: StopReport) -> Iterator[WhyStep]:
    """Each of them: who sent what, and how it ended; of many the last."""
    deaths = earlier_deaths(evidence, stop)
    if len(deaths) > _MOST:
        left_out = len(deaths) - _MOST
        yield WhyStep(deaths[0].end_boot_ns, f"{left_out} more processes had been killed before.")
    for each in deaths[-_MOST:]:
        yield from signal_steps(evidence, each, only_fatal=True, whom=named(each))
        yield WhyStep(each.end_boot_ns, f"{named(each)} {fate(each)}.")
