"""--source netlink: exact about forks, execs and exits, and silent about all it cannot see."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support.confined import with_capabilities
from tests.support.require import require_program, require_root
from tests.support.zomtrace_process import Json, run_zomtrace, zomtrace_command
from tracer.kernel.census import HOST_PIDNS_INUM
from tracer.kernel.netlink_source import UNSEEN_KINDS, NetlinkSource
from tracer.model.events import OVERRUN
from tracer.model.target import KernelFilter
from tracer.model.verdicts import unreportable

pytestmark = pytest.mark.root

_CHILDREN = 211
_WORKLOAD = """
import os, signal, sys
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        if number % 3 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(number % 256)
    print(pid, os.waitpid(pid, 0)[1], flush=True, file=open(sys.argv[2], "a"))
"""


def _python(script: str, *arguments: str) -> list[str]:
    return ["/usr/bin/python3", "-c", script, *arguments]


def _of_kind(lines: list[Json], kind: str) -> list[Json]:
    return [line for line in lines if line["kind"] == kind]


def _raw_status(line: Json) -> int:
    if line["term_signal"] is not None:
        return {"SIGKILL": 9}[line["term_signal"]]
    return int(line["exit_code"]) << 8


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user may not read what root has compiled."""
    monkeypatch.setenv("ZOMTRACE_CACHE", "")


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where a workload notes what waitpid told it: in its own numbers."""
    return tmp_path / "told"


def test_every_child_is_reported_once_with_the_status_waitpid_gave(told: Path) -> None:
    result = run_zomtrace(
        "run", "--source", "netlink", "-v", "--", *_python(_WORKLOAD, str(_CHILDREN), str(told))
    )
    assert result.status == 0, result.stderr
    truth = [int(line.split()[1]) for line in told.read_text().splitlines()]
    assert len(truth) == _CHILDREN
    forks, exits = _of_kind(result.lines, "fork"), _of_kind(result.lines, "exit")
    assert len(forks) == _CHILDREN
    # And PID 1 itself.
    assert len(exits) == _CHILDREN + 1
    in_order = [_raw_status(line) for line in sorted(exits, key=lambda one: one["boot_ns"])]
    assert in_order == [*truth, 0]
    begins = {(line["host_pid"], line["start_boot_ns"]) for line in forks}
    assert begins < {(line["host_pid"], line["start_boot_ns"]) for line in exits}


def test_nothing_is_claimed_that_was_not_seen(told: Path) -> None:
    result = run_zomtrace(
        "run", "--source", "netlink", "-v", "--", *_python(_WORKLOAD, "31", str(told))
    )
    (attached,), (report,) = (_of_kind(result.lines, kind) for kind in ("attached", "report"))
    assert attached["source"] == report["source"] == "netlink"
    assert {hook["name"] for hook in attached["hooks"] if hook["source"] is None} == UNSEEN_KINDS
    killed = [one for one in report["processes"] if one["term_signal"] == "SIGKILL"]
    assert len(killed) == 11
    assert {one["cause"] for one in killed} == {"unknown"}
    assert {one["sender_comm"] for one in report["processes"]} == {None}
    assert {one["stop_signal_disposition"] for one in report["processes"]} == {"unknown"}
    reaps = _of_kind(result.lines, "reap")
    assert {(one["reap_kind"], one["reaper_host_pid"]) for one in reaps} == {("unknown", None)}
    assert {one["reap_kind"] for one in report["processes"]} == {"unknown"}
    assert Counter(line["kind"] for line in result.lines).keys() <= {
        "attached", "process", "fork", "exec", "exit", "reap", "observation", "report",
    }  # fmt: skip
    # Nothing was lost: it was never to be seen.
    assert report["lost"] == {}
    assert report["findings"] == []


_ZOMBIE = """
import os, time
if os.fork() == 0:
    os._exit(5)
time.sleep(1.5)
"""


def test_a_zombie_is_reported_and_no_one_is_blamed_for_it() -> None:
    result = run_zomtrace("run", "--source", "netlink", "--", *_python(_ZOMBIE))
    (report,) = _of_kind(result.lines, "report")
    (zombie,) = report["zombies"]
    assert zombie["zombie_ns"] >= 1_300_000_000
    assert zombie["reap_kind"] == "unknown"
    assert report["findings"] == []


def test_a_process_whose_main_thread_ends_first_ends_once() -> None:
    script = (
        "import os, threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), os._exit(7))).start()\n"
        "import ctypes; ctypes.CDLL(None).pthread_exit(None)\n"
    )
    result = run_zomtrace("run", "--source", "netlink", "-v", "--", *_python(script))
    assert [one["exit_code"] for one in _of_kind(result.lines, "exit")] == [7]


def test_a_capture_of_it_is_reported_alike(tmp_path: Path, told: Path) -> None:
    path = tmp_path / "it.capture"
    live = run_zomtrace(
        "run", "--source", "netlink", "-w", str(path), "--",
        *_python(_WORKLOAD, "7", str(told)),
    )  # fmt: skip
    again = run_zomtrace("report", "--json", str(path), json_lines=False)
    assert again.status == 0, again.stderr
    assert b'"source":"netlink"' in again.stdout
    (report,) = _of_kind(live.lines, "report")
    assert again.stdout.count(b'"cause":"unknown"') >= 3
    assert len(report["processes"]) == 8


def test_it_takes_cap_net_admin_and_no_right_to_bpf() -> None:
    require_root()
    require_program("setpriv", "setpriv")
    arguments = ("--all", "--source", "netlink", "-d", "0.3")
    for uid in (4321, 0):
        allowed = run_zomtrace(
            *arguments,
            command=[*with_capabilities("net_admin", uid=uid), *zomtrace_command()],
            json_lines=False,
        )
        assert b"BY --SOURCE NETLINK" in allowed.stdout
        refused = run_zomtrace(
            *arguments,
            command=[*with_capabilities("bpf", "perfmon", uid=uid), *zomtrace_command()],
            json_lines=False,
            status=77,
        )
        assert "CAP_NET_ADMIN missing" in refused.stderr


def test_a_refusal_of_bpf_names_it_and_does_not_choose_it() -> None:
    refused = run_zomtrace(
        "--all", "-d", "0.2",
        command=[*with_capabilities("net_admin", uid=4321), *zomtrace_command()],
        json_lines=False,
        status=77,
    )  # fmt: skip
    assert "--source netlink" in refused.stderr
    assert not refused.stdout


def test_a_namespace_is_traced_and_its_neighbour_is_not(told: Path) -> None:
    neighbour = subprocess.Popen(["/bin/sh", "-c", "while :; do /bin/true; done"])
    try:
        result = run_zomtrace(
            "run", "--source", "netlink", "-v", "--", *_python(_WORKLOAD, "13", str(told))
        )
    finally:
        neighbour.kill()
        neighbour.wait()
    forks = _of_kind(result.lines, "fork")
    assert len(forks) == 13
    (inum,) = {one["pidns_inum"] for one in forks}
    assert inum != HOST_PIDNS_INUM


_NESTED = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWPID = 0x20000000
for number in range(7):
    if os.fork() == 0:
        assert libc.unshare(CLONE_NEWPID) == 0
        pid = os.fork()
        if pid == 0:
            os._exit(40 + number)
        status = os.waitpid(pid, 0)[1]
        os._exit(os.waitstatus_to_exitcode(status) - 20)
    os.wait()
"""


def test_namespaces_below_the_target_belong_to_it() -> None:
    result = run_zomtrace("run", "--source", "netlink", "-v", "--", *_python(_NESTED))
    codes = sorted(one["exit_code"] for one in _of_kind(result.lines, "exit"))
    assert codes == [0, *range(20, 27), *range(40, 47)]


def test_fail_on_a_finding_it_never_makes_is_refused() -> None:
    never = unreportable(UNSEEN_KINDS)
    assert "ZT106" in never
    refused = run_zomtrace(
        "--all", "--source", "netlink", "--fail-on", "ZT106", "-d", "0.1",
        json_lines=False,
        status=2,
    )  # fmt: skip
    assert "never finds ZT106" in refused.stderr


def test_what_found_no_room_is_a_loss_of_at_least_one_event() -> None:
    with NetlinkSource(receive_buffer=4096) as source:
        source.set_filter(KernelFilter(everything=True))
        source.attach()
        # Nobody reads before the processes that were there are listed.
        for _ in range(97):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        source.seed()
        source.finish()
        losses = source.take_losses()
        assert losses.keys() == {OVERRUN}
        assert 1 <= losses[OVERRUN] <= 2 * 97
        assert source.take_losses() == {}
