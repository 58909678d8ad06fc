"""wait-styles: five ways for a parent to leave no zombies."""

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
from tracer.demo.scenarios.scenario import MIN_ZOMBIE_S, Explanation, Scenario
from tracer.model.verdicts import ReapKind

_CHILDREN = 5


def explain(observed: Observed) -> Explanation:
    """Each parent leaves no zombies, each in its own way."""
    steps = []
    for comm, kind, words in _STYLES:
        children = observed.named(comm)
        reaper = observed.one(comm.removeprefix("of-")) if kind is ReapKind.PARENT else None
        if kind is ReapKind.ADOPTER:
            reaper = observed.init
        expect_reaped(children, kind, reaper)
        who = count(len(children), "child", "children")
        steps.append(f"{words} {who} ({pids(children)}); {_fate(kind, longest(children))}.")
    if observed.report.zombies:
        raise surprise(f"{len(observed.report.zombies)} processes remained zombies for long")
    return Explanation(
        steps=tuple(steps),
        remedy=(
            "Each of these works, and none left a zombie for"
            f" {lasted(int(MIN_ZOMBIE_S * 1e9))}. In a SIGCHLD handler, call waitpid until no"
            " exited child is left: standard signals do not queue, so one SIGCHLD may stand for"
            " several children. For a parent that never waits: zomtrace demo zombie-proc"
        ),
    )


def _fate(kind: ReapKind, longest_time: str) -> str:
    if kind is ReapKind.AUTO:
        return "each was released as it exited: no zombie, but the exit status is lost too"
    if kind is ReapKind.ADOPTER:
        return f"PID 1 reaped them, each within {longest_time} of its exit"
    return f"their parent reaped them, each within {longest_time} of its exit"


_STYLES = (
    ("of-wait", ReapKind.PARENT, "wait(), blocking until the last one is reaped:"),
    ("of-wnohang", ReapKind.PARENT, "waitpid(WNOHANG), polling every 50 ms:"),
    ("of-handler", ReapKind.PARENT, "A SIGCHLD handler that calls waitpid in a loop:"),
    ("of-ignored", ReapKind.AUTO, "SIGCHLD set to SIG_IGN:"),
    (
        "of-double-fork",
        ReapKind.ADOPTER,
        "Double fork: the middle process exits and PID 1 inherits the children:",
    ),
)

WAIT_STYLES = Scenario(
    name="wait-styles",
    title="wait, WNOHANG, a handler, SIG_IGN, double fork: no zombie",
    plan=(
        f"Five parents have {_CHILDREN} children each, which exit at once. Each parent avoids"
        " zombies in its own way: wait, waitpid(WNOHANG), a SIGCHLD handler, SIGCHLD ignored, a"
        " double fork."
    ),
    program="wait_styles",
    arguments=(str(_CHILDREN),),
    explain=explain,
)
SCENARIOS = (WAIT_STYLES,)
