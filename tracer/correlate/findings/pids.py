"""ZT302: forks that failed."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.model.report import Finding

_MEANING = {
    errno.EAGAIN: "a pids limit was reached (pids.max, pid_max or RLIMIT_NPROC)",
    errno.ENOMEM: "out of memory, or the namespace's init is gone",
}


def find_pid_shortage(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each caller whose forks failed, by error."""
    groups: dict[tuple[int, int], int] = {}
    for event in correlator.fork_failures:
        groups[event.process.host_pid, event.errno] = (
            groups.get((event.process.host_pid, event.errno), 0) + 1
        )
    for (host_pid, number), failures in groups.items():
        event = next(
            e for e in correlator.fork_failures
            if e.process.host_pid == host_pid and e.errno == number
        )
        caller = correlator.table.get(event.process.key)
        zombies = [
            s for s in correlator.table
            if s.zombie is not None
            and s.zombie.begin_ns <= event.boot_ns
            and (s.reap is None or s.reap.boot_ns > event.boot_ns)
            and s.snapshot.pidns_inum == event.process.pidns_inum
        ]
        share = (
            f" At the first failure {wording.count(len(zombies), 'zombie')} took up pids."
            if zombies else ""
        )
        name = errno.errorcode.get(number, str(number))
        yield make_finding(
            "ZT302",
            title=f"{event.process.comm} could not fork: {name}",
            detail=(
                f"{wording.count(failures, 'fork')} of {event.process.comm}"
                f" (host pid {host_pid}) failed with {name}:"
                f" {_MEANING.get(number, 'see clone(2)')}.{share}"
            ),
            advice=(
                "Zombies count against pids.max: have their parent wait for them."
                if zombies else "Raise the pids limit, or find who makes so many processes."
            ),
            states=[caller] if caller is not None else [],
            complete=is_complete(correlator, [], event.boot_ns),
        )
