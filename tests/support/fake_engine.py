"""A program that listens where a Docker engine should: argv = SOCKET KIND PID.

It knows one container, ``web``, whose init is process PID, and answers what KIND says.
Imports nothing of the project: it runs by itself, in another mount namespace.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

WEB_ID = "5eb" * 21 + "a"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
LISTED: dict[str, Any] = {"Id": WEB_ID, "Names": ["/web"], "State": "running", "Labels": {}}


def _inspected(pid: int) -> dict[str, Any]:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_s))
    state = {"Status": "running", "Pid": pid, "StartedAt": started}
    return {"Id": WEB_ID, "Name": "/web", "State": state, "Config": {}}


def _event(action: str) -> dict[str, Any]:
    actor = {"ID": WEB_ID, "Attributes": {}}
    # In the trace that ends by asking.
    return {"Action": action, "Actor": actor, "timeNano": time.time_ns() - 50_000_000}


ANYTHING = ("hang", "drip", "endless", "headers", "garbage", "redirect", "bomb", "refuse", "vanish")
"""Kinds that answer whatever is asked in the same way."""
VERSIONS: dict[str, object] = {"version-number": {"ApiVersion": 5}, "version-list": []}
LISTINGS: dict[str, object] = {
    "list-numbers": [1, 2],
    "list-names": [{**LISTED, "Names": 7}],
    "list-labels": [{**LISTED, "Labels": {"a": {}}}],
    "list-id": [{**LISTED, "Id": "../../../etc"}],
    "list-deep": b"[" * 2000 + b"]" * 2000,
    "list-many": b"[" + b"{}," * 1_300_000 + b"{}]",
}
INSPECTS = ("inspect-hang", "inspect-timeout", "inspect-pid", "inspect-other")
EVENTS: dict[str, object] = {
    "events-actor": b'{"Actor":[],"timeNano":"x"}\n',
    "events-signal": b'{"Actor":{"Attributes":{"signal":9}},"timeNano":1}\n',
    "events-hang": None,
    "events-endless": None,
    "events-secret": None,
}
GOOD = "good"


def _say(client: socket.socket, body: object) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    client.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(raw) + raw)


def _for_ever(client: socket.socket, first: bytes, more: bytes, every_s: float = 0.0) -> None:
    client.sendall(first)
    while True:
        client.sendall(more)
        time.sleep(every_s)


def answer_anything(client: socket.socket, kind: str) -> None:
    """Answer without regard to what is asked."""
    if kind == "hang":
        signal.pause()
    elif kind == "drip":
        _for_ever(client, OK + b"Content-Length: 1000000\r\n\r\n{", b" ", 0.1)
    elif kind == "endless":
        _for_ever(client, CHUNKED, CHUNK)
    elif kind == "headers":
        _for_ever(client, OK, b"X-A: b\r\n", 0.001)
    elif kind == "garbage":
        client.sendall(b"\x00\xff\x1b[31m garbage\r\n\r\n")
    elif kind == "redirect":
        client.sendall(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
    elif kind == "bomb":
        raw = gzip.compress(b" " * (256 << 20), 1)
        head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        client.sendall(head % len(raw) + raw)
    elif kind == "refuse":
        client.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 11\r\n\r\n" + b'{"message":')


def answer(client: socket.socket, kind: str, path: str, pid: int) -> None:
    """Answer one request."""
    if kind in ANYTHING:
        answer_anything(client, kind)
    elif path.endswith("/version"):
        _say(client, VERSIONS.get(kind, {"ApiVersion": "1.41"}))
    elif "/containers/json" in path:
        _say(client, LISTINGS.get(kind, [LISTED]))
    elif "/events" in path:
        _answer_events(client, kind)
    else:
        _answer_inspect(client, kind, pid)


def _answer_inspect(client: socket.socket, kind: str, pid: int) -> None:
    facts = _inspected(pid)
    if kind == "inspect-hang":
        signal.pause()
    elif kind == "inspect-timeout":
        facts["Config"] = {"StopTimeout": 10**400, "StopSignal": "SIGRTMIN+99"}
    elif kind == "inspect-pid":
        facts["State"]["Pid"] = -1
    elif kind == "inspect-other":
        facts["Id"] = "another"
    _say(client, facts)


def _answer_events(client: socket.socket, kind: str) -> None:
    if kind == "events-hang":
        signal.pause()
    elif kind == "events-endless":
        _for_ever(client, CHUNKED, CHUNK)
    elif kind == "events-secret":
        told = [
            _event("exec_create: mysql -uroot -phunter2 shop"),
            _event("exec_start: sh -c 'mysql --password=hunter2 shop'"),
            _event("exec_create: tool --token hunter2 it's not closed"),
        ]
        _say(client, b"".join(json.dumps(event).encode() + b"\n" for event in told))
    else:
        _say(client, EVENTS.get(kind, b""))


def serve(client: socket.socket, kind: str, pid: int) -> None:
    """Serve one connection, for one request."""
    with client, contextlib.suppress(OSError):
        request = client.recv(65536)
        if request:
            answer(client, kind, request.split()[1].decode(), pid)


def main() -> None:
    """Listen until killed."""
    path, kind, pid = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(50)
        print("listening", flush=True)
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client, kind, pid), daemon=True).start()


if __name__ == "__main__":
    main()
