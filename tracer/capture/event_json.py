"""Events that are no kernel records, as JSON and back.

Fields are matched by name: one that a newer version added is passed over, one
that an older version did not have takes its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from tracer.capture.observation_shapes import check_observation
from tracer.capture.typed_json import build, fit
from tracer.model.events import (
    AttachedEvent,
    ContainerEvent,
    EndEvent,
    LossEvent,
    ObservationEvent,
)
from tracer.model.identity import ProcessKey
from tracer.model.target import Container, Target

SideEvent = AttachedEvent | ObservationEvent | ContainerEvent | LossEvent | EndEvent
"""What a trace feeds the correlator besides the kernel's records."""

_KINDS: dict[str, type[Any]] = {
    "attached": AttachedEvent,
    "observation": ObservationEvent,
    "container": ContainerEvent,
    "loss": LossEvent,
    "end": EndEvent,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def event_to_json(event: SideEvent) -> dict[str, Any]:
    """Make an object of an event; it holds JSON types only.

    What a reader would refuse is made to fit.
    """
    values: dict[str, Any] = {}
    for member in fields(event):
        value = getattr(event, member.name)
        if isinstance(value, Target):
            value = _target_to_json(value)
        elif isinstance(value, Container):
            value = _container_to_json(value)
        elif isinstance(value, tuple) and not isinstance(value, ProcessKey):
            value = [asdict(item) for item in value]
        values[member.name] = fit(value, member.name)
    return {"event": _NAMES[type(event)], **values}


def event_from_json(raw: Mapping[str, Any]) -> SideEvent:
    """Make an event of an object, each field of it checked.

    Raises:
        KeyError: It is of a kind, or lacks a field, that must be known.
        TypeError: A field does not hold what it must.
        ValueError: Likewise.
    """
    if not isinstance(raw, dict):
        raise TypeError("an event that is not an object")
    name = raw["event"]
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError("an event of a kind that does not exist")
    event: SideEvent = build(_KINDS[name], raw, name)
    if isinstance(event, ObservationEvent):
        check_observation(event.source, event.values)
    if isinstance(event, LossEvent) and any(count < 0 for count in event.lost.values()):
        raise ValueError("loss.lost is out of bounds")
    return event


def _target_to_json(target: Target) -> dict[str, Any]:
    kernel_filter = target.kernel_filter
    return {
        "description": target.description,
        "kernel_filter": {
            "pidns_inums": sorted(kernel_filter.pidns_inums),
            "cgroup_ids": sorted(kernel_filter.cgroup_ids),
            "everything": kernel_filter.everything,
        },
        "containers": [_container_to_json(each) for each in target.containers],
    }


def _container_to_json(container: Container) -> dict[str, Any]:
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(container).items()
    }
