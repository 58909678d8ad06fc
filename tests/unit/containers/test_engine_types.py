"""What an engine answers may be anything: it fits, or the engine does not answer."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.containers import WEB_ID
from tests.support.engine_listener import OK, VERSION, a_listener, answer
from tracer.containers.docker import DockerEngine, EngineUnreachableError
from tracer.containers.engine_events import read_engine_events
from tracer.containers.engine_http import (
    EngineAddress,
    UnfitAnswerError,
    _PunctualSocket,
    exchange,
)
from tracer.errors import TargetNotFoundError
from tracer.model.target import Container

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 1 << 31, 1 << 63])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([WEB_ID, "running", "SIGRTMIN+99", "\u0663", "\ud800"])
    | st.just("9999-12-31T23:59:59-23:59"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Id",
                    "Names",
                    "Labels",
                    "State",
                    "Name",
                    "Config",
                    "Pid",
                    "Status",
                    "StartedAt",
                    "StopSignal",
                    "StopTimeout",
                    "Actor",
                    "ID",
                    "Attributes",
                    "signal",
                    "exitCode",
                    "Action",
                    "timeNano",
                    "message",
                    "io.kubernetes.docker.type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


LISTED: dict[str, Any] = {
    "Id": WEB_ID, "Names": ["/web"], "State": "running", "Labels": {"a": "b"},
}  # fmt: skip
INSPECTED: dict[str, Any] = {
    "Id": WEB_ID, "Name": "/web",
    "State": {"Pid": 7, "Status": "running", "StartedAt": "2026-01-02T03:04:05Z"},
    "Config": {"StopSignal": "SIGTERM", "StopTimeout": 10, "Labels": {}},
}  # fmt: skip
EVENT: dict[str, Any] = {"Action": "kill", "Actor": {"ID": WEB_ID, "Attributes": {"signal": "9"}}}


def nearly(right: dict[str, Any]) -> st.SearchStrategy[object]:
    """An object of which some members may be anything: what is all made up fits never."""
    return st.fixed_dictionaries({name: st.just(value) | _JSON for name, value in right.items()})


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What the engine of ``engine`` answers."""
    return {"body": None}


@pytest.fixture(scope="module")
def engine(said: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that lists and tells whatever it is told to."""

    def speak(client: socket.socket, path: str) -> None:
        client.sendall(answer(VERSION if path.endswith("/version") else said["body"]))

    with a_listener(tmp_path_factory.mktemp("engine"), speak) as address:
        yield address


@given(body=st.lists(nearly(LISTED) | _JSON, max_size=3) | _JSON)
@example(body=[LISTED])
def test_any_listing_gives_containers_or_an_engine_that_does_not_answer(
    engine: str, said: dict[str, Any], body: object
) -> None:
    said["body"] = body
    listed = []
    with contextlib.suppress(EngineUnreachableError):
        listed = DockerEngine(engine, within_s=60).list_containers()
        for found in listed:
            assert isinstance(found.id, str)
            assert all(isinstance(name, str) for name in found.names)
            json.dumps([found.id, found.names, found.state, found.pod]).encode()
    assert body != [LISTED] or [found.id for found in listed] == [WEB_ID]


@given(body=nearly(INSPECTED) | _JSON)
@example(body=INSPECTED)
def test_anything_reported_of_one_container_fits_or_is_refused(
    engine: str, said: dict[str, Any], body: object
) -> None:
    said["body"] = body
    found = None
    with contextlib.suppress(EngineUnreachableError, TargetNotFoundError):
        found = DockerEngine(engine, within_s=60).inspect(WEB_ID, within_s=60)
        assert found.id == WEB_ID
        assert found.init_host_pid is None or 0 < found.init_host_pid < 1 << 31
        assert found.stop_signo is None or 1 <= found.stop_signo <= 64
        assert found.stop_timeout_s is None or -1 <= found.stop_timeout_s < 1 << 31
        assert found.started_unix_s is None or isinstance(found.started_unix_s, float)
    assert body != INSPECTED or (found is not None and found.init_host_pid == 7)


@given(events=st.lists(nearly(EVENT) | _JSON, max_size=3))
@example(events=[EVENT])
def test_any_event_is_of_the_container_and_the_time_asked_for_or_none(
    engine: str, said: dict[str, Any], events: list[object]
) -> None:
    now_unix_ns = time.time_ns()
    timed = [
        {"timeNano": now_unix_ns, **event} if isinstance(event, dict) else event for event in events
    ]
    said["body"] = b"\n".join(json.dumps(event).encode() for event in timed)
    since_unix_ns = now_unix_ns - 10**9
    told, failures = read_engine_events([_container(engine)], since_unix_ns, within_s=60)
    assert len(failures) <= 1
    for event in told:
        assert event["container_id"] == WEB_ID
        assert since_unix_ns <= event["time_unix_ns"] <= time.time_ns()
        assert isinstance(event["action"], str)
    assert events != [EVENT] or [event["action"] for event in told] == ["kill"]


def test_events_of_others_and_of_other_times_are_left_out(
    engine: str, said: dict[str, Any]
) -> None:
    now_unix_ns = time.time_ns()
    said["body"] = b"\n".join(
        json.dumps(
            {"Action": action, "Actor": {"ID": of, "Attributes": {}}, "timeNano": unix_ns}
        ).encode()
        for action, of, unix_ns in (
            ("kill", WEB_ID, now_unix_ns),
            ("kill", WEB_ID, 1),
            ("kill", WEB_ID, now_unix_ns + 10**12),
            ("kill", "another", now_unix_ns),
        )
    )
    told, failures = read_engine_events([_container(engine)], now_unix_ns - 10**9, within_s=60)
    assert failures == []
    assert [(one["action"], one["time_unix_ns"]) for one in told] == [("kill", now_unix_ns)]


def _container(address: str) -> Container:
    return Container(
        id=WEB_ID, name="web", runtime="docker", init_host_pid=1, init_start_boot_ns=1,
        pidns_inum=1, has_own_pidns=True, cgroup_path=None, cgroup_id=None,
        engine_address=address,
    )  # fmt: skip


@given(raw=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: OK + tail))
def test_any_bytes_are_an_answer_or_are_refused(raw: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(UnfitAnswerError, OSError), pytest.MonkeyPatch.context() as patch:
            patch.setattr("tracer.containers.engine_http._connect", lambda *_: _dressed(ours))
            exchange(EngineAddress("/x"), "GET", "/", until_s=time.monotonic() + 20)


def _dressed(connected: socket.socket) -> socket.socket:
    punctual = _PunctualSocket(fileno=connected.detach())
    punctual.until_s = time.monotonic() + 20
    return punctual
