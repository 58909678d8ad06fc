"""The descriptor to sleep on."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from tracer.kernel.wakeup import WakeUp


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Stands in for a ring: readable when written to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def is_readable(wakeup: WakeUp, within_ms: int) -> bool:
    poll = select.poll()
    poll.register(wakeup.fileno(), select.POLLIN)
    return bool(poll.poll(within_ms))


def test_it_is_readable_when_the_ring_is(pipe: tuple[int, int]) -> None:
    with WakeUp(pipe[0]) as wakeup:
        assert not is_readable(wakeup, 0)
        os.write(pipe[1], b"x")
        assert is_readable(wakeup, 1000)
        os.read(pipe[0], 1)
        assert not is_readable(wakeup, 0)


def test_it_is_readable_when_the_time_has_come(pipe: tuple[int, int]) -> None:
    with WakeUp(pipe[0]) as wakeup:
        wakeup.set(0.01)
        assert is_readable(wakeup, 5000)
        wakeup.set(100)
        assert not is_readable(wakeup, 0)
        wakeup.set(0)
        assert is_readable(wakeup, 5000)
        wakeup.set(None)
        assert not is_readable(wakeup, 0)


def test_closing_leaves_no_descriptor(pipe: tuple[int, int]) -> None:
    before = set(os.listdir("/proc/self/fd"))
    wakeup = WakeUp(pipe[0])
    wakeup.close()
    wakeup.close()
    assert set(os.listdir("/proc/self/fd")) == before
