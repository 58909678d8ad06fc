"""What the story of a death is told from: conclusions alone.

It rests on the report and on the signals with the causes the correlator gave
them, so it cannot disagree with either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracer.model.annotated import Annotated
from tracer.model.events import ObservationEvent, SignalEvent
from tracer.model.report import ProcessReport, Report, StopReport


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a story is told from.

    Args:
        report: The report.
        signals: Every signal but exit notifications, in order of time.
        observations: What engines said, in order of time.
    """

    report: Report
    signals: tuple[Annotated, ...]
    observations: tuple[ObservationEvent, ...]


def pick_witnesses(
    annotated: Iterable[Annotated],
) -> tuple[tuple[Annotated, ...], tuple[ObservationEvent, ...]]:
    """Pick what a story needs out of all events: the signals, the observations."""
    signals: list[Annotated] = []
    observations: list[ObservationEvent] = []
    for each in annotated:
        if isinstance(each.event, SignalEvent):
            if not each.event.is_notification:
                signals.append(each)
        elif isinstance(each.event, ObservationEvent):
            observations.append(each.event)
    return tuple(signals), tuple(observations)


def members_of(report: Report, stop: StopReport) -> list[ProcessReport]:
    """The processes of the report that were there during a stop, init left out."""
    end_ns = stop.end_boot_ns if stop.end_boot_ns is not None else report.end_boot_ns
    return [
        each
        for each in report.processes
        if each.host_pid != stop.init_host_pid
        and each.start_boot_ns <= end_ns
        and (each.end_boot_ns is None or each.end_boot_ns >= stop.begin_boot_ns)
        and (
            each.pidns_inum == stop.pidns_inum
            or (stop.container_id is not None and each.container_id == stop.container_id)
        )
    ]
