"""What the hooks would have seen of the model's history, in both flavours.

With kprobes: the begin of an exit, the teardown, and release_task with its actor.
Without them the release is reported by sched_process_free alone: late, and by a
pointer to the parent that may dangle.
"""

from __future__ import annotations

import dataclasses
import heapq
import random
from typing import TYPE_CHECKING

from tests.model.folding import Folding
from tracer.model.events import (
    AttachedEvent,
    DeliverEvent,
    Event,
    ExecEvent,
    ExitBeginEvent,
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
from tracer.model.signals import Disposition, SignalResult
from tracer.model.target import Container, KernelFilter, Target
from tracer.model.wait_status import WaitStatus

if TYPE_CHECKING:
    from tests.model.machine import Machine
    from tests.model.process import Ns, Proc, Sig

HOOKS = tuple(
    HookState(name, "raw_tp") for name in ("exit", "free", "signal", "deliver", "fork", "oom")
)
KPROBE_HOOKS = (*HOOKS, HookState("reap", "kprobe:release_task"))


class Recorder:
    """Two streams of events about one target.

    Attributes:
        kprobe: As a kernel with kprobes tells it.
        foldings: The same with ordinary lifetimes folded, with kprobes (True) and without.
        tracepoint: As one without does.
        target: The namespace that is traced, set once it is there.
    """

    def __init__(self, rng: random.Random) -> None:
        self.kprobe: list[Event] = []
        self.foldings: dict[bool, Folding] = {}
        self.tracepoint: list[Event] = []
        self.target: Ns | None = None
        self._rng = rng
        self._frees: list[tuple[int, int, Proc]] = []
        self._outsiders: list[Proc] = []
        self._count = 0

    def note_outsider(self, proc: Proc) -> None:
        self._outsiders.append(proc)

    def fold(self, *, min_zombie_ns: int, room: int = 1 << 30) -> None:
        """Fold lives as well; before :meth:`attach`."""
        for is_exact in (True, False):
            self.foldings[is_exact] = Folding(min_zombie_ns=min_zombie_ns, room=room)
            self.foldings[is_exact].is_exact = is_exact

    def finish(self, kernel: Machine) -> None:
        """Let the trace end."""
        for folding in self.foldings.values():
            folding.look(kernel.t, is_last=True)

    def attach(self, kernel: Machine, target: Ns) -> None:
        """Go live: the target's processes so far become seeds."""
        self.target = target
        init = target.init
        assert init is not None
        container = Container(
            id="c0ffee", name="web", runtime="docker", init_host_pid=init.pid,
            init_start_boot_ns=init.start, pidns_inum=target.inum, has_own_pidns=True,
            cgroup_path=None, cgroup_id=None,
        )  # fmt: skip
        for stream, hooks in ((self.kprobe, KPROBE_HOOKS), (self.tracepoint, HOOKS)):
            stream.append(
                AttachedEvent(
                    kernel.t,
                    0,
                    "6.18",
                    "x86_64",
                    "bpf",
                    hooks,
                    Target("web", KernelFilter(frozenset({target.inum})), (container,)),
                )
            )
        for is_exact, folding in self.foldings.items():
            folding.stream.append((self.kprobe if is_exact else self.tracepoint)[-1])
        for proc in sorted(kernel.procs, key=lambda one: one.pid):
            if self._wants(proc) and proc.state != "released":
                kernel.t += self._rng.randrange(100, 5_000)
                seed = self._seed(kernel.t, proc)
                self._both(seed)
                for folding in self.foldings.values():
                    folding.stream.append(seed)

    def _seed(self, t: int, proc: Proc) -> ProcessEvent:
        is_zombie = proc.state == "zombie" or (proc.leader_dead and proc.is_alive)
        live = 0 if not proc.is_alive else proc.threads + (not proc.leader_dead)
        return ProcessEvent(
            boot_ns=t,
            process=snapshot(proc),
            is_zombie=is_zombie,
            live_threads=live,
            status=_status(proc) if proc.state == "zombie" else None,
            own_sigchld=proc.sigchld_action,
            parent_sigchld=proc.parent.sigchld_action if proc.parent else SigchldAction.UNKNOWN,
            tracer_host_pid=proc.tracer.pid if proc.tracer else None,
        )

    def _wants(self, proc: Proc) -> bool:
        return self.target is not None and proc.is_in(self.target)

    def _both(self, event: Event) -> None:
        self.kprobe.append(event)
        self.tracepoint.append(event)

    def fork(self, kernel: Machine, child: Proc, creator: Proc) -> None:
        if self._wants(child):
            kernel.tick()
            event = ForkEvent(kernel.t, snapshot(child), actor(creator, child.ns),
                              child.exit_signal)  # fmt: skip
            self._both(event)
            for folding in self.foldings.values():
                folding.fork(event, child, creator)

    def exec(self, kernel: Machine, proc: Proc) -> None:
        if self._wants(proc):
            event = ExecEvent(kernel.t, snapshot(proc))
            self._both(event)
            for folding in self.foldings.values():
                folding.exec(event, proc)

    def exit_begin(self, kernel: Machine, proc: Proc) -> None:
        if self._wants(proc):
            event = ExitBeginEvent(kernel.t, snapshot(proc))
            self.kprobe.append(event)
            if self.foldings:
                self.foldings[True].exit_begin(event, proc)

    def exit(self, kernel: Machine, proc: Proc, *, live: int) -> None:
        if not self._wants(proc):
            return
        parent = proc.parent
        event = ExitEvent(
            boot_ns=kernel.t,
            process=snapshot(proc),
            status=_status(proc) if live == 0 else WaitStatus(0, None, False),
            live_threads=live,
            exit_signo=proc.exit_signal,
            parent_sigchld=parent.sigchld_action if parent else SigchldAction.UNKNOWN,
            parent_nocldwait=parent is not None and parent.sigchld == "nocldwait",
            tracer_host_pid=proc.tracer.pid if proc.tracer else None,
        )
        self._both(event)
        for folding in self.foldings.values():
            folding.exit(event, proc)

    def signal(
        self,
        kernel: Machine,
        target: Proc,
        signo: int,
        sender: Proc,
        *,
        info: SignalInfo,
        si_code: int | None,
        si_pid: int | None,
        result: SignalResult,
        disposition: Disposition,
        is_group: bool,
        group_exit: bool,
        exiting: bool,
        reaper: bool,
        tracer: bool,
        kthread: bool,
        unkillable: bool,
        notified: Proc | None = None,
        nocldwait: bool = False,
        cpu_limit_s: int | None = None,
    ) -> None:
        if not self._wants(target) and not self._passes(target, sender, notified):
            return
        is_filled = info is SignalInfo.FILLED
        child = None
        if notified is not None:
            if notified is sender or (target.ns.level == 0 and self._wants(notified)):
                child = ProcessKey(*notified.key)
        event = SignalEvent(
            boot_ns=kernel.t,
            process=snapshot(target),
            target_host_tid=target.pid,
            signo=signo,
            info=info,
            si_code=si_code if is_filled else None,
            si_pid=si_pid if is_filled else None,
            actor=actor(sender, target.ns, exiting=exiting, kthread=kthread),
            result=result,
            disposition=disposition,
            is_group=is_group,
            target_group_exit=group_exit,
            target_live_threads=(
                target.threads + (not target.leader_dead) if target.is_alive else 0
            ),
            target_exit_state=0,
            target_unkillable=unkillable,
            target_pdeath_signo=target.pdeath,
            actor_is_reaper=reaper,
            actor_is_self=sender is target,
            actor_is_tracer=tracer,
            is_notification=notified is not None,
            notified_child=child,
            parent_nocldwait=nocldwait,
            cpu_limit_s=cpu_limit_s,
        )
        self._both(event)
        for folding in self.foldings.values():
            folding.signal(
                event, target, sender, notified, outside=kthread or not sender.is_in(target.ns)
            )

    def _passes(self, target: Proc, sender: Proc, notified: Proc | None) -> bool:
        if notified is None:
            return False
        return self._wants(sender) or (target.ns.level == 0 and self._wants(notified))

    def notify(self, kernel: Machine, target: Proc, child: Proc, sender: Proc, signo: int) -> None:
        self.signal(
            kernel, target, signo, sender, info=SignalInfo.FILLED, si_code=1,
            si_pid=kernel.number_in(child, target.ns), result=SignalResult.DELIVERED,
            disposition=target.disposition(signo), is_group=True, group_exit=False,
            exiting=sender is child or not sender.is_alive, reaper=False, tracer=False,
            kthread=False, unkillable=False, notified=child,
            nocldwait=target.sigchld == "nocldwait",
        )  # fmt: skip

    def deliver(self, kernel: Machine, proc: Proc, sig: Sig, how: Disposition) -> None:
        if self._wants(proc):
            event = DeliverEvent(kernel.t, snapshot(proc), proc.pid, sig.signo, sig.si_code, how,
                                 sig.si_pid)  # fmt: skip
            self._both(event)
            for folding in self.foldings.values():
                folding.about(event, proc)

    def teardown(self, kernel: Machine, init: Proc, *, begin: bool) -> None:
        if self._wants(init):
            phase = TeardownPhase.BEGIN if begin else TeardownPhase.END
            event = TeardownEvent(kernel.t, snapshot(init), phase)
            self.kprobe.append(event)
            if self.foldings:
                self.foldings[True].stream.append(event)

    def oom(self, kernel: Machine, victim: Proc, caller: Proc) -> None:
        if self._wants(victim):
            event = OomEvent(kernel.t, snapshot(victim), actor(caller, victim.ns))
            self._both(event)
            for folding in self.foldings.values():
                folding.about(event, victim)

    def reap(self, kernel: Machine, proc: Proc, who: Proc, *, by_loop: bool) -> None:
        if not self._wants(proc):
            proc.freed = True
            return
        if not by_loop:
            exiting = not who.is_alive
            event = ReapEvent(
                kernel.t,
                snapshot(proc),
                actor(who, proc.ns, exiting=exiting),
                Precision.EXACT,
                _status(proc),
                _parent_action(proc),
            )
            self.kprobe.append(event)
            if self.foldings:
                self.foldings[True].reap(event, proc, who)
        self._count += 1
        slow = self._rng.random() < 0.05
        due = kernel.t + self._rng.randrange(2_000_000, 500_000_000 if slow else 30_000_000)
        heapq.heappush(self._frees, (due, self._count, proc))

    def run_until(self, kernel: Machine, t: int) -> None:
        """Let the RCU callbacks that are due free what was released."""
        while self._frees and self._frees[0][0] <= t:
            due, _, proc = heapq.heappop(self._frees)
            event = ReapEvent(due, self._freed(kernel, proc), None, Precision.UPPER_BOUND,
                              _status(proc), _parent_action(proc))  # fmt: skip
            proc.freed = True
            for stream in (self.kprobe, self.tracepoint):
                # Time may have run past it by more than one record.
                at = len(stream)
                while at and stream[at - 1].boot_ns > due:
                    at -= 1
                stream.insert(at, event)
            for folding in self.foldings.values():
                folding.free(event, proc)
        for folding in self.foldings.values():
            folding.look(t)

    def _freed(self, kernel: Machine, proc: Proc) -> ProcessSnapshot:
        parent = proc.parent
        plain = snapshot(proc)
        if parent is None or not parent.freed:
            return plain
        # The parent's memory is free: it may still read as it was, as nonsense, or
        # as a younger process that got the same place.
        fields = {one.name: getattr(plain, one.name) for one in dataclasses.fields(plain)}
        younger = [one for one in kernel.procs if one.start > (parent.released_t or 0)]
        choice = self._rng.random()
        if choice < 0.3:
            return plain
        proc.is_parent_lost = True
        if choice < 0.6 or not younger:
            fields.update(parent_host_pid=self._rng.randrange(1, 1 << 22),
                          parent_start_boot_ns=self._rng.randrange(1, 1 << 60),
                          parent_comm="\x01\x02", parent_pidns_inum=None)  # fmt: skip
        else:
            other = self._rng.choice(younger)
            fields.update(parent_host_pid=other.pid, parent_start_boot_ns=other.start,
                          parent_comm=other.comm, parent_pidns_inum=other.ns.inum)  # fmt: skip
        return ProcessSnapshot(**fields)


def _status(proc: Proc) -> WaitStatus:
    return WaitStatus.from_raw(proc.status or 0)


def _parent_action(proc: Proc) -> SigchldAction:
    if proc.parent is None or proc.parent.state == "released":
        return SigchldAction.UNKNOWN
    return proc.parent.sigchld_action


def snapshot(proc: Proc) -> ProcessSnapshot:
    """A process as a hook reads it now."""
    parent, init = proc.parent, proc.ns.init
    assert init is not None
    return ProcessSnapshot(
        host_pid=proc.pid,
        start_boot_ns=proc.start,
        ns_pid=proc.ns_pid,
        comm=proc.comm,
        parent_host_pid=parent.pid if parent else None,
        parent_start_boot_ns=parent.start if parent else None,
        parent_comm=parent.comm if parent else None,
        parent_pidns_inum=parent.ns.inum if parent else None,
        pidns_inum=proc.ns.inum,
        pidns_level=proc.ns.level,
        init_start_boot_ns=init.start,
        cgroup_id=77,
        is_init=proc.is_init,
    )


def actor(proc: Proc, ns: Ns, *, exiting: bool = False, kthread: bool = False) -> Actor:
    """A process as current, as a subject in ``ns`` sees it."""
    ns_pid = 0
    if proc.is_in(ns):
        ns_pid = proc.pid if ns.level == 0 else (proc.ns_pid if proc.ns is ns else 1000 + proc.pid)
    return Actor(
        host_pid=proc.pid,
        start_boot_ns=proc.start,
        host_tid=proc.pid,
        ns_pid=0 if kthread else ns_pid,
        comm="kworker/u8:1" if kthread else proc.comm,
        chain=(),
        syscall="kill",
        is_exiting=exiting,
        is_kernel_thread=kthread,
    )
