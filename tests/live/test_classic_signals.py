"""Classic cases 5, 6 and 9: who is told of a stop, and what a signal does."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from tests.support.require import require_program
from tests.support.truth import Classic, play
from tests.support.waiting import PATIENCE
from tests.support.zomtrace_process import raw_status, signal_number
from tracer.model.signals import signal_name

pytestmark = pytest.mark.root

_WORKERS = 13


def _workers(classic: Classic) -> list[int]:
    workers = classic.truth.pids("worker")
    assert len(workers) == _WORKERS
    return workers


def _expect_killed_by_teardown(classic: Classic, workers: list[int], init_host_pid: int) -> None:
    """Each died of a SIGKILL that no process sent, while PID 1 was ending."""
    for pid in workers:
        worker = classic.by_ns_pid[pid]
        assert (worker["term_signal"], worker["cause"]) == ("SIGKILL", "pidns_teardown")
        assert (worker["sender_host_pid"], worker["sender_comm"]) == (None, None)
        assert (worker["trigger_host_pid"], worker["reap_kind"]) == (init_host_pid, "teardown")
        assert (worker["stop_signal_seen"], worker["stop_signal_disposition"]) == (
            False, "not_sent",
        )  # fmt: skip


def test_pid_1_that_does_not_forward_dooms_its_children(tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_fwd", _WORKERS, "handler", stops=True)
    workers = _workers(classic)
    assert classic.truth.rows("term") == [[]]
    init = classic.by_ns_pid[1]
    assert (init["end"], init["exit_code"], init["stop_signal_disposition"]) == (
        "exit", 0, "caught",
    )  # fmt: skip
    _expect_killed_by_teardown(classic, workers, init["host_pid"])
    (sigterm,) = classic.signals("SIGTERM")
    assert (sigterm["ns_pid"], sigterm["sender_comm"], sigterm["sender_ns_pid"]) == (
        1, "zomtrace", 0,
    )  # fmt: skip
    kills = classic.signals("SIGKILL")
    assert sorted(line["ns_pid"] for line in kills) == sorted(workers)
    assert {line["cause"] for line in kills} == {"pidns_teardown"}
    assert classic.result.codes == ["ZT102"]
    assert set(classic.result.finding("ZT102")["host_pids"]) == {
        process["host_pid"] for process in classic.by_ns_pid.values()
    }
    stop = classic.result.stop
    assert (stop["sigkilled"], stop["members"]) == (_WORKERS, _WORKERS)
    assert (stop["escalated"], stop["init_exit_code"], stop["stop_signal"]) == (
        False, 0, "SIGTERM",
    )  # fmt: skip


def test_tini_forwards_to_its_child_and_no_one_is_killed(tmp_path: Path) -> None:
    require_program("tini", "tini", "docker-init")
    classic = play(tmp_path / "truth", "classic_fwd", 0, "handler", options=("--init",), stops=True)
    assert classic.truth.rows("term") == [[]]
    (child,) = classic.truth.pids("parent")
    init, process = classic.by_ns_pid[1], classic.by_ns_pid[child]
    assert (process["end"], process["exit_code"]) == ("exit", 0)
    assert (process["stop_signal_seen"], process["stop_signal_disposition"]) == (True, "caught")
    assert process["reaper_host_pid"] == init["host_pid"]
    by_target = {line["ns_pid"]: line for line in classic.signals("SIGTERM")}
    assert sorted(by_target) == [1, child]
    assert by_target[child]["sender_host_pid"] == init["host_pid"]
    assert classic.signals("SIGKILL") == []
    assert classic.result.codes == []


def test_tini_without_g_does_not_reach_grandchildren(tmp_path: Path) -> None:
    require_program("tini", "tini", "docker-init")
    classic = play(
        tmp_path / "truth", "classic_fwd", _WORKERS, "handler", options=("--init",), stops=True
    )
    workers = _workers(classic)
    (parent,) = classic.truth.pids("parent")
    init = classic.by_ns_pid[1]
    _expect_killed_by_teardown(classic, workers, init["host_pid"])
    # tini did its part: the one that had the signal and kept it is its child.
    assert classic.result.codes == ["ZT102"]
    host_pids = set(classic.result.finding("ZT102")["host_pids"])
    assert classic.by_ns_pid[parent]["host_pid"] in host_pids
    assert init["host_pid"] not in host_pids
    assert "PID 1 of" not in classic.result.finding("ZT102")["title"]


def test_tini_with_g_reaches_them_all(tmp_path: Path) -> None:
    tini = require_program("tini", "tini", "docker-init")
    classic = play(
        tmp_path / "truth", "classic_fwd", _WORKERS, "handler",
        prefix=(str(tini), "-s", "-g", "--"), stops=True,
    )  # fmt: skip
    workers = _workers(classic)
    init = classic.by_ns_pid[1]
    for pid in workers:
        worker = classic.by_ns_pid[pid]
        assert (worker["term_signal"], worker["cause"]) == ("SIGTERM", "stop_signal")
        assert worker["sender_host_pid"] == init["host_pid"]
    assert classic.result.codes == []
    stop = classic.result.stop
    assert (stop["signalled"], stop["exited"], stop["sigkilled"]) == (_WORKERS, 1, 0)


def test_pid_1_without_a_handler_never_sees_the_signal(tmp_path: Path) -> None:
    classic = play(
        tmp_path / "truth", "classic_fwd", _WORKERS, "default", options=("--grace", "0.7"),
        stops=True,
    )  # fmt: skip
    workers = _workers(classic)
    init = classic.by_ns_pid[1]
    assert (init["term_signal"], init["cause"]) == ("SIGKILL", "grace_expired")
    (sigterm,) = classic.signals("SIGTERM")
    assert (sigterm["result"], sigterm["disposition"]) == ("ignored", "default")
    _expect_killed_by_teardown(classic, workers, init["host_pid"])
    assert classic.result.codes == ["ZT101", "ZT103"]
    stop = classic.result.stop
    assert (stop["escalated"], stop["stop_signal_result"]) == (True, "ignored")
    assert 700_000_000 <= stop["grace_ns"] < 1_500_000_000 * PATIENCE
    assert stop["sigkilled"] == _WORKERS


def test_pid_1_that_ignores_the_signal_is_not_one_without_handler(tmp_path: Path) -> None:
    classic = play(
        tmp_path / "truth", "classic_fwd", _WORKERS, "ignore", options=("--grace", "0.4"),
        stops=True,
    )  # fmt: skip
    _workers(classic)
    (sigterm,) = classic.signals("SIGTERM")
    assert (sigterm["result"], sigterm["disposition"]) == ("ignored", "ignored")
    assert classic.by_ns_pid[1]["cause"] == "grace_expired"
    assert classic.result.codes == ["ZT103"]


def test_what_a_signal_does_is_up_to_its_target_but_for_two(tmp_path: Path) -> None:
    copies = 3
    classic = play(tmp_path / "truth", "classic_dispositions", copies)
    sent = [
        (int(pid), int(signo), disposition)
        for pid, signo, disposition in classic.truth.rows("sent")
    ]
    assert len(sent) == 13 * copies
    init = classic.by_ns_pid[1]
    seen = [
        (line["ns_pid"], signal_number(line["signal"]), line["disposition"])
        for line in classic.result.of_kind("signal", sender_host_pid=init["host_pid"])
        if line["signal"] != "SIGCHLD"
    ]
    assert seen == sent
    ignored = set(classic.truth.pids("ignored"))
    for line in classic.signals("SIGTERM"):
        assert (line["result"] == "ignored") == (line["ns_pid"] in ignored), line
    # Handlers ran: caught and reset by signal, sigwait by waiting.
    handled = classic.truth.pids("handled")
    assert sorted(handled) == sorted(
        pid for kind in ("caught", "reset", "sigwait") for pid in classic.truth.pids(kind)
    )
    reaped = classic.truth.map("reaped")
    assert {pid: raw_status(classic.by_ns_pid[pid]) for pid in reaped} == reaped
    for kind, cause in (
        ("ignored", "kill"), ("caught", "kill"), ("blocked", "kill"), ("default", "kill"),
        ("reset", "kill"), ("sigwait", None),
    ):  # fmt: skip
        for pid in classic.truth.pids(kind):
            process = classic.by_ns_pid[pid]
            assert (process["cause"], process["sender_host_pid"]) == (
                cause, None if cause is None else init["host_pid"],
            ), (kind, process)  # fmt: skip
    assert classic.truth.map("refused") == {
        int(signal.SIGKILL): errno.EINVAL, int(signal.SIGSTOP): errno.EINVAL,
    }  # fmt: skip
    # Stopped is not ended: one exit each, of what came after.
    assert len(classic.result.of_kind("exit")) == 6 * copies + 1


def test_every_wait_status_is_reported_as_waitpid_returns_it(tmp_path: Path) -> None:
    cores = tmp_path / "cores"
    cores.mkdir()
    classic = play(tmp_path / "truth", "classic_statuses", cores)
    told = classic.truth.map("child")
    assert len(told) == 13 + 54 + 1
    processes = classic.by_ns_pid
    assert sorted(processes) == sorted([1, *told])
    assert {pid: raw_status(processes[pid]) for pid in told} == told
    init = processes[1]
    for pid, raw in told.items():
        process = processes[pid]
        if raw & 0x7F:
            # Sent by kill(): no fault, no limit, no seccomp, whatever its number.
            assert process["term_signal"] == signal_name(raw & 0x7F)
            assert (process["cause"], process["sender_host_pid"]) == ("kill", init["host_pid"])
        else:
            assert (process["end"], process["cause"]) == ("exit", None)
    exits = {line["ns_pid"]: raw_status(line) for line in classic.result.of_kind("exit")}
    assert {pid: exits[pid] for pid in told} == told
    # A stop and a continuation are no ends.
    (stopped,) = classic.truth.rows("stopped")
    (continued,) = classic.truth.rows("continued")
    assert (int(stopped[1]), int(continued[1])) == (0x137F, 0xFFFF)
    assert stopped[0] == continued[0]
    assert exits[int(stopped[0])] == int(signal.SIGTERM)
