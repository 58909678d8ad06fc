"""Readings said in words: whose memory limit, what a parent does, why a task is held."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.readings import KEY, MIB, a_level, after, read_of
from tracer.diagnose.evidence import (
    command_of,
    say_how_held,
    say_what_a_parent_does,
    say_whose_memory_limit,
)
from tracer.model.identity import ProcessKey

OWN, POD, TOP = "/cg/pod1/web", "/cg/pod1", "/cg"


@pytest.mark.parametrize(
    ("own", "pod", "words"),
    [
        ({"reached": 1, "kills": 1}, {}, "the container's own (32 MiB, /cg/pod1/web)"),
        ({"kills": 1}, {"reached": 1, "kills": 1}, "its pod's (64 MiB, /cg/pod1)"),
        ({"reached": 2, "kills": 1}, {"reached": 2}, "is unknown"),
        # Swap limited to the same: only the most there was tells.
        ({"peak": 32 * MIB, "kills": 1}, {}, "the container's own"),
        ({"kills": 1}, {}, "the host ran out of memory"),
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


def test_no_limit_was_reached_is_not_said_where_levels_were_not_read() -> None:
    before, killed = a_level(OWN, limit=32 * MIB), a_level(OWN, limit=32 * MIB, kills=1)
    correlator = after([before, a_level(TOP)], [killed, a_level(TOP)])
    assert say_whose_memory_limit(correlator, "web") == ""


def test_one_reading_reports_no_change() -> None:
    assert say_whose_memory_limit(after([a_level(OWN, limit=MIB, reached=9)]), "web") == ""


@pytest.mark.parametrize(
    ("state", "is_waiting", "syscall", "words"),
    [
        ("S", False, "read", "it was not waiting for a child: sleeping in read"),
        ("S", True, "wait4", "it was waiting for a child, but not for these (sleeping in wait4)"),
        ("T", True, "wait4", "it was stopped in wait4"),
        ("S", None, None, "it was sleeping"),
        ("R", False, None, "it was not waiting for a child: running"),
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
            "shim (host pid 9), which must reap it, was sleeping in futex",
        ),
    ],
)
def test_why_a_task_is_held(values: dict[str, Any], words: str) -> None:
    assert words in say_how_held(read_of(reading="holder", **values), KEY)


def test_a_command_line_is_distinguished_from_other_readings() -> None:
    assert command_of(read_of(cmdline="kill -9 7"), KEY) == "kill -9 7"
    assert command_of(read_of(reading="parent", cmdline="server"), KEY) is None


def test_the_first_failure_of_a_level_that_was_not_there_before_is_one() -> None:
    correlator = after([a_level(OWN, limit=MIB)], [a_level(OWN, limit=MIB),
                       a_level(POD, limit=2 * MIB, reached=1)])  # fmt: skip
    assert "its pod's (2 MiB, /cg/pod1)" in say_whose_memory_limit(correlator, "web")


@pytest.mark.parametrize("state", ["Z", "S"])
def test_only_a_zombie_is_held_by_its_parent(state: str) -> None:
    parent = {"comm": "shim", "host_pid": 9, "state": "S", "syscall": "futex"}
    held = read_of(reading="holder", state=state, is_frozen=False, wchan="pipe_read", parent=parent)
    said = say_how_held(held, KEY)
    assert ("shim" in said) is (state == "Z")
    assert ("sleeping in pipe_read" in said) is (state == "S")
