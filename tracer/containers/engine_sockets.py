"""Which Docker engines listen here, found out before anything heavy is loaded."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

from tracer.containers.found import UnreachableEngine

_CONNECT_TIMEOUT_S = 1.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def probe_engines(
    docker_host: str | None, sockets: tuple[Path, ...]
) -> tuple[list[str], list[UnreachableEngine]]:
    """Connect to each engine there may be.

    Args:
        docker_host: ``DOCKER_HOST``; it must be there, as somebody asked for it.
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


def _probe(address: str, *, is_demanded: bool) -> UnreachableEngine | None:
    if address.startswith("unix://"):
        return _probe_unix(address, is_demanded=is_demanded)
    try:
        parts = urlsplit(address)
    except ValueError as error:
        return UnreachableEngine(address, str(error), "set DOCKER_HOST to unix:///path/to/socket")
    if parts.scheme not in ("tcp", "http", "https", "ssh"):
        return UnreachableEngine(
            address, "no address of this kind is known", "set DOCKER_HOST to unix:///path/to/socket"
        )
    if parts.scheme != "ssh" and parts.hostname in _LOOPBACK:
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
            client.connect(path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not is_demanded:
                return UnreachableEngine(address, "")
            return UnreachableEngine(address, _reason(error), _hint(error))
        # struct ucred; pid 0 is a process outside our PID namespace.
        raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", raw)[0] == 0:
        return UnreachableEngine(
            address,
            "it runs outside this PID namespace, so its pids mean nothing here",
            "run zomtrace on the host, or in a container with --pid=host",
        )
    return None


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it accepts no connection"
    return error.strerror or str(error)


def _hint(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "run zomtrace as root"
    if error.errno == errno.ENOENT:
        return "see whether DOCKER_HOST names the right socket, and whether the engine runs"
    return "start the engine, or unset DOCKER_HOST if it is not the one you mean"
