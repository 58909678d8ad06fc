"""orphans: who inherits a child whose parent has exited, and who reaps it."""

from __future__ import annotations

from tracer.demo.scenarios.observed import (
    Observed,
    count,
    expect_reaped,
    lasted,
    longest,
    pids,
    surprise,
)
from tracer.demo.scenarios.scenario import (
    MIN_ZOMBIE_S,
    Explanation,
    Scenario,
    stop_when_zombies_are_old,
)
from tracer.live.namespace import find_init
from tracer.model.verdicts import ReapKind

_ORPHANS = 3


def explain_kept(observed: Observed) -> Explanation:
    """PID 1 inherits orphans, and waits only for processes it started."""
    init, orphans = observed.init, observed.named("of-no-one")
    zombies = [z for orphan in orphans if (z := observed.zombie(orphan)) is not None]
    if len(zombies) != len(orphans) or any(z.parent_host_pid != init.host_pid for z in zombies):
        raise surprise("not all orphans of PID 1 remained zombies")
    expect_reaped(orphans, ReapKind.TEARDOWN)
    return Explanation(
        steps=(
            *_inherited_in_time(observed),
            (
                f"{count(len(orphans), 'orphan')} ({pids(orphans)}) had neither, so the namespace's"
                f" PID 1, {init.comm} (host pid {init.host_pid}), became their parent. Like most"
                " programs, it waits by pid, only for the processes it started: they remained"
                f" zombies for {longest(orphans)}, until PID 1 exited and the kernel tore the"
                " namespace down."
            ),
        ),
        remedy=(
            "PID 1 must also reap processes that it did not start: run an init as PID 1 (`docker"
            " run --init`, tini). For comparison: zomtrace demo orphans-init"
        ),
    )


def explain_reaped(observed: Observed) -> Explanation:
    """An init reaps every process it inherits."""
    init, orphans = observed.init, observed.named("of-no-one")
    expect_reaped(orphans, ReapKind.ADOPTER, init)
    if observed.report.zombies:
        raise surprise(f"{len(observed.report.zombies)} processes remained zombies for long")
    return Explanation(
        steps=(
            *_inherited_in_time(observed),
            (
                f"{count(len(orphans), 'orphan')} ({pids(orphans)}) had neither, so the namespace's"
                f" PID 1, {init.comm} (host pid {init.host_pid}), became their parent. An init"
                " reaps every process it inherits, so they were zombies for at most"
                f" {longest(orphans)}."
            ),
        ),
        remedy=(
            "This is what an init in a container is for, besides forwarding signals. For"
            " comparison, without one: zomtrace demo orphans"
        ),
    )


def _inherited_in_time(observed: Observed) -> tuple[str, ...]:
    threads, subreaper = observed.one("two-threads"), observed.one("subreaper")
    of_thread, of_subreaper = observed.named("of-thread"), observed.named("of-subreaper")
    expect_reaped(of_thread, ReapKind.PARENT, threads)
    expect_reaped(of_subreaper, ReapKind.ADOPTER, subreaper)
    return (
        (
            f"One thread of {threads.comm} (host pid {threads.host_pid}) forked"
            f" {count(len(of_thread), 'child', 'children')} ({pids(of_thread)}) and exited. Another"
            " thread of the same process inherited them, so their parent process is the same as"
            " before. It reaped them."
        ),
        (
            f"The parent of {count(len(of_subreaper), 'orphan')} ({pids(of_subreaper)}) exited."
            " Their nearest ancestor that is a subreaper (PR_SET_CHILD_SUBREAPER) is"
            f" {subreaper.comm} (host pid {subreaper.host_pid}): it inherited them and reaped them,"
            f" each within {longest(of_subreaper)} of its exit. systemd --user and containerd-shim"
            " are subreapers too."
        ),
    )


KEPT = Scenario(
    name="orphans",
    title="orphans go to a thread, a subreaper or PID 1: who reaps?",
    plan=(
        f"{3 * _ORPHANS} processes lose their parent: another thread of the parent inherits"
        f" {_ORPHANS} of them, a subreaper {_ORPHANS}, and PID 1 the other {_ORPHANS}. PID 1 waits"
        " only for processes it started."
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
        f"The same {3 * _ORPHANS} orphans, but PID 1 is an init (tini), which reaps every process"
        f" it inherits. No zombie lasts for {lasted(int(MIN_ZOMBIE_S * 1e9))}."
    ),
    program="orphans",
    arguments=(str(_ORPHANS),),
    init_prefix=find_init,
    explain=explain_reaped,
)
SCENARIOS = (KEPT, REAPED)
