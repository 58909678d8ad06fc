"""A pid that was reused: nothing is read of a process that merely has the number."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from tests.support.waiting import wait_for
from tracer.live.observers import proc
from tracer.live.observers.sender import SenderEvidence
from tracer.model.identity import ProcessKey
from tracer.procfs.process import read_status
from tracer.wire.layout import CONSTANTS, RECORD

SECOND_NS = 1_000_000_000
READERS: dict[str, Callable[[ProcessKey], object]] = {
    "parent": partial(proc._read_parent, show_commands=True),
    "threads": proc._read_threads,
    "init": proc._read_init,
    "holder": proc._read_holder,
    "name": proc._read_name,
}


def key_of(host_pid: int) -> ProcessKey:
    status = read_status(host_pid)
    assert status is not None
    return status.key


def earlier(key: ProcessKey) -> ProcessKey:
    """The process that had this pid before."""
    return ProcessKey(key.host_pid, key.start_boot_ns - SECOND_NS)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"], stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: proc._read_name(key_of(process.pid)) == "sleep", "it is executed")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_reading_is_of_the_process_meant(
    sleeper: subprocess.Popen[bytes], reader: Callable[[ProcessKey], object]
) -> None:
    key = key_of(sleeper.pid)
    assert reader(key) is not None
    assert reader(earlier(key)) is None


def test_a_zombie_is_the_one_meant_and_its_parents() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        key, us = key_of(pid), key_of(os.getpid())
        assert proc._is_zombie_of(key, us)
        assert not proc._is_zombie_of(earlier(key), us)
        assert not proc._is_zombie_of(key, ProcessKey(us.host_pid + 1, us.start_boot_ns))
    finally:
        os.waitpid(pid, 0)


def a_kill_by(key: ProcessKey) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    record = np.zeros(1, RECORD)
    record["kind"] = CONSTANTS["ZT_KIND_SIGNAL"]
    record["info"] = CONSTANTS["ZT_INFO_POINTER"]
    record["sig"] = signal.SIGTERM
    record["cur_host_pid"], record["cur_start_boot_ns"] = key
    return record


def test_a_command_line_is_the_senders(sleeper: subprocess.Popen[bytes]) -> None:
    key = key_of(sleeper.pid)
    (read,) = SenderEvidence(time.monotonic_ns).peek(a_kill_by(key))
    assert (read.about, read.values) == (key, {"cmdline": "sleep 100"})
    assert list(SenderEvidence().peek(a_kill_by(earlier(key)))) == []
    # A start that is not known may be anybody's.
    assert list(SenderEvidence().peek(a_kill_by(ProcessKey(key.host_pid, 0)))) == []
