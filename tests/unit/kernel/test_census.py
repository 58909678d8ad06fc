"""The census: what the connector's events come to, without a kernel."""

from __future__ import annotations

import struct
import subprocess

import pytest
from pyroute2.netlink.connector import cn_proc

from tracer.correlate.losses import LossLedger
from tracer.kernel.census import HOST_PIDNS_INUM, Census
from tracer.kernel.netlink import (
    ConnectorComm,
    ConnectorEvent,
    ConnectorExec,
    ConnectorExit,
    ConnectorFork,
    decode_datagram,
)
from tracer.model.events import OVERRUN, LossEvent
from tracer.model.target import KernelFilter
from tracer.model.wait_status import WaitStatus

_GONE = 1 << 30
"""No process has such a number: pid_max is 4194304 at the most."""


def _datagram(what: int, body: bytes) -> bytes:
    return bytes(36) + struct.pack("=IIQ", what, 0, 17) + body


@pytest.mark.parametrize(
    ("what", "body", "event"),
    [
        (
            cn_proc.PROC_EVENT_FORK,
            struct.pack("=IIII", 11, 10, 21, 20),
            ConnectorFork(17, 10, 11, 20, 21),
        ),
        (cn_proc.PROC_EVENT_EXEC, struct.pack("=II", 11, 10), ConnectorExec(17, 10, 11)),
        (
            cn_proc.PROC_EVENT_EXIT,
            struct.pack("=IIIiII", 11, 10, 9, 17, 6, 5),
            ConnectorExit(17, 10, 11, WaitStatus.from_raw(9), 17, 5),
        ),
        (
            # Before 5.0 without the parent; -1 is a thread's.
            cn_proc.PROC_EVENT_EXIT,
            struct.pack("=IIIi", 11, 10, 0x300, -1),
            ConnectorExit(17, 10, 11, WaitStatus.from_raw(0x300), None, None),
        ),
        (
            cn_proc.PROC_EVENT_COMM,
            struct.pack("=II16s", 10, 10, b"a)\n b\0junk"),
            ConnectorComm(17, 10, 10, b"a)\n b"),
        ),
    ],
)
def test_a_datagram_is_taken_apart(what: int, body: bytes, event: ConnectorEvent) -> None:
    assert decode_datagram(_datagram(what, body)) == event


@pytest.mark.parametrize("cut", [0, 20, 51])
def test_a_short_datagram_is_no_event(cut: int) -> None:
    assert decode_datagram(_datagram(cn_proc.PROC_EVENT_FORK, b"")[:cut]) is None


class _Story:
    """Events of processes that /proc does not know, at a millisecond each."""

    def __init__(self) -> None:
        self.census = Census()
        self.census.set_filter(KernelFilter(everything=True))
        self.now_ns = 10**12

    def tell(self, event: ConnectorEvent) -> list[tuple[int, int, int]]:
        """The records: host pid, exit code and living threads."""
        self.now_ns += 10**6
        return [
            (one["host_pid"], one.get("exit_code", 0), one.get("live_threads", 0))
            for one in self.census.take(event, self.now_ns)
        ]

    def fork(self, pid: int, tid: int | None = None) -> list[tuple[int, int, int]]:
        return self.tell(ConnectorFork(0, 1, 1, pid, tid or pid))

    def exit(self, pid: int, tid: int, raw: int) -> list[tuple[int, int, int]]:
        signo = 17 if pid == tid else None
        return self.tell(ConnectorExit(0, pid, tid, WaitStatus.from_raw(raw), signo, None))


def test_a_process_ends_with_its_last_thread() -> None:
    story = _Story()
    pid = _GONE
    assert story.fork(pid) == [(pid, 0, 1)]
    assert story.fork(pid, pid + 1) == []
    # The main thread alone, which may leave with 0 before the whole is killed.
    assert story.exit(pid, pid, 0) == [(pid, 0, 1)]
    assert story.exit(pid, pid + 1, 9) == [(pid, 9, 0)]
    assert story.census.has_dead


def test_a_thread_that_ends_is_no_end_of_its_process() -> None:
    story = _Story()
    story.fork(_GONE)
    story.fork(_GONE, _GONE + 1)
    assert story.exit(_GONE, _GONE + 1, 0) == []
    assert story.exit(_GONE, _GONE, 0x500) == [(_GONE, 0x500, 0)]


def test_an_exec_ends_the_other_threads() -> None:
    story = _Story()
    story.fork(_GONE)
    story.fork(_GONE, _GONE + 1)
    story.exit(_GONE, _GONE, 0)
    story.tell(ConnectorExec(0, _GONE, _GONE))
    assert story.exit(_GONE, _GONE, 0x300) == [(_GONE, 0x300, 0)]


def test_a_process_that_is_gone_is_reported_released_once() -> None:
    story = _Story()
    story.fork(_GONE)
    story.exit(_GONE, _GONE, 0)
    (free,) = story.census.find_released(story.now_ns + 5)
    assert (free["host_pid"], free["boot_ns"]) == (_GONE, story.now_ns + 5)
    # When it was last known to be there.
    assert free["cur_start_boot_ns"] == story.now_ns
    assert story.census.find_released(story.now_ns + 6) == []


def test_a_number_that_is_used_again_is_another_process() -> None:
    story = _Story()
    story.fork(_GONE)
    story.exit(_GONE, _GONE, 0)
    story.now_ns += 10**9
    assert [pid for pid, _, _ in story.fork(_GONE)] == [_GONE, _GONE]
    assert story.exit(_GONE, _GONE, 0x100) == [(_GONE, 0x100, 0)]


def test_a_process_outside_the_target_is_not_mentioned() -> None:
    story = _Story()
    story.census.set_filter(KernelFilter(pidns_inums=frozenset({4})))
    assert story.fork(_GONE) == []
    assert story.exit(_GONE, _GONE, 0) == []
    assert not story.census.has_dead


def test_an_overrun_puts_records_of_every_kind_in_doubt() -> None:
    ledger = LossLedger()
    ledger.add(LossEvent(20, {OVERRUN: 1}, 10))
    assert ledger.kinds_between(0, 30, ("exit",)) == (OVERRUN,)
    assert not ledger.any_between(21, 30, ("exit",))


def test_what_a_source_never_sees_is_in_doubt_at_any_time_and_is_no_loss() -> None:
    ledger = LossLedger()
    ledger.unseen = frozenset({"signal"})
    assert ledger.any_between(0, 1, ("signal",))
    assert ledger.any_between(0, 1)
    assert not ledger.any_between(0, 1, ("exit",))
    assert not ledger.totals


def test_who_execs_stays_in_the_namespace_it_was_born_in() -> None:
    story = _Story()
    story.census.set_filter(KernelFilter(pidns_inums=frozenset({HOST_PIDNS_INUM})))
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        assert len(story.fork(child.pid)) == 1
        child.kill()
        child.wait()
        # It is gone by the time its exec is heard of.
        assert len(story.tell(ConnectorExec(0, child.pid, child.pid))) == 1
        assert story.exit(child.pid, child.pid, 9) == [(child.pid, 9, 0)]
    finally:
        child.kill()
        child.wait()
