"""init-b-c: a PID 1 that waits for everybody cannot reap a grandchild."""

from __future__ import annotations

import signal

from tracer.model.verdicts import ReapKind
from tracer.session.scenarios.account import Account, expect_reaped, lasted, surprise
from tracer.session.scenarios.scenario import (
    ZOMBIE_S,
    Explanation,
    Scenario,
    Stage,
    stop_when_ready,
)


def on_note(stage: Stage, note: str) -> None:
    """Let C lie for a while, then have B ended."""
    if note.startswith("c-dead"):
        stage.trace.schedule.after(ZOMBIE_S, lambda: stage.workload.send(int(signal.SIGUSR1)))
    stop_when_ready(stage, note)


def explain(account: Account) -> Explanation:
    """C belongs to B as long as B lives."""
    init, b, c = account.init, account.one("b"), account.one("c")
    expect_reaped([b], ReapKind.PARENT, init)
    expect_reaped([c], ReapKind.ADOPTER, init)
    if c.end_boot_ns is None or b.end_boot_ns is None or b.end_boot_ns < c.end_boot_ns:
        raise surprise("C did not end before B")
    return Explanation(
        steps=(
            (
                f"At {account.clock(c.end_boot_ns)} C (host pid {c.host_pid}) ended with exit code"
                f" {c.exit_code}. The kernel told its parent, B (host pid {b.host_pid}), which does"
                " not wait: C became a zombie."
            ),
            (
                f"All that time PID 1 (host pid {init.host_pid}) sat in waitpid(-1), ready to take"
                " any child. It did not get C: wait finds one's own children only, and C is B's."
                f" For {lasted(b.end_boot_ns - c.end_boot_ns)} nothing happened."
            ),
            (
                f"At {account.clock(b.end_boot_ns)} B died of {b.term_signal}, sent by"
                f" {b.sender_comm}. Its death made C an orphan, dead as it was: the kernel handed"
                " the zombie to PID 1, and told it. PID 1's waitpid returned twice, for B and for"
                " C."
            ),
        ),
        remedy=(
            "A reaping init does not make up for a parent that lives and does not wait. Mend that"
            " parent; until then, ending it is what frees its zombies."
        ),
    )


INIT_B_C = Scenario(
    name="init-b-c",
    title="PID 1 waits for all, but a zombie's parent lives",
    plan=(
        "PID 1 sits in waitpid(-1) and reaps all it can get. Its child B has a child C. C ends, B"
        f" does not wait. After {ZOMBIE_S} s B is ended too."
    ),
    program="init_b_c",
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (INIT_B_C,)
