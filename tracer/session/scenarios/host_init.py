"""host-init: an init stops reaping, the pids run out, and its end frees them."""

from __future__ import annotations

import signal

from tracer.model.verdicts import ReapKind
from tracer.session.scenarios.account import (
    Account,
    count,
    expect_reaped,
    longest,
    pids,
    surprise,
)
from tracer.session.scenarios.scenario import (
    ZOMBIE_S,
    Explanation,
    Scenario,
    Stage,
    stop_when_ready,
)

_ORPHANS = 13
_BESIDE_ORPHANS = 3
"""PID 1, the stand-in, and the daemon whose fork is refused."""


def on_note(stage: Stage, note: str) -> None:
    """Read the counters when all is full; then have the stand-in ended."""
    if note == "full":
        if stage.cgroup is not None:
            stage.notes.append(f"pids-current {stage.cgroup.current()}")
        stage.trace.schedule.after(ZOMBIE_S, lambda: stage.workload.send(int(signal.SIGUSR1)))
    if note == "forks-again" and stage.cgroup is not None:
        stage.notes.append(f"pids-after {stage.cgroup.current()}")
    stop_when_ready(stage, note)


def explain(account: Account) -> Explanation:
    """Zombies pile up at an init that waits no more, and go with it."""
    init, stand_in, orphans = account.init, account.one("init"), account.named("orphan")
    probe = account.one("probe")
    if len(orphans) != account.number("made"):
        raise surprise(f"{account.number('made')} orphans were made, {len(orphans)} seen")
    expect_reaped(orphans, ReapKind.ADOPTER, init)
    return Explanation(
        steps=(
            (
                f"{stand_in.comm} (host pid {stand_in.host_pid}) stands in for a host's init: a"
                " subreaper, so that orphans below it are handed to it. Daemons forked twice, as"
                f" daemons do, and {count(len(orphans), 'orphan')} ({pids(orphans)}) became its"
                " children. They ended; it has stopped waiting for what it did not start."
            ),
            _limit(account, len(orphans)),
            (
                f"At {account.clock(stand_in.end_boot_ns)} it died of {stand_in.term_signal}, sent"
                f" by {stand_in.sender_comm}. Its zombies, up to {longest(orphans)} old, were"
                f" handed on to PID 1 (host pid {init.host_pid}), which waits, and were gone. The"
                f" next fork worked: {probe.comm} (host pid {probe.host_pid}) ran and ended with"
                f" exit code {probe.exit_code}."
            ),
        ),
        remedy=(
            "Zombies cannot be killed; their parent can. Where it cannot (a host's real PID 1),"
            " have it execute itself anew (systemctl daemon-reexec) or mend what makes the orphans,"
            " before pid_max is reached: zomtrace zombies shows who holds how many."
        ),
    )


def _limit(account: Account, orphans: int) -> str:
    without = account.told("no-cgroup")
    if without:
        return (
            "Here a pids limit would have stopped every fork, but none can be set on this machine:"
            f" {without[-1]}."
        )
    refused = account.told("refused")
    if not refused:
        raise surprise("no fork was refused")
    who, _, error = refused[-1].partition(" ")
    alive = 3 if who == "daemon" else 2
    return (
        f"{orphans} zombies, PID 1, {'it and a daemon' if alive == 3 else 'and it'} made"
        f" {orphans + alive} tasks in a cgroup that may hold {HOST_INIT.pids_max} (pids.max): clone"
        f" failed with {error} in {who}. On a host the limit is kernel.pid_max, and then nobody can"
        " log in any more to look."
    )


HOST_INIT = Scenario(
    name="host-init",
    title="an init stops reaping until nothing can fork; its end helps",
    plan=(
        "A stand-in for a host's init (a subreaper) no longer reaps the orphans it inherits. They"
        f" pile up until a limit of {_ORPHANS + _BESIDE_ORPHANS} pids refuses the next fork. Then"
        " the stand-in is killed."
    ),
    program="host_init",
    arguments=(str(2 * _ORPHANS),),
    pids_max=_ORPHANS + _BESIDE_ORPHANS,
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (HOST_INIT,)
