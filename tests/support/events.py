"""Events made by hand, one builder a kind; what is not said is as it usually is.

The stage: container ``web`` with a PID namespace of its own; its init is host pid
100, process N there is host pid 99 + N. ``containerd-shim`` (50) is init's parent,
``runc`` (60) the runtime, ``bash`` (70) a stranger on the host. Times are in ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import summarise
from tracer.model.events import (
    AttachedEvent,
    DeliverEvent,
    EndEvent,
    Event,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    HookState,
    OomEvent,
    Precision,
    ProcessEvent,
    ReapEvent,
    SigchldAction,
    SignalEvent,
    SignalInfo,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.identity import Actor, ProcessKey, ProcessSnapshot
from tracer.model.report import Finding, ProcessReport, Report, StopReport, ZombieReport
from tracer.model.signals import Disposition, SignalResult
from tracer.model.target import Container, KernelFilter, Target
from tracer.model.wait_status import WaitStatus

MS = 1_000_000
S = 1000
BEGIN = 1_000_000
"""When tracing began, ms."""
HOST, PIDNS, CGROUP = 4026531836, 4026532100, 4242
INIT, SHIM, RUNC, BASH = 100, 50, 60, 70
KILL, TERM, CHLD = 9, 15, 17
COMMS = {SHIM: "containerd-shim", RUNC: "runc", BASH: "bash", INIT: "app"}

WEB = Container(
    id="3f2a9c1b7d4e", name="web", runtime="docker", init_host_pid=INIT,
    init_start_boot_ns=None, pidns_inum=PIDNS, has_own_pidns=True, cgroup_path=None,
    cgroup_id=CGROUP,
)  # fmt: skip
HOOKS = tuple(
    HookState(name, "raw_tp") for name in ("exit", "free", "signal", "deliver", "fork", "oom")
)


def start_of(host_pid: int) -> int:
    """When a process of the stage was started, ns: parents before their children."""
    return (BEGIN - 10_000) * MS + host_pid * 1000


def a_process(host_pid: int = 101, **changes: Any) -> ProcessSnapshot:
    """A process of web, init's child; below 100 one of the host."""
    is_outside = host_pid < INIT
    parent = {INIT: SHIM}.get(host_pid, 1 if is_outside else INIT)
    parent = changes.pop("parent", parent)
    plain = ProcessSnapshot(
        host_pid=host_pid,
        start_boot_ns=start_of(host_pid),
        ns_pid=host_pid if is_outside else host_pid - INIT + 1,
        comm=COMMS.get(host_pid, "worker"),
        parent_host_pid=parent,
        parent_start_boot_ns=start_of(parent),
        parent_comm=COMMS.get(parent, "worker"),
        parent_pidns_inum=HOST if parent < INIT else PIDNS,
        pidns_inum=HOST if is_outside else PIDNS,
        pidns_level=0 if is_outside else 1,
        init_start_boot_ns=start_of(1 if is_outside else INIT),
        cgroup_id=7 if is_outside else CGROUP,
        is_init=host_pid == INIT,
    )
    return replace(plain, **changes)


def an_actor(host_pid: int = RUNC, **changes: Any) -> Actor:
    """A process as the kernel's current, in kill()."""
    plain = Actor(
        host_pid=host_pid,
        start_boot_ns=start_of(host_pid),
        host_tid=host_pid,
        ns_pid=0 if host_pid < INIT else host_pid - INIT + 1,
        comm=COMMS.get(host_pid, "worker"),
        chain=("containerd-shim", "systemd") if host_pid == RUNC else (),
        syscall="kill",
        is_exiting=False,
        is_kernel_thread=False,
    )
    return replace(plain, **changes)


def attached(*containers: Container, hooks: tuple[HookState, ...] = HOOKS) -> AttachedEvent:
    """Tracing begins, of web."""
    some = containers or (WEB,)
    shared = frozenset(c.cgroup_id or 0 for c in some if not c.has_own_pidns)
    own = frozenset(c.pidns_inum for c in some if c.has_own_pidns)
    target = Target("web", KernelFilter(own, shared), some)
    return AttachedEvent(BEGIN * MS, 0, "6.18", "x86_64", "bpf", hooks, target)


def a_seed(host_pid: int = 101, **changes: Any) -> ProcessEvent:
    """A process that was there before."""
    snapshot = changes.pop("process", None) or a_process(host_pid, parent=changes.pop(
        "parent", SHIM if host_pid == INIT else INIT))  # fmt: skip
    plain = ProcessEvent(
        boot_ns=BEGIN * MS + host_pid, process=snapshot, is_zombie=False, live_threads=1,
        status=None, own_sigchld=SigchldAction.DEFAULT, parent_sigchld=SigchldAction.DEFAULT,
        tracer_host_pid=None,
    )  # fmt: skip
    return replace(plain, **changes)


def a_zombie_seed(host_pid: int = 101, code: int = 0, **changes: Any) -> ProcessEvent:
    """A zombie that was there before."""
    return a_seed(host_pid, is_zombie=True, live_threads=0,
                  status=WaitStatus(code, None, False), **changes)  # fmt: skip


def a_fork(at: float, host_pid: int = 101, by: int | None = None, **changes: Any) -> ForkEvent:
    """A birth; by its parent unless told."""
    exit_signo = changes.pop("exit_signo", CHLD)
    changes.setdefault("start_boot_ns", int(at * MS) - 1000)
    process = a_process(host_pid, **changes)
    creator = an_actor(by or process.parent_host_pid or 0)
    return ForkEvent(int(at * MS), process, creator, exit_signo)


def an_exec(at: float, host_pid: int = 101, comm: str = "prog", **changes: Any) -> ExecEvent:
    """A program is started."""
    return ExecEvent(int(at * MS), a_process(host_pid, comm=comm, **changes))


def an_exit(
    at: float, host_pid: int = 101, *, code: int | None = None, signo: int | None = None,
    live_threads: int = 0, parent_sigchld: SigchldAction = SigchldAction.DEFAULT,
    tracer: int | None = None, exit_signo: int = CHLD, **changes: Any,
) -> ExitEvent:  # fmt: skip
    """A process ends, with code 0 unless told."""
    status = WaitStatus(None, signo, False) if signo else WaitStatus(code or 0, None, False)
    return ExitEvent(
        int(at * MS), a_process(host_pid, **changes), status, live_threads, exit_signo,
        parent_sigchld, False, tracer,
    )  # fmt: skip


def a_signal(
    at: float, host_pid: int = INIT, signo: int = TERM, by: int = RUNC, **changes: Any
) -> SignalEvent:
    """kill(): delivered, to a process with a handler; SIGKILL to any."""
    how = Disposition.DEFAULT if signo == KILL else Disposition.CAUGHT
    actor = changes.pop("actor", None) or an_actor(by, **changes.pop("actor_changes", {}))
    process = changes.pop("process", None) or a_process(host_pid, **changes.pop("subject", {}))
    plain = SignalEvent(
        boot_ns=int(at * MS), process=process, target_host_tid=host_pid, signo=signo,
        info=SignalInfo.FILLED, si_code=0, si_pid=actor.ns_pid, actor=actor,
        result=SignalResult.DELIVERED, disposition=how, is_group=True, target_group_exit=False,
        target_live_threads=1, target_exit_state=0, target_unkillable=host_pid == INIT,
        target_pdeath_signo=0, actor_is_reaper=False, actor_is_self=by == host_pid,
        actor_is_tracer=False, is_notification=False, notified_child=None, parent_nocldwait=False,
    )  # fmt: skip
    return replace(plain, **changes)


def a_kernel_kill(at: float, host_pid: int, by: int, **changes: Any) -> SignalEvent:
    """SIGKILL with SEND_SIG_PRIV, in the context of a process."""
    return a_signal(at, host_pid, KILL, by, **{
        "info": SignalInfo.KERNEL, "si_code": None, "si_pid": None, **changes})  # fmt: skip


def a_teardown_kill(at: float, host_pid: int = 101, **changes: Any) -> SignalEvent:
    """What zap_pid_ns_processes sends to whoever is left."""
    return a_kernel_kill(at, host_pid, INIT, actor=an_actor(INIT, is_exiting=True),
                         actor_is_reaper=True, **changes)  # fmt: skip


def to_the_dead(**changes: Any) -> dict[str, Any]:
    """How a newer kernel shows a signal to a zombie."""
    return {"result": SignalResult.IGNORED, "target_group_exit": True, "target_live_threads": 0,
            **changes}  # fmt: skip


def a_notice(
    at: float, child: int = 101, to: int = INIT, by: int | None = None, **changes: Any
) -> SignalEvent:
    """The exit notification of a child; of another's death if ``by`` hands it on."""
    is_own = by is None
    start = changes.pop("child_start", start_of(child))
    actor = an_actor(
        by or child,
        is_exiting=True,
        start_boot_ns=start if is_own else start_of(by or child),
        comm=changes.pop("comm", COMMS.get(by or child, "worker")),
    )
    signo = changes.pop("signo", CHLD)
    return a_signal(at, to, signo, actor=actor, **{
        "si_code": 1, "si_pid": child - INIT + 1 if to >= INIT else child,
        "disposition": Disposition.DEFAULT, "is_notification": True,
        "notified_child": ProcessKey(child, start) if is_own or to < INIT else None,
        "target_unkillable": False, **changes,
    })  # fmt: skip


def a_reap(at: float, host_pid: int = 101, by: int = INIT, **changes: Any) -> ReapEvent:
    """release_task() by a parent in wait(), as a kprobe tells it."""
    actor = an_actor(by, is_exiting=changes.pop("exiting", False))
    return ReapEvent(int(at * MS), a_process(host_pid, **changes), actor, Precision.EXACT)


def a_free(at: float, host_pid: int = 101, **changes: Any) -> ReapEvent:
    """sched_process_free(): the release, told late and by nobody."""
    sigchld = changes.pop("parent_sigchld", SigchldAction.UNKNOWN)
    return ReapEvent(int(at * MS), a_process(host_pid, **changes), None, Precision.UPPER_BOUND,
                     None, sigchld)  # fmt: skip


def a_delivery(at: float, host_pid: int = 101, signo: int = TERM, **changes: Any) -> DeliverEvent:
    """A signal is taken from the queue."""
    plain = DeliverEvent(int(at * MS), a_process(host_pid), host_pid, signo, 0,
                         Disposition.DEFAULT, 0)  # fmt: skip
    return replace(plain, **changes)


def an_oom_mark(at: float, host_pid: int = 101, by: int = 102, **changes: Any) -> OomEvent:
    """mark_victim."""
    actor = an_actor(by, **changes.pop("actor_changes", {}))
    return OomEvent(int(at * MS), a_process(host_pid, **changes), actor)


def a_teardown(at: float, phase: TeardownPhase = TeardownPhase.BEGIN) -> TeardownEvent:
    """zap_pid_ns_processes, as a kprobe tells it."""
    return TeardownEvent(int(at * MS), a_process(INIT), phase)


def correlate(events: Iterable[Event], until: float, **options: Any) -> Report:
    """The report of a stream that ends at some ms."""
    correlator = Correlator(CorrelatorOptions(**options))
    for event in sorted(events, key=lambda event: event.boot_ns):
        correlator.feed(event)
    correlator.feed(EndEvent(int(until * MS), "test"))
    return summarise(correlator)


def report_of(*events: Event, until: float = BEGIN + 100_000, **options: Any) -> Report:
    """The report of a trace of web, whose init was there before."""
    return correlate([attached(), a_seed(INIT), *events], until, **options)


def process(report: Report, host_pid: int) -> ProcessReport:
    """What a report says of a process."""
    (one,) = [one for one in report.processes if one.host_pid == host_pid]
    return one


def zombie(report: Report, host_pid: int) -> ZombieReport:
    """What a report says of a zombie."""
    (one,) = [one for one in report.zombies if one.host_pid == host_pid]
    return one


def the_stop(report: Report) -> StopReport:
    """The one stop of a report."""
    (stop,) = report.stops
    return stop


def codes(report: Report) -> list[str]:
    """The codes of a report's findings."""
    return [finding.code for finding in report.findings]


def finding(report: Report, code: str) -> Finding:
    """The one finding of a code."""
    (one,) = [one for one in report.findings if one.code == code]
    return one


def init_end(at: float, **how: Any) -> list[Event]:
    """Init ends, its shim is notified and reaps it."""
    return [an_exit(at, INIT, parent=SHIM, **how), a_notice(at + 2, INIT, to=SHIM),
            a_reap(at + 3, INIT, by=SHIM)]  # fmt: skip
