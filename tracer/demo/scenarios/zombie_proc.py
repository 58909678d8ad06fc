"""zombie-proc: a PID 1 that never waits, until no process can be forked any more."""

from __future__ import annotations

from tracer.demo.scenarios.observed import Observed, count, lasted, pids, surprise
from tracer.demo.scenarios.scenario import (
    Context,
    Explanation,
    Scenario,
    stop_when_zombies_are_old,
)
from tracer.model.events import SigchldAction
from tracer.model.signals import SIGKILL, SIGTERM, SignalResult

_CHILDREN = 13
_REFUSED = "EAGAIN"
_SIGCHLD = {
    SigchldAction.DEFAULT: "has no handler for SIGCHLD",
    SigchldAction.CAUGHT: "handles SIGCHLD",
    SigchldAction.IGNORED: "ignores SIGCHLD",
    SigchldAction.UNKNOWN: "was notified with SIGCHLD",
}


def on_note(context: Context, note: str) -> None:
    """Read the cgroup's counters when the program is stuck, then stop it."""
    if note == "full" and context.cgroup is not None:
        context.notes.append(f"pids-current {context.cgroup.current()}")
        refusals = context.cgroup.refusals()
        if refusals is not None:
            context.notes.append(f"pids-events-max {refusals}")
    stop_when_zombies_are_old(context, note)


def explain(observed: Observed) -> Explanation:
    """Zombies occupy pids, and only a wait or the parent's exit frees them."""
    stop, init, children = observed.stop, observed.init, observed.named("child")
    zombies = [z for child in children if (z := observed.zombie(child)) is not None]
    forked = observed.number("forked")
    if any(child.exit_code != 0 for child in children):
        raise surprise("a child did not exit on its own")
    if len(children) != forked or len(zombies) != forked:
        raise surprise(
            f"{count(forked, 'child', 'children')} were forked, {len(children)} seen,"
            f" {len(zombies)} of them as zombies"
        )
    steps = [
        (
            f"{init.comm} (PID 1, host pid {init.host_pid}) forked {forked} children"
            f" ({pids(children)}). Each exited at once with code 0 and became a zombie: its exit"
            " status is kept until its parent reads it. PID 1"
            f" {_SIGCHLD[zombies[0].parent_sigchld]} and never calls wait."
        ),
        _limit(observed, forked),
        _signals(observed),
        (
            f"At {observed.clock(stop.begin_boot_ns)} PID 1 itself got {stop.stop_signal} and"
            f" exited with code {init.exit_code}. The kernel then tore its namespace down and"
            f" reaped the {stop.already_zombie} zombies, the oldest of them dead for"
            f" {lasted(max(z.zombie_ns or 0 for z in zombies))}. The report counts them as dead"
            " before the stop, not as killed by it."
        ),
    ]
    return Explanation(
        steps=tuple(step for step in steps if step),
        remedy=(
            "A parent must wait: on SIGCHLD, `while (waitpid(-1, &status, WNOHANG) > 0)`; or it can"
            " set SIGCHLD to SIG_IGN, and no zombie is created. For the ways to wait: zomtrace demo"
            " wait-styles."
            " If the parent cannot be fixed, only its exit frees its zombies."
        ),
    )


def _limit(observed: Observed, forked: int) -> str:
    without = observed.notes_of("no-cgroup")
    if without:
        return (
            "At this point a pids limit would have made fork fail, but none can be set on this"
            f" machine: {without[-1]}."
        )
    if observed.notes_of("refused") != [_REFUSED]:
        raise surprise("no fork was refused")
    counted = observed.notes_of("pids-events-max")
    events = f", and pids.events counted {counted[-1]} refusal" if counted else ""
    return (
        f"A zombie keeps its pid. The cgroup has a limit of {ZOMBIE_PROC.pids_max} (pids.max), and"
        f" {forked} zombies and PID 1 make {observed.number('pids-current')} (pids.current): the"
        f" next fork failed with {_REFUSED}{events}. No process can be started there any more, not"
        " even a shell to investigate."
    )


def _signals(observed: Observed) -> str:
    sent = [
        s
        for s in observed.signals
        if s.signo in (SIGTERM, SIGKILL)
        and s.actor.host_pid == observed.init.host_pid
        and not s.actor.is_exiting
    ]
    ignored = sum(s.result is SignalResult.IGNORED for s in sent)
    left = observed.number("left")
    verdict = (
        f"the kernel dropped {'all of them' if ignored == len(sent) else ignored}"
        if ignored
        else "they had no effect"
    )
    return (
        f"From {observed.clock(sent[0].boot_ns if sent else None)} PID 1 sent SIGTERM and SIGKILL"
        f" to each zombie, {len(sent)} signals: {verdict}, and afterwards {left} of"
        f" {observed.number('forked')} were still zombies. A zombie has already exited; there is"
        " nothing left to kill."
    )


ZOMBIE_PROC = Scenario(
    name="zombie-proc",
    title="PID 1 never waits: its zombies use up the pids limit",
    plan=(
        "PID 1 forks children that exit at once, and never waits for them, until a pids limit of"
        f" {_CHILDREN + 1} makes the next fork fail. Then it sends SIGTERM and SIGKILL to its"
        " zombies, and finally it is stopped itself."
    ),
    program="zombie_proc",
    arguments=(str(2 * _CHILDREN),),
    pids_max=_CHILDREN + 1,
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (ZOMBIE_PROC,)
