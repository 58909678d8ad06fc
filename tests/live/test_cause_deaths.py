"""Each cause of a death by signal, made to happen, next to its nearest look-alike."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.support.containers_at_work import counts, pick
from tests.support.workloads import workload
from tests.support.zomtrace_process import Result, Zomtrace, raw_status

pytestmark = pytest.mark.live

KILLED_BY_SOMEBODY = "kill"
CAUSES = {
    # The kernel raises the parent-death signal; or the parent sends it, then dies.
    "pdeath:9": "parent_death",
    "pdeath:15": "parent_death",
    "parentkill:9": KILLED_BY_SOMEBODY,
    "parentkill:15": KILLED_BY_SOMEBODY,
    # The tracer's end kills; or the tracer does, by kill(2).
    "exitkill": "tracer_exit",
    "tracerkill": KILLED_BY_SOMEBODY,
    # ptrace puts a signal in that was never generated: who it was is not seen.
    "contkill:9": "unknown",
    "contkill:15": "unknown",
    "seccomp_kill": "seccomp",
    "seccomp_trap": "seccomp",
    # The strict mode ends a task by do_exit(SIGKILL): there is no signal at all.
    "seccomp_strict": "unknown",
    "kill:31": KILLED_BY_SOMEBODY,
    "pty_intr": "terminal",
    "pty_hup": "terminal",
    "tty_leader": "terminal",
    # The kernel's SIGHUP for a stopped process group that lost its session.
    "orphan_hup": "unknown",
    "kill:1": KILLED_BY_SOMEBODY,
    "kill:2": KILLED_BY_SOMEBODY,
    "everybody:7": KILLED_BY_SOMEBODY,
    "kill:24": KILLED_BY_SOMEBODY,
    "xcpu": "rlimit_cpu",
    "xkill": "rlimit_cpu",
}
WAYS = [way for way in CAUSES if way not in {"xcpu", "xkill"}] + ["burn"]
TERMINAL_BY_WORKER = "pty_intr"
"""A key reaches its process group through a kernel worker."""


class Victim(NamedTuple):
    """What the workload wrote down of one death."""

    ns_pid: int
    way: str
    status: int
    by: int


@pytest.fixture(scope="module")
def died() -> Result:
    """One run in which everybody dies."""
    with Zomtrace("run", "--min-zombie", "60", "--", workload("deaths"), *WAYS) as trace:
        trace.wait_attached().wait_stderr("done\n", within_s=60)
        return trace.stop_tracing()


def victims(result: Result) -> list[Victim]:
    """Read what the workload wrote down."""
    told = [line.split()[1:] for line in result.stderr.splitlines() if line.startswith("victim ")]
    return [Victim(int(pid), way, int(status), int(by)) for pid, way, status, by in told]


def test_every_way_was_taken_and_no_one_is_left_out(died: Result) -> None:
    told = victims(died)
    assert list(dict.fromkeys(victim.way for victim in told)) == list(CAUSES)
    assert len(told) == len(CAUSES) + 6
    assert died.report["complete"]
    killed = [process["ns_pid"] for process in died.processes(end="signal")]
    assert sorted(killed) == sorted(victim.ns_pid for victim in told)


@pytest.mark.parametrize("way", CAUSES)
def test_cause(died: Result, way: str) -> None:
    told = [victim for victim in victims(died) if victim.way == way]
    for victim in told:
        process = died.process(ns_pid=victim.ns_pid)
        assert raw_status(process) == victim.status
        assert process["cause"] == CAUSES[way]


def test_a_killer_is_named_as_the_sender(died: Result) -> None:
    for victim in victims(died):
        if CAUSES[victim.way] != KILLED_BY_SOMEBODY:
            continue
        killer = died.process(ns_pid=victim.by)
        assert pick(
            died.process(ns_pid=victim.ns_pid),
            "sender_host_pid", "sender_comm", "sender_syscall", "trigger_host_pid",
        ) == {
            "sender_host_pid": killer["host_pid"], "sender_comm": "deaths",
            "sender_syscall": "kill", "trigger_host_pid": None,
        }, victim  # fmt: skip


def test_the_kernels_own_signals_have_a_trigger_and_no_sender(died: Result) -> None:
    for victim in victims(died):
        cause = CAUSES[victim.way]
        if cause not in {"parent_death", "tracer_exit", "rlimit_cpu", "terminal"}:
            continue
        process = died.process(ns_pid=victim.ns_pid)
        assert process["sender_host_pid"] is process["sender_comm"] is None, victim
        if victim.by:
            by = died.process(ns_pid=victim.by)["host_pid"]
        elif victim.way == TERMINAL_BY_WORKER:
            assert process["trigger_comm"].startswith("kworker"), victim
            continue
        elif cause == "rlimit_cpu":
            by = process["host_pid"]
        else:
            by = died.process(is_init=True)["host_pid"]
        assert process["trigger_host_pid"] == by, victim


def test_what_ptrace_puts_in_has_no_sender(died: Result) -> None:
    for victim in victims(died):
        if victim.way.partition(":")[0] in {"contkill", "seccomp_strict"}:
            assert pick(
                died.process(ns_pid=victim.ns_pid), "sender_host_pid", "trigger_host_pid"
            ) == {"sender_host_pid": None, "trigger_host_pid": None}, victim


def test_no_one_else_was_stopped_or_is_blamed(died: Result) -> None:
    assert counts(died.stop) == {}
    assert died.stop["init_exit_code"] == 0
    # One finding for each killer and signal: the one of everybody names all seven.
    kills = {victim.by for victim in victims(died) if CAUSES[victim.way] == KILLED_BY_SOMEBODY}
    assert len(kills) == 5
    assert set(died.codes) == {"ZT106"}
    # A parent that ends what it had just started, and waits for it, is not to blame.
    killed = {
        process["host_pid"]
        for process in died.processes(cause=KILLED_BY_SOMEBODY)
        if process["sender_host_pid"] != process["parent_host_pid"]
        or process["reap_kind"] != "parent"
    }
    told = [pid for finding in died.report["findings"] for pid in finding["host_pids"]]
    assert sorted(told) == sorted(killed)
    assert len(died.processes(cause=KILLED_BY_SOMEBODY)) > len(killed) > 5
