"""What a stream may suffer: losses, duplicates, neighbours that swapped."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from tracer.model.events import (
    AttachedEvent,
    DeliverEvent,
    Event,
    ExecEvent,
    ExitBeginEvent,
    ExitEvent,
    ForkEvent,
    LifetimeEvent,
    LossEvent,
    OomEvent,
    Precision,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
    TeardownEvent,
    TeardownPhase,
)
from tracer.wire.layout import RECORD
from tracer.wire.sorter import WINDOW_NS, TimeOrder

_KINDS: dict[type, str] = {
    ForkEvent: "fork",
    ExecEvent: "exec",
    ExitBeginEvent: "exit_begin",
    ExitEvent: "exit",
    SignalEvent: "signal",
    DeliverEvent: "deliver",
    OomEvent: "oom",
    LifetimeEvent: "lifetime",
}


def kind_of(event: Event) -> str:
    """As losses are counted."""
    if isinstance(event, ReapEvent):
        return "reap" if event.precision is Precision.EXACT else "free"
    if isinstance(event, TeardownEvent):
        return "teardown_begin" if event.phase is TeardownPhase.BEGIN else "teardown_end"
    return _KINDS[type(event)]


def with_losses(
    events: list[Event], rng: random.Random, share: float, *, is_bounded: bool
) -> list[Event]:
    """Drop some records; a loss is noticed a little later.

    Args:
        events: The stream.
        rng: Chooses.
        share: How many of them are dropped.
        is_bounded: Each loss says since when.
    """
    kept: list[Event] = []
    lost: dict[str, int] = {}
    looked_ns = 0
    now_ns = 0
    for event in events:
        # What was folded is told later than it happened.
        now_ns = max(now_ns, event.boot_ns)
        if lost and rng.random() < 0.3:
            since = looked_ns if is_bounded else None
            kept.append(LossEvent(now_ns, dict(lost), since))
            lost, looked_ns = {}, now_ns
        elif not lost:
            looked_ns = now_ns - 1
        is_record = not isinstance(event, (AttachedEvent, ProcessEvent))
        if is_record and rng.random() < share:
            lost[kind_of(event)] = lost.get(kind_of(event), 0) + 1
        else:
            kept.append(event)
    if lost:
        kept.append(LossEvent(now_ns + 1, lost, looked_ns if is_bounded else None))
    return kept


def with_duplicates(events: list[Event], rng: random.Random) -> list[Event]:
    """Tell some things twice."""
    return [event for event in events for _ in range(2 if rng.random() < 0.2 else 1)]


def reordered(events: list[Event], rng: random.Random) -> list[Event]:
    """Swap neighbours as CPUs do, drain, and put them in order again."""
    head, records = events[:1], events[1:]
    drains = sorted(rng.randrange(len(records) + 1) for _ in range(3))
    order = TimeOrder()
    result: list[Event] = []
    arrival = sorted(
        range(len(records)), key=lambda i: records[i].boot_ns + rng.randrange(WINDOW_NS // 2)
    )
    for start, end in zip([0, *drains], [*drains, len(records)], strict=True):
        batch = np.zeros(end - start, RECORD)
        batch["boot_ns"] = [records[i].boot_ns for i in arrival[start:end]]
        batch["host_pid"] = arrival[start:end]
        began_ns = int(batch["boot_ns"].max()) if len(batch) else 0
        for part in order.push(batch, began_ns):
            result.extend(records[int(i)] for i in part["host_pid"])
    for part in order.flush():
        result.extend(records[int(i)] for i in part["host_pid"])
    assert order.late == 0
    return [*head, *(replace(event) for event in result)]
