"""An engine that says anything at all, in any bytes: it is heard or not, soon, in little memory."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import engine_asker
from tests.fuzz.bounds import WHOLE_RUN, Worker, cases, draw_named
from tests.fuzz.json_values import spoil_json
from tests.support.containers import WEB_ID, a_runc_state
from tests.support.engine_listener import a_listener

pytestmark = WHOLE_RUN
KINDS = ("version", "listing", "inspect", "events")
CUT_AFTER_S = 3.0
"""Who waits for more than this waits longer than is promised."""


BEGUN_UNIX_NS = time.time_ns()


@dataclass
class Engine:
    """What it says next, by what it is asked, and whether it hangs up then."""

    worker: Worker
    case: dict[str, str]
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    hangs: bool = False

    def speak(self, client: socket.socket, path: str) -> None:
        """Answer."""
        kind = (
            "version" if path.endswith("/version")
            else "events" if "/events" in path
            else "listing" if "/containers/json" in path
            else "inspect"
        )  # fmt: skip
        client.sendall(self.bytes_of[kind])
        if self.hangs:
            client.settimeout(CUT_AFTER_S)
            with contextlib.suppress(TimeoutError):
                client.recv(1)

    def is_asked(self) -> None:
        """Have the worker ask it."""
        self.worker.look(self.case)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for all."""
    directory = tmp_path_factory.mktemp("engine")
    real = a_runc_state(directory / "runc", engine_asker.REAL_NAME, os.getpid())
    case = {"socket": str(directory / "engine.sock"), "real": str(real)}
    with Worker(engine_asker.__name__) as worker:
        engine = Engine(worker, case)
        with a_listener(directory, engine.speak):
            yield engine


def right_bodies() -> dict[str, Any]:
    """What an engine says of one container that runs."""
    attributes = {"name": "web", "signal": "15", "exitCode": "143", "execID": "x"}
    labels = {
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.name": "web",
        "io.kubernetes.pod.name": "pod",
        "io.kubernetes.pod.namespace": "default",
    }
    return {
        "version": {"ApiVersion": "1.41", "Version": "24.0.1"},
        "listing": [{"Id": WEB_ID, "Names": ["/web"], "State": "running", "Labels": labels}],
        "inspect": {
            "Id": WEB_ID,
            "Name": "/web",
            "Config": {"Labels": labels, "StopSignal": "SIGTERM", "StopTimeout": 10},
            "State": {"Pid": os.getpid(), "Status": "running", "StartedAt": "2026-01-01T00:00:00Z"},
        },
        "events": {
            "Action": "exec_create: sh -c true",
            "Actor": {"ID": WEB_ID, "Attributes": attributes},
            "timeNano": BEGUN_UNIX_NS,
        },
    }


def body_of(data: st.DataObject, value: Any) -> bytes:
    """JSON, or nearly."""
    text = json.dumps(value).encode()
    choices = {
        "right": text, "right too": text, "as it is": text, "cut": text[:-3], "thrice": text * 3,
        "empty": b"", "null": b"null", "list": b"[]", "object": b"{}", "no UTF-8": b"\xff\xfe",
        "NaN": b"NaN", "deep lists": b"[" * 100_000, "deep objects": b'{"a":' * 100_000,
        "wide": b"[" + b"{}," * 200_000 + b"{}]", "digits": b"9" * 100_000,
        "NULs": b'"%s"' % (b"\\u0000" * 100_000), "blanks": text + b" " * (5 << 20),
        "many": b"[%s]" % b",".join([text] * 2_000), "many lines": b"\n".join([text] * 2_000),
    }  # fmt: skip
    return bytes(draw_named(data, "body", choices))


def answer_of(data: st.DataObject, body: bytes) -> bytes:
    """HTTP, or nearly."""

    def pick(label: str, *choices: Any) -> Any:
        return data.draw(st.sampled_from(choices), label=label)

    status = pick(
        "status", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200",
        b"HTTP/1.1 204 No Content", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 307 Moved",
        b"HTTP/1.1 500 \x1b[2J", b"HTTP/0.9 200 OK", b"HTTP/1.1 99999 X", b"HTTP/1.1 -1 X", b"",
        b"\0", b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
    )  # fmt: skip
    more = pick(
        "headers", b"", b"", b"", b"Content-Type: \xff\r\n", b"X\r\n", b": x\r\n", b" folded\r\n",
        b"X: y\r\n" * 300, b"X: " + b"y" * 70_000 + b"\r\n", b"Location: http://127.0.0.1:1/\r\n",
        b"Content-Length: -5\r\n", b"Content-Length: 99999999999999999999\r\n", b"\0: \0\r\n",
        b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    )  # fmt: skip
    match pick("framing", "length", "length", "length", "none", "chunks", "odd chunks", "gzip"):
        case "length":
            rest = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        case "none":
            rest = b"\r\n" + body
        case "chunks":
            cut = len(body) // 2
            pieces = [body[:cut], body[cut:]] if body else []
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            rest = b"Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % chunks
        case "odd chunks":
            size = pick(
                "size",
                b"-1",
                b"ffffffffffffffffffff",
                b"x",
                b"",
                b"0x5",
                b"5;" + b"x" * 70_000,
                b"1_0",
            )
            rest = b"Transfer-Encoding: chunked\r\n\r\n%s\r\n%s\r\n0\r\n\r\n" % (size, body)
        case _:
            packed = gzip.compress(body, mtime=0)
            rest = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed)
    return b"".join((status, b"\r\n", more, rest))


def plain(body: Any) -> bytes:
    """As an engine says it."""
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(raw), raw)


def right_answers(data: st.DataObject) -> tuple[dict[str, Any], dict[str, bytes], list[str]]:
    """The right ones, and those which are to be something else."""
    bodies = right_bodies()
    spoilt = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True))
    return bodies, {kind: plain(body) for kind, body in bodies.items()}, spoilt


@cases(400)
@given(data=st.data())
def test_json_of_other_shapes_is_heard_or_refused(engine: Engine, data: st.DataObject) -> None:
    bodies, engine.bytes_of, spoilt = right_answers(data)
    for kind in spoilt:
        value = bodies[kind]
        for _ in range(data.draw(st.integers(1, 3), label="changes")):
            value = spoil_json(data, value) if value and isinstance(value, (dict, list)) else value
        engine.bytes_of[kind] = plain(value)
    engine.is_asked()


@cases(300)
@given(data=st.data())
def test_answers_that_are_hardly_http_are_heard_or_refused(
    engine: Engine, data: st.DataObject
) -> None:
    bodies, engine.bytes_of, spoilt = right_answers(data)
    for kind in spoilt:
        engine.bytes_of[kind] = answer_of(data, body_of(data, bodies[kind]))
    engine.is_asked()


@cases(400)
@given(data=st.data())
def test_spoilt_bytes_are_heard_or_refused(engine: Engine, data: st.DataObject) -> None:
    _, engine.bytes_of, spoilt = right_answers(data)
    for kind in spoilt:
        raw = bytearray(engine.bytes_of[kind])
        for _ in range(data.draw(st.integers(1, 4), label="changes")):
            at = data.draw(st.integers(0, len(raw)), label="byte")
            junk = data.draw(st.binary(max_size=6), label="junk")
            raw[at : at + data.draw(st.sampled_from([0, 1, 6, len(raw)]), label="gone")] = junk
        engine.bytes_of[kind] = bytes(raw)
    engine.is_asked()


@cases(8)
@given(data=st.data())
def test_an_engine_that_stops_in_the_middle_holds_no_one_up(
    engine: Engine, data: st.DataObject
) -> None:
    _, engine.bytes_of, spoilt = right_answers(data)
    raw = engine.bytes_of[spoilt[0]]
    engine.bytes_of[spoilt[0]] = raw[: data.draw(st.integers(0, len(raw) - 1), label="byte")]
    engine.hangs = True
    try:
        engine.is_asked()
    finally:
        engine.hangs = False


def test_both_outcomes_were_met(engine: Engine) -> None:
    engine.bytes_of = {kind: plain(body) for kind, body in right_bodies().items()}
    engine.is_asked()
    engine.worker.has_met("read", "refused")
