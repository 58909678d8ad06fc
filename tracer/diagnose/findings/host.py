"""ZT301 for the host: its table of tasks is nearly full, and who fills it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.correlate.zombies import duty_holder_at, release_of, was_zombie_by
from tracer.diagnose.evidence import HostReading, host_readings, pids_readings
from tracer.diagnose.findings.make import is_complete, make_finding
from tracer.diagnose.findings.pids import NEAR
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.wording import names as wording

_MAKERS = 3


def find_host_shortage(correlator: Correlator) -> Iterator[Finding]:
    """The finding that the host is close to its limit of tasks, if it is."""
    fullest = max(host_readings(correlator), key=lambda one: one.share, default=None)
    if fullest is None or fullest.share < NEAR:
        return
    zombies = _zombies_at(correlator, fullest.boot_ns)
    counts: Counter[ProcessKey | None] = Counter()
    for zombie in zombies:
        counts[duty_holder_at(zombie, fullest.boot_ns)] += zombie.stands_for
    makers = counts.most_common()
    yield make_finding(
        "ZT301",
        title=f"the host had {fullest.tasks} of its {fullest.limit} pids in use",
        detail=(
            f"The whole host may have {fullest.limit} tasks ({fullest.limit_name}) and had"
            f" {fullest.tasks} ({fullest.share:.0%}).{_say_whom_it_bounds(correlator)}"
            f" {_say_share(correlator, zombies, makers, fullest)}"
        ),
        advice=_advice(correlator, makers),
        states=zombies,
        complete=is_complete(correlator, zombies, correlator.begin_ns or 0, fullest.boot_ns),
    )


def _say_whom_it_bounds(correlator: Correlator) -> str:
    """Name the containers that no pids limit of their own stops before."""
    limited = {
        container_id
        for container_id, readings in pids_readings(correlator).items()
        if any(level.limit is not None for reading in readings for level in reading)
    }
    labels = [one.label for one in correlator.scopes.containers if one.id not in limited]
    if not labels:
        return ""
    return (
        f" {wording.enumerate_all(labels[:_MAKERS])} {'has' if len(labels) == 1 else 'have'} no lower"
        " pids limit: the host's limit applies."
    )


def _say_share(
    correlator: Correlator,
    zombies: list[ProcessState],
    makers: list[tuple[ProcessKey | None, int]],
    fullest: HostReading,
) -> str:
    everything = correlator.attached is not None and (
        correlator.attached.target.kernel_filter.everything
    )
    if not zombies:
        return (
            "None of them were zombies."
            if everything
            else "None of the traced processes were zombies."
        )
    named = [f"{_name(correlator, key)} ({number})" for key, number in makers[:_MAKERS]]
    more = len(makers) - len(named)
    others = f" and {wording.count(more, 'other')}" if more > 0 else ""
    whose = "" if everything else " among the traced processes"
    share = wording.number(zombies) / max(fullest.tasks, 1)
    percent = f"{share:.0%}" if share >= 0.01 else "less than 1%"
    return (
        f"{wording.count(wording.number(zombies), 'zombie')}{whose} made up {percent} of them, children of"
        f" {', '.join(named)}{others}."
    )


def _name(correlator: Correlator, key: ProcessKey | None) -> str:
    state = correlator.table.get(key)
    if state is not None:
        return wording.named(state)
    comm = correlator.table.comm_of(key) or "a process"
    return f"{comm} (host pid {key.host_pid})" if key is not None else "an unknown parent"


def _advice(correlator: Correlator, makers: list[tuple[ProcessKey | None, int]]) -> str:
    if makers:
        return (
            f"Have {_name(correlator, makers[0][0])} wait for its children, or terminate it: its"
            " zombies are then handed to a process that waits. Set a pids limit for every container (`docker run"
            " --pids-limit`, podPidsLimit), so that none can exhaust the host's."
        )
    return (
        "Find out what creates so many tasks (threads count too); raise kernel.pid_max and"
        " kernel.threads-max if all of them are needed."
    )


def _zombies_at(correlator: Correlator, boot_ns: int) -> list[ProcessState]:
    found = []
    for state in correlator.table:
        if not was_zombie_by(state, boot_ns):
            continue
        release = release_of(state)
        if release is None or release.boot_ns > boot_ns:
            found.append(state)
    return sorted(found, key=lambda state: state.key)
