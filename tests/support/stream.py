"""Events made by hand, given as a capture gives them, and what `why` answers about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.events import BEGIN, INIT, MS, a_seed, attached
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import summarise
from tracer.model.annotated import Annotated
from tracer.model.events import EndEvent, Event
from tracer.model.report import Report
from tracer.model.why import Why
from tracer.replay.why import Replayed, explain


@dataclass
class Stream:
    """Events made by hand, given as a capture gives them."""

    events: list[Event]

    def __post_init__(self) -> None:
        self._correlator = Correlator(CorrelatorOptions())

    def annotated(self) -> Iterator[Annotated]:
        for event in sorted(self.events, key=lambda event: event.boot_ns):
            yield from self._feed(event)
        yield from self._feed(EndEvent((BEGIN + 100_000) * MS, "test"))

    def _feed(self, event: Event) -> Iterator[Annotated]:
        annotated = self._correlator.feed(event)
        if annotated is not None:
            yield annotated

    def conclude(self) -> Report:
        return summarise(self._correlator)


def stream(*events: Event) -> Stream:
    return Stream([attached(), a_seed(INIT), *events])


def why(told: Replayed, pid: int | None = None, name: str | None = "web") -> Why:
    return explain(told, pid=pid, name=name)
