"""What is in the model kernel, as it truly was: processes, PID namespaces, signals, stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.model.events import SigchldAction
from tracer.model.signals import Disposition, SignalResult

KILL, TERM, CHLD, CONT, STOP = 9, 15, 17, 18, 19
CORE = frozenset({3, 4, 6, 7, 8, 11, 24, 25, 31})


@dataclass(eq=False)
class Ns:
    """A PID namespace."""

    inum: int
    outer: Ns | None
    init: Proc | None = None
    pids: int = 0
    zap_t: int | None = None
    stops: list[Stop] = field(default_factory=list)

    @property
    def level(self) -> int:
        return 0 if self.outer is None else self.outer.level + 1

    def chain(self) -> Iterator[Ns]:
        ns: Ns | None = self
        while ns is not None:
            yield ns
            ns = ns.outer


@dataclass(eq=False)
class Stop:
    """A stop as it was: by what was done, not by what was seen."""

    begin: int
    trigger: str
    members: set[Proc]
    asked: bool = False
    last_asked: int = 0
    killed: bool = False
    escalated: bool = False
    init_exit: int | None = None
    end: int | None = None
    survived: bool = False


@dataclass(eq=False)
class Sig:
    """One signal in a queue, and why it was sent."""

    signo: int
    why: str
    sender: Proc | None
    si_code: int | None
    si_pid: int | None
    t: int = 0


@dataclass(frozen=True)
class Sent:
    """A signal as it was sent, for whoever asks later."""

    t: int
    signo: int
    sender: Proc | None
    by_user: bool
    by_cgroup: bool
    result: SignalResult
    disposition: Disposition
    was_dying: bool


@dataclass(eq=False)
class Proc:
    """A thread group."""

    pid: int
    start: int
    ns: Ns
    ns_pid: int
    comm: str
    parent: Proc | None
    birth_parent: Proc | None
    exit_signal: int = CHLD
    put_in: frozenset[int] = frozenset()
    handlers: dict[int, Disposition] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    queue: list[Sig] = field(default_factory=list)
    sigchld: str = "default"
    threads: int = 0
    leader_dead: bool = False
    pdeath: int = 0
    subreaper: bool = False
    tracer: Proc | None = None
    exitkill: bool = False
    stopped: bool = False
    stuck: bool = False
    fatal: Sig | None = None
    exit_code: int | None = None
    state: str = "alive"
    children: list[Proc] = field(default_factory=list)
    had_stop: Stop | None = None
    pending_kill: bool = False
    # The truth.
    status: int | None = None
    cause: str | None = None
    exit_t: int | None = None
    zombie_t: int | None = None
    released_t: int | None = None
    kind: str | None = None
    reaper: Proc | None = None
    notified: list[Proc] = field(default_factory=list)
    freed: bool = False
    handed_t: int | None = None
    signalled_t: int | None = None
    had_leader_alone: bool = False
    exit_signal_seen: bool = False
    oom_t: int | None = None
    is_parent_lost: bool = False
    is_parents_tracee: bool = False
    last_exit_signal: int = CHLD
    sent: list[Sent] = field(default_factory=list)
    held: list[tuple[int, Proc]] = field(default_factory=list)
    """Who had to reap it, and since when."""
    leader_exit_t: int | None = None
    lone_leader_ns: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.start

    @property
    def is_alive(self) -> bool:
        return self.state in ("alive", "dying")

    @property
    def is_init(self) -> bool:
        return self.ns.init is self

    def ns_chain(self) -> list[Ns]:
        return list(self.ns.chain())

    def is_in(self, ns: Ns) -> bool:
        return any(one is ns for one in self.ns.chain())

    def disposition(self, signo: int) -> Disposition:
        if signo != KILL and signo in self.blocked:
            return Disposition.BLOCKED
        if signo == CHLD:
            return {
                "ignored": Disposition.IGNORED,
                "caught": Disposition.CAUGHT,
            }.get(self.sigchld, Disposition.DEFAULT)
        return self.handlers.get(signo, Disposition.DEFAULT)

    @property
    def sigchld_action(self) -> SigchldAction:
        return {
            "ignored": SigchldAction.IGNORED,
            "caught": SigchldAction.CAUGHT,
        }.get(self.sigchld, SigchldAction.DEFAULT)
