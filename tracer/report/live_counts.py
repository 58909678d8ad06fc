"""The numbers of the live view's status line."""

from __future__ import annotations

from collections.abc import Callable

from tracer.model.annotated import Annotated
from tracer.model.events import (
    ExecEvent,
    ExitEvent,
    ForkEvent,
    LifetimeEvent,
    LossEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
)
from tracer.model.identity import ProcessKey
from tracer.wording.times import format_duration

YOUNG_NS = 100_000_000
"""A process dead for less does not count as a zombie yet: reaps are reported late."""


class LiveCounts:
    """Living, dead and unreaped processes, counted from the events."""

    def __init__(self) -> None:
        # By pid: where the record of an end is lost, the next owner takes its place.
        self._alive: dict[int, int] = {}
        self._dead: dict[int, tuple[int, str]] = {}
        self.folded_alive: Callable[[], int] = lambda: 0
        self.exits = 0
        self.signals = 0
        self.lost = 0

    def note(self, annotated: Annotated) -> None:
        """Take an event in."""
        match annotated.event:
            case SignalEvent() as event:
                if not event.is_notification:
                    self.signals += 1 + event.repeats
            case ForkEvent() | ExecEvent() as event:
                self._note_alive(event.process.key)
            case ExitEvent() as event if event.live_threads == 0:
                self.exits += 1
                self._note_gone(event.process.key)
                self._dead[event.process.host_pid] = (event.boot_ns, event.process.comm)
            case ReapEvent() as event:
                self._note_gone(event.process.key)
            case LifetimeEvent() as event:
                self.exits += 1
                self._note_gone(event.process.key)
            case ProcessEvent() as event if event.is_zombie and event.live_threads == 0:
                self._dead[event.process.host_pid] = (event.boot_ns, event.process.comm)
            case ProcessEvent() as event:
                self._note_alive(event.process.key)
            case LossEvent() as event:
                self.lost += sum(event.lost.values())
            case _:
                pass

    def _note_alive(self, key: ProcessKey) -> None:
        self._alive[key.host_pid] = key.start_boot_ns
        self._dead.pop(key.host_pid, None)

    def _note_gone(self, key: ProcessKey) -> None:
        # A release may be reported after the pid was reused.
        if self._alive.get(key.host_pid, key.start_boot_ns) <= key.start_boot_ns:
            self._alive.pop(key.host_pid, None)
            self._dead.pop(key.host_pid, None)

    @property
    def alive(self) -> int:
        """Processes that began, or were there before, and have not ended."""
        return len(self._alive) + self.folded_alive()

    def zombies(self, now_boot_ns: int) -> int:
        """Processes dead and uncollected for longer than :data:`YOUNG_NS`."""
        return sum(now_boot_ns - begin_ns >= YOUNG_NS for begin_ns, _ in self._dead.values())

    def status(self, now_boot_ns: int) -> str:
        """Write the numbers as one line."""
        zombies = self.zombies(now_boot_ns)
        oldest = ""
        if zombies:
            # A folded process is reported later than it exited.
            host_pid, (begin_ns, comm) = min(self._dead.items(), key=lambda item: item[1][0])
            age = format_duration(max(now_boot_ns - begin_ns, 0))
            oldest = f", oldest {age}: {comm}[{host_pid}]"
        return (
            f"alive {self.alive}  ended {self.exits}  signals {self.signals}  "
            f"lost {self.lost}  zombies {zombies}{oldest}"
        )
