"""zombie-leader: the main thread ends, the process does not."""

from __future__ import annotations

import signal

from tracer.model.verdicts import ReapKind
from tracer.session.scenarios.account import Account, expect_reaped, surprise
from tracer.session.scenarios.scenario import (
    ZOMBIE_S,
    Explanation,
    Scenario,
    Stage,
    stop_when_ready,
)


def on_note(stage: Stage, note: str) -> None:
    """Leave both leaders dead for a while, then have one's last thread end."""
    if note == "stuck":
        stage.trace.schedule.after(ZOMBIE_S, lambda: stage.workload.send(int(signal.SIGUSR1)))
    stop_when_ready(stage, note)


def explain(account: Account) -> Explanation:
    """A leader without its group's end is nobody's to reap."""
    init = account.init
    ending, staying = account.one("leader-ends"), account.one("leader-stays")
    looks = [note.split() for note in account.told("zombie")]
    if len(looks) != 2 or any(look[2] != "0" for look in looks):
        raise surprise("the leaders could be reaped, or did not become zombies")
    expect_reaped([ending], ReapKind.PARENT, init)
    return Explanation(
        steps=(
            (
                f"The main threads of {ending.comm} (host pid {ending.host_pid}) and {staying.comm}"
                f" (host pid {staying.host_pid}) called exit(2), which ends one thread; another"
                f" thread of each ran on. In /proc both showed state Z, with {looks[0][1]} threads"
                " in task/: `ps` shows Zl."
            ),
            (
                f"PID 1 (host pid {init.host_pid}) tried to reap both: waitpid(WNOHANG) returned 0"
                " each time. The kernel gives a leader to its parent only when the last thread of"
                " its group has ended (delay_group_leader), and sends SIGCHLD only then."
            ),
            (
                f"At {account.clock(ending.end_boot_ns)} the last thread of {ending.comm} ended,"
                f" with exit code {ending.exit_code}, and PID 1's waitpid returned. The report"
                " tells one end of this process, that one: the leader's own was none."
            ),
            (
                f"{staying.comm} was still so when PID 1 ended at"
                f" {account.clock(account.stop.init_exit_boot_ns)}: SIGKILL from the end of the"
                " namespace ended its other thread. Zombie or not, it was alive, and the report"
                " counts it as killed."
            ),
        ),
        remedy=(
            "No leak, and nothing to reap: find out why the other threads go on. In the program,"
            " leave main with return or exit(), not pthread_exit(), where the threads are to end"
            " with it."
        ),
    )


ZOMBIE_LEADER = Scenario(
    name="zombie-leader",
    title="a main thread ends, others live: a zombie no wait can reap",
    plan=(
        "Two processes end their main thread while another thread runs on. PID 1 tries to reap"
        " them. Then the last thread of one ends; the other stays so until PID 1 is stopped."
    ),
    program="zombie_leader",
    on_note=on_note,
    explain=explain,
)
SCENARIOS = (ZOMBIE_LEADER,)
