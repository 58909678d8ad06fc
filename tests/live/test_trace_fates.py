"""``zomtrace run``: each way a process can end, against what waitpid told its parent."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.containers_at_work import counts, pick
from tests.support.exit_oracle import ExitOracle
from tests.support.waiting import wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Result, Zomtrace, raw_status

# Way of ending -> end, term_signal, cause.
FATES = {
    "exit:0": ("exit", None, None),
    "exit:7": ("exit", None, None),
    # A shell passing on that its child was killed is no death by signal.
    "exit:137": ("exit", None, None),
    "exit:143": ("exit", None, None),
    "thread:3": ("exit", None, None),
    "abort": ("signal", "SIGABRT", "self"),
    "raise:15": ("signal", "SIGTERM", "self"),
    "raise:9": ("signal", "SIGKILL", "self"),
    "raise:37": ("signal", "SIGRTMIN+3", "self"),
    "queue:10": ("signal", "SIGUSR1", "self"),
    # A fault's signal, sent: the look-alike.
    "raise:11": ("signal", "SIGSEGV", "self"),
    "kill:11": ("signal", "SIGSEGV", "kill"),
    "kill:4": ("signal", "SIGILL", "kill"),
    "kill:9": ("signal", "SIGKILL", "kill"),
    "kill:15": ("signal", "SIGTERM", "kill"),
    "kill:6": ("signal", "SIGABRT", "kill"),
    "kill:64": ("signal", "SIGRTMIN+30", "kill"),
    "segv": ("signal", "SIGSEGV", "fault"),
    "bus": ("signal", "SIGBUS", "fault"),
    "ill": ("signal", "SIGILL", "fault"),
    "fpe": ("signal", "SIGFPE", "fault"),
    "trap": ("signal", "SIGTRAP", "fault"),
}


def run_to_its_stop(trace: Zomtrace, word: str) -> Result:
    """Wait until the command has written a word, then have it stopped by Ctrl-C."""
    trace.wait_attached().wait_stderr(f"{word}\n")
    return trace.stop_tracing()


def test_every_way_to_end_is_reported_as_waitpid_returned_it() -> None:
    with (
        ExitOracle() as oracle,
        Zomtrace("run", "--grace", "5", "--", workload("fates"), *FATES) as trace,
    ):
        result = run_to_its_stop(trace, "done")
        init = result.process(is_init=True)
        oracle.wait_for_exit(init["host_pid"])
    told = [line.split()[1:] for line in result.stderr.splitlines() if line.startswith("child ")]
    assert [way for _, way, _ in told] == list(FATES)
    connector = oracle.statuses()
    for ns_pid, way, status in told:
        process = result.process(ns_pid=int(ns_pid))
        assert (process["end"], process["term_signal"], process["cause"]) == FATES[way], way
        assert raw_status(process) == int(status), way
        # The connector tells of the leader: not the group where threads end apart.
        if way != "thread:3":
            assert connector[process["host_pid"]] == int(status), way
        assert pick(process, "reap_kind", "reaper_host_pid") == {
            "reap_kind": "parent", "reaper_host_pid": init["host_pid"],
        }, way  # fmt: skip
        by_init = process["cause"] == "kill"
        assert process["sender_host_pid"] == (
            init["host_pid"] if by_init
            else process["host_pid"] if process["cause"] == "self" else None
        ), way  # fmt: skip
    assert len(result.report["processes"]) == len(FATES) + 1
    assert len(result.of_kind("exit")) == len(FATES) + 1
    assert counts(result.stop) == {}
    assert result.stop["init_exit_code"] == 0
    assert not {"ZT101", "ZT102", "ZT103", "ZT104"} & set(result.codes)


def test_pids_that_are_reused_are_different_processes() -> None:
    times, ns_pid = 31, 4321
    host_pid = int(Path("/proc/sys/kernel/pid_max").read_text()) - 7
    with Zomtrace("run", "--", workload("same_pid"), str(times), str(ns_pid), str(host_pid)) as run:
        result = run.finish()
    assert "done\n" in result.stderr
    again = result.processes(host_pid=host_pid)
    assert [(one["ns_pid"], one["exit_code"]) for one in again] == [
        (ns_pid, number) for number in range(times)
    ]
    assert len({one["start_boot_ns"] for one in again}) == times
    assert {one["reap_kind"] for one in again} == {"parent"}
    assert [line["exit_code"] for line in result.of_kind("exit", host_pid=host_pid)] == list(
        range(times)
    )
    assert len(result.of_kind("reap", host_pid=host_pid)) == times
    assert len(result.report["processes"]) == times + 1


@pytest.mark.parametrize("way", ["exit", "forward"])
def test_report_equals_what_the_workload_wrote_down(way: str) -> None:
    with Zomtrace(
        "run", "--min-zombie", "0", "--grace", "9", "--", workload("family"), "31", "17", way
    ) as trace:
        result = run_to_its_stop(trace, "ready")
    told: dict[str, list[list[int]]] = {}
    for line in result.stderr.splitlines():
        word, *numbers = line.split()
        if word in {"zombie", "live", "waited", "ready", "term"}:
            told.setdefault(word, []).append([int(number) for number in numbers])
    zombies = {line[0]: line[1] for line in told["zombie"]}
    waited = {line[0]: line[1] for line in told.get("waited", [])}
    live = {pid for (pid,) in told["live"]}

    init = result.process(is_init=True)
    assert pick(
        init, "ns_pid", "end", "exit_code", "stop_signal_seen", "stop_signal_disposition"
    ) == {
        "ns_pid": 1, "end": "exit", "exit_code": 0, "stop_signal_seen": True,
        "stop_signal_disposition": "caught",
    }  # fmt: skip
    others = {one["ns_pid"]: one for one in result.processes(is_init=False)}
    assert others.keys() == zombies.keys() | live
    for ns_pid, status in zombies.items():
        assert pick(others[ns_pid], "end", "exit_code", "reap_kind") == {
            "end": "exit", "exit_code": status, "reap_kind": "teardown",
        }  # fmt: skip
    for ns_pid in live:
        one = others[ns_pid]
        assert raw_status(one) == waited.get(ns_pid, int(signal.SIGKILL))
        assert one["stop_signal_seen"] == (way == "forward")
        assert pick(one, "cause", "sender_comm", "reap_kind") == (
            {"cause": "stop_signal", "sender_comm": "family", "reap_kind": "parent"}
            if way == "forward"
            else {"cause": "pidns_teardown", "sender_comm": None, "reap_kind": "teardown"}
        )
    expected = {"members": 48, "already_zombie": 31}
    expected["signalled" if way == "forward" else "sigkilled"] = 17
    assert counts(result.stop) == expected
    # Every fork was seen, and every zombie from its first moment on.
    assert len(result.of_kind("fork")) == 48
    named = {one["ns_pid"]: one for one in result.report["zombies"] if one["ns_pid"] in zombies}
    assert named.keys() == zombies.keys()
    begins = {
        line["trigger_host_pid"]: line["boot_ns"]
        for line in result.of_kind("signal", signal="SIGCHLD", host_pid=init["host_pid"])
    }
    for ns_pid, zombie in named.items():
        (reap,) = result.of_kind("reap", host_pid=zombie["host_pid"])
        assert zombie["begin_boot_ns"] == begins[zombie["host_pid"]]
        assert zombie["zombie_ns"] == reap["zombie_ns"] == others[ns_pid]["zombie_ns"]
        assert zombie["zombie_ns"] == reap["boot_ns"] - zombie["begin_boot_ns"]
        assert zombie["precision"] == reap["precision"]
    assert ("ZT102" in result.codes) == (way == "exit")


def test_ctrl_c_is_the_stop_of_a_run_command() -> None:
    with Zomtrace("run", "--grace", "0.3", "--", workload("family"), "0", "1", "hang") as trace:
        result = run_to_its_stop(trace, "ready")
    assert pick(
        result.stop, "stop_sender_comm", "kill_sender_comm", "init_cause",
        "stop_signal_disposition",
    ) == {
        "stop_sender_comm": "zomtrace", "kill_sender_comm": "zomtrace",
        "init_cause": "grace_expired", "stop_signal_disposition": "caught",
    }  # fmt: skip
    assert 0.3e9 <= result.stop["grace_ns"] < 3e9
    assert result.codes == ["ZT103"]


def test_stop_options_of_a_run_command() -> None:
    with Zomtrace(
        "run", "--stop-after", "0.2", "--stop-signal", "SIGRTMIN+3", "--grace", "200ms",
        "--", workload("family"), "0", "0", "exit",
    ) as trace:  # fmt: skip
        result = trace.finish()
    assert pick(result.stop, "stop_signal", "stop_signal_result", "init_term_signal") == {
        "stop_signal": "SIGRTMIN+3", "stop_signal_result": "ignored",
        "init_term_signal": "SIGKILL",
    }  # fmt: skip
    assert result.codes == ["ZT101", "ZT103"]


def test_init_option_puts_a_forwarding_init_in_front() -> None:
    with Zomtrace(
        "run", "--init", "--grace", "9", "--", workload("family"), "0", "3", "forward"
    ) as trace:
        result = run_to_its_stop(trace, "ready")
    wait_for(lambda: result.stderr.count("waited") == 3, "all three were waited for")
    assert pick(result.stop, "init_comm", "escalated", "init_exit_code") == {
        "init_comm": "tini", "escalated": False, "init_exit_code": 0,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 4, "signalled": 3, "exited": 1}
    assert result.codes == []
