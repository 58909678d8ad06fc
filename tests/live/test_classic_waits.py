"""Classic cases 2, 3 and 4: who waits for whom, and who gets orphans."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.require import require_program
from tests.support.truth import LYING, LYING_MS, Classic, play
from tests.support.zomtrace_process import Json, raw_status

pytestmark = pytest.mark.root

_CHILDREN = 101
PIDFD_SLACK_NS = 50_000_000
"""Where a pidfd tells of a release it does so within 5 ms; a busy machine takes its time."""


def _exited_with(classic: Classic, word: str) -> list[Json]:
    """The processes told under a word: all there, each ended with its code."""
    codes = classic.truth.map(word)
    processes = classic.by_ns_pid
    assert {pid: raw_status(processes[pid]) for pid in codes} == {
        pid: code << 8 for pid, code in codes.items()
    }
    return [processes[pid] for pid in codes]


@pytest.mark.parametrize("way", ["wait", "wnohang", "handler"])
def test_a_parent_that_waits_leaves_no_zombie(way: str, tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_waits", way, _CHILDREN)
    children = _exited_with(classic, "child")
    assert len(children) == _CHILDREN
    # Each was reaped by a wait that returned this very status.
    assert classic.truth.map("reaped") == {c["ns_pid"]: raw_status(c) for c in children}
    init = classic.by_ns_pid[1]
    assert {(c["reap_kind"], c["reaper_host_pid"], c["reaper_comm"]) for c in children} == {
        ("parent", init["host_pid"], "parent")
    }
    assert classic.result.report["zombies"] == []
    assert classic.result.codes == []


@pytest.mark.parametrize("way", ["ignored", "nocldwait"])
def test_a_parent_that_wants_no_statuses_has_no_zombies(way: str, tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_waits", way, _CHILDREN)
    children = _exited_with(classic, "child")
    assert len(children) == _CHILDREN
    assert classic.truth.rows("reaped") == []
    assert {(c["reap_kind"], c["zombie_ns"]) for c in children} == {("auto", 0)}
    assert all(c["reaper_host_pid"] == c["host_pid"] for c in children)
    assert classic.result.report["zombies"] == []
    assert classic.result.codes == []


def test_grandchildren_of_a_double_fork_are_reaped_by_pid_1(tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_waits", "double", _CHILDREN)
    children = _exited_with(classic, "child")
    assert len(children) == _CHILDREN
    processes = classic.by_ns_pid
    (middle,) = classic.truth.pids("middle")
    assert classic.truth.map("reaped") == {
        middle: 0,
        **{c["ns_pid"]: raw_status(c) for c in children},
    }
    init = processes[1]
    assert {(c["reap_kind"], c["reaper_host_pid"]) for c in children} == {
        ("adopter", init["host_pid"])
    }
    assert processes[middle]["reap_kind"] == "parent"
    assert classic.result.report["zombies"] == []
    assert classic.result.codes == []


def test_orphans_of_a_thread_stay_with_its_process(tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_orphans", "thread", 13)
    orphans = _exited_with(classic, "orphan")
    assert len(orphans) == 13
    # getppid() names the same process before and after the thread's end.
    assert set(classic.truth.map("heir").values()) == {1}
    assert classic.truth.map("reaped") == {o["ns_pid"]: raw_status(o) for o in orphans}
    assert {(o["reap_kind"], o["reaper_comm"]) for o in orphans} == {("parent", "family")}
    assert classic.result.codes == []


def test_orphans_below_a_subreaper_are_its_own(tmp_path: Path) -> None:
    tini = require_program("tini", "tini")
    classic = play(
        tmp_path / "truth", "classic_orphans", "subreaper", 13, prefix=(str(tini), "-s", "--")
    )
    orphans = _exited_with(classic, "orphan")
    assert len(orphans) == 13
    (family,) = classic.truth.pids("family")
    assert set(classic.truth.map("heir").values()) == {family}
    assert classic.truth.map("reaped") == {o["ns_pid"]: raw_status(o) for o in orphans}
    reaper = classic.by_ns_pid[family]
    assert {(o["reap_kind"], o["reaper_host_pid"]) for o in orphans} == {
        ("adopter", reaper["host_pid"])
    }
    assert classic.result.codes == []


def test_orphans_of_a_reaping_pid_1_leave_no_zombie(tmp_path: Path) -> None:
    tini = require_program("tini", "tini")
    classic = play(
        tmp_path / "truth", "classic_orphans", "init", 13, prefix=(str(tini), "-s", "--"),
        stops=True,
    )  # fmt: skip
    orphans = _exited_with(classic, "orphan")
    assert len(orphans) == 13
    assert set(classic.truth.map("heir").values()) == {1}
    init = classic.by_ns_pid[1]
    assert {(o["reap_kind"], o["reaper_host_pid"], o["reaper_comm"]) for o in orphans} == {
        ("adopter", init["host_pid"], "tini")
    }
    assert classic.result.report["zombies"] == []
    assert classic.result.codes == []


def test_orphans_of_a_sleeping_pid_1_stay_zombies(tmp_path: Path) -> None:
    classic = play(
        tmp_path / "truth", "classic_orphans",
        command=("/bin/sh", "-c", '"{}" init 13 & exec sleep 1000'),
        options=("--grace", str(LYING_MS / 1000), *LYING), stops=True,
    )  # fmt: skip
    orphans = _exited_with(classic, "orphan")
    assert len(orphans) == 13
    assert {row[1] for row in classic.truth.rows("state")} == {"Z"}
    assert classic.zombie_pids() == sorted(o["ns_pid"] for o in orphans)
    init = classic.by_ns_pid[1]
    for zombie in classic.result.report["zombies"]:
        assert zombie["parent_host_pid"] == init["host_pid"]
        assert (zombie["reaped"], zombie["reap_kind"]) == (True, "teardown")
        assert zombie["zombie_ns"] >= 1_000_000_000
        assert zombie["injected"] is False
    assert classic.result.codes == ["ZT101", "ZT103", "ZT202"]
    finding = classic.result.finding("ZT202")
    assert set(finding["host_pids"]) == {init["host_pid"], *(o["host_pid"] for o in orphans)}
    stop = classic.result.stop
    assert (stop["already_zombie"], stop["sigkilled"], stop["members"]) == (13, 1, 14)


def test_pid_1_cannot_reap_c_while_b_is_running(tmp_path: Path) -> None:
    # PID 1 never leaves its waitpid(-1); B stays, so the Cs stay.
    classic = play(
        tmp_path / "truth", "classic_bc", 7, LYING_MS, "stay", options=LYING,
        stops=True,
    )  # fmt: skip
    cs = _exited_with(classic, "c")
    assert len(cs) == 7
    assert classic.truth.rows("initwaited") == []
    (b,) = classic.truth.pids("b")
    assert classic.zombie_pids() == sorted(c["ns_pid"] for c in cs)
    b_host_pid = classic.by_ns_pid[b]["host_pid"]
    for zombie in classic.result.report["zombies"]:
        assert (zombie["parent_host_pid"], zombie["parent_comm"]) == (b_host_pid, "b")
        assert zombie["reap_kind"] == "teardown"
    assert classic.result.codes == ["ZT102", "ZT201"]
    assert b_host_pid in classic.result.finding("ZT201")["host_pids"]
    stop = classic.result.stop
    assert (stop["already_zombie"], stop["sigkilled"]) == (7, 1)


def test_bs_late_wait_frees_c(tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_bc", 7, LYING_MS, "wait", options=LYING)
    cs = _exited_with(classic, "c")
    (b,) = classic.truth.pids("b")
    assert classic.truth.map("bwaited") == {c["ns_pid"]: raw_status(c) for c in cs}
    assert classic.truth.map("initwaited") == {b: 0}
    b_host_pid = classic.by_ns_pid[b]["host_pid"]
    assert {(c["reap_kind"], c["reaper_host_pid"]) for c in cs} == {("parent", b_host_pid)}
    aged_ns = classic.truth.number("aged") - classic.truth.number("dead")
    for zombie in classic.result.report["zombies"]:
        assert zombie["begin_boot_ns"] <= classic.truth.number("dead")
        assert zombie["zombie_ns"] >= aged_ns
        # Without kprobes a release is seen late, and the report says so.
        if zombie["precision"] == "exact":
            end_ns = zombie["begin_boot_ns"] + zombie["zombie_ns"]
            assert end_ns <= classic.truth.number("freed") + PIDFD_SLACK_NS
        else:
            assert zombie["precision"] == "upper_bound"
    assert classic.zombie_pids() == sorted(c["ns_pid"] for c in cs)
    assert classic.result.codes == ["ZT204"]


def test_bs_death_hands_c_to_pid_1_and_the_blame_stays_with_b(tmp_path: Path) -> None:
    classic = play(tmp_path / "truth", "classic_bc", 7, LYING_MS, "die", options=LYING)
    cs = _exited_with(classic, "c")
    (b,) = classic.truth.pids("b")
    assert classic.truth.map("initwaited") == {b: 0, **{c["ns_pid"]: raw_status(c) for c in cs}}
    init = classic.by_ns_pid[1]
    assert {(c["reap_kind"], c["reaper_host_pid"]) for c in cs} == {("adopter", init["host_pid"])}
    assert classic.zombie_pids() == sorted(c["ns_pid"] for c in cs)
    # B let them lie; PID 1 took them as soon as it could.
    assert classic.result.codes == ["ZT201"]
    finding = classic.result.finding("ZT201")
    assert classic.by_ns_pid[b]["host_pid"] in finding["host_pids"]
    assert init["host_pid"] not in finding["host_pids"]
