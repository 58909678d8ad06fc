"""The machine's view of the stream: one JSON object a line.

The names are the contract users script against; docs/schema/ describes every
line. Unknown is null. Every string goes through
:func:`tracer.report.escape.safe_text`, so a line is valid UTF-8 without raw
control characters whatever a process calls itself.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    ContainerEvent,
    DeliverEvent,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    ForkFailedEvent,
    LifetimeEvent,
    LossEvent,
    ObservationEvent,
    OomEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
    TeardownEvent,
)
from tracer.model.identity import ProcessSnapshot
from tracer.model.signals import signal_name
from tracer.model.target import Container
from tracer.model.wait_status import WaitStatus
from tracer.report.jsonobject import (
    JsonObject,
    clean_object,
    container_object,
    dump_object,
    hook_object,
)
from tracer.wording.times import format_rfc3339

COMMON_KEYS = (
    "kind",
    "time",
    "boot_ns",
    "host_pid",
    "ns_pid",
    "start_boot_ns",
    "comm",
    "parent_host_pid",
    "pidns_inum",
    "cgroup_id",
    "container_id",
    "container_name",
)
"""The keys every line begins with, in this order."""

_NOT_OVER = dict.fromkeys(
    (
        "forked_boot_ns",
        "exit_boot_ns",
        "executed",
        "zombie_ns",
        "reap_kind",
        "reaper_host_pid",
        "reaper_comm",
        "precision",
    )
)
"""What an exit line has only for an uneventful lifetime: its release has no line of its own."""


def event_to_json(annotated: Annotated, clock_offset_ns: int) -> JsonObject | None:
    """Build the JSON object of one event.

    Args:
        annotated: The event and what was concluded about it.
        clock_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME, ns.

    Returns:
        The object, its keys in their stable order; None for what has no line of
        its own: the begin of an exit, a leader that exits before its last
        thread, the end of the trace (its line is the report's).
    """
    event = annotated.event
    entry = _BUILDERS.get(type(event))
    if entry is None or (isinstance(event, ExitEvent) and event.live_threads > 0):
        return None
    kind, build = entry
    line = common_fields(
        kind,
        event.boot_ns,
        clock_offset_ns,
        process=getattr(event, "process", None),
        container=annotated.container,
    )
    line.update(build(event, annotated))
    return clean_object(line)


def render_line(annotated: Annotated, clock_offset_ns: int) -> str | None:
    """Write one event as one line of JSON, without the line's end.

    Returns:
        The line, or None where :func:`event_to_json` has none.
    """
    line = event_to_json(annotated, clock_offset_ns)
    return None if line is None else dump_object(line)


def common_fields(
    kind: str,
    boot_ns: int,
    clock_offset_ns: int,
    *,
    process: ProcessSnapshot | None = None,
    container: Container | None = None,
) -> JsonObject:
    """Build what every line begins with: when, who, where. Unknown is None."""
    line: JsonObject = dict.fromkeys(COMMON_KEYS)
    line["kind"] = kind
    line["time"] = format_rfc3339(boot_ns + clock_offset_ns)
    line["boot_ns"] = boot_ns
    if process is not None:
        line["host_pid"] = process.host_pid
        line["ns_pid"] = process.ns_pid
        line["start_boot_ns"] = process.start_boot_ns
        line["comm"] = process.comm
        line["parent_host_pid"] = process.parent_host_pid
        line["pidns_inum"] = process.pidns_inum
        line["cgroup_id"] = process.cgroup_id
    if container is not None:
        line["container_id"] = container.id
        line["container_name"] = container.shown_name
    return line


def is_sent_by_process(annotated: Annotated) -> bool:
    """Whether a signal's actor is its sender, and not just where the kernel ran."""
    return annotated.sender_is_user is True


def _attached(event: AttachedEvent, _: Annotated) -> JsonObject:
    target = event.target
    return {
        "hooks": [hook_object(hook) for hook in event.hooks],
        "target": {
            "description": target.description,
            "everything": target.kernel_filter.everything,
            "pidns_inums": sorted(target.kernel_filter.pidns_inums),
            "cgroup_ids": sorted(target.kernel_filter.cgroup_ids),
            "containers": [container_object(each) for each in target.containers],
        },
        "source": event.source,
        "kernel": event.kernel,
        "machine": event.machine,
    }


def _process(event: ProcessEvent, _: Annotated) -> JsonObject:
    return {
        "is_zombie": event.is_zombie,
        "live_threads": event.live_threads,
        **_ending(event.status),
        "own_sigchld": event.own_sigchld,
        "parent_sigchld": event.parent_sigchld,
        "tracer_host_pid": event.tracer_host_pid,
    }


def _fork(event: ForkEvent, _: Annotated) -> JsonObject:
    return {
        "creator_host_pid": event.creator.host_pid,
        "creator_comm": event.creator.comm,
    }


def _exec(_event: ExecEvent, _: Annotated) -> JsonObject:
    return {}


def _exit(event: ExitEvent, annotated: Annotated) -> JsonObject:
    return {**_ending(event.status), "cause": annotated.cause, **_NOT_OVER}


def _lifetime(event: LifetimeEvent, annotated: Annotated) -> JsonObject:
    return {
        **_ending(event.status),
        "cause": annotated.cause,
        "forked_boot_ns": event.forked_ns,
        "exit_boot_ns": event.exit_ns,
        "executed": event.executed,
        "zombie_ns": annotated.zombie_ns,
        "reap_kind": annotated.reap_kind,
        "reaper_host_pid": annotated.reaper_host_pid,
        "reaper_comm": annotated.reaper_comm,
        "precision": annotated.precision or event.precision,
    }


def _reap(event: ReapEvent, annotated: Annotated) -> JsonObject:
    return {
        "zombie_ns": annotated.zombie_ns,
        "reap_kind": annotated.reap_kind,
        "reaper_host_pid": annotated.reaper_host_pid,
        "reaper_comm": annotated.reaper_comm,
        "precision": annotated.precision or event.precision,
    }


def _signal(event: SignalEvent, annotated: Annotated) -> JsonObject:
    actor = event.actor
    is_sent = is_sent_by_process(annotated)
    return {
        "signal": signal_name(event.signo),
        "sender_host_pid": actor.host_pid if is_sent else None,
        "sender_ns_pid": actor.ns_pid if is_sent else None,
        "sender_comm": actor.comm if is_sent else None,
        "sender_chain": actor.chain if is_sent else None,
        "sender_syscall": actor.syscall if is_sent else None,
        "trigger_host_pid": None if is_sent else actor.host_pid,
        "trigger_comm": None if is_sent else actor.comm,
        "si_code": event.si_code,
        "result": event.result,
        "cause": annotated.cause,
        "disposition": event.disposition,
        "repeats": event.repeats,
        "repeats_since_boot_ns": event.repeats_since_ns,
    }


def _deliver(event: DeliverEvent, _: Annotated) -> JsonObject:
    return {
        "signal": signal_name(event.signo),
        "si_code": event.si_code,
        "disposition": event.disposition,
    }


def _teardown(event: TeardownEvent, _: Annotated) -> JsonObject:
    return {"phase": event.phase}


def _oom(event: OomEvent, _: Annotated) -> JsonObject:
    return {"trigger_host_pid": event.actor.host_pid, "trigger_comm": event.actor.comm}


def _fork_failed(event: ForkFailedEvent, _: Annotated) -> JsonObject:
    number = abs(event.errno)
    return {"errno": number, "error": errno.errorcode.get(number)}


def _observation(event: ObservationEvent, _: Annotated) -> JsonObject:
    own: JsonObject = {"source": event.source, "values": event.values}
    if event.about is not None:
        own["host_pid"] = event.about.host_pid
        own["start_boot_ns"] = event.about.start_boot_ns
    return own


def _container(event: ContainerEvent, _: Annotated) -> JsonObject:
    container = event.container
    return {
        "host_pid": container.init_host_pid,
        "pidns_inum": container.pidns_inum,
        "cgroup_id": container.cgroup_id,
        "container_id": container.id,
        "container_name": container.shown_name,
        "source": container.runtime,
        "values": {"container": container_object(container)},
    }


def _loss(event: LossEvent, _: Annotated) -> JsonObject:
    return {"lost": event.lost, "since_boot_ns": event.since_boot_ns}


def _ending(status: WaitStatus | None) -> JsonObject:
    return {
        "exit_code": status.exit_code if status else None,
        "term_signal": status.signal_name if status else None,
        "core_dumped": status.core_dumped if status else None,
    }


_BUILDERS: dict[type, tuple[str, Callable[[Any, Annotated], JsonObject]]] = {
    AttachedEvent: ("attached", _attached),
    ProcessEvent: ("process", _process),
    ForkEvent: ("fork", _fork),
    ExecEvent: ("exec", _exec),
    ExitEvent: ("exit", _exit),
    ReapEvent: ("reap", _reap),
    LifetimeEvent: ("exit", _lifetime),
    SignalEvent: ("signal", _signal),
    DeliverEvent: ("deliver", _deliver),
    TeardownEvent: ("teardown", _teardown),
    OomEvent: ("oom", _oom),
    ForkFailedEvent: ("fork_failed", _fork_failed),
    ObservationEvent: ("observation", _observation),
    ContainerEvent: ("observation", _container),
    LossEvent: ("loss", _loss),
}
