"""The kernel's process connector: forks, execs and exits without BPF.

The only module that imports pyroute2. That sets the socket up; reading it is
done here, a datagram an event by a fixed layout, as pyroute2 takes a socket's
events one call each and cannot say that some were lost.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2.netlink import NLMSG_DONE
from pyroute2.netlink.connector import cn_proc

from tracer.errors import PrivilegeError, UnavailableError
from tracer.kernel import rights
from tracer.model.rights import LISTEN_TO_PROCESSES, names
from tracer.model.wait_status import WaitStatus

RECEIVE_BUFFER = 32 << 20
"""Room for some 40,000 events while none are read; they count 768 bytes each."""
_SO_RCVBUFFORCE = 33
"""asm-generic/socket.h; the socket module does not name it."""
_DATAGRAM = 4096
_KERNEL = 0
"""Its port id, which no process can have."""
_EVENT = struct.Struct("=16x 20x I 4x Q")
"""nlmsghdr and cn_msg, then the event's kind, its CPU and its time."""
_FORK = struct.Struct("=IIII")
_EXEC = struct.Struct("=II")
_EXIT = struct.Struct("=IIIi")
_EXIT_PARENT = struct.Struct("=II")
_COMM = struct.Struct("=II16s")
# include/linux/proc_ns.h: the inodes of the initial namespaces.
_INIT_NAMESPACES = {"pid": 0xEFFFFFFC, "user": 0xEFFFFFFD}


@dataclass(frozen=True, slots=True)
class ConnectorFork:
    """A thread or process was made; of a process pid and tid are equal.

    Units:
        mono_ns: CLOCK_MONOTONIC, ns: stands still in suspend.
    """

    mono_ns: int
    parent_host_pid: int
    parent_host_tid: int
    child_host_pid: int
    child_host_tid: int


@dataclass(frozen=True, slots=True)
class ConnectorExec:
    """A process runs another program."""

    mono_ns: int
    host_pid: int
    host_tid: int


@dataclass(frozen=True, slots=True)
class ConnectorExit:
    """A thread ended; the leader's (pid and tid are equal) stands for its process.

    Args:
        mono_ns: When, CLOCK_MONOTONIC.
        host_pid: Its thread group.
        host_tid: The thread.
        status: Its own exit status. It is the process's, but where threads ended
            one by one with different ones.
        exit_signo: What its parent gets; None for threads and where none is sent.
        parent_host_pid: Who must reap it; None where that had happened before the
            event was made, and on kernels before 5.0.
    """

    mono_ns: int
    host_pid: int
    host_tid: int
    status: WaitStatus
    exit_signo: int | None
    parent_host_pid: int | None


@dataclass(frozen=True, slots=True)
class ConnectorComm:
    """A thread's name was changed, by itself or by another thread; an exec reports none."""

    mono_ns: int
    host_pid: int
    host_tid: int
    comm: bytes


ConnectorEvent = ConnectorFork | ConnectorExec | ConnectorExit | ConnectorComm


class ProcConnector:
    """Listens to the whole host from ``with`` on; iterate for the events.

    Iteration ends after :meth:`stop`, which any thread may call, once what had
    arrived by then is read.

    Args:
        receive_buffer: Bytes of the socket's buffer.

    Attributes:
        overruns: How often the kernel had to drop events for want of room; how
            many it dropped is unknown.

    Raises:
        PrivilegeError: Needs CAP_NET_ADMIN.
        UnavailableError: The kernel has no process connector, or not for this
            namespace.
    """

    def __init__(self, *, receive_buffer: int = RECEIVE_BUFFER) -> None:
        self.overruns = 0
        self._receive_buffer = receive_buffer
        self._control = cn_proc.ProcEventSocket()
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        # Elsewhere the kernel takes the request, and never answers it.
        for name, inum in _INIT_NAMESPACES.items():
            if Path(f"/proc/self/ns/{name}").stat().st_ino != inum:
                self._close()
                raise UnavailableError(
                    f"the process connector serves the host's {name} namespace only",
                    hint="run zomtrace on the host",
                )
        try:
            self._control.bind()
            self._control.control(listen=True)
            self._socket = socket.socket(fileno=os.dup(self._control.fileno()))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, self._receive_buffer)
        except PermissionError as error:
            self._close()
            raise refusal() from error
        except OSError as error:
            self._close()
            raise UnavailableError(
                f"this kernel has no process connector: {error.strerror}",
                hint="it needs CONFIG_PROC_EVENTS, and the host's network namespace",
            ) from error
        self._socket.setblocking(False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Without this, kernels before 6.6 go on sending though there is no listener.
        message = cn_proc.proc_event_control()
        message["action"] = cn_proc.PROC_CN_MCAST_IGNORE
        message["idx"] = cn_proc.CN_IDX_PROC
        message["val"] = cn_proc.CN_VAL_PROC
        message["len"] = 4
        self._control.put(message, NLMSG_DONE, msg_flags=0, msg_seq=0)
        self._close()

    def __iter__(self) -> Iterator[ConnectorEvent]:
        while self.wait(None):
            yield from self.drain()
        yield from self.drain()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for events.

        Args:
            timeout_s: At most this long; None waits forever.

        Returns:
            False once :meth:`stop` was called.
        """
        poll = select.poll()
        poll.register(self._open(), select.POLLIN)
        poll.register(self._stop_fd, select.POLLIN)
        ready = poll.poll(None if timeout_s is None else timeout_s * 1000)
        return all(fd != self._stop_fd for fd, _ in ready)

    def stop(self) -> None:
        """End the iteration."""
        os.eventfd_write(self._stop_fd, 1)

    def drain(self) -> Iterator[ConnectorEvent]:
        """Take what has arrived."""
        source = self._open()
        while True:
            try:
                datagram, (sender, _) = source.recvfrom(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            if sender != _KERNEL:
                # Whoever has CAP_NET_ADMIN here, such as a container, may send to any port.
                continue
            event = decode_datagram(datagram)
            if event is not None:
                yield event

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("ProcConnector is used outside its with statement")
        return self._socket

    def _close(self) -> None:
        self._control.close()
        os.close(self._stop_fd)
        if self._socket is not None:
            self._socket.close()


def decode_datagram(datagram: bytes) -> ConnectorEvent | None:
    """Decode one message; None for kinds that are none of ours.

    Source:
        struct proc_event, include/uapi/linux/cn_proc.h.
    """
    if len(datagram) < _EVENT.size:
        return None
    what, mono_ns = _EVENT.unpack_from(datagram)
    body = memoryview(datagram)[_EVENT.size :]
    if what == cn_proc.PROC_EVENT_FORK:
        parent_tid, parent_pid, child_tid, child_pid = _FORK.unpack_from(body)
        return ConnectorFork(mono_ns, parent_pid, parent_tid, child_pid, child_tid)
    if what == cn_proc.PROC_EVENT_EXEC:
        tid, pid = _EXEC.unpack_from(body)
        return ConnectorExec(mono_ns, pid, tid)
    if what == cn_proc.PROC_EVENT_EXIT:
        tid, pid, raw_status, exit_signo = _EXIT.unpack_from(body)
        parent_pid = 0
        if len(body) >= _EXIT.size + _EXIT_PARENT.size:
            _, parent_pid = _EXIT_PARENT.unpack_from(body, _EXIT.size)
        return ConnectorExit(
            mono_ns=mono_ns,
            host_pid=pid,
            host_tid=tid,
            status=WaitStatus.from_raw(raw_status & 0xFFFF),
            exit_signo=exit_signo if exit_signo > 0 else None,
            parent_host_pid=parent_pid or None,
        )
    if what == cn_proc.PROC_EVENT_COMM:
        tid, pid, comm = _COMM.unpack_from(body)
        return ConnectorComm(mono_ns, pid, tid, comm.split(b"\0", 1)[0])
    return None


def refusal() -> PrivilegeError:
    """The error where the kernel does not let us listen."""
    lacking = rights.missing(LISTEN_TO_PROCESSES)
    needed = names(next(iter(LISTEN_TO_PROCESSES.choices)))
    why = f"{lacking} missing" if lacking else f"{needed} is held, but something else forbids it"
    return PrivilegeError(
        f"listening to the process connector is not permitted: {why}",
        hint=f"run as root, or grant {needed}",
    )
