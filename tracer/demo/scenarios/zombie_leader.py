"""zombie-leader: the main thread exits, the process does not."""

from __future__ import annotations

import signal

from tracer.demo.scenarios.observed import Observed, expect_reaped, surprise
from tracer.demo.scenarios.scenario import (
    ZOMBIE_S,
    Context,
    Explanation,
    Scenario,
    stop_when_ready,
)
from tracer.model.verdicts import ReapKind


def on_note(context: Context, note: str) -> None:
    """Leave both leaders dead for a while, then have the last thread of one exit."""
    if note == "stuck":
        context.trace.schedule.after(ZOMBIE_S, lambda: context.workload.send(int(signal.SIGUSR1)))
    stop_when_ready(context, note)


def explain(observed: Observed) -> Explanation:
    """A leader cannot be reaped before its thread group has exited."""
    init = observed.init
    ending, staying = observed.one("leader-ends"), observed.one("leader-stays")
    looks = [note.split() for note in observed.notes_of("zombie")]
    if len(looks) != 2 or any(look[2] != "0" for look in looks):
        raise surprise("the leaders could be reaped, or did not become zombies")
    expect_reaped([ending], ReapKind.PARENT, init)
    return Explanation(
        steps=(
            (
                f"The main threads of {ending.comm} (host pid {ending.host_pid}) and {staying.comm}"
                f" (host pid {staying.host_pid}) called exit(2), which ends one thread; another"
                " thread of each kept running. In /proc both showed state Z, with"
                f" {looks[0][1]} threads in task/: `ps` shows Zl."
            ),
            (
                f"PID 1 (host pid {init.host_pid}) tried to reap both: waitpid(WNOHANG) returned 0"
                " each time. A thread-group leader cannot be reaped until the last thread of its"
                " group has exited (delay_group_leader), and SIGCHLD is sent only then."
            ),
            (
                f"At {observed.clock(ending.end_boot_ns)} the last thread of {ending.comm} exited"
                f" with code {ending.exit_code}, and PID 1's waitpid returned. The report shows"
                " this as the exit of the process, not the earlier exit of its leader."
            ),
            (
                f"{staying.comm} was still in that state when PID 1 exited at"
                f" {observed.clock(observed.stop.init_exit_boot_ns)}: the namespace teardown"
                " killed its other thread with SIGKILL. Despite state Z it was still running, and"
                " the report counts it as killed."
            ),
        ),
        remedy=(
            "This is not a leak, and there is nothing to reap: find out why the other threads keep"
            " running. If they should end with main, leave main with return or exit(), not"
            " pthread_exit()."
        ),
    )


ZOMBIE_LEADER = Scenario(
    name="zombie-leader",
    title="the main thread exits, others run: a zombie no wait can reap",
    plan=(
        "The main threads of two processes exit while another thread keeps running. PID 1 tries to"
        " reap them. Then the last thread of one exits; the other process stays as it is until"
        " PID 1 is stopped."
    ),
    program="zombie_leader",
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (ZOMBIE_LEADER,)
