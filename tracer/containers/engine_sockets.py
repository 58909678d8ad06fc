"""Which Docker engines listen here, found out before anything heavy is loaded."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

from tracer.containers.found import UnreachableEngine
from tracer.trust.walk import walk

LISTING_TIMEOUT_S = 1.0
"""An engine that takes longer to say what runs does not answer, for a tracer."""
_CONNECT_TIMEOUT_S = 1.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this one."""
_TCP_LISTEN = "0A"
_UCRED = struct.Struct("3i")


def probe_engines(
    docker_host: str | None, sockets: tuple[Path, ...]
) -> tuple[list[str], list[UnreachableEngine]]:
    """Connect to each engine there may be.

    Args:
        docker_host: ``DOCKER_HOST``; it must be there, as the user asked for it.
        sockets: Those that may be missing.

    Returns:
        The addresses of those that listen, and those that should but do not.
    """
    listening: list[str] = []
    unreachable: list[UnreachableEngine] = []
    probed = set()
    for address, is_demanded in [
        *([(docker_host, True)] if docker_host else []),
        *((f"unix://{path}", False) for path in sockets),
    ]:
        # /var/run is /run by another name: the same engine is asked once.
        place = os.path.realpath(address.removeprefix("unix://"))
        if place in probed:
            continue
        probed.add(place)
        problem = _probe(address, is_demanded=is_demanded)
        if problem is None:
            listening.append(address)
        elif problem.reason:
            unreachable.append(problem)
    return listening, unreachable


def peer(connected: socket.socket) -> tuple[int, int]:
    """The pid and uid of the process that called listen(2) on the connected socket."""
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(raw)
    # -1 is a uid that our user namespace does not know.
    return pid, uid & 0xFFFFFFFF


def listener_uid(connected: socket.socket) -> int:
    """The uid of :func:`peer`."""
    return peer(connected)[1]


def listeners(port: int) -> list[int]:
    """The uids of the sockets that listen on a TCP port of this host."""
    uids = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as file:
            next(file)
            for line in file:
                _, local, _, state, _, _, _, uid, *_ = line.split()
                if state == _TCP_LISTEN and int(local.rpartition(":")[2], 16) == port:
                    uids.append(int(uid))
    return uids


def _probe(address: str, *, is_demanded: bool) -> UnreachableEngine | None:
    if address.startswith("unix://"):
        return _probe_unix(address, is_demanded=is_demanded)
    try:
        parts = urlsplit(address)
    except ValueError as error:
        return UnreachableEngine(address, str(error), "set DOCKER_HOST to unix:///path/to/socket")
    if parts.scheme not in ("tcp", "http", "https", "ssh"):
        return UnreachableEngine(
            address,
            "this kind of address is not supported",
            "set DOCKER_HOST to unix:///path/to/socket",
        )
    if parts.scheme != "ssh" and parts.hostname in LOOPBACK:
        return None
    return UnreachableEngine(
        address,
        "it is on another machine",
        "containers can be traced only on the machine they run on",
    )


def _probe_unix(address: str, *, is_demanded: bool) -> UnreachableEngine | None:
    path = address.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_CONNECT_TIMEOUT_S)
        try:
            # Through the descriptor: the owner of a directory can place a link there meanwhile.
            with walk(path) as found:
                client.connect(found.open_path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not is_demanded:
                return UnreachableEngine(address, "")
            return UnreachableEngine(address, _reason(error), _hint(error))
        # 0 is a process outside our PID namespace.
        listener_pid = peer(client)[0]
    if listener_pid == 0:
        return UnreachableEngine(
            address,
            "it runs outside this PID namespace, so its pids mean nothing here",
            "run zomtrace on the host, or in a container with --pid=host",
        )
    return None


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not accept connections"
    return error.strerror or str(error)


def _hint(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "run as root, in the group of the socket, or with CAP_DAC_OVERRIDE"
    if error.errno == errno.ENOENT:
        return "check whether DOCKER_HOST names the right socket and the engine is running"
    return "start the engine, or unset DOCKER_HOST if you mean another one"
