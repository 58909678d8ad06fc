"""zombie-proc: a PID 1 that never waits, until no process can be made any more."""

from __future__ import annotations

from tracer.model.events import SigchldAction
from tracer.model.signals import SIGKILL, SIGTERM, SignalResult
from tracer.session.scenarios.account import Account, count, lasted, pids, surprise
from tracer.session.scenarios.scenario import (
    Explanation,
    Scenario,
    Stage,
    stop_when_zombies_are_old,
)

_CHILDREN = 13
_REFUSED = "EAGAIN"
_SIGCHLD = {
    SigchldAction.DEFAULT: "has no handler for SIGCHLD",
    SigchldAction.CAUGHT: "handles SIGCHLD",
    SigchldAction.IGNORED: "ignores SIGCHLD",
    SigchldAction.UNKNOWN: "was told of it by SIGCHLD",
}


def on_note(stage: Stage, note: str) -> None:
    """Read the cgroup's counters when the program is stuck, then stop it."""
    if note == "full" and stage.cgroup is not None:
        stage.notes.append(f"pids-current {stage.cgroup.current()}")
        refusals = stage.cgroup.refusals()
        if refusals is not None:
            stage.notes.append(f"pids-events-max {refusals}")
    stop_when_zombies_are_old(stage, note)


def explain(account: Account) -> Explanation:
    """Zombies hold pids, and nothing but a wait or the parent's end frees them."""
    stop, init, children = account.stop, account.init, account.named("child")
    zombies = [z for child in children if (z := account.zombie(child)) is not None]
    forked = account.number("forked")
    if any(child.exit_code != 0 for child in children):
        raise surprise("a child did not end by itself")
    if len(children) != forked or len(zombies) != forked:
        raise surprise(
            f"{count(forked, 'child', 'children')} were forked, {len(children)} seen,"
            f" {len(zombies)} of them as zombies"
        )
    steps = [
        (
            f"{init.comm} (PID 1, host pid {init.host_pid}) forked {forked} children"
            f" ({pids(children)}). Each ended at once with exit code 0 and became a zombie: its"
            " exit status waits to be collected by its parent. PID 1"
            f" {_SIGCHLD[zombies[0].parent_sigchld]} and never calls wait."
        ),
        _limit(account, forked),
        _signals(account),
        (
            f"At {account.clock(stop.begin_boot_ns)} PID 1 itself got {stop.stop_signal} and ended"
            f" with exit code {init.exit_code}. With it its namespace ended, and the kernel"
            f" collected the {stop.already_zombie} zombies, the oldest of them dead for"
            f" {lasted(max(z.zombie_ns or 0 for z in zombies))}. The report counts them as dead"
            " before the stop, not as killed by it."
        ),
    ]
    return Explanation(
        steps=tuple(step for step in steps if step),
        remedy=(
            "A parent must wait: on SIGCHLD, `while (waitpid(-1, &status, WNOHANG) > 0)`; or, with"
            " SIGCHLD set to SIG_IGN, no zombie is made. See every way: zomtrace demo wait-styles."
            " Where the parent cannot be mended, ending it is what frees its zombies."
        ),
    )


def _limit(account: Account, forked: int) -> str:
    without = account.told("no-cgroup")
    if without:
        return (
            "Here a pids limit would have stopped it, but none can be set on this machine:"
            f" {without[-1]}."
        )
    if account.told("refused") != [_REFUSED]:
        raise surprise("no fork was refused")
    counted = account.told("pids-events-max")
    events = f", and pids.events counted {counted[-1]} refusal" if counted else ""
    return (
        f"A zombie keeps its pid. Its cgroup may hold {ZOMBIE_PROC.pids_max} (pids.max), and"
        f" {forked} zombies and PID 1 are {account.number('pids-current')} (pids.current): the next"
        f" fork failed with {_REFUSED}{events}. Nothing can be started in there any more, not even"
        " a shell to look."
    )


def _signals(account: Account) -> str:
    sent = [
        s
        for s in account.signals
        if s.signo in (SIGTERM, SIGKILL)
        and s.actor.host_pid == account.init.host_pid
        and not s.actor.is_exiting
    ]
    ignored = sum(s.result is SignalResult.IGNORED for s in sent)
    left = account.number("left")
    verdict = (
        f"the kernel dropped {'all of them' if ignored == len(sent) else ignored}"
        if ignored
        else "they ended nobody"
    )
    return (
        f"From {account.clock(sent[0].boot_ns if sent else None)} PID 1 sent SIGTERM and SIGKILL to"
        f" each zombie, {len(sent)} signals: {verdict}, and afterwards {left} of"
        f" {account.number('forked')} were zombies still. There is nothing left to kill in a"
        " zombie."
    )


ZOMBIE_PROC = Scenario(
    name="zombie-proc",
    title="PID 1 never waits: its zombies use up the pids limit",
    plan=(
        "PID 1 forks children that end at once, and never waits for them, until a pids limit of"
        f" {_CHILDREN + 1} refuses the next fork. Then it sends SIGTERM and SIGKILL to its zombies,"
        " and at last it is stopped itself."
    ),
    program="zombie_proc",
    arguments=(str(2 * _CHILDREN),),
    pids_max=_CHILDREN + 1,
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (ZOMBIE_PROC,)
