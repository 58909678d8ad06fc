"""/proc's text, whatever a process calls itself, and processes that vanish."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.model.events import SigchldAction
from tracer.model.signals import Disposition
from tracer.procfs import process as procfs
from tracer.procfs.status import (
    ProcStat,
    ProcStatus,
    parse_cgroup,
    parse_timens_offset,
    start_boot_ns,
)

_TAIL = (
    b" Z 5 4 3 0 -1 4227148 65 0 0 0 0 0 0 0 20 0 1 0 180603 0 0 18446744073709551615"
    b" 0 0 0 0 0 0 0 16781312 2 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 1792\n"
)
_STATUS = b"""\
Name:\tsh
State:\tZ (zombie)
Tgid:\t17847
PPid:\t5
TracerPid:\t99
NSpid:\t17847\t31\t1
Threads:\t3
SigBlk:\t0000000000000001
SigIgn:\t0000000000001000
SigCgt:\t0000000000010002
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@given(st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_any_name_is_read_and_hides_no_field(name: bytes) -> None:
    stat = ProcStat.parse(b"17847 (" + name + b")" + _TAIL)
    assert stat == ProcStat(
        pid=17847,
        comm=name.decode("utf-8", "backslashreplace"),
        state="Z",
        parent_pid=5,
        threads=1,
        start_ticks=180603,
        raw_wait_status=1792,
        process_group=4,
    )
    stat.comm.encode("utf-8")


def test_a_zombie_leader_with_live_threads_is_not_over() -> None:
    fields = (b"17847 (init)" + _TAIL).split()
    for state, threads, is_over in ((b"Z", b"3", False), (b"Z", b"1", True), (b"S", b"1", False)):
        fields[2], fields[19] = state, threads
        assert ProcStat.parse(b" ".join(fields)).is_over is is_over


@pytest.mark.parametrize("name", [b") Z 1 (", b"a) R 7 8", b"\n", b"((()))", b" ", b""])
def test_a_name_made_to_look_like_the_rest_does_not(name: bytes) -> None:
    stat = ProcStat.parse(b"17847 (" + name + b")" + _TAIL)
    assert (stat.comm.encode(), stat.parent_pid, stat.start_ticks) == (name, 5, 180603)


@pytest.mark.parametrize("raw", [b"", b"17847", b"17847 (sh", b"17847 (sh)", b"17847 (sh) Z 1"])
def test_what_is_no_stat_line_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no /proc/PID/stat line"):
        ProcStat.parse(raw)


def test_stat_and_status_are_put_together() -> None:
    status = ProcStatus.parse(b"17847 (sh)" + _TAIL, _STATUS, timens_offset_ns=3)
    assert status == ProcStatus(
        host_pid=17847,
        comm="sh",
        state="Z",
        parent_host_pid=5,
        tracer_host_pid=99,
        ns_pids=(17847, 31, 1),
        threads=3,
        start_boot_ns=1_806_030_000_000 - 3,
        raw_wait_status=1792,
        blocked_mask=1,
        ignored_mask=0x1000,
        caught_mask=0x10002,
        process_group=4,
    )
    assert (status.ns_pid, status.is_ns_init, status.is_zombie) == (1, True, True)


def test_what_a_process_does_about_a_signal_is_read_from_its_masks() -> None:
    status = ProcStatus.parse(b"17847 (sh)" + _TAIL, _STATUS)
    assert status.disposition(1) is Disposition.BLOCKED
    assert status.disposition(13) is Disposition.IGNORED
    assert status.disposition(2) is Disposition.CAUGHT
    assert status.disposition(15) is Disposition.DEFAULT
    assert status.sigchld is SigchldAction.CAUGHT


def test_a_status_without_namespaces_has_the_one_number() -> None:
    status = ProcStatus.parse(b"17847 (sh)" + _TAIL, b"Name:\tsh\n")
    assert status.ns_pids == (17847,)
    assert status.sigchld is SigchldAction.DEFAULT


def test_a_time_namespace_is_taken_out_of_start_times() -> None:
    offset_ns = parse_timens_offset(b"monotonic           0         0\nboottime    1000   500\n")
    assert offset_ns == 1_000_000_000_500
    assert start_boot_ns(100_100, offset_ns) == 1_001_000_000_000 - offset_ns
    assert parse_timens_offset(b"") == 0


def test_cgroups_are_listed_by_controller() -> None:
    raw = b"2:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/d \xff\n"
    assert parse_cgroup(raw) == {
        "cpu": "/a",
        "cpuacct": "/a",
        "name=systemd": "/b:c",
        "": os.fsdecode(b"/d \xff"),
    }


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (None, None),
        (b"", None),
        (b"running\n", None),
        (b"-1 0x0 0x0\n", None),
        (b"0 0x0 0x7f 0x10 0x0 0x0 0x0 0x7ffe 0x7f12\n", 0),
        (b"61 0xffffffff 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f12\n", 61),
    ],
)
def test_the_system_call_a_task_is_in_is_read(raw: bytes | None, number: int | None) -> None:
    assert procfs.parse_syscall_number(raw) == number


def test_our_own_process_is_read_as_we_know_it() -> None:
    status = procfs.read_status(os.getpid())
    assert status is not None
    assert (status.host_pid, status.parent_host_pid) == (os.getpid(), os.getppid())
    assert procfs.read_pidns_inum(os.getpid()) == Path("/proc/self/ns/pid").stat().st_ino
    assert os.getpid() in procfs.list_pids()
    assert (procfs.read_cmdline(os.getpid()) or ())[0]


def test_a_process_that_never_was_is_none() -> None:
    pid = int(Path("/proc/sys/kernel/pid_max").read_text())
    assert procfs.open_process(pid) is None
    assert procfs.read_status(pid) is None
    assert procfs.read_pidns_inum(pid) is None
    assert procfs.read_cmdline(pid) is None
    assert procfs.read_cgroups(pid) is None
    assert procfs.open_thread(pid, pid) is None


def test_an_open_directory_outlives_its_process_and_reads_nothing(
    sleeper: subprocess.Popen[bytes],
) -> None:
    directory = procfs.open_process(sleeper.pid)
    assert directory is not None
    with directory:
        assert directory.status() is not None
        sleeper.kill()
        sleeper.wait()
        for name in ("stat", "status", "cmdline", "cgroup", "syscall", "wchan"):
            assert directory.read(name) is None
        assert directory.status() is None
        assert directory.link("ns/pid") is None
        assert directory.tids() == []
        assert directory.blocked_in() == procfs.Blocked(None, None)


def test_a_zombie_keeps_its_name_number_status_and_namespace() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        status = procfs.read_status(pid)
        assert status is not None
        assert (status.is_zombie, status.raw_wait_status) == (True, 7 << 8)
        assert procfs.read_pidns_inum(pid) == Path("/proc/self/ns/pid").stat().st_ino
        assert procfs.read_cmdline(pid) == ()
    finally:
        os.waitpid(pid, 0)


def test_a_blocked_process_shows_its_system_call(sleeper: subprocess.Popen[bytes]) -> None:
    while True:
        directory = procfs.open_process(sleeper.pid)
        assert directory is not None
        with directory:
            blocked = directory.blocked_in()
            status = directory.status()
        if status is not None and status.state == "S" and blocked.syscall == "read":
            break
