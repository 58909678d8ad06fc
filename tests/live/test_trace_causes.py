"""Who killed it, and why: each cause with its nearest look-alike, in runc's containers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.adopted import AdoptedContainer, adopted, cgroup_of
from tests.support.containers_at_work import counts, pick
from tests.support.kernel_objects import children
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload, workload_files
from tests.support.zomtrace_process import Result, Zomtrace

CALLS = {
    "kill": "kill",
    "tkill": "tkill",
    "tgkill": "tgkill",
    "sigqueue": "rt_sigqueueinfo",
    "tgsigqueue": "rt_tgsigqueueinfo",
    "pidfd": "pidfd_send_signal",
}


@pytest.fixture
def runtime(runc: Runc) -> Runc:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family", "send", "eat"))
    return runc


@contextmanager
def traced(
    runtime: Runc, *args: str, word: str = "ready", **options: Any
) -> Iterator[tuple[AdoptedContainer, Zomtrace]]:
    """A container at work, and zomtrace on it, attached."""
    with adopted(runtime, args, **options) as container:
        container.wait_journal(word)
        # Zombies are another matter, and a slow machine makes them old.
        with Zomtrace("-c", container.id, "--min-zombie", "600") as trace:
            yield container, trace.wait_attached()


def live_pids(container: AdoptedContainer) -> list[int]:
    """The host pids of a family's live children, in their order."""
    by_ns_pid = {_ns_pid(pid): pid for pid in children(container.pid)}
    return [by_ns_pid[int(line[1])] for line in container.journal if line[0] == "live"]


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")


def comm_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _ns_pid(host_pid: int) -> int:
    for line in Path(f"/proc/{host_pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    raise AssertionError(f"process {host_pid} has no NSpid")


def end(runtime: Runc, container: AdoptedContainer, trace: Zomtrace) -> Result:
    """Have the container killed by runc; the result."""
    runtime.cli("kill", container.id, "KILL")
    container.reap()
    return trace.finish()


def send(call: str, signo: int, pid: int) -> int:
    """Send a signal from outside by some system call; the sender's pid."""
    with subprocess.Popen(
        [workload("send"), call, str(int(signo)), str(pid)], stdout=subprocess.PIPE, text=True
    ) as sender:
        assert sender.wait(60) == 0
    return sender.pid


def test_kill_from_outside_by_every_call(runtime: Runc) -> None:
    with traced(runtime, "family", "0", str(len(CALLS) + 1), "exit") as (container, trace):
        victims = live_pids(container)
        senders = {call: send(call, signal.SIGKILL, pid)
                   for call, pid in zip(CALLS, victims, strict=False)}  # fmt: skip
        # Another signal than KILL is a kill as well.
        by_usr1 = send("kill", signal.SIGUSR1, victims[-1])
        wait_for(
            lambda: len(trace.lines_so_far()) and sum(
                line["kind"] == "exit" for line in trace.lines_so_far()
            ) == len(victims),
            "all deaths are told",
        )  # fmt: skip
        result = end(runtime, container, trace)
    for (call, name), pid in zip(CALLS.items(), victims, strict=False):
        assert pick(
            result.process(host_pid=pid), "term_signal", "cause", "sender_host_pid",
            "sender_comm", "sender_syscall", "stop_signal_seen",
        ) == {
            "term_signal": "SIGKILL", "cause": "kill", "sender_host_pid": senders[call],
            "sender_comm": "send", "sender_syscall": name, "stop_signal_seen": False,
        }  # fmt: skip
        (sent,) = result.of_kind("signal", host_pid=pid, signal="SIGKILL", cause="kill")
        assert pick(sent, "sender_ns_pid", "result", "disposition", "si_code") == {
            "sender_ns_pid": 0, "result": "delivered", "disposition": "default",
            "si_code": {"kill": 0, "pidfd": 0, "tkill": -6, "tgkill": -6}.get(call, -1),
        }  # fmt: skip
        assert sent["sender_chain"][0] == Path("/proc/self/comm").read_text().strip()
    assert pick(
        result.process(host_pid=victims[-1]), "term_signal", "cause", "sender_host_pid"
    ) == {"term_signal": "SIGUSR1", "cause": "kill", "sender_host_pid": by_usr1}
    killed = [each for each in result.report["findings"] if each["code"] == "ZT106"]
    # One for each sender; the last is the runtime's, of init.
    assert sorted(each["host_pids"] for each in killed) == sorted(
        [pid] for pid in [*victims, container.pid]
    )
    # All children had died before the runtime killed init.
    assert pick(result.stop, "trigger", "init_cause") == {
        "trigger": "sigkill", "init_cause": "runtime_kill"
    }  # fmt: skip
    assert counts(result.stop) == {"members": len(victims), "already_zombie": len(victims)}


def test_kill_from_inside_names_the_insider(runtime: Runc) -> None:
    with traced(runtime, "family", "0", str(len(CALLS)), "exit") as (container, trace):
        ns_pids = [int(line[1]) for line in container.journal if line[0] == "live"]
        told = {}
        for call, ns_pid in zip(CALLS, ns_pids, strict=True):
            said = runtime.cli("exec", container.id, "send", call, "15", str(ns_pid))
            told[call] = int(said.split()[-1])
        result = end(runtime, container, trace)
    for (call, name), ns_pid in zip(CALLS.items(), ns_pids, strict=True):
        process = result.process(ns_pid=ns_pid)
        sender = result.process(comm="send", ns_pid=told[call])
        assert pick(
            process, "term_signal", "cause", "sender_comm", "sender_host_pid", "sender_syscall"
        ) == {
            "term_signal": "SIGTERM", "cause": "kill", "sender_comm": "send",
            "sender_host_pid": sender["host_pid"], "sender_syscall": name,
        }  # fmt: skip
        (sent,) = result.of_kind("signal", host_pid=process["host_pid"], signal="SIGTERM")
        assert sent["sender_ns_pid"] == told[call]


def test_runtime_kill_is_distinguished_from_anyones_kill(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "3", "exit") as (container, trace):
        result = end(runtime, container, trace)
    assert container.status == signal.SIGKILL
    assert pick(result.stop, "trigger", "kill_sender_comm", "init_cause", "escalated") == {
        "trigger": "sigkill", "kill_sender_comm": "runc", "init_cause": "runtime_kill",
        "escalated": False,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 3, "sigkilled": 3}

    with traced(runtime, "family", "0", "3", "exit") as (container, trace):
        sender = send("kill", signal.SIGKILL, container.pid)
        container.reap()
        result = trace.finish()
    assert pick(result.stop, "trigger", "kill_sender_comm", "init_cause") == {
        "trigger": "sigkill", "kill_sender_comm": "send", "init_cause": "kill",
    }  # fmt: skip
    assert result.process(is_init=True)["sender_host_pid"] == sender
    assert "ZT106" in result.codes


def test_sigkill_after_the_stop_signal_is_the_grace_from_any_sender(runtime: Runc) -> None:
    with traced(runtime, "family", "2", "3", "hang") as (container, trace):
        runtime.cli("kill", container.id, "TERM")
        trace.wait_event("signal", signal="SIGTERM", host_pid=container.pid)
        send("kill", signal.SIGKILL, container.pid)
        container.reap()
        result = trace.finish()
    assert pick(
        result.stop, "stop_sender_comm", "kill_sender_comm", "init_cause", "escalated",
        "stop_signal_disposition",
    ) == {
        "stop_sender_comm": "runc", "kill_sender_comm": "send", "init_cause": "grace_expired",
        "escalated": True, "stop_signal_disposition": "caught",
    }  # fmt: skip
    assert counts(result.stop) == {"members": 5, "sigkilled": 3, "already_zombie": 2}
    assert result.codes == ["ZT103"]


def test_terms_of_others_begin_no_stop(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "hang") as (container, trace):
        send("kill", signal.SIGHUP, live_pids(container)[0])
        # From inside: a process of the container's own.
        runtime.cli("exec", container.id, "send", "kill", "15", "1")
        trace.wait_event("signal", signal="SIGTERM", host_pid=container.pid)
        result = end(runtime, container, trace)
    assert pick(result.stop, "trigger", "stop_signal", "init_cause") == {
        "trigger": "sigkill", "stop_signal": None, "init_cause": "runtime_kill",
    }  # fmt: skip
    assert counts(result.stop) == {"members": 2, "sigkilled": 1, "already_zombie": 1}


def test_an_execed_commands_sigterm_during_a_stop_is_its_own(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "hang") as (container, trace):
        (_, first), (_, second) = (line for line in container.journal if line[0] == "live")
        runtime.cli("kill", container.id, "TERM")
        trace.wait_event("signal", signal="SIGTERM", host_pid=container.pid)
        # The stop's own signal: by a stranger put in, and by the runtime from outside.
        told = runtime.cli("exec", container.id, "send", "kill", "15", first)
        by_exec = trace.wait_event("exit", ns_pid=int(first))
        assert by_exec["term_signal"] == "SIGTERM"
        result = end(runtime, container, trace)
    killed = result.process(ns_pid=int(first))
    sender = result.process(comm="send", ns_pid=int(told.split()[-1]))
    assert pick(killed, "term_signal", "cause", "sender_host_pid", "stop_signal_seen") == {
        "term_signal": "SIGTERM", "cause": "kill", "sender_host_pid": sender["host_pid"],
        "stop_signal_seen": True,
    }  # fmt: skip
    assert result.process(ns_pid=int(second))["cause"] == "pidns_teardown"
    assert pick(result.stop, "stop_sender_comm", "init_cause") == {
        "stop_sender_comm": "runc", "init_cause": "grace_expired"
    }  # fmt: skip
    # The command that was put in is a member as well: it came and went in the stop.
    assert counts(result.stop) == {"members": 3, "sigkilled": 1, "signalled": 1, "exited": 1}


@pytest.mark.parametrize("who", ["child", "init"])
def test_oom_kill_is_distinguished_from_a_sigkill_and_from_137(runtime: Runc, who: str) -> None:
    args = ["eat", "256"] if who == "child" else ["eat", "256", "self"]
    limit = {"memory": {"limit": 32 << 20, "swap": 32 << 20}}
    with traced(runtime, *args, resources=limit) as (container, trace):
        os.kill(container.pid, signal.SIGUSR1)
        if who == "child":
            told = container.wait_journal("child")[-1]
            assert int(told[2]) == signal.SIGKILL
            runtime.cli("exec", container.id, "sh", "-c", "(exit 137); exit 137", check=False)
            result = end(runtime, container, trace)
            victim = result.process(ns_pid=int(told[1]))
        else:
            assert container.reap() == signal.SIGKILL
            result = trace.finish()
            victim = result.process(is_init=True)
    assert pick(victim, "term_signal", "cause", "sender_comm") == {
        "term_signal": "SIGKILL", "cause": "oom", "sender_comm": None,
    }  # fmt: skip
    assert result.of_kind("oom", host_pid=victim["host_pid"])
    assert set(result.finding("ZT104")["host_pids"]) >= {victim["host_pid"]}
    if who == "child":
        exits = result.processes(exit_code=137)
        assert len(exits) == 2
        assert {(one["end"], one["cause"]) for one in exits} == {("exit", None)}
        assert result.stop["init_cause"] == "runtime_kill"
    else:
        assert pick(result.stop, "trigger", "init_cause", "kill_sender_comm") == {
            "trigger": "oom", "init_cause": "oom", "kill_sender_comm": None,
        }  # fmt: skip


def test_sigkill_during_an_oom_limit_is_still_a_kill(runtime: Runc) -> None:
    limit = {"memory": {"limit": 32 << 20}}
    with traced(runtime, "family", "0", "1", "exit", resources=limit) as (container, trace):
        (victim,) = live_pids(container)
        send("kill", signal.SIGKILL, victim)
        result = end(runtime, container, trace)
    assert result.process(host_pid=victim)["cause"] == "kill"
    assert "ZT104" not in result.codes


def test_cgroup_kill_of_one_process(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "exit") as (container, trace):
        victim, other = live_pids(container)
        below = cgroup_of(container.pid) / "below"
        below.mkdir()
        try:
            (below / "cgroup.procs").write_text(str(victim))
            (below / "cgroup.kill").write_text("1")
            trace.wait_event("exit", host_pid=victim)
        finally:
            wait_for(lambda: _removes(below), "the cgroup is empty")
        result = end(runtime, container, trace)
    (sent,) = result.of_kind("signal", host_pid=victim, signal="SIGKILL", cause="cgroup_kill")
    assert pick(sent, "sender_host_pid", "sender_comm", "trigger_host_pid") == {
        "sender_host_pid": None, "sender_comm": None, "trigger_host_pid": os.getpid(),
    }  # fmt: skip
    assert pick(
        result.process(host_pid=victim), "term_signal", "cause", "sender_comm",
        "trigger_host_pid",
    ) == {
        "term_signal": "SIGKILL", "cause": "cgroup_kill", "sender_comm": None,
        "trigger_host_pid": os.getpid(),
    }  # fmt: skip
    assert result.process(host_pid=other)["cause"] == "pidns_teardown"
    assert victim in result.finding("ZT105")["host_pids"]


def test_cgroup_kill_of_the_container_is_its_stop(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "5", "exit") as (container, trace):
        (cgroup_of(container.pid) / "cgroup.kill").write_text("1")
        assert container.reap() == signal.SIGKILL
        result = trace.finish()
    assert pick(result.stop, "trigger", "init_cause", "kill_sender_comm", "stop_signal") == {
        "trigger": "cgroup_kill", "init_cause": "cgroup_kill", "kill_sender_comm": None,
        "stop_signal": None,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 5, "sigkilled": 5}
    # Init's teardown may come first for those behind it in the cgroup.
    assert {one["cause"] for one in result.processes(is_init=False)} <= {
        "cgroup_kill", "pidns_teardown"
    }  # fmt: skip
    assert "ZT105" in result.codes


def test_death_before_the_trace_is_unknown(runtime: Runc) -> None:
    with adopted(
        runtime, ["sh", "-c", "sleep 1000 & echo victim $!; exec sleep 1000"]
    ) as container:
        told = container.wait_journal("victim")
        wait_for(lambda: comm_of(container.pid) == "sleep", "the shell became sleep")
        (victim,) = children(container.pid)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: is_zombie(victim), "the killed child is a zombie")
        with Zomtrace("-c", container.id) as trace:
            trace.wait_attached()
            result = end(runtime, container, trace)
    assert pick(
        result.process(host_pid=victim), "ns_pid", "end", "term_signal", "cause", "sender_comm",
        "reap_kind",
    ) == {
        "ns_pid": int(told[0][1]), "end": "signal", "term_signal": "SIGKILL",
        "cause": "unknown", "sender_comm": None, "reap_kind": "teardown",
    }  # fmt: skip
    assert counts(result.stop) == {"members": 1, "already_zombie": 1}


def _removes(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError:
        return False
    return True
