"""The numbers of the live view's status line."""

from __future__ import annotations

from tracer.model.annotated import Annotated
from tracer.model.events import (
    ExecEvent,
    ExitEvent,
    ForkEvent,
    LossEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
)
from tracer.model.identity import ProcessKey
from tracer.report.times import format_duration

YOUNG_NS = 100_000_000
"""A process dead for less is no zombie yet to the eye: a reap is told late."""


class LiveCounts:
    """What lives, what died, what nobody collected; kept from the events."""

    def __init__(self) -> None:
        self._alive: set[ProcessKey] = set()
        self._dead: dict[ProcessKey, tuple[int, str]] = {}
        self.exits = 0
        self.signals = 0
        self.lost = 0

    def note(self, annotated: Annotated) -> None:
        """Take an event in."""
        match annotated.event:
            case SignalEvent() as event:
                if not event.is_notification:
                    self.signals += 1
            case ForkEvent() | ExecEvent() as event:
                self._alive.add(event.process.key)
            case ExitEvent() as event if event.live_threads == 0:
                self.exits += 1
                self._alive.discard(event.process.key)
                self._dead[event.process.key] = (event.boot_ns, event.process.comm)
            case ReapEvent() as event:
                self._alive.discard(event.process.key)
                self._dead.pop(event.process.key, None)
            case ProcessEvent() as event if event.is_zombie and event.live_threads == 0:
                self._dead[event.process.key] = (event.boot_ns, event.process.comm)
            case ProcessEvent() as event:
                self._alive.add(event.process.key)
            case LossEvent() as event:
                self.lost += sum(event.lost.values())
            case _:
                pass

    @property
    def alive(self) -> int:
        """Processes seen begin, or there before, and not seen end."""
        return len(self._alive)

    def zombies(self, now_boot_ns: int) -> int:
        """Processes dead and uncollected for longer than :data:`YOUNG_NS`."""
        return sum(now_boot_ns - begin_ns >= YOUNG_NS for begin_ns, _ in self._dead.values())

    def status(self, now_boot_ns: int) -> str:
        """Write the numbers as one line."""
        zombies = self.zombies(now_boot_ns)
        oldest = ""
        if zombies:
            # Ends do not come in order where ordinary lives are held for a while.
            key, (begin_ns, comm) = min(self._dead.items(), key=lambda item: item[1][0])
            age = format_duration(max(now_boot_ns - begin_ns, 0))
            oldest = f", oldest {age}: {comm}[{key.host_pid}]"
        return (
            f"alive {self.alive}  ended {self.exits}  signals {self.signals}  "
            f"lost {self.lost}  zombies {zombies}{oldest}"
        )
