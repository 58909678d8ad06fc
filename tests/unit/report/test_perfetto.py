"""The Perfetto trace, read back with the format's own definition (PyPI's perfetto)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

from tests.support.annotated import (
    a_death,
    a_fork,
    a_notice,
    a_reap,
    a_signal,
    a_teardown_kill,
    attached,
)
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.report_stories import SAMPLES, fwd_sig, hostile
from tests.support.reports import (
    BEGIN_NS,
    INIT_PID,
    SECOND,
    UTC_OFFSET_NS,
    a_process,
    a_report,
    an_init,
)
from tracer.model.annotated import Annotated
from tracer.model.events import SignalEvent
from tracer.model.identity import ProcessKey
from tracer.report.escape import safe_text
from tracer.report.perfetto import render_perfetto
from tracer.report.protobuf import int_field, varint


def _told_of(annotated: Annotated, host_pid: int) -> Annotated:
    # Only the pid is known, as of most notifications.
    assert isinstance(annotated.event, SignalEvent)
    event = replace(annotated.event, notified_child=ProcessKey(host_pid, 0))
    return replace(annotated, event=event)


EVENTS = (
    attached(),
    a_fork(4712),
    a_signal(at_ns=BEGIN_NS + 2 * SECOND),
    a_teardown_kill(4712, at_ns=BEGIN_NS + 2 * SECOND + 5_000_000),
    a_death(4712, at_ns=BEGIN_NS + 2 * SECOND + 6_000_000),
    _told_of(a_notice(at_ns=BEGIN_NS + 2 * SECOND + 7_000_000), 4712),
    a_reap(4712, at_ns=BEGIN_NS + 2 * SECOND + 9_000_000, zombie_ns=2_000_000),
)


def _read(events: tuple[Annotated, ...] = EVENTS, sample: str = "fwd-sig") -> Any:
    trace = pb.Trace()
    trace.ParseFromString(render_perfetto(SAMPLES[sample](), events))
    return trace


def _unknown_fields(message: Any) -> Iterator[str]:
    if len(UnknownFieldSet(message)):
        yield message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                yield from _unknown_fields(each)


def _check_is_well_formed(trace: Any) -> None:
    """What an importer of the format relies on."""
    assert list(_unknown_fields(trace)) == []
    known: set[int] = set()
    depth: Counter[int] = Counter()
    last_ns = 0
    flags = [packet.sequence_flags for packet in trace.packet if packet.sequence_flags]
    assert flags in ([], [pb.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED])
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            assert descriptor.uuid not in known | {0}
            assert not descriptor.HasField("parent_uuid") or descriptor.parent_uuid in known
            known.add(descriptor.uuid)
        if packet.HasField("track_event"):
            event = packet.track_event
            assert event.track_uuid in known
            assert packet.timestamp >= last_ns
            last_ns = packet.timestamp
            if event.type == pb.TrackEvent.TYPE_SLICE_BEGIN:
                depth[event.track_uuid] += 1
            elif event.type == pb.TrackEvent.TYPE_SLICE_END:
                depth[event.track_uuid] -= 1
            assert depth[event.track_uuid] >= 0
    assert not +depth, "a slice without an end"


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_story_is_a_well_formed_trace(name: str) -> None:
    _check_is_well_formed(_read(sample=name))
    _check_is_well_formed(_read((), sample=name))


def test_boot_time_is_related_to_utc() -> None:
    (snapshot,) = [p.clock_snapshot for p in _read().packet if p.HasField("clock_snapshot")]
    clocks = {clock.clock_id: clock.timestamp for clock in snapshot.clocks}
    assert clocks == {
        pb.BUILTIN_CLOCK_BOOTTIME: BEGIN_NS,
        pb.BUILTIN_CLOCK_REALTIME: BEGIN_NS + UTC_OFFSET_NS,
    }
    assert snapshot.primary_trace_clock == pb.BUILTIN_CLOCK_BOOTTIME


def test_a_process_is_a_slice_of_life_then_one_of_being_a_zombie() -> None:
    trace = _read()
    processes = {
        p.track_descriptor.process.pid: p.track_descriptor
        for p in trace.packet
        if p.track_descriptor.HasField("process")
    }
    assert processes[INIT_PID].process.process_name == "fwd"
    tracks = {
        p.track_descriptor.uuid: p.track_descriptor.name
        for p in trace.packet
        if p.track_descriptor.parent_uuid == processes[4712].uuid
    }
    assert sorted(tracks.values()) == ["life", "signals"]
    life = next(uuid for uuid, name in tracks.items() if name == "life")
    at = BEGIN_NS + 2 * SECOND
    told = [
        (p.timestamp, p.track_event.type, p.track_event.name)
        for p in trace.packet
        if p.track_event.track_uuid == life
    ]
    assert (at + 7_000_000, pb.TrackEvent.TYPE_SLICE_BEGIN, "zombie") in told
    assert told[-1] == (at + 9_000_000, pb.TrackEvent.TYPE_SLICE_END, "")


def test_a_pid_used_twice_is_two_processes() -> None:
    # An importer takes a second descriptor of one pid for another process.
    first, second = (
        a_process(
            4712, start_boot_ns=BEGIN_NS + n * SECOND, end_boot_ns=BEGIN_NS + (n + 1) * SECOND
        )
        for n in (1, 3)
    )
    trace = pb.Trace()
    trace.ParseFromString(render_perfetto(a_report(processes=(an_init(), first, second)), []))
    _check_is_well_formed(trace)
    starts = [
        p.track_descriptor.process.start_timestamp_ns
        for p in trace.packet
        if p.track_descriptor.process.pid == 4712
    ]
    assert starts == [BEGIN_NS + SECOND, BEGIN_NS + 3 * SECOND]


def test_a_signal_flows_from_its_sender_to_its_target() -> None:
    ends: dict[int, list[str]] = {}
    for packet in _read().packet:
        event = packet.track_event
        for flow in event.flow_ids:
            ends.setdefault(flow, []).insert(0, event.name)
        for flow in event.terminating_flow_ids:
            ends.setdefault(flow, []).append(event.name)
    assert sorted(ends.values()) == [
        ["SIGCHLD to fwd[4711]", "SIGCHLD from worker[4712]"],
        ["SIGKILL to worker[4712]", "SIGKILL from fwd[4711]"],
        ["SIGTERM to fwd[4711]", "SIGTERM from runc[4801]"],
    ]


def test_the_stop_has_its_phases() -> None:
    stop = fwd_sig().stops[0]
    assert stop.init_exit_boot_ns is not None
    slices = [
        (p.timestamp, p.track_event.name)
        for p in _read().packet
        if p.track_event.type == pb.TrackEvent.TYPE_SLICE_BEGIN
        and list(p.track_event.categories) == ["stop"]
    ]
    assert slices == [
        (stop.begin_boot_ns, "grace"),
        (stop.init_exit_boot_ns, "teardown"),
        (stop.init_exit_boot_ns + (stop.teardown_ns or 0), "release"),
    ]


def test_negative_numbers_are_two_s_complement_of_64_bits() -> None:
    value = pb.DebugAnnotation()
    value.ParseFromString(int_field(4, -2))
    assert value.int_value == -2
    assert varint(0) == b"\0"


def _strings(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.message_type is not None:
                yield from _strings(each)
            elif isinstance(each, str):
                yield each


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_made_to_act_on_a_reader_are_escaped(name: str) -> None:
    events = (attached(), a_fork(4712, name), a_death(4712, name, BEGIN_NS + SECOND))
    trace = pb.Trace()
    trace.ParseFromString(render_perfetto(hostile(), events))
    said = set(_strings(trace))
    assert any(safe_text(name) in one for one in said)
    assert [one for one in said if not one.isprintable()] == []
