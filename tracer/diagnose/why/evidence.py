"""The conclusions from which a death is explained.

It rests on the report and on the signals with the causes the correlator gave
them, so it cannot disagree with either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracer.model.annotated import Annotated
from tracer.model.events import ObservationEvent, SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.report import ProcessReport, Report, StopReport


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an explanation is made from.

    Args:
        report: The report.
        signals: Every signal but exit notifications, in order of time.
        observations: What engines said, in order of time.
    """

    report: Report
    signals: tuple[Annotated, ...]
    observations: tuple[ObservationEvent, ...]

    @property
    def commands(self) -> dict[ProcessKey, str]:
        """The command lines that were read, masked and cut, by whose they are."""
        return {
            event.about: str(event.values["cmdline"])
            for event in self.observations
            if event.source == "proc" and event.about is not None and event.values.get("cmdline")
        }


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
    """The processes of the report that lived during a stop, init left out.

    Members of a nested namespace whose stop was a part of it are among them.
    """
    parts = {number for number, each in enumerate(report.stops) if each is stop}
    while (
        more := {number for number, each in enumerate(report.stops) if each.outer_stop in parts}
        - parts
    ):
        parts |= more
    return [
        each
        for each in report.processes
        if each.stop in parts
        and each.host_pid != stop.init_host_pid
        and (each.end_boot_ns is None or each.end_boot_ns >= stop.begin_boot_ns)
    ]
