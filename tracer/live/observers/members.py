"""The members of what is being stopped, read while there is time.

Who holds a stop up is judged from what each of its members was in. They are read when the
stop signal comes (what they do about it), when the stop has lasted a second, shortly
before the grace runs out, and at the end of the trace. Which program each one runs is
read before, as a stop may be over in a moment.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from tracer.correlate.correlator import Correlator
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.live.observers.observer import Listener, Observer
from tracer.model.events import ExecEvent, ExitEvent, ObservationEvent, ProcessEvent, SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.target import Target
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.procfs.member import Member, read_descendants, read_member
from tracer.procfs.process import read_status

_MOST_MEMBERS = 64
"""So many of one namespace are read at once; each costs half a millisecond."""
_MOST_LOOKS = 512
"""So many times a trace reads them."""
_MOST_PROGRAM_LOOKS = 512
_READS_FOR_NS = 250_000_000
"""One look takes no longer: who holds up /proc does not hold up the trace."""
_HANGS_NS = 1_000_000_000
_USUAL_GRACES_NS = (10_000_000_000, 30_000_000_000)
"""Docker's and the kubelet's, where the grace is not known."""
_BEFORE_GRACE_NS = 300_000_000
_FIRST_NS = 250_000_000
_LAST_NS = 1 << 42
"""Programs are read again each time what they belong to has doubled its age, for so long:
helpers are started late, and what has run for long changes seldom."""
_FRESH_NS = 200_000_000
_PERIOD_S = 0.1


@dataclass(order=True, slots=True)
class _Look:
    at_ns: int
    number: int
    after_ns: int
    scope: Scope = field(compare=False)
    is_of_stop: bool = field(compare=False)


class MemberEvidence(Observer):
    """Reads what each member of a stop does.

    Args:
        clock: See :class:`Observer`.
    """

    def __init__(self, clock: BootClock = boot_now_ns) -> None:
        super().__init__(clock)
        self._correlator: Correlator | None = None
        self._stop_looks: list[_Look] = []
        self._program_looks: list[_Look] = []
        """Apart: what others start holds no look at a stop up."""
        self._looked_at_ns = clock()
        self._sequence = itertools.count()
        self._planned: dict[tuple[ProcessKey, int], None] = {}
        self._looked_ns: dict[ProcessKey, int] = {}
        self._looks_left = _MOST_LOOKS
        self._program_looks_left = _MOST_PROGRAM_LOOKS

    @property
    def period_s(self) -> float | None:
        """Until the next look is due; there is no wake-up before that."""
        dues_ns = [looks[0].at_ns for looks in (self._stop_looks, self._program_looks) if looks]
        if not dues_ns:
            return None
        return max(_PERIOD_S, (min(dues_ns) - self._looked_at_ns) / 1e9)

    def begin(self, correlator: Correlator, _target: Target, /) -> Iterable[ObservationEvent]:
        """No process is known yet."""
        self._correlator = correlator
        return ()

    def listeners(self) -> Mapping[type, Listener]:
        """What begins a stop, and what programs there are."""
        return {
            ProcessEvent: self._on_process,
            ExecEvent: self._on_exec,
            ExitEvent: self._on_exit,
            SignalEvent: self._on_signal,
        }

    def look(self) -> Iterator[ObservationEvent]:
        """Read those whose time has come."""
        now_ns = self._looked_at_ns = self._clock()
        while (look := self._take_due(now_ns)) is not None:
            if look.is_of_stop:
                yield from self._look_at_stop(look.scope)
            elif self._program_looks_left > 0:
                self._program_looks_left -= 1
                yield from self._read(look.scope, with_threads=False)
                self._plan_next(look)

    def _take_due(self, now_ns: int) -> _Look | None:
        for looks in (self._stop_looks, self._program_looks):
            if looks and looks[0].at_ns <= now_ns:
                return heapq.heappop(looks)
        return None

    def finish(self) -> Iterator[ObservationEvent]:
        """Read once more those of every stop that is not over."""
        for scope in self._scopes():
            if self._clock() - self._looked_ns.get(scope.init, 0) >= _FRESH_NS:
                yield from self._look_at_stop(scope)

    def _on_process(self, event: ProcessEvent) -> Iterable[ObservationEvent]:
        for scope in self._led_by(event.process.key):
            if event.is_zombie or event.live_threads == 0:
                # It hangs already: for how long is not known.
                self._plan(scope, 0, is_of_stop=True)
            else:
                self._plan(scope, 0, is_of_stop=False)
        return ()

    def _on_exec(self, event: ExecEvent) -> Iterable[ObservationEvent]:
        for scope in self._led_by(event.process.key):
            self._plan(scope, event.boot_ns, is_of_stop=False)
        return ()

    def _on_exit(self, event: ExitEvent) -> Iterable[ObservationEvent]:
        if event.live_threads == 0:
            for scope in self._led_by(event.process.key):
                self._plan(scope, event.boot_ns + _HANGS_NS, is_of_stop=True)
        return ()

    def _on_signal(self, event: SignalEvent) -> Iterator[ObservationEvent]:
        if event.is_notification:
            return
        for scope in self._led_by(event.process.key):
            stop = scope.asked_stop
            if stop is None or stop.stop_signal is not event:
                continue
            for after_ns in _looks_after(scope):
                self._plan(scope, event.boot_ns + after_ns, is_of_stop=True)
            if self._program_looks_left > 0:
                self._program_looks_left -= 1
                yield from self._read(scope, with_threads=False)

    def _led_by(self, key: ProcessKey) -> list[Scope]:
        return self._correlator.scopes.led_by(key) if self._correlator is not None else []

    def _plan(self, scope: Scope, at_ns: int, *, is_of_stop: bool, after_ns: int = 0) -> None:
        looks = self._stop_looks if is_of_stop else self._program_looks
        if (scope.init, at_ns) not in self._planned and len(looks) < _MOST_LOOKS:
            self._planned[scope.init, at_ns] = None
            if len(self._planned) > 4 * _MOST_LOOKS:
                del self._planned[next(iter(self._planned))]
            look = _Look(at_ns, next(self._sequence), after_ns, scope, is_of_stop)
            heapq.heappush(looks, look)

    def _plan_next(self, look: _Look) -> None:
        after_ns = look.after_ns * 2 or _FIRST_NS
        is_over = look.scope.init_exit_ns is not None or look.scope not in self._scopes()
        if after_ns <= _LAST_NS and not is_over:
            at_ns = self._clock() + after_ns - look.after_ns
            self._plan(look.scope, at_ns, is_of_stop=False, after_ns=after_ns)

    def _scopes(self) -> Iterable[Scope]:
        return self._correlator.scopes if self._correlator is not None else ()

    def _look_at_stop(self, scope: Scope) -> Iterator[ObservationEvent]:
        if self._looks_left <= 0 or not _hangs(scope.open_stop, scope):
            return
        self._looks_left -= 1
        self._looked_ns[scope.init] = self._clock()
        yield from self._read(scope, with_threads=True)

    def _read(self, scope: Scope, *, with_threads: bool) -> Iterator[ObservationEvent]:
        until_ns = self._clock() + _READS_FOR_NS
        stop = scope.open_stop
        signo = stop.stop_signo if stop is not None else scope.stop_signo
        read: list[tuple[int, ProcessKey, Member]] = []
        for key in self._members(scope):
            read_ns = self._clock()
            if read_ns > until_ns:
                break
            member = read_member(key, signo, with_threads=with_threads)
            if member is not None:
                read.append((read_ns, key, member))
        for left, (read_ns, key, member) in zip(range(len(read) - 1, -1, -1), read, strict=True):
            values = {"reading": "member", **asdict(member), "left": left}
            values["threads"] = [asdict(one) for one in member.threads]
            yield ObservationEvent(read_ns, "proc", key, values)

    def _members(self, scope: Scope) -> list[ProcessKey]:
        known = sorted(scope.unreleased, key=lambda key: (key != scope.init, key.start_boot_ns))
        by_pid = {key.host_pid: key for key in known[:_MOST_MEMBERS]}
        # Those without a record yet: the kernel side folds uneventful lifetimes.
        for host_pid in read_descendants(scope.init.host_pid, _MOST_MEMBERS):
            if host_pid not in by_pid and len(by_pid) < _MOST_MEMBERS:
                status = read_status(host_pid)
                if status is not None:
                    by_pid[host_pid] = status.key
        return list(by_pid.values())


def _looks_after(scope: Scope) -> list[int]:
    grace_s = scope.container.stop_timeout_s if scope.container is not None else None
    graces_ns = (int(grace_s * 1e9),) if grace_s is not None else _USUAL_GRACES_NS
    before_ns = [
        grace_ns - min(_BEFORE_GRACE_NS, grace_ns // 4) for grace_ns in graces_ns if grace_ns > 0
    ]
    return sorted({_HANGS_NS, *before_ns})


def _hangs(stop: StopState | None, scope: Scope) -> bool:
    if stop is not None:
        return True
    # It ended before tracing began, and its namespace has not.
    return scope.init_exit_ns is not None and len(scope.unreleased) > 1
