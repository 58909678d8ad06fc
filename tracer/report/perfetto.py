"""The trace for ui.perfetto.dev: tracks of processes, signals as flows.

A native Perfetto trace, that is, a stream of TracePacket messages. Every
process has a track of its life (alive, ending, zombie) and one of its signals,
every stop one of its phases; a signal is an instant at its sender and one at
its target with a flow between them. Times are CLOCK_BOOTTIME, which is the
format's own, and a clock snapshot relates them to UTC.

Source:
    protos/perfetto/trace/trace.proto, trace_packet.proto, clock_snapshot.proto
    and track_event/{track_descriptor,track_event,debug_annotation}.proto, in
    https://github.com/google/perfetto
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from tracer.model.annotated import Annotated
from tracer.model.identity import ProcessKey
from tracer.model.report import Report, StopReport
from tracer.report.escape import safe_text
from tracer.report.fates import explain_end, explain_origin, label_end
from tracer.report.picture.arrows import Arrow
from tracer.report.picture.lives import Life
from tracer.report.picture.phases import PHASE_MEANING, read_moments, read_phases
from tracer.report.picture.picture import Picture, make_picture
from tracer.report.protobuf import (
    bytes_field,
    fixed64_field,
    int_field,
    text_field,
    uint_field,
)
from tracer.wording.causes import CAUSES
from tracer.wording.verdicts import REAP_MEANING, explain_sender

_TRACE_PACKET = 1  # Trace
_CLOCK_SNAPSHOT, _TIMESTAMP, _SEQUENCE_ID, _TRACK_EVENT = 6, 8, 10, 11  # TracePacket
_SEQUENCE_FLAGS, _TRACK_DESCRIPTOR = 13, 60
_CLOCK, _PRIMARY_CLOCK = 1, 2  # ClockSnapshot
_CLOCK_ID, _CLOCK_TIME = 1, 2  # ClockSnapshot.Clock
_UUID, _NAME, _PROCESS, _PARENT = 1, 2, 3, 5  # TrackDescriptor
_PID, _PROCESS_NAME, _START, _LABEL = 1, 6, 7, 8  # ProcessDescriptor
_ANNOTATION, _TYPE, _TRACK, _CATEGORY, _EVENT_NAME = 4, 9, 11, 22, 23  # TrackEvent
_FLOW, _LAST_OF_FLOW = 47, 48
_INT_VALUE, _TEXT_VALUE, _KEY = 4, 6, 10  # DebugAnnotation

_REALTIME, _BOOTTIME = 1, 6  # BuiltinClock
_STATE_CLEARED = 1  # SequenceFlags
_SEQUENCE = 1
_TRACKS_PER_PROCESS = 3


class _Type(IntEnum):
    """TrackEvent.Type."""

    BEGIN = 1
    END = 2
    INSTANT = 3


# At one time: what ends, then what begins, then what is within.
_ORDER = {_Type.END: 0, _Type.BEGIN: 1, _Type.INSTANT: 2}

_Notes = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class _Event:
    """One TrackEvent."""

    boot_ns: int
    type: _Type
    track: int
    name: str = ""
    category: str = ""
    notes: _Notes | None = None
    flow: int | None = None
    ends_flow: bool = False


def render_perfetto(report: Report, events: Iterable[Annotated]) -> bytes:
    """Write a report and its events as a trace for Perfetto.

    Args:
        report: The conclusion of a trace.
        events: Every event of that trace, in order; read once.

    Returns:
        A serialized ``perfetto.protos.Trace``; files of it are usually called
        ``*.perfetto-trace``.
    """
    picture = make_picture(report, events)
    tracks = _Tracks(picture)
    drawn = [
        *_stop_events(report, tracks),
        *_life_events(picture, tracks),
        *_signal_events(picture, tracks),
    ]
    drawn.sort(key=lambda event: (event.boot_ns, _ORDER[event.type]))
    packets = [_clocks(report), *tracks.descriptors(), *map(_packet, drawn)]
    return b"".join(bytes_field(_TRACE_PACKET, packet) for packet in packets)


class _Tracks:
    """The uuid of every track, and the packets that introduce them."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        first = len(picture.report.stops) + 1
        self._process = {
            life.key: first + number * _TRACKS_PER_PROCESS
            for number, life in enumerate(picture.lives)
        }

    def stop(self, number: int) -> int:
        """Give the track of a stop."""
        return number + 1

    def life(self, key: ProcessKey) -> int:
        """Give the track of a process's life."""
        return self._process[key] + 1

    def signals(self, key: ProcessKey | None) -> int | None:
        """Give the track of a process's signals; None where it has none."""
        process = None if key is None else self._process.get(key)
        return None if process is None else process + 2

    def descriptors(self) -> Iterator[bytes]:
        """Write a packet a track; the first one says that nothing came before."""
        flags = uint_field(_SEQUENCE_FLAGS, _STATE_CLEARED)
        for body in self._bodies():
            yield flags + uint_field(_SEQUENCE_ID, _SEQUENCE) + bytes_field(_TRACK_DESCRIPTOR, body)
            flags = b""

    def _bodies(self) -> Iterator[bytes]:
        for number, stop in enumerate(self._picture.report.stops):
            whose = stop.container_name or f"PID namespace {stop.pidns_inum}"
            yield uint_field(_UUID, self.stop(number)) + _text(_NAME, f"stop of {whose}")
        for life in self._picture.lives:
            uuid = self._process[life.key]
            yield uint_field(_UUID, uuid) + bytes_field(_PROCESS, _process(life))
            for offset, name in ((1, "life"), (2, "signals")):
                if offset == 2 or not life.is_outside:
                    parent = uint_field(_PARENT, uuid)
                    yield uint_field(_UUID, uuid + offset) + parent + _text(_NAME, name)


def _process(life: Life) -> bytes:
    body = int_field(_PID, life.key.host_pid) + _text(_PROCESS_NAME, life.comm)
    if life.begin_ns is not None:
        body += int_field(_START, life.begin_ns)
    if life.is_outside:
        body += _text(_LABEL, "outside the target")
    elif life.ns_pid is not None:
        body += _text(_LABEL, f"PID {life.ns_pid} in its namespace")
    return body


def _clocks(report: Report) -> bytes:
    boot_ns = report.begin_boot_ns
    body = b"".join(
        bytes_field(_CLOCK, uint_field(_CLOCK_ID, clock) + uint_field(_CLOCK_TIME, time_ns))
        for clock, time_ns in ((_BOOTTIME, boot_ns), (_REALTIME, boot_ns + report.utc_offset_ns))
    )
    snapshot = bytes_field(_CLOCK_SNAPSHOT, body + uint_field(_PRIMARY_CLOCK, _BOOTTIME))
    return uint_field(_TIMESTAMP, boot_ns) + uint_field(_SEQUENCE_ID, _SEQUENCE) + snapshot


def _packet(event: _Event) -> bytes:
    body = uint_field(_TYPE, event.type) + uint_field(_TRACK, event.track)
    if event.name:
        body += _text(_EVENT_NAME, event.name)
    if event.category:
        body += _text(_CATEGORY, event.category)
    if event.flow is not None:
        body += fixed64_field(_LAST_OF_FLOW if event.ends_flow else _FLOW, event.flow)
    for key, value in (event.notes or {}).items():
        if isinstance(value, int):
            body += bytes_field(_ANNOTATION, _text(_KEY, key) + int_field(_INT_VALUE, value))
        elif value:
            body += bytes_field(_ANNOTATION, _text(_KEY, key) + _text(_TEXT_VALUE, value))
    head = uint_field(_TIMESTAMP, event.boot_ns) + uint_field(_SEQUENCE_ID, _SEQUENCE)
    return head + bytes_field(_TRACK_EVENT, body)


def _text(number: int, value: str) -> bytes:
    return text_field(number, safe_text(value))


def _slice(
    track: int, begin_ns: int, end_ns: int, name: str, category: str, notes: _Notes | None = None
) -> Iterator[_Event]:
    # One without length would end before it begins: it is not drawn.
    if end_ns > begin_ns:
        yield _Event(begin_ns, _Type.BEGIN, track, name, category, notes)
        yield _Event(end_ns, _Type.END, track)


def _stop_events(report: Report, tracks: _Tracks) -> Iterator[_Event]:
    for number, stop in enumerate(report.stops):
        track = tracks.stop(number)
        for phase in read_phases(stop, report):
            notes = {"meaning": PHASE_MEANING[phase.kind], **_stop_notes(stop)}
            yield from _slice(track, phase.begin_ns, phase.end_ns, phase.kind.value, "stop", notes)
        for moment in read_moments(stop):
            yield _Event(moment.boot_ns, _Type.INSTANT, track, moment.text, "stop")


def _stop_notes(stop: StopReport) -> _Notes:
    sender = None
    if stop.stop_sender_comm is not None:
        sender = explain_sender(
            stop.stop_sender_comm, stop.stop_sender_host_pid, stop.stop_sender_chain
        )
    return {
        "stop_signal": stop.stop_signal,
        "sender": sender,
        "members": stop.members,
        "sigkilled": stop.sigkilled,
        "signalled": stop.signalled,
        "exited": stop.exited,
        "already_zombie": stop.already_zombie,
        "survived": stop.survived,
    }


def _life_events(picture: Picture, tracks: _Tracks) -> Iterator[_Event]:
    report = picture.report
    for life in picture.lives:
        if life.is_outside:
            continue
        track = tracks.life(life.key)
        zombie_ns = life.zombie_from_ns
        gone_ns = report.end_boot_ns if life.reap_ns is None else life.reap_ns
        died_ns = life.exit_ns if life.exit_ns is not None else zombie_ns
        alive_until_ns = report.end_boot_ns if died_ns is None else died_ns
        notes = _life_notes(life)
        for begin_ns, end_ns, name in _names(life, report.begin_boot_ns, alive_until_ns):
            yield from _slice(track, begin_ns, end_ns, name, "alive", notes)
        if zombie_ns is None:
            continue
        if died_ns is not None:
            yield from _slice(track, died_ns, zombie_ns, "ending", "ending", notes)
        yield from _slice(track, zombie_ns, gone_ns, "zombie", "zombie", notes)
    for mark in picture.marks:
        signals = tracks.signals(mark.target)
        if signals is not None:
            yield _Event(mark.boot_ns, _Type.INSTANT, signals, mark.text, "mark")


def _names(life: Life, begin_ns: int, end_ns: int) -> Iterator[tuple[int, int, str]]:
    """Split a lifetime at its execs; the part before the trace is left out."""
    start_ns = max(life.begin_ns or begin_ns, begin_ns)
    # Its name before the first exec is unknown.
    name = life.comm if not life.execs else "before exec"
    for exec_ns, next_name in life.execs:
        yield start_ns, exec_ns, name
        start_ns, name = max(exec_ns, start_ns), next_name
    yield start_ns, end_ns, name


def _life_notes(life: Life) -> _Notes:
    process = life.report
    reaped = REAP_MEANING[life.reap_kind] if life.reap_kind is not None else None
    if reaped is not None and life.reaper_comm is not None:
        reaped += f" ({explain_sender(life.reaper_comm, life.reaper_host_pid, ())})"
    return {
        "end": label_end(process) if process else None,
        "why": explain_end(process) if process else None,
        "from": explain_origin(process) if process else None,
        "collected": reaped,
        "collected_precision": life.precision.value if life.precision else None,
        "container_id": life.container_id,
        "pidns_inum": life.pidns_inum,
        "start_boot_ns": life.begin_ns,
    }


def _signal_events(picture: Picture, tracks: _Tracks) -> Iterator[_Event]:
    names = {life.key: f"{life.comm}[{life.key.host_pid}]" for life in picture.lives}
    for flow, arrow in enumerate(picture.arrows, 1):
        target = tracks.signals(arrow.target)
        source = tracks.signals(arrow.source)
        if target is None:
            continue
        category = "notification" if arrow.is_notification else "signal"
        notes = _signal_notes(arrow)
        is_flow = source is not None and arrow.source != arrow.target
        if source is not None and is_flow:
            name = f"{arrow.signal} to {names[arrow.target]}"
            yield _Event(arrow.boot_ns, _Type.INSTANT, source, name, category, notes, flow)
        name = arrow.signal
        if arrow.source is not None and arrow.source in names:
            name = f"{arrow.signal} from {names[arrow.source]}"
        yield _Event(
            arrow.boot_ns,
            _Type.INSTANT,
            target,
            name,
            category,
            notes,
            flow if is_flow else None,
            ends_flow=True,
        )


def _signal_notes(arrow: Arrow) -> _Notes:
    sender = explain_sender(arrow.sender_comm, None, arrow.sender_chain)
    return {
        "sender": sender if arrow.is_sent else "the kernel",
        "system_call": arrow.sender_syscall,
        "result": arrow.result.value,
        "disposition": arrow.disposition.value,
        "cause": arrow.cause.value if arrow.cause else None,
        "meaning": CAUSES[arrow.cause].phrase if arrow.cause else None,
    }
