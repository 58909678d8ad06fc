"""What zombies of one parent say alike is kept once, and each still says what it said."""

from __future__ import annotations

from itertools import islice
from typing import Any

from tests.support.events import BASH, BEGIN, INIT, KILL, a_seed, a_signal, process, zombie
from tests.support.lifetimes import a_lifetime, concluded, fed
from tracer.correlate.process import ProcessState
from tracer.correlate.suspects import NO_SUSPECTS
from tracer.model.events import Event

PID = 1000
"""Of the first of them."""


def left_lying(number: int, first: int = 0, **where: Any) -> list[Event]:
    """Children that exit, one after the other, and are not waited for."""
    lives = (a_lifetime(first + at, **where) for at in range(number))
    return [event for life in lives for event in islice(life, 3)]


def states(number: int) -> list[ProcessState]:
    table = fed(left_lying(number)).table
    found = [table.by_host_pid(PID + at) for at in range(number)]
    return [state for state in found if state is not None]


def test_what_siblings_say_alike_is_one_object() -> None:
    first, *others = states(31)
    assert len(others) == 30
    for state in others:
        assert state.original_parent is first.original_parent
        assert state.snapshot.key is state.key
        assert state.snapshot.parent_start_boot_ns is first.snapshot.parent_start_boot_ns
        assert state.snapshot.init_start_boot_ns is first.snapshot.init_start_boot_ns
        assert state.zombie is not None
        assert state.zombie.holder is first.original_parent
        assert state.zombie.duties[0].by is state.key
        assert state.suspects is NO_SUSPECTS


def test_each_says_what_it_said() -> None:
    events = left_lying(31)
    for at, state in enumerate(states(31)):
        _, end, notice = events[3 * at : 3 * at + 3]
        assert state.snapshot == end.process  # type: ignore[union-attr]
        assert state.key == end.process.key  # type: ignore[union-attr]
        assert state.zombie is not None
        assert state.zombie.begin_ns == notice.boot_ns
        assert state.zombie.holder == notice.process.key  # type: ignore[union-attr]


def test_children_of_two_parents_keep_each_its_own() -> None:
    """The zombie before it may be another parent's."""
    events = [
        *left_lying(1),
        a_seed(102),
        *left_lying(1, 1, parent=102),
        *left_lying(1, 2),
        *left_lying(1, 3, parent=102),
    ]
    events += [a_signal(BEGIN + 5_000)]
    report = concluded(fed(events))
    parents = [zombie(report, PID + at).parent_host_pid for at in range(4)]
    assert parents == [INIT, 102, INIT, 102]
    assert [process(report, PID + at).parent_host_pid for at in range(4)] == parents


def test_what_is_sent_to_one_that_has_exited_does_not_end_it() -> None:
    events = left_lying(3)
    events.append(a_signal(BEGIN + 5_000, PID + 1, KILL, by=BASH, target_live_threads=0,
                           subject={"start_boot_ns": (BEGIN + 11) * 1_000_000 - 1000}))  # fmt: skip
    report = concluded(fed(events))
    for at in range(3):
        assert process(report, PID + at).cause is None
        assert process(report, PID + at).exit_code == 0
        assert not zombie(report, PID + at).reaped
