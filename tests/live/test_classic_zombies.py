"""Classic cases 1, 7 and 8: zombies that nothing removes but their parent's end."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.require import require
from tests.support.truth import LYING, LYING_MS, play
from tests.support.zomtrace_process import raw_status
from tracer.demo.pids_cgroup import PidsCgroup
from tracer.errors import UnavailableError

pytestmark = pytest.mark.root

_ZOMBIES = 997
_ORPHANS = 211


@pytest.fixture
def pids_cgroup(request: pytest.FixtureRequest) -> Iterator[PidsCgroup]:
    """A pids cgroup with the limit the test asks for."""
    try:
        cgroup = PidsCgroup(request.param)
    except UnavailableError as error:
        require("pids", False, f"no pids cgroup: {error.message}")
        raise
    with cgroup:
        yield cgroup


@pytest.mark.parametrize("pids_cgroup", [_ZOMBIES + 1], indirect=True)
def test_zombies_fill_the_limit_and_no_signal_removes_them(
    pids_cgroup: PidsCgroup, tmp_path: Path
) -> None:
    classic = play(
        tmp_path / "truth", "classic_zombies", 2 * _ZOMBIES, LYING_MS,
        pids_cgroup.path / "cgroup.procs", options=LYING, stops=True,
    )  # fmt: skip
    # The workload's own truth: PID 1 and 997 zombies are all the limit allows.
    codes = classic.truth.map("child")
    assert len(codes) == _ZOMBIES
    assert classic.truth.number("refused") == errno.EAGAIN
    assert pids_cgroup.refusals() in (1, None)
    assert classic.truth.number("signalled") == 2 * _ZOMBIES
    assert classic.truth.number("left") == _ZOMBIES

    processes = classic.by_ns_pid
    assert len(processes) == _ZOMBIES + 1
    init = processes[1]
    assert {pid: raw_status(processes[pid]) for pid in codes} == {
        pid: code << 8 for pid, code in codes.items()
    }
    # Each died by itself: neither PID 1's signals nor the teardown's killed it.
    assert {(processes[pid]["end"], processes[pid]["cause"]) for pid in codes} == {("exit", None)}
    assert {processes[pid]["reap_kind"] for pid in codes} == {"teardown"}

    assert classic.zombie_pids() == sorted(codes)
    dead_ns = classic.truth.number("dead")
    for zombie in classic.result.report["zombies"]:
        assert zombie["begin_boot_ns"] <= dead_ns
        assert zombie["begin_boot_ns"] + zombie["zombie_ns"] >= dead_ns
        assert zombie["parent_host_pid"] == init["host_pid"]
        assert zombie["parent_sigchld"] == "default"
        assert zombie["reaped"] is True
        assert zombie["injected"] is False

    for name in ("SIGTERM", "SIGKILL"):
        sent = [
            line for line in classic.signals(name) if line["sender_host_pid"] == init["host_pid"]
        ]
        assert sorted(line["ns_pid"] for line in sent) == sorted(codes)
        assert {line["sender_syscall"] for line in sent} == {"kill"}
        # A zombie takes nothing in: no such signal counts as having done anything.
        assert {line["cause"] for line in sent} <= {"kill"}

    # The limit and the refusal are told where their readings came in time.
    assert set(classic.result.codes) - {"ZT301", "ZT302"} == {"ZT201"}
    finding = classic.result.finding("ZT201")
    assert set(finding["host_pids"]) == {process["host_pid"] for process in processes.values()}
    stop = classic.result.stop
    assert (stop["members"], stop["already_zombie"], stop["sigkilled"]) == (_ZOMBIES, _ZOMBIES, 0)
    assert (stop["init_exit_code"], stop["escalated"]) == (0, False)


@pytest.mark.parametrize("pids_cgroup", [_ORPHANS + 3], indirect=True)
def test_the_end_of_an_init_that_does_not_reap_frees_its_zombies(
    pids_cgroup: PidsCgroup, tmp_path: Path
) -> None:
    classic = play(
        tmp_path / "truth", "classic_host_init", 2 * _ORPHANS, LYING_MS,
        pids_cgroup.path / "cgroup.procs", options=LYING,
    )  # fmt: skip
    orphans = classic.truth.pids("orphan")
    (standin,) = classic.truth.pids("standin")
    assert len(orphans) == _ORPHANS
    assert classic.truth.number("refused") == errno.EAGAIN
    assert classic.truth.number("again") == 0
    # PID 1 waited for the stand-in, killed, and for every orphan it inherited.
    assert classic.truth.map("waited") == {standin: 9, **dict.fromkeys(orphans, 0)}

    processes = classic.by_ns_pid
    init, killed = processes[1], processes[standin]
    assert (killed["cause"], killed["sender_host_pid"]) == ("kill", init["host_pid"])
    assert {
        (processes[pid]["reap_kind"], processes[pid]["reaper_host_pid"]) for pid in orphans
    } == {("adopter", init["host_pid"])}
    assert classic.zombie_pids() == sorted(orphans)
    held_ns = classic.truth.number("killed") - classic.truth.number("dead")
    for zombie in classic.result.report["zombies"]:
        assert zombie["zombie_ns"] >= held_ns
    # They lay at the stand-in, which is to blame; PID 1 took them at once.
    assert set(classic.result.codes) - {"ZT301", "ZT302"} == {"ZT106", "ZT201"}
    finding = classic.result.finding("ZT201")
    assert killed["host_pid"] in finding["host_pids"]
    assert init["host_pid"] not in finding["host_pids"]


def test_no_wait_frees_a_zombie_leader_and_its_last_thread_ends_it(tmp_path: Path) -> None:
    copies = 5
    classic = play(
        tmp_path / "truth", "classic_leader", copies, LYING_MS, options=LYING,
        stops=True, by_connector=False,
    )  # fmt: skip
    kinds = {
        kind: classic.truth.pids(kind) for kind in ("alone", "group", "killed", "stays", "whole")
    }
    assert {len(pids) for pids in kinds.values()} == {copies}
    leaders = [pid for kind, pids in kinds.items() if kind != "whole" for pid in pids]
    # In state Z all of them, and waitpid(WNOHANG) gave none.
    assert sorted(classic.truth.pids("looked")) == sorted(leaders)
    assert {tuple(row[1:]) for row in classic.truth.rows("looked")} == {("Z", "0")}

    processes = classic.by_ns_pid
    init = processes[1]
    reaped = classic.truth.map("reaped")
    assert sorted(reaped) == sorted(
        pid for kind, pids in kinds.items() if kind != "stays" for pid in pids
    )
    assert {pid: raw_status(processes[pid]) for pid in reaped} == reaped
    assert {processes[pid]["reap_kind"] for pid in reaped} == {"parent"}
    for pid in kinds["killed"]:
        assert (processes[pid]["cause"], processes[pid]["sender_host_pid"]) == (
            "kill", init["host_pid"],
        )  # fmt: skip
    # A zombie leader is alive: the teardown kills it.
    for pid in kinds["stays"]:
        assert (processes[pid]["cause"], processes[pid]["term_signal"]) == (
            "pidns_teardown", "SIGKILL",
        )  # fmt: skip
    stop = classic.result.stop
    assert (stop["members"], stop["sigkilled"], stop["already_zombie"]) == (copies, copies, 0)
    # One exit a process, although two threads of each ended apart.
    assert len(classic.result.of_kind("exit")) == len(kinds) * copies + 1

    assert classic.zombie_pids() == sorted(leaders)
    assert {zombie["live_threads"] for zombie in classic.result.report["zombies"]} == {1}
    assert classic.result.codes == ["ZT102", "ZT106", "ZT203"]
    finding = classic.result.finding("ZT203")
    assert set(finding["host_pids"]) >= {processes[pid]["host_pid"] for pid in leaders}
