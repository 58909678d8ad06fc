"""init-b-c: a PID 1 that reaps all its children cannot reap a grandchild."""

from __future__ import annotations

import signal

from tracer.demo.scenarios.observed import Observed, expect_reaped, lasted, surprise
from tracer.demo.scenarios.scenario import (
    ZOMBIE_S,
    Context,
    Explanation,
    Scenario,
    stop_when_ready,
)
from tracer.model.verdicts import ReapKind


def on_note(context: Context, note: str) -> None:
    """Leave C a zombie for a while, then have B killed."""
    if note.startswith("c-dead"):
        context.trace.schedule.after(ZOMBIE_S, lambda: context.workload.send(int(signal.SIGUSR1)))
    stop_when_ready(context, note)


def explain(observed: Observed) -> Explanation:
    """Only B can reap C as long as B is alive."""
    init, b, c = observed.init, observed.one("b"), observed.one("c")
    expect_reaped([b], ReapKind.PARENT, init)
    expect_reaped([c], ReapKind.ADOPTER, init)
    if c.end_boot_ns is None or b.end_boot_ns is None or b.end_boot_ns < c.end_boot_ns:
        raise surprise("C did not exit before B")
    return Explanation(
        steps=(
            (
                f"At {observed.clock(c.end_boot_ns)} C (host pid {c.host_pid}) exited with code"
                f" {c.exit_code}. The kernel notified its parent, B (host pid {b.host_pid}), but B"
                " never waits: C became a zombie."
            ),
            (
                f"Meanwhile PID 1 (host pid {init.host_pid}) was blocked in waitpid(-1), ready to"
                " reap any of its children. But wait returns only a process's own children, and C"
                f" is a child of B. C remained a zombie for"
                f" {lasted(b.end_boot_ns - c.end_boot_ns)}."
            ),
            (
                f"At {observed.clock(b.end_boot_ns)} B died of {b.term_signal}, sent by"
                f" {b.sender_comm}. This made C, already a zombie, an orphan: PID 1 became its new"
                " parent and was notified. PID 1's waitpid returned twice, for B and for C."
            ),
        ),
        remedy=(
            "An init that reaps cannot help while a zombie's parent is alive and does not wait. Fix"
            " that parent; until then, only its exit frees its zombies."
        ),
    )


INIT_B_C = Scenario(
    name="init-b-c",
    title="PID 1 reaps, but a zombie's parent is alive and does not",
    plan=(
        "PID 1 calls waitpid(-1) in a loop and reaps its children. Its child B has a child C. C"
        f" exits, and B does not wait for it. After {ZOMBIE_S} s B is killed."
    ),
    program="init_b_c",
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (INIT_B_C,)
