"""The same workload traced with and without kprobes, at the same time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from tests.support.require import require, require_program
from tests.support.truth import Truth
from tests.support.waiting import wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Json, Result, Zomtrace, raw_status
from tracer.kernel.plan import kprobes_unavailable
from tracer.live.namespace import HeldWorkload

pytestmark = [pytest.mark.traces_at_a_time(2), pytest.mark.subject("modes agree")]

_VERDICTS = (
    "ns_pid", "comm", "end", "exit_code", "term_signal", "cause", "sender_host_pid",
    "sender_comm", "trigger_host_pid", "stop_signal_seen", "stop_signal_disposition", "reap_kind",
    "reaper_host_pid", "reaper_comm",
)  # fmt: skip
_OF_A_STOP = (
    "init_host_pid", "init_comm", "stop_signal", "stop_signal_result", "stop_sender_comm",
    "stop_sender_chain", "escalated", "outcome", "init_exit_code", "init_term_signal",
    "sigkilled", "signalled", "exited", "already_zombie", "survived", "members",
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


@pytest.fixture(scope="module", autouse=True)
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


@dataclass(frozen=True)
class Case:
    """What became of one workload, as each mode tells it."""

    pidns_inum: int
    truth: Truth
    exact: Result
    plain: Result

    def processes(self, result: Result) -> dict[int, Json]:
        """The case's processes by host pid."""
        return {one["host_pid"]: one for one in result.processes(pidns_inum=self.pidns_inum)}

    def verdicts(self, result: Result) -> dict[int, dict[str, object]]:
        """What may not depend on the mode."""
        return {
            host_pid: {name: process[name] for name in _VERDICTS}
            for host_pid, process in self.processes(result).items()
        }

    def stops(self, result: Result) -> list[dict[str, object]]:
        """What may not depend on the mode of the case's stops."""
        return [
            {name: stop[name] for name in _OF_A_STOP}
            for stop in result.report["stops"]
            if stop["pidns_inum"] == self.pidns_inum
        ]

    def reaps(self, result: Result) -> dict[int, Json]:
        """The case's reaps by host pid."""
        return {line["host_pid"]: line for line in result.reaps(pidns_inum=self.pidns_inum)}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Every workload, one after the other, in one trace of each mode."""
    directory = tmp_path_factory.mktemp("truth")
    truths = {name: Truth(directory / name) for name in _CASES}
    with ExitStack() as stack:
        held = {
            name: stack.enter_context(
                HeldWorkload(_argv(words), environment={"ZT_TRUTH": str(truths[name].path)})
            )
            for name, (words, _, _) in _CASES.items()
        }
        inums = {name: one.container.pidns_inum for name, one in held.items()}
        assert None not in inums.values()
        # How long a zombie lay is the one thing that may differ: a limit nobody
        # comes near keeps it out of the findings.
        options = ["--min-zombie", "60"]
        for inum in inums.values():
            options += ["--pidns", str(inum)]
        exact = stack.enter_context(Zomtrace(*options))
        plain = stack.enter_context(Zomtrace(*options, "--no-kprobes"))
        exact.wait_attached()
        plain.wait_attached()
        for name, (_, stop, _) in _CASES.items():
            held[name].release()
            if stop is not None:
                is_ready = partial(getattr, truths[name], "is_ready")
                wait_for(is_ready, f"{name} is ready", within_s=60)
                held[name].send(stop)
            held[name].reap()
        told = exact.finish(), plain.finish()
    return {name: Case(inums[name] or 0, truths[name], *told) for name in _CASES}


def test_nothing_is_lost_and_the_findings_are_the_same(cases: dict[str, Case]) -> None:
    exact, plain = cases["wait"].exact, cases["wait"].plain
    for result in (exact, plain):
        assert result.report["lost"] == {}
    assert exact.codes == plain.codes
    assert sorted(sorted(one["host_pids"]) for one in exact.report["findings"]) == sorted(
        sorted(one["host_pids"]) for one in plain.report["findings"]
    )


@pytest.mark.parametrize("name", _CASES)
def test_these_ended_so_with_the_status_waitpid_returned(name: str, cases: dict[str, Case]) -> None:
    case = cases[name]
    word, count, kind = _CASES[name][2]
    processes = {one["ns_pid"]: one for one in case.processes(case.exact).values()}
    told = case.truth.pids(word)
    assert len(told) == count
    assert {processes[pid]["reap_kind"] for pid in told} == {kind}
    reaped = case.truth.map("reaped")
    assert {pid: raw_status(processes[pid]) for pid in reaped} == reaped
    exits = case.exact.of_kind("exit", pidns_inum=case.pidns_inum)
    assert sorted(line["ns_pid"] for line in exits) == sorted(processes)


@pytest.mark.parametrize("name", _CASES)
def test_both_modes_report_the_same_and_reap_times_are_bounds(
    name: str, cases: dict[str, Case], fact: Callable[[str, object], None]
) -> None:
    case = cases[name]
    exact, plain = case.exact, case.plain
    assert case.verdicts(exact) == case.verdicts(plain)
    assert case.stops(exact) == case.stops(plain)
    assert len(case.stops(exact)) == 1

    exact_reaps, plain_reaps = case.reaps(exact), case.reaps(plain)
    assert set(exact_reaps) == set(plain_reaps) == set(case.processes(exact))
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
