"""Events that are no kernel records, as JSON and back.

Fields are matched by name: one that a newer version added is passed over, one
that an older version did not have takes its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from tracer.model.events import (
    AttachedEvent,
    ContainerEvent,
    EndEvent,
    HookState,
    LossEvent,
    ObservationEvent,
)
from tracer.model.identity import ProcessKey
from tracer.model.target import Container, KernelFilter, Target

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
    """Make an object of an event; it holds JSON types only."""
    values: dict[str, Any] = {}
    for member in fields(event):
        value = getattr(event, member.name)
        if isinstance(value, Mapping):
            values[member.name] = dict(value)
        elif isinstance(value, Target):
            values[member.name] = _target_to_json(value)
        elif isinstance(value, Container):
            values[member.name] = _container_to_json(value)
        elif isinstance(value, tuple) and not isinstance(value, ProcessKey):
            values[member.name] = [asdict(item) for item in value]
        else:
            values[member.name] = value
    return {"event": _NAMES[type(event)], **values}


def event_from_json(raw: Mapping[str, Any]) -> SideEvent:
    """Make an event of an object.

    Raises:
        KeyError: It is of a kind, or lacks a field, that must be known.
        TypeError: A field does not hold what it must.
        ValueError: Likewise.
    """
    name = raw["event"]
    kind = _KINDS[name]
    values = _known_fields(kind, raw)
    if kind is AttachedEvent:
        values["hooks"] = tuple(_build(HookState, hook) for hook in values["hooks"])
        values["target"] = _target_from_json(values["target"])
    elif kind is ContainerEvent:
        values["container"] = _container_from_json(values["container"])
    elif kind is ObservationEvent and values["about"] is not None:
        host_pid, start_boot_ns = values["about"]
        values["about"] = ProcessKey(int(host_pid), int(start_boot_ns))
    if not isinstance(values["boot_ns"], int):
        raise TypeError(f"{name}: boot_ns is {values['boot_ns']!r}")
    event: SideEvent = kind(**values)
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


def _target_from_json(raw: Mapping[str, Any]) -> Target:
    filtered = raw["kernel_filter"]
    return Target(
        description=raw["description"],
        kernel_filter=KernelFilter(
            pidns_inums=frozenset(filtered["pidns_inums"]),
            cgroup_ids=frozenset(filtered["cgroup_ids"]),
            everything=bool(filtered["everything"]),
        ),
        containers=tuple(_container_from_json(each) for each in raw["containers"]),
    )


def _container_to_json(container: Container) -> dict[str, Any]:
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(container).items()
    }


def _container_from_json(raw: Mapping[str, Any]) -> Container:
    values = _known_fields(Container, raw)
    for member in fields(Container):
        # JSON has lists alone; what the member is, its default tells.
        if isinstance(member.default, tuple | frozenset) and member.name in values:
            values[member.name] = type(member.default)(values[member.name])
    return Container(**values)


def _build(kind: type[HookState], raw: Mapping[str, Any]) -> HookState:
    return kind(**_known_fields(kind, raw))


def _known_fields(kind: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for member in fields(kind):
        if member.name in raw:
            values[member.name] = raw[member.name]
        elif member.default is MISSING and member.default_factory is MISSING:
            raise KeyError(member.name)
    return values
