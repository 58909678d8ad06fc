"""Readings said in words: whose memory limit, what a parent does, why a task is held."""

from __future__ import annotations

from typing import Any

import pytest

from tracer.correlate.correlator import Correlator
from tracer.correlate.evidence import (
    command_of,
    say_how_held,
    say_what_a_parent_does,
    say_whose_memory_limit,
)
from tracer.model.events import ObservationEvent
from tracer.model.identity import ProcessKey

KEY = ProcessKey(4711, 1_000_000_000)
MIB = 1 << 20


def a_level(path: str, **changes: Any) -> dict[str, Any]:
    level = {"path": path, "usage": 0, "limit": None, "reached": 0, "peak": 0, "kills": 0}
    return {**level, **changes}


def after(*readings: list[dict[str, Any]]) -> Correlator:
    """A trace in which these memory readings were taken."""
    correlator = Correlator()
    for number, levels in enumerate(readings):
        correlator.feed(
            ObservationEvent(
                number + 1,
                "cgroup",
                None,
                {"container_id": "web", "controller": "memory", "levels": levels},
            )
        )
    return correlator


def read_of(**values: Any) -> Correlator:
    """A trace in which this was read of one process."""
    correlator = Correlator()
    correlator.feed(ObservationEvent(1, "proc", KEY, values))
    return correlator


OWN, POD, TOP = "/cg/pod1/web", "/cg/pod1", "/cg"


@pytest.mark.parametrize(
    ("own", "pod", "words"),
    [
        ({"reached": 1, "kills": 1}, {}, "the container's own (32 MiB, /cg/pod1/web)"),
        ({"kills": 1}, {"reached": 1, "kills": 1}, "its pod's (64 MiB, /cg/pod1)"),
        ({"reached": 2, "kills": 1}, {"reached": 2}, "cannot be told"),
        # Swap limited to the same: only the most there was tells.
        ({"peak": 32 * MIB, "kills": 1}, {}, "the container's own"),
        ({"kills": 1}, {}, "it was the host's memory that ran out"),
        # Nobody was killed: nothing to say.
        ({}, {}, None),
        # Not counted: no claim about the host.
        ({"kills": 1, "reached": None}, {}, None),
    ],
)
def test_whose_memory_limit_it_was(
    own: dict[str, Any], pod: dict[str, Any], words: str | None
) -> None:
    limits = ({"limit": 32 * MIB}, {"limit": 64 * MIB})
    correlator = after(
        [a_level(OWN, **limits[0]), a_level(POD, **limits[1]), a_level(TOP)],
        [a_level(OWN, **limits[0], **own), a_level(POD, **limits[1], **pod), a_level(TOP)],
    )
    said = say_whose_memory_limit(correlator, "web")
    assert (words in said) if words is not None else (said == "")
    assert say_whose_memory_limit(correlator, "other") == ""


def test_one_reading_tells_of_no_change() -> None:
    assert say_whose_memory_limit(after([a_level(OWN, limit=MIB, reached=9)]), "web") == ""


@pytest.mark.parametrize(
    ("state", "is_waiting", "syscall", "words"),
    [
        ("S", False, "read", "it was waiting for no child: asleep in read"),
        ("S", True, "wait4", "it was waiting for a child, but not for these (asleep in wait4)"),
        ("T", True, "wait4", "it was stopped in wait4"),
        ("S", None, None, "it was asleep"),
        ("R", False, None, "it was waiting for no child: running"),
    ],
)
def test_what_a_parent_does(
    state: str, is_waiting: bool | None, syscall: str | None, words: str
) -> None:
    correlator = read_of(
        reading="parent", state=state, is_waiting=is_waiting, syscall=syscall, wchan=None
    )
    assert say_what_a_parent_does(correlator, KEY) == words
    assert say_what_a_parent_does(correlator, ProcessKey(1, 2)) == ""
    assert say_what_a_parent_does(correlator, None) == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "D", "wchan": "rpc_wait", "is_frozen": False}, "(state D) in rpc_wait"),
        ({"state": "S", "wchan": None, "is_frozen": True}, "frozen cgroup"),
        (
            {
                "state": "Z",
                "is_frozen": False,
                "parent": {"comm": "shim", "host_pid": 9, "state": "S", "syscall": "futex"},
            },
            "shim (host pid 9), which must reap it, was asleep in futex",
        ),
    ],
)
def test_why_a_task_is_held(values: dict[str, Any], words: str) -> None:
    assert words in say_how_held(read_of(reading="holder", **values), KEY)


def test_a_command_line_is_told_from_other_readings() -> None:
    assert command_of(read_of(cmdline="kill -9 7"), KEY) == "kill -9 7"
    assert command_of(read_of(reading="parent", cmdline="server"), KEY) is None
