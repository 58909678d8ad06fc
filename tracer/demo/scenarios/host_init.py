"""host-init: an init stops reaping, the pids run out, and its exit frees them."""

from __future__ import annotations

import signal

from tracer.demo.scenarios.observed import (
    Observed,
    count,
    expect_reaped,
    longest,
    pids,
    surprise,
)
from tracer.demo.scenarios.scenario import (
    ZOMBIE_S,
    Context,
    Explanation,
    Scenario,
    stop_when_ready,
)
from tracer.model.verdicts import ReapKind

_ORPHANS = 13
_BESIDE_ORPHANS = 3
"""PID 1, the stand-in, and the daemon whose fork is refused."""


def on_note(context: Context, note: str) -> None:
    """Read the counters when the limit is reached; then have the stand-in killed."""
    if note == "full":
        if context.cgroup is not None:
            context.notes.append(f"pids-current {context.cgroup.current()}")
        context.trace.schedule.after(ZOMBIE_S, lambda: context.workload.send(int(signal.SIGUSR1)))
    if note == "forks-again" and context.cgroup is not None:
        context.notes.append(f"pids-after {context.cgroup.current()}")
    stop_when_ready(context, note)


def explain(observed: Observed) -> Explanation:
    """Zombies pile up under an init that no longer waits, and are reaped once it exits."""
    init, stand_in, orphans = observed.init, observed.one("init"), observed.named("orphan")
    probe = observed.one("probe")
    if len(orphans) != observed.number("made"):
        raise surprise(
            f"{observed.number('made')} orphans were created, but {len(orphans)} were seen"
        )
    expect_reaped(orphans, ReapKind.ADOPTER, init)
    return Explanation(
        steps=(
            (
                f"{stand_in.comm} (host pid {stand_in.host_pid}) plays the init of a host: it is a"
                " subreaper, so it inherits the orphans below it. Daemons forked twice, as daemons"
                f" do, and {count(len(orphans), 'orphan')} ({pids(orphans)}) became its children."
                " They exited, but it no longer waits for processes it did not start."
            ),
            _limit(observed, len(orphans)),
            (
                f"At {observed.clock(stand_in.end_boot_ns)} it died of {stand_in.term_signal}, sent"
                f" by {stand_in.sender_comm}. PID 1 (host pid {init.host_pid}), which does wait,"
                f" inherited its zombies, up to {longest(orphans)} old, and reaped them. The next"
                f" fork succeeded: {probe.comm} (host pid {probe.host_pid}) ran and exited with"
                f" code {probe.exit_code}."
            ),
        ),
        remedy=(
            "Zombies cannot be killed, but their parent can. If it cannot be (the real PID 1 of a"
            " host), make it re-execute itself (systemctl daemon-reexec) or fix what creates the"
            " orphans before pid_max is reached: zomtrace zombies shows how many zombies each"
            " parent has."
        ),
    )


def _limit(observed: Observed, orphans: int) -> str:
    without = observed.notes_of("no-cgroup")
    if without:
        return (
            "At this point a pids limit would have made every fork fail, but none can be set on"
            f" this machine: {without[-1]}."
        )
    refused = observed.notes_of("refused")
    if not refused:
        raise surprise("no fork was refused")
    who, _, error = refused[-1].partition(" ")
    alive = 3 if who == "daemon" else 2
    return (
        f"With {orphans} zombies, PID 1, {'init and a daemon' if alive == 3 else 'and init'} there"
        f" were {orphans + alive} tasks in a cgroup with a limit of {HOST_INIT.pids_max}"
        f" (pids.max): clone failed with {error} in {who}. On a host the limit is kernel.pid_max,"
        " and once it is reached it is impossible even to log in."
    )


HOST_INIT = Scenario(
    name="host-init",
    title="an init stops reaping until every fork fails; its exit helps",
    plan=(
        "A stand-in for a host's init (a subreaper) no longer reaps the orphans it inherits. They"
        f" pile up until a limit of {_ORPHANS + _BESIDE_ORPHANS} pids makes the next fork fail."
        " Then the stand-in is killed."
    ),
    program="host_init",
    arguments=(str(2 * _ORPHANS),),
    pids_max=_ORPHANS + _BESIDE_ORPHANS,
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (HOST_INIT,)
