"""The process connector against waitpid's own word."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.exit_oracle import ExitOracle
from tests.support.waiting import wait_for
from tracer.kernel.netlink import ProcConnector

pytestmark = [pytest.mark.root, pytest.mark.alone]

_CHILDREN = 997


def test_every_exit_has_the_status_that_waitpid_returns() -> None:
    with ExitOracle() as oracle:
        told = {}
        for number in range(_CHILDREN):
            pid = os.fork()
            if pid == 0:
                if number % 3 == 0:
                    signal.raise_signal(signal.SIGKILL)
                os._exit(number % 256)
            told[pid] = os.waitpid(pid, 0)[1]
        wait_for(lambda: told.keys() <= oracle.statuses().keys(), "every exit is told")
    seen = oracle.statuses()
    assert {pid: seen[pid] for pid in told} == told
    ours = [event for event in oracle.exits if event.host_pid in told]
    assert len(ours) == _CHILDREN
    # None where waitpid was quicker than the event.
    assert {event.parent_host_pid for event in ours} - {None} == {os.getpid()}
    assert {event.exit_signo for event in ours} == {int(signal.SIGCHLD)}


def test_forks_name_parent_and_child() -> None:
    with ExitOracle() as oracle:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        oracle.wait_for_exit(pid)
    (fork,) = [event for event in oracle.forks if event.child_host_pid == pid]
    assert fork.parent_host_pid == os.getpid()


def test_events_the_kernel_dropped_are_counted() -> None:
    with ProcConnector(receive_buffer=4096) as connector:
        for _ in range(97):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        connector.stop()
        events = list(connector)
    assert connector.overruns >= 1
    assert len(events) < 2 * 97


def test_an_unread_connector_ends_on_request() -> None:
    with ExitOracle():
        pass
