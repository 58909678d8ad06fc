"""The same workload traced with and without kprobes, at the same time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.require import require, require_program
from tests.live.truth import Truth
from tests.live.waiting import wait_for
from tests.live.workloads import workload
from tests.live.zomtrace_process import Json, Result, Zomtrace, raw_status
from tracer.kernel.plan import kprobes_unavailable
from tracer.session.workload import HeldWorkload

pytestmark = [pytest.mark.traces_at_a_time(2), pytest.mark.subject("modes agree")]

_VERDICTS = (
    "ns_pid", "comm", "end", "exit_code", "term_signal", "cause", "sender_host_pid",
    "sender_comm", "trigger_host_pid", "stop_signal_seen", "stop_signal_disposition", "reap_kind",
    "reaper_host_pid", "reaper_comm",
)  # fmt: skip
_COUNTS = ("sigkilled", "signalled", "exited", "already_zombie", "survived", "members")
_OF_A_STOP = (
    "init_host_pid", "init_comm", "stop_signal", "stop_signal_result", "stop_sender_comm",
    "stop_sender_chain", "escalated", "outcome", "init_exit_code", "init_term_signal", *_COUNTS,
)  # fmt: skip
_CASES = {
    "wait": (("classic_waits", "wait", 31), None, ("child", 31, "parent")),
    "ignored": (("classic_waits", "ignored", 31), None, ("child", 31, "auto")),
    "nocldwait": (("classic_waits", "nocldwait", 31), None, ("child", 31, "auto")),
    "double-fork": (("classic_waits", "double", 31), None, ("child", 31, "adopter")),
    "orphans-of-a-thread": (("classic_orphans", "thread", 13), None, ("orphan", 13, "parent")),
    "orphans-below-a-subreaper": (
        ("tini", "-s", "--", "classic_orphans", "subreaper", 13), None, ("orphan", 13, "adopter"),
    ),
    "leaders": (("classic_leader", 5, 700), signal.SIGTERM, ("whole", 5, "parent")),
    "no-forwarding": (("classic_fwd", 13, "handler"), signal.SIGTERM, ("worker", 13, "teardown")),
    "killed": (("classic_fwd", 13, "handler"), signal.SIGKILL, ("worker", 13, "teardown")),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _kprobes() -> None:
    require("kprobes", kprobes_unavailable() is None, str(kprobes_unavailable()))


def _argv(words: tuple[object, ...]) -> list[str]:
    argv = []
    for word in map(str, words):
        if word == "tini":
            argv.append(str(require_program("tini", "tini")))
        else:
            argv.append(str(workload(word)) if word.startswith("classic_") else word)
    return argv


def _traced_twice(
    argv: list[str], stop: signal.Signals | None, truth: Truth
) -> tuple[Result, Result]:
    environment = {"ZT_TRUTH": str(truth.path)}
    with HeldWorkload(argv, environment=environment) as held:
        inum = str(held.container.pidns_inum)
        # How long a zombie lay is the one thing that may differ: a limit nobody
        # comes near keeps it out of the findings.
        options = ("--pidns", inum, "--min-zombie", "60")
        with Zomtrace(*options) as exact, Zomtrace(*options, "--no-kprobes") as plain:
            exact.wait_attached()
            plain.wait_attached()
            held.release()
            if stop is not None:
                wait_for(lambda: truth.is_ready, f"{argv[0]} is ready", within_s=30)
                held.send(stop)
            held.reap()
            return exact.finish(), plain.finish()


def _by_pid(result: Result) -> dict[int, Json]:
    return {process["host_pid"]: process for process in result.report["processes"]}


def _verdicts(result: Result) -> dict[int, dict[str, object]]:
    return {
        host_pid: {name: process[name] for name in _VERDICTS}
        for host_pid, process in _by_pid(result).items()
    }


def _agrees_with_truth(result: Result, truth: Truth, word: str, count: int, kind: str) -> None:
    """Exactly these ended so, and whatever was waited for with the status waitpid told."""
    processes = {process["ns_pid"]: process for process in result.report["processes"]}
    told = truth.pids(word)
    assert len(told) == count
    assert {processes[pid]["reap_kind"] for pid in told} == {kind}
    reaped = truth.map("reaped")
    assert {pid: raw_status(processes[pid]) for pid in reaped} == reaped
    assert len(result.of_kind("exit")) == len(processes)


@pytest.mark.parametrize("case", _CASES)
def test_both_modes_tell_the_same_and_reap_times_are_bounds(
    case: str, tmp_path: Path, fact: Callable[[str, object], None]
) -> None:
    words, stop, expected = _CASES[case]
    truth = Truth(tmp_path / "truth")
    exact, plain = _traced_twice(_argv(words), stop, truth)
    _agrees_with_truth(exact, truth, *expected)
    for result in (exact, plain):
        assert result.report["lost"] == {}
    assert _verdicts(exact) == _verdicts(plain)
    # Whom an init that leaves by itself leaves behind is a matter of the last
    # milliseconds, in which tracepoints still see whom it has just waited for.
    of_a_stop = _OF_A_STOP if stop is not None else _OF_A_STOP[: -len(_COUNTS)]
    assert [{name: one[name] for name in of_a_stop} for one in exact.report["stops"]] == [
        {name: one[name] for name in of_a_stop} for one in plain.report["stops"]
    ]
    assert exact.codes == plain.codes
    assert [sorted(one["host_pids"]) for one in exact.report["findings"]] == [
        sorted(one["host_pids"]) for one in plain.report["findings"]
    ]

    exact_reaps = {line["host_pid"]: line for line in exact.of_kind("reap")}
    plain_reaps = {line["host_pid"]: line for line in plain.of_kind("reap")}
    assert set(exact_reaps) == set(plain_reaps) == set(_by_pid(exact))
    # Who was never a zombie has no time as one that could be inexact.
    assert all(
        line["precision"] == "upper_bound" or line["zombie_ns"] == 0
        for line in plain_reaps.values()
    )
    late = []
    for host_pid, line in exact_reaps.items():
        other = plain_reaps[host_pid]
        assert line["reap_kind"] == other["reap_kind"]
        # Who was never a zombie may have been released where release_task is not
        # entered again (a leader, by its last thread): there both have one source.
        if line["precision"] == "exact" and line["zombie_ns"] != 0:
            assert line["boot_ns"] <= other["boot_ns"], (line, other)
            late.append((other["boot_ns"] - line["boot_ns"]) / 1e6)
    assert late, "no reap was exact"
    late.sort()
    fact("plain reaps late ms", {"median": round(late[len(late) // 2], 2),
                                 "max": round(late[-1], 2)})  # fmt: skip
