"""wait-styles: five ways of a parent to leave no zombies."""

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
from tracer.session.scenarios.scenario import MIN_ZOMBIE_S, Explanation, Scenario

_CHILDREN = 5


def explain(account: Account) -> Explanation:
    """Each style gets rid of its children, each in its own way."""
    steps = []
    for comm, kind, words in _STYLES:
        children = account.named(comm)
        reaper = account.one(comm.removeprefix("of-")) if kind is ReapKind.PARENT else None
        if kind is ReapKind.ADOPTER:
            reaper = account.init
        expect_reaped(children, kind, reaper)
        who = count(len(children), "child", "children")
        steps.append(f"{words} {who} ({pids(children)}); {_fate(kind, longest(children))}.")
    if account.report.zombies:
        raise surprise(f"{len(account.report.zombies)} zombies stayed for long")
    return Explanation(
        steps=tuple(steps),
        remedy=(
            "Every one of these will do, and none left a zombie for"
            f" {lasted(int(MIN_ZOMBIE_S * 1e9))}. In a SIGCHLD handler call waitpid until it finds"
            " no more: signals of one number do not queue, so one SIGCHLD may stand for several"
            " children. What forgets them all: zomtrace demo zombie-proc"
        ),
    )


def _fate(kind: ReapKind, longest_time: str) -> str:
    if kind is ReapKind.AUTO:
        return "each was gone the moment it ended: no zombie, and no exit status to be had either"
    if kind is ReapKind.ADOPTER:
        return f"PID 1 collected them, each within {longest_time} of its end"
    return f"their parent collected them, each within {longest_time} of its end"


_STYLES = (
    ("of-wait", ReapKind.PARENT, "wait(), blocking until the last is in:"),
    ("of-wnohang", ReapKind.PARENT, "waitpid(WNOHANG), a look every 50 ms:"),
    ("of-handler", ReapKind.PARENT, "A SIGCHLD handler that waits in a loop:"),
    ("of-ignored", ReapKind.AUTO, "SIGCHLD set to SIG_IGN:"),
    (
        "of-double-fork",
        ReapKind.ADOPTER,
        "Forking twice, so that the middle one ends and PID 1 inherits the children:",
    ),
)

WAIT_STYLES = Scenario(
    name="wait-styles",
    title="wait, WNOHANG, a handler, SIG_IGN, double fork: no zombie",
    plan=(
        f"Five parents have {_CHILDREN} children each, which end at once, and each parent has its"
        " own way to be rid of them: wait, waitpid(WNOHANG), a SIGCHLD handler, SIGCHLD ignored, a"
        " double fork."
    ),
    program="wait_styles",
    arguments=(str(_CHILDREN),),
    explain=explain,
)
SCENARIOS = (WAIT_STYLES,)
