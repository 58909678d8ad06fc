"""The process connector against waitpid's own word."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.exit_oracle import ExitOracle
from tests.support.waiting import wait_for
from tracer.kernel.netlink import ConnectorExit, ProcConnector

pytestmark = [pytest.mark.root, pytest.mark.alone]

_CHILDREN = 997
_NETLINK_CONNECTOR = 11


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


_SENDING = """
import socket, sys
with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11) as sender:
    sender.bind((0, 0))
    for datagram in sys.argv[2:]:
        sender.sendto(bytes.fromhex(datagram), (int(sys.argv[1]), 0))
"""


def _port_of_listener() -> int:
    for line in Path("/proc/net/netlink").read_text().splitlines()[1:]:
        _, protocol, port, groups, *_, inode = line.split()
        is_ours = f"socket:[{inode}]" in _own_descriptors()
        if int(protocol) == _NETLINK_CONNECTOR and int(groups, 16) and is_ours:
            return int(port)
    raise AssertionError("no listener")


def _own_descriptors() -> set[str]:
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            links.add(os.readlink(entry))
    return links


def test_events_that_another_process_sends_are_not_the_kernels() -> None:
    # Port and group are in the message of the kernel's; what follows is a death of pid 1's.
    header = bytes(36)
    death = struct.pack("=II Q IIIi II", 0x80000000, 0, 1, 1, 1, 9, 17, 0, 0)
    cut_short = struct.pack("=II Q", 1, 0, 1)
    with ProcConnector() as connector:
        forged = [(header + body).hex() for body in (death, cut_short)]
        sender = [sys.executable, "-c", _SENDING, str(_port_of_listener()), *forged]
        with subprocess.Popen(sender) as process:
            assert process.wait() == 0
        connector.stop()
        events = list(connector)
    deaths = {event.host_pid for event in events if isinstance(event, ConnectorExit)}
    assert process.pid in deaths
    assert 1 not in deaths


def test_an_unread_connector_ends_on_request() -> None:
    with ExitOracle():
        pass
