"""Time shares: what is ordinary is free, what is long is bounded, and the share grows."""

from __future__ import annotations

import pytest

from tracer.procfs import time_share
from tracer.procfs.time_share import TimeShare


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


def fail(share: TimeShare, clock: Clock, took_s: float) -> None:
    with share.reading():
        clock.now_s += took_s
        raise FileNotFoundError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time_share, "time", clock)
    return clock


def read(share: TimeShare, clock: Clock, took_s: float) -> None:
    with share.reading():
        clock.now_s += took_s


def test_any_number_of_ordinary_readings_is_free(clock: Clock) -> None:
    share = TimeShare(ordinary_s=0.001, at_once_s=0.5, share=0.0)
    for _ in range(30_000):
        read(share, clock, 0.0009)
    assert not share.is_spent


def test_long_ones_are_bounded_until_the_share_has_grown(clock: Clock) -> None:
    share = TimeShare(ordinary_s=0.0, at_once_s=0.5, share=0.1)
    is_spent = []
    for took_s, wait_s in ((0.4, 0.0), (0.4, 0.0), (0.0, 2.1), (0.0, 0.2)):
        read(share, clock, took_s)
        clock.now_s += wait_s
        is_spent.append(share.is_spent)
    assert is_spent == [False, True, True, False]


def test_one_that_fails_is_counted(clock: Clock) -> None:
    share = TimeShare(ordinary_s=0.0, at_once_s=0.5, share=0.0)
    with pytest.raises(FileNotFoundError):
        fail(share, clock, 1.0)
    assert share.is_spent
