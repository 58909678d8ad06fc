"""What was seen of a scenario, for its explanation to quote."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tracer.errors import UnavailableError
from tracer.model.annotated import Annotated
from tracer.model.events import SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.report import ProcessReport, Report, StopReport, ZombieReport
from tracer.model.signals import SIGCHLD
from tracer.model.verdicts import ReapKind
from tracer.wording.pids import format_pids
from tracer.wording.times import format_clock, format_duration


@dataclass(slots=True)
class SignalLog:
    """A sink that keeps what explanations quote: the signals but SIGCHLD."""

    signals: list[SignalEvent] = field(default_factory=list)

    def __call__(self, annotated: Annotated) -> None:
        """Take one conclusion in."""
        event = annotated.event
        if isinstance(event, SignalEvent) and event.signo != SIGCHLD and not event.is_notification:
            self.signals.append(event)


@dataclass(frozen=True, slots=True)
class Observed:
    """A finished scenario.

    Args:
        report: What the trace concluded.
        signals: The signals it saw, in order of time.
        notes: What the program wrote about itself: ``word rest`` lines.
        utc: Show times in UTC.
    """

    report: Report
    signals: tuple[SignalEvent, ...]
    notes: tuple[str, ...]
    utc: bool = False

    def notes_of(self, word: str) -> list[str]:
        """What the program noted under a word, in order."""
        return [note.partition(" ")[2] for note in self.notes if note.partition(" ")[0] == word]

    def number(self, word: str) -> int:
        """A number the program noted.

        Raises:
            UnavailableError: It noted none.
        """
        noted = self.notes_of(word)
        if not noted or not noted[-1].isdecimal():
            raise surprise(f"the program reported nothing about {word!r}")
        return int(noted[-1])

    @property
    def stop(self) -> StopReport:
        """The stop that was seen.

        Raises:
            UnavailableError: None was.
        """
        if not self.report.stops:
            raise surprise("no stop was seen")
        return self.report.stops[0]

    @property
    def init(self) -> ProcessReport:
        """PID 1."""
        return self.only(lambda process: process.is_init, "PID 1")

    def only(self, wanted: Callable[[ProcessReport], bool], what: str) -> ProcessReport:
        """The one process that fits.

        Raises:
            UnavailableError: None fits, or several do.
        """
        found = [process for process in self.report.processes if wanted(process)]
        if len(found) != 1:
            raise surprise(f"{len(found)} processes were seen where {what} should be one")
        return found[0]

    def named(self, comm: str) -> list[ProcessReport]:
        """The processes of a name, by pid.

        Raises:
            UnavailableError: There was none.
        """
        found = [process for process in self.report.processes if process.comm == comm]
        if not found:
            raise surprise(f"no process called {comm} was seen")
        return sorted(found, key=lambda process: process.host_pid)

    def one(self, comm: str) -> ProcessReport:
        """The one process of a name."""
        return self.only(lambda process: process.comm == comm, comm)

    def zombie(self, process: ProcessReport) -> ZombieReport | None:
        """What the report says of a process as a zombie."""
        return next(
            (zombie for zombie in self.report.zombies if zombie.host_pid == process.host_pid), None
        )

    def sent(self, signo: int, target: ProcessReport) -> list[SignalEvent]:
        """The signals of a number sent to a process."""
        key = ProcessKey(target.host_pid, target.start_boot_ns)
        return [s for s in self.signals if s.signo == signo and s.process.key == key]

    def clock(self, boot_ns: int | None) -> str:
        """An instant as the report shows it."""
        if boot_ns is None:
            return "an unknown time"
        return format_clock(boot_ns + self.report.utc_offset_ns, utc=self.utc)


def surprise(what: str) -> UnavailableError:
    """The error of a scenario that did not go as the kernel's rules have it."""
    return UnavailableError(
        f"this demonstration did not go as planned: {what}",
        hint="the report above shows what was seen; try again on a less busy machine",
    )


def pids(processes: Iterable[ProcessReport]) -> str:
    """Their host pids: ``host pids 7-9``."""
    return f"host {format_pids(process.host_pid for process in processes)}"


def lasted(duration_ns: int | None) -> str:
    """A duration in words."""
    return "an unknown time" if duration_ns is None else format_duration(duration_ns)


def longest(processes: Iterable[ProcessReport]) -> str:
    """How long the one that was dead longest had to wait to be collected."""
    times = [process.zombie_ns for process in processes if process.zombie_ns is not None]
    return lasted(max(times)) if times else "an unknown time"


def expect_reaped(
    processes: Iterable[ProcessReport], kind: ReapKind, by: ProcessReport | None = None
) -> None:
    """Make sure of how zombies ended, before an explanation says so.

    Raises:
        UnavailableError: One ended otherwise.
    """
    for process in processes:
        if process.reap_kind is not kind or (by and process.reaper_host_pid != by.host_pid):
            how = process.reap_kind.value if process.reap_kind is not None else "not at all"
            raise surprise(
                f"{process.comm} (host pid {process.host_pid}) was reaped: {how}, by"
                f" {process.reaper_comm or 'no process'}"
            )


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
