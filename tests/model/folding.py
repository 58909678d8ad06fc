"""The kernel side's table of open lives: what bpf/zt_lifetimes.h does, to a stream of the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracer.model.events import (
    DeliverEvent,
    Event,
    ExecEvent,
    ExitBeginEvent,
    ExitEvent,
    ForkEvent,
    LifetimeEvent,
    OomEvent,
    Precision,
    ReapEvent,
    SigchldAction,
    SignalEvent,
)
from tracer.model.lifetime import split_lifetime
from tracer.model.signals import Disposition, SignalResult

if TYPE_CHECKING:
    from tests.model.process import Ns, Proc

_KILL, _CHLD = 9, 17
_HARMLESS = frozenset({17, 18, 19, 20, 21, 22, 23, 28})
_STOP_LASTS_NS = 61_000_000_000
_OPENED_ANCESTORS = 6
_OPENED_CHILDREN = 16
_SWEEP_NS = 500_000_000


@dataclass(eq=False, slots=True)
class _Life:
    fork: ForkEvent
    exec: ExecEvent | None = None
    exit: ExitEvent | None = None
    notified: SignalEvent | None = None
    is_opened: bool = False

    def told(
        self, boot_ns: int, precision: Precision | None, parent_comm: str | None
    ) -> LifetimeEvent:
        """As the decoder makes it of a record; the forker has its newest name."""
        last = self.exit or self.exec or self.fork
        process = replace(last.process, parent_comm=parent_comm or last.process.parent_comm)
        notice = self.notified
        return LifetimeEvent(
            boot_ns=boot_ns,
            process=process,
            born_comm=self.fork.process.comm,
            forked_ns=self.fork.boot_ns,
            exec_ns=self.exec.boot_ns if self.exec else None,
            executed=self.exec.process.comm if self.exec else None,
            exit_ns=self.exit.boot_ns if self.exit else None,
            status=self.exit.status if self.exit else None,
            notified_ns=notice.boot_ns if notice else None,
            precision=precision,
            parent_sigchld=self.exit.parent_sigchld if self.exit else SigchldAction.UNKNOWN,
            si_code=(notice.si_code or 0) if notice else 0,
            si_pid=(notice.si_pid or 0) if notice else 0,
            disposition=notice.disposition if notice else Disposition.DEFAULT,
            result=notice.result if notice else SignalResult.DELIVERED,
        )


class Folding:
    """One stream with its ordinary lifetimes folded.

    Args:
        min_zombie_ns: Older zombies are opened.
        room: How many lives the table holds.

    Attributes:
        stream: What user space gets, in order.
    """

    def __init__(self, *, min_zombie_ns: int, room: int = 1 << 30) -> None:
        self.stream: list[Event] = []
        self.folded = 0
        self._min_zombie_ns = min_zombie_ns
        self._room = room
        self._lives: dict[Proc, _Life] = {}
        self._stops: dict[int, int] = {}
        self._is_stop_new = False
        self._swept_ns = 0
        self._unfreed: set[Proc] = set()

    def fork(self, event: ForkEvent, child: Proc, creator: Proc) -> None:
        parent = child.parent
        is_ordinary = (
            parent is creator
            and child.exit_signal == _CHLD
            and not child.is_init
            and child.ns is creator.ns
            and child.tracer is None
            # A late record of the number's last owner: who has it now says more of that.
            and not self._is_pid_followed(child)
            and creator.sigchld not in ("ignored", "nocldwait")
            and not self._in_stop(child, event.boot_ns)
        )
        if is_ordinary and len(self._lives) < self._room:
            self._lives[child] = _Life(event)
            return
        self._open_last_owner(child, event.boot_ns)
        self._open_up(parent, event.boot_ns)
        self._tell(event)

    def _is_pid_followed(self, child: Proc) -> bool:
        return any(one.pid == child.pid for one in self._unfreed)

    def _open_last_owner(self, child: Proc, now_ns: int) -> None:
        for one in list(self._unfreed):
            if one.pid == child.pid:
                self._open_dead(one, now_ns)

    def _open_dead(self, proc: Proc, now_ns: int) -> None:
        """Known by its number alone."""
        life = self._folded(proc)
        if life is not None:
            self._open_forker(life, now_ns)
            self._open(proc, now_ns)

    def _open_forker(self, life: _Life, now_ns: int) -> None:
        for one in list(self._lives):
            if one.key == life.fork.process.parent_key:
                self._open(one, now_ns)

    def exec(self, event: ExecEvent, proc: Proc) -> None:
        life = self._folded(proc)
        if life is not None:
            life.exec = event
        else:
            self._tell(event)

    def exit_begin(self, event: ExitBeginEvent, proc: Proc) -> None:
        if self._folded(proc) is None:
            self._tell(event)

    def exit(self, event: ExitEvent, proc: Proc) -> None:
        life = self._folded(proc)
        if event.live_threads == 0:
            self._unfreed.add(proc)
            if life is not None and self._ends_uneventful(life, event, proc):
                life.exit = event
                return
            if proc.is_init and proc.ns.level:
                self._begin_stop(proc.ns, 1 << 62)
        self._open_up(proc, event.boot_ns)
        if event.live_threads == 0:
            for child in proc.children[:_OPENED_CHILDREN]:
                self._open(child, event.boot_ns)
        self._tell(event)

    def _ends_uneventful(self, life: _Life, event: ExitEvent, proc: Proc) -> bool:
        return (
            event.status.signo is None
            and proc.tracer is None
            and proc.exit_signal == _CHLD
            and event.process.parent_key == life.fork.process.parent_key
            and not proc.children
            and not self._in_stop(proc, event.boot_ns)
        )

    def signal(
        self,
        event: SignalEvent,
        target: Proc,
        sender: Proc,
        notified: Proc | None,
        *,
        outside: bool,
    ) -> None:
        if notified is not None and notified is sender:
            life = self._folded(sender)
            if (
                life is not None
                and event.signo == _CHLD
                and life.exit is not None
                and life.notified is None
                and event.process.key == life.fork.process.parent_key
                and not event.parent_nocldwait
            ):
                life.notified = event
                return
        elif notified is not None and target.ns.level == 0:
            self._open_dead(notified, event.boot_ns)
        self._open_up(sender, event.boot_ns)
        self._open_up(target, event.boot_ns)
        self._tell(event)
        if notified is None and target.is_init and target.ns.level:
            if (event.signo == _KILL or outside) and event.signo not in _HARMLESS:
                self._begin_stop(target.ns, event.boot_ns + _STOP_LASTS_NS)

    def about(self, event: DeliverEvent | OomEvent, proc: Proc) -> None:
        self._open_up(proc, event.boot_ns)
        self._tell(event)

    def reap(self, event: ReapEvent, proc: Proc, who: Proc) -> None:
        """release_task(), where it is probed."""
        life = self._folded(proc)
        if life is not None and self._was_uneventful(life, event):
            if who.key == life.fork.process.parent_key and who.is_alive:
                del self._lives[proc]
                self._tell(life.told(event.boot_ns, Precision.EXACT, event.process.parent_comm))
                self.folded += 1
                return
        self._open_up(proc, event.boot_ns)
        self._tell(event)

    def free(self, event: ReapEvent, proc: Proc) -> None:
        """sched_process_free: once nothing is left of it in the table."""
        self._unfreed.discard(proc)
        life = self._lives.pop(proc, None)
        if life is not None and not life.is_opened:
            if self._was_uneventful(life, event):
                self._insert(
                    life.told(event.boot_ns, Precision.UPPER_BOUND, event.process.parent_comm)
                )
                self.folded += 1
                return
            self._open_forker(life, event.boot_ns)
            for part in split_lifetime(life.told(event.boot_ns, None, None)):
                self._insert(part, event.boot_ns)
        elif life is None and self.is_exact and self._is_closed(proc):
            return
        self._insert(event)

    is_exact = False

    def _is_closed(self, proc: Proc) -> bool:
        return any(
            isinstance(event, LifetimeEvent) and event.process.key == proc.key
            for event in reversed(self.stream)
        )

    def _was_uneventful(self, life: _Life, event: ReapEvent) -> bool:
        return (
            life.exit is not None
            and life.notified is not None
            and event.boot_ns - life.exit.boot_ns < self._min_zombie_ns
            and event.process.parent_key == life.fork.process.parent_key
        )

    def look(self, now_ns: int, *, is_last: bool = False) -> None:
        """User space's part: a stop has begun, a zombie is old, the trace ends."""
        if not (self._is_stop_new or is_last or now_ns - self._swept_ns >= _SWEEP_NS):
            return
        self._swept_ns = now_ns
        self._is_stop_new = False
        for proc in sorted(self._lives, key=lambda one: one.start):
            life = self._lives[proc]
            if life.is_opened or proc.state == "released":
                continue
            is_old = life.exit is not None and now_ns - life.exit.boot_ns >= self._min_zombie_ns
            if is_old or is_last or self._in_stop(proc, now_ns):
                self._open_up(proc, now_ns)

    def _folded(self, proc: Proc | None) -> _Life | None:
        life = self._lives.get(proc) if proc is not None else None
        return life if life is not None and not life.is_opened else None

    def _open_up(self, proc: Proc | None, now_ns: int) -> None:
        chain: list[Proc] = []
        while self._folded(proc) is not None and len(chain) < _OPENED_ANCESTORS:
            assert proc is not None
            chain.append(proc)
            proc = proc.parent
        for one in reversed(chain):
            self._open(one, now_ns)

    def _open(self, proc: Proc, now_ns: int) -> None:
        life = self._folded(proc)
        if life is not None:
            life.is_opened = True
            parent = proc.parent
            is_forker = parent is not None and parent.key == life.fork.process.parent_key
            comm = parent.comm if parent is not None and is_forker else None
            self.stream.extend(split_lifetime(life.told(now_ns, None, comm)))

    def _begin_stop(self, ns: Ns, until_ns: int) -> None:
        self._stops[id(ns)] = until_ns
        self._is_stop_new = True

    def _in_stop(self, proc: Proc, now_ns: int) -> bool:
        return any(self._stops.get(id(ns), 0) >= now_ns for ns in proc.ns.chain() if ns.level)

    def _tell(self, event: Event) -> None:
        self.stream.append(event)

    def _insert(self, event: Event, told_ns: int | None = None) -> None:
        # Time may have run past it by more than one record.
        due_ns = told_ns if told_ns is not None else event.boot_ns
        at = len(self.stream)
        while at and self.stream[at - 1].boot_ns > due_ns:
            at -= 1
        self.stream.insert(at, event)
