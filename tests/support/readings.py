"""Readings of /proc and of cgroups, made by hand, and a trace in which they were taken."""

from __future__ import annotations

from typing import Any

from tracer.correlate.correlator import Correlator
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
