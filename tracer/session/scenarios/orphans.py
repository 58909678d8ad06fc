"""orphans: who inherits a child whose parent has ended, and who collects it."""

from __future__ import annotations

from tracer.model.verdicts import ReapKind
from tracer.session.scenarios.account import (
    Account,
    count,
    expect_reaped,
    lasted,
    longest,
    pids,
    surprise,
)
from tracer.session.scenarios.scenario import (
    MIN_ZOMBIE_S,
    Explanation,
    Scenario,
    stop_when_zombies_are_old,
)
from tracer.session.workload import find_init

_ORPHANS = 3


def explain_kept(account: Account) -> Explanation:
    """PID 1 inherits, and does not wait for what it did not start."""
    init, orphans = account.init, account.named("of-nobody")
    zombies = [z for orphan in orphans if (z := account.zombie(orphan)) is not None]
    if len(zombies) != len(orphans) or any(z.parent_host_pid != init.host_pid for z in zombies):
        raise surprise("not all orphans of PID 1 stayed zombies")
    expect_reaped(orphans, ReapKind.TEARDOWN)
    return Explanation(
        steps=(
            *_inherited_in_time(account),
            (
                f"{count(len(orphans), 'orphan')} ({pids(orphans)}) had neither, so the kernel gave"
                f" them to the namespace's PID 1, {init.comm} (host pid {init.host_pid}). It waits"
                " for the processes it started, by pid, like a shell or most programs, and for no"
                f" others: they stayed zombies for {longest(orphans)}, until it ended and the"
                " kernel cleared the namespace."
            ),
        ),
        remedy=(
            "What is PID 1 must reap what it did not start: let an init be PID 1 (`docker run"
            " --init`, tini). See it: zomtrace demo orphans-init"
        ),
    )


def explain_reaped(account: Account) -> Explanation:
    """An init reaps whatever it inherits."""
    init, orphans = account.init, account.named("of-nobody")
    expect_reaped(orphans, ReapKind.ADOPTER, init)
    if account.report.zombies:
        raise surprise(f"{len(account.report.zombies)} zombies stayed for long")
    return Explanation(
        steps=(
            *_inherited_in_time(account),
            (
                f"{count(len(orphans), 'orphan')} ({pids(orphans)}) had neither, so the kernel gave"
                f" them to the namespace's PID 1, {init.comm} (host pid {init.host_pid}). It reaps"
                f" whatever it inherits, and did: they were zombies for {longest(orphans)} at the"
                " most and nobody had to know of them."
            ),
        ),
        remedy=(
            "This is what an init in a container is for, beside passing signals on. Without one:"
            " zomtrace demo orphans"
        ),
    )


def _inherited_in_time(account: Account) -> tuple[str, ...]:
    threads, subreaper = account.one("two-threads"), account.one("subreaper")
    of_thread, of_subreaper = account.named("of-thread"), account.named("of-subreaper")
    expect_reaped(of_thread, ReapKind.PARENT, threads)
    expect_reaped(of_subreaper, ReapKind.ADOPTER, subreaper)
    return (
        (
            f"One thread of {threads.comm} (host pid {threads.host_pid}) forked"
            f" {count(len(of_thread), 'child', 'children')} ({pids(of_thread)}) and ended. Another"
            " thread of the same process inherited them: to everybody the parent is the same"
            " process as before. It collected them."
        ),
        (
            f"The parent of {count(len(of_subreaper), 'orphan')} ({pids(of_subreaper)}) ended."
            " Their nearest ancestor that has asked for such (PR_SET_CHILD_SUBREAPER) is"
            f" {subreaper.comm} (host pid {subreaper.host_pid}): it inherited them and collected"
            f" them, the slowest {longest(of_subreaper)} after its end at the most. systemd --user"
            " and containerd-shim do that."
        ),
    )


KEPT = Scenario(
    name="orphans",
    title="orphans go to a thread, a subreaper or PID 1: who reaps?",
    plan=(
        f"{3 * _ORPHANS} processes lose their parent: {_ORPHANS} of them have another thread of it"
        f" to go to, {_ORPHANS} a subreaper, and {_ORPHANS} only PID 1, which waits for nobody but"
        " its own children."
    ),
    program="orphans",
    arguments=(str(_ORPHANS),),
    on_note=stop_when_zombies_are_old,
    explain=explain_kept,
)
REAPED = Scenario(
    name="orphans-init",
    title="the same with an init as PID 1, which reaps them",
    plan=(
        f"The {3 * _ORPHANS} orphans of the scenario before, but PID 1 is an init (tini), which"
        f" reaps whatever it inherits. No zombie lasts for {lasted(int(MIN_ZOMBIE_S * 1e9))}."
    ),
    program="orphans",
    arguments=(str(_ORPHANS),),
    init_prefix=find_init,
    explain=explain_reaped,
)
SCENARIOS = (KEPT, REAPED)
