"""``zomtrace`` without its start: a server forks a ready interpreter per run.

An emulated guest takes seconds to import what a trace needs. The server has it
imported; a run is a fork that takes over the descriptors, arguments,
environment and directory of a small client, which stands for it: signals it
gets are passed on, it exits as the run does, and its end is the run's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

_PR_SET_NAME = 15
_MAX_REQUEST = 1 << 20

CLIENT = """#!/usr/bin/python3 -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({address!r})
here = os.open(".", os.O_RDONLY)
request = json.dumps([sys.argv[1:], dict(os.environ)]).encode()
socket.send_fds(server, [request], [0, 1, 2, here])
worker = int(server.recv(32))
def pass_on(signo, frame):
    try:
        os.kill(worker, signo)
    except ProcessLookupError:
        pass
for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(signo) is not signal.SIG_IGN:
        signal.signal(signo, pass_on)
os.close(0), os.close(1)
status = int(server.recv(32))
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@dataclass
class _Run:
    client: socket.socket
    worker: int
    pidfd: int


def serve(address: str, ready: int) -> None:
    """Serve until the parent is gone.

    Args:
        address: Path of the socket to make.
        ready: A descriptor that is written to once the socket is there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(64)
    os.write(ready, b"1")
    os.close(ready)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    runs: dict[int, _Run] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                client, _ = listener.accept()
                run = _start(client, listener)
                runs[run.client.fileno()] = runs[run.pidfd] = run
                poll.register(run.client, select.POLLIN)
                poll.register(run.pidfd, select.POLLIN)
                continue
            ended = runs.get(fd)
            if ended is None:
                continue
            if fd == ended.client.fileno():
                # The client was killed: so is what it stands for.
                os.kill(ended.worker, signal.SIGKILL)
                poll.unregister(fd)
                continue
            _, status = os.waitpid(ended.worker, 0)
            # The client may be gone, and forgotten above.
            with contextlib.suppress(OSError):
                ended.client.send(str(os.waitstatus_to_exitcode(status)).encode())
            poll.unregister(ended.pidfd)
            with contextlib.suppress(KeyError):
                poll.unregister(ended.client)
            del runs[ended.client.fileno()], runs[ended.pidfd]
            os.close(ended.pidfd)
            ended.client.close()


def _start(client: socket.socket, listener: socket.socket) -> _Run:
    request, fds, _, _ = socket.recv_fds(client, _MAX_REQUEST, 4)
    worker = os.fork()
    if worker:
        for fd in fds:
            os.close(fd)
        client.send(str(worker).encode())
        return _Run(client, worker, os.pidfd_open(worker))
    listener.close()
    client.close()
    arguments, environment = json.loads(request)
    status = 70
    try:
        status = _work(arguments, environment, fds)
    except BaseException:  # noqa: BLE001  whatever it is, this is its end
        traceback.print_exc()
    finally:
        os._exit(status)


def _work(arguments: list[str], environment: dict[str, str], fds: list[int]) -> int:
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.fchdir(fds[3])
    for fd in fds:
        os.close(fd)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"zomtrace", 0, 0, 0)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["zomtrace", *arguments]
    # Pytest's own objects stand there.
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1
    )
    from tracer.cli.main import main

    result = 0
    try:
        main()
    except SystemExit as end:
        result = end.code if isinstance(end.code, int) else int(bool(end.code))
    sys.stdout.flush()
    return result


def start(directory: Path) -> int:
    """Fork the server off and write the client to ``directory/zomtrace``.

    Returns:
        The server's pid, a child of the caller's.
    """
    address = str(directory / f"server-{time.monotonic_ns()}")
    heard, ready = os.pipe()
    server = os.fork()
    if server == 0:
        try:
            os.close(heard)
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            serve(address, ready)
        finally:
            os._exit(70)
    os.close(ready)
    assert os.read(heard, 1) == b"1", "the fork server did not start"
    os.close(heard)
    client = directory / "zomtrace"
    client.write_text(CLIENT.format(address=address))
    client.chmod(0o755)
    return server
