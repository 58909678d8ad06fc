"""Readings that take long hold no trace up: they are taken a part at a time."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.live.observers.group import ObserverGroup
from tracer.live.observers.observer import Observer
from tracer.model.events import ObservationEvent


class Clock:
    """Monotonic seconds that pass only where a test says so."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Reader(Observer):
    """Has many readings to take, each of which takes its time."""

    period_s = 1000.0

    def __init__(self, name: str, clock: Clock, *, count: int, each_s: float) -> None:
        super().__init__()
        self.name = name
        self.taken = 0
        self._count = count
        self._each_s = each_s
        self._monotonic = clock

    def look(self) -> Iterator[ObservationEvent]:
        for _ in range(self._count):
            self._monotonic.now_s += self._each_s
            self.taken += 1
            yield ObservationEvent(self.taken, self.name, None, {})

    def finish(self) -> Iterator[ObservationEvent]:
        return self.look()


def a_group(clock: Clock, *readers: Reader) -> tuple[ObserverGroup, list[str]]:
    placed: list[str] = []
    group = ObserverGroup(
        readers, lambda reading: placed.append(reading.source), lambda _: None, clock
    )
    return group, placed


def test_a_long_look_is_continued_in_the_next_turns() -> None:
    clock = Clock()
    reader = Reader("proc", clock, count=100, each_s=0.03)
    group, placed = a_group(clock, reader)
    clock.now_s += reader.period_s
    turns = 0
    while group.seconds_left == 0:
        began_s = clock.now_s
        group.look()
        turns += 1
        assert clock.now_s - began_s < 0.2
    assert turns > 1
    assert len(placed) == 100


def test_who_has_little_to_read_does_not_wait_for_who_has_much() -> None:
    clock = Clock()
    much = Reader("much", clock, count=100, each_s=0.03)
    little = Reader("little", clock, count=1, each_s=0.03)
    group, placed = a_group(clock, much, little)
    clock.now_s += much.period_s
    group.look()
    assert "little" in placed


def test_the_last_look_takes_no_longer_than_it_may() -> None:
    clock = Clock()
    much = Reader("much", clock, count=10_000, each_s=0.03)
    little = Reader("little", clock, count=1, each_s=0.03)
    group, placed = a_group(clock, much, little)
    began_s = clock.now_s
    group.finish()
    assert clock.now_s - began_s < 1
    assert placed.count("little") == 1
    assert placed.count("much") > 1
