"""A small model of the kernel: processes, signals, waits, namespaces, teardown.

It keeps the truth (who died of what, who reaped whom, when) and tells a
:class:`tests.model.records.Recorder` what the hooks would have seen.

Source: kernel/signal.c, kernel/exit.c, kernel/pid_namespace.c.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.records import Recorder
from tracer.model.events import SigchldAction, SignalInfo
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
    """A stop as it was, told by what was done and not by what was seen."""

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
    told: list[Proc] = field(default_factory=list)
    freed: bool = False
    handed_t: int | None = None
    signalled_t: int | None = None
    had_leader_alone: bool = False
    exit_signal_seen: bool = False
    oom_t: int | None = None
    is_parent_lost: bool = False
    is_parents_tracee: bool = False
    last_exit_signal: int = CHLD

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.start

    @property
    def lives(self) -> bool:
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


class Kernel:
    """The machine: one host namespace, and what runs in and below a target's.

    Args:
        rng: Chooses what the model leaves open (times, races).
        recorder: Hears what the hooks would see.
        drops_for_the_dying: As newer kernels do.
    """

    def __init__(
        self, rng: random.Random, recorder: Recorder, *, drops_for_the_dying: bool = True
    ) -> None:
        self.rng = rng
        self.rec = recorder
        self.drops = drops_for_the_dying
        self.t = 1_000_000_000_000
        self.procs: list[Proc] = []
        self.free_pids: list[int] = []
        self.next_pid = 100
        self.next_inum = 4026532000
        self.free_inums: list[int] = []
        self.host = Ns(4026531836, None)
        self.systemd = self._new(self.host, None, "systemd", pid=1)
        self.host.init = self.systemd
        self.systemd.sigchld = "caught"
        self.shim = self._new(self.host, self.systemd, "containerd-shim")
        self.shim.subreaper = True
        self.shim.sigchld = "caught"
        self.runc = self._new(self.host, self.shim, "runc")
        self.bash = self._new(self.host, self.systemd, "bash")
        for one in (self.systemd, self.shim, self.runc, self.bash):
            self.rec.note_outsider(one)

    # Time and identity.

    def tick(self, ns: int | None = None) -> int:
        self.t += ns if ns is not None else self.rng.randrange(1_000, 200_000)
        self.rec.run_until(self, self.t)
        for proc in self.procs:
            for stop in proc.ns.stops if proc.is_init else ():
                self._check_survival(proc, stop)
        return self.t

    def _check_survival(self, init: Proc, stop: Stop) -> None:
        if stop.end is None and stop.asked and not stop.killed and stop.init_exit is None:
            if self.t - stop.last_asked >= 60_000_000_000:
                stop.survived = True
                stop.end = stop.last_asked + 60_000_000_000

    def _new(self, ns: Ns, parent: Proc | None, comm: str, *, pid: int | None = None) -> Proc:
        self.t += self.rng.randrange(1_000, 50_000)
        if pid is None:
            if self.free_pids and self.rng.random() < 0.5:
                pid = self.free_pids.pop(self.rng.randrange(len(self.free_pids)))
            else:
                self.next_pid += 1
                pid = self.next_pid
        ns.pids += 1
        proc = Proc(pid, self.t, ns, ns.pids if ns.level else pid, comm, parent, parent)
        if parent is not None:
            parent.children.append(proc)
        self.procs.append(proc)
        return proc

    # Births.

    def fork(
        self,
        creator: Proc,
        *,
        clone_parent: bool = False,
        exit_signal: int = CHLD,
        new_ns: bool = False,
        into: Ns | None = None,
    ) -> Proc | None:
        """clone() with the flags that matter; ``into`` is setns() before it."""
        if not creator.lives or creator.fatal is not None or creator.stopped:
            return None
        ns = into or creator.ns
        if new_ns:
            inum = self.next_inum
            if self.free_inums:
                inum = self.free_inums.pop()
            else:
                self.next_inum += 1
            ns = Ns(inum, ns)
        if any(one.zap_t is not None for one in ns.chain()):
            return None
        parent = creator
        if clone_parent and creator.parent is not None and not creator.is_init:
            parent = creator.parent
        child = self._new(ns, parent, creator.comm)
        if new_ns:
            ns.init = child
        child.exit_signal = creator.exit_signal if clone_parent else exit_signal
        child.handlers = dict(creator.handlers)
        child.sigchld = creator.sigchld
        child.blocked = set(creator.blocked)
        put_in = {id(one) for one in creator.ns.chain() if id(one) in creator.put_in}
        put_in |= {id(one) for one in ns.chain() if not parent.is_in(one) and child is not one.init}
        child.put_in = frozenset(put_in)
        for one in ns.chain():
            for stop in one.stops:
                if stop.end is None and child is not one.init:
                    stop.members.add(child)
        self.rec.fork(self, child, creator)
        return child

    def exec(self, proc: Proc, comm: str) -> None:
        """execve(), by the main thread or another: the others end."""
        if not proc.lives or proc.fatal is not None or proc.stopped:
            return
        if proc.leader_dead and proc.threads == 0:
            return
        by_other = proc.threads > 0 and self.rng.random() < 0.5
        if by_other and not proc.leader_dead:
            self.tick()
            self.rec.exit(self, proc, live=proc.threads)
        proc.leader_dead, proc.threads = False, 0
        proc.comm = comm
        proc.exit_signal = CHLD
        proc.handlers = {
            signo: how for signo, how in proc.handlers.items() if how is Disposition.IGNORED
        }
        if proc.sigchld in ("caught", "nocldwait"):
            proc.sigchld = "default"
        self.tick()
        self.rec.exec(self, proc)

    # Signals.

    def send(
        self,
        target: Proc,
        signo: int,
        why: str,
        actor: Proc,
        *,
        info: SignalInfo,
        si_code: int | None = None,
        is_group: bool = True,
        exiting: bool = False,
        reaper: bool = False,
        tracer: bool = False,
        kthread: bool = False,
    ) -> SignalResult:
        """__send_signal_locked(): queue it, and take the process down if that kills."""
        self.tick()
        disposition = target.disposition(signo)
        from_outside = not actor.is_in(target.ns) or kthread
        if info is SignalInfo.FILLED and si_code is not None and si_code <= 0:
            si_pid: int | None = 0 if from_outside else self.number_in(actor, target.ns)
        else:
            si_pid = 0
        force = info is SignalInfo.KERNEL or from_outside
        sig = Sig(signo, why, actor, si_code if info is SignalInfo.FILLED else
                  (0x80 if info is SignalInfo.KERNEL else 0),
                  si_pid if info is SignalInfo.FILLED or info is SignalInfo.KERNEL
                  else (0 if from_outside else self.number_in(actor, target.ns)))  # fmt: skip
        sig.t = self.t
        dead = not target.lives
        dying = target.fatal is not None or target.exit_code is not None
        unkillable = target.is_init and target.ns.level > 0
        result = SignalResult.DELIVERED
        group_exit = dead or dying
        if (
            (group_exit and self.drops)
            or (unkillable and disposition is Disposition.DEFAULT and not (force and signo == KILL))
            or (disposition is Disposition.IGNORED and target.tracer is None)
        ):
            result = SignalResult.IGNORED
        elif any(queued.signo == signo for queued in target.queue) and signo < 32:
            result = SignalResult.ALREADY_PENDING
        shown_group_exit = group_exit
        if result is SignalResult.DELIVERED and self.death_signo(target) == signo:
            shown_group_exit = False
        self.rec.signal(
            self, target, signo, actor, info=info, si_code=si_code, si_pid=si_pid, result=result,
            disposition=disposition, is_group=is_group, group_exit=shown_group_exit,
            exiting=exiting, reaper=reaper, tracer=tracer, kthread=kthread, unkillable=unkillable,
        )  # fmt: skip
        self._note_for_stops(target, signo, sig, result, dying or dead)
        if result is not SignalResult.DELIVERED or dead or dying:
            if result is SignalResult.DELIVERED:
                target.queue.append(sig)
            return result
        self._act(target, sig, disposition)
        return result

    def death_signo(self, target: Proc) -> int | None:
        return target.fatal.signo if target.fatal is not None else None

    def number_in(self, proc: Proc, ns: Ns) -> int:
        if ns.level == 0:
            return proc.pid
        return proc.ns_pid if proc.ns is ns else (1000 + proc.pid if proc.is_in(ns) else 0)

    def _act(self, target: Proc, sig: Sig, disposition: Disposition) -> None:
        if sig.signo == CONT:
            target.stopped = False
            for queued in sorted(target.queue, key=lambda one: one.signo):
                if queued.signo not in target.blocked and target.fatal is None:
                    target.queue.remove(queued)
                    self._take(target, queued)
            return
        if sig.signo == STOP:
            target.stopped = True
            return
        if sig.signo == KILL:
            target.stopped = False
            self._doom(target, sig)
        elif disposition is Disposition.BLOCKED or target.stopped:
            target.queue.append(sig)
        elif disposition is Disposition.CAUGHT:
            self.tick()
            self.rec.deliver(self, target, sig, Disposition.CAUGHT)
        elif target.tracer is not None or sig.signo in CORE:
            self._take(target, sig)
        else:
            self._doom(target, sig)

    def _take(self, target: Proc, sig: Sig) -> None:
        """get_signal(): a thread dequeues it."""
        how = target.handlers.get(sig.signo, Disposition.DEFAULT)
        if target.tracer is not None and self.rng.random() < 0.5:
            return
        if how is Disposition.IGNORED:
            return
        self.tick()
        self.rec.deliver(self, target, sig, how)
        if how is Disposition.CAUGHT or (target.is_init and target.ns.level > 0):
            return
        target.fatal = sig
        target.signalled_t = sig.t

    def _doom(self, target: Proc, sig: Sig) -> None:
        target.fatal = sig
        target.signalled_t = sig.t
        target.queue.append(sig)
        self.tick()
        self.rec.deliver(self, target, Sig(KILL, "", None, None, None), Disposition.DEFAULT)

    def inject_kill(self, tracer: Proc, target: Proc) -> None:
        """PTRACE_CONT with SIGKILL: nobody generates it."""
        if target.tracer is not tracer or not target.lives or target.fatal is not None:
            return
        if target.exit_code is not None or (target.is_init and target.ns.level > 0):
            return
        sig = Sig(KILL, "unknown", tracer, 0, self.number_in(tracer, target.ns))
        self.tick()
        self.rec.deliver(self, target, sig, Disposition.DEFAULT)
        target.fatal = sig
        target.signalled_t = self.t

    def unblock(self, target: Proc, signo: int) -> None:
        target.blocked.discard(signo)
        for queued in list(target.queue):
            if queued.signo == signo and target.fatal is None and target.lives:
                target.queue.remove(queued)
                self._take(target, queued)

    # Stops, as they are.

    def _note_for_stops(
        self,
        target: Proc,
        signo: int,
        sig: Sig,
        result: SignalResult,
        was_dying: bool,
    ) -> None:
        by_user = sig.why == "user"
        if target.is_init and target.ns.level > 0 and not was_dying:
            ns = target.ns
            outside = sig.sender is not None and not sig.sender.is_in(ns)
            stop = ns.stops[-1] if ns.stops and ns.stops[-1].end is None else None
            asks = signo == TERM and by_user and outside
            kills = signo == KILL and result is not SignalResult.IGNORED
            if asks or kills:
                if stop is None:
                    trigger = "stop_signal" if asks else (
                        "cgroup_kill" if sig.why == "cgroup_kill" else
                        "oom" if sig.why == "oom" else "sigkill"
                    )  # fmt: skip
                    stop = self.open_stop(ns, trigger)
                if asks and not stop.killed:
                    stop.asked, stop.last_asked = True, self.t
                if kills and not stop.killed:
                    stop.killed = True
                    stop.escalated = stop.asked and (by_user or sig.why == "cgroup_kill")
        sig.why = self._why(target, sig, by_user)
        if signo == TERM:
            for ns in target.ns.chain():
                stop = ns.stops[-1] if ns.stops and ns.stops[-1].end is None else None
                if stop is not None and stop.asked and target.had_stop is not stop:
                    target.had_stop = stop

    def open_stop(self, ns: Ns, trigger: str) -> Stop:
        stop = Stop(self.t, trigger, {
            proc for proc in self.procs
            if proc.is_in(ns) and proc is not ns.init and proc.state != "released"
        })  # fmt: skip
        ns.stops.append(stop)
        return stop

    def _asked(self, target: Proc) -> list[Ns]:
        return [
            ns for ns in target.ns.chain()
            if ns.stops and ns.stops[-1].end is None and ns.stops[-1].asked
        ]  # fmt: skip

    def _why(self, target: Proc, sig: Sig, by_user: bool) -> str:
        if sig.why == "cgroup_kill" and target.is_init and target.ns in self._asked(target):
            return "grace_expired"
        if not by_user or sig.sender is None:
            return sig.why
        sender, asked = sig.sender, self._asked(target)
        is_runtime = sender.comm in ("runc", "containerd-shim") and not sender.is_in(target.ns)
        if sender is target:
            again = sig.signo == TERM and any(ns.stops[-1] is target.had_stop for ns in asked)
            return "stop_signal" if again else "self"
        if target.is_init and target.ns.level > 0:
            if sig.signo == TERM and not sender.is_in(target.ns):
                return "stop_signal"
            if sig.signo == KILL and target.ns in asked:
                return "grace_expired"
        if sig.signo == KILL and is_runtime:
            return "grace_expired" if asked else "runtime_kill"
        if sig.signo == TERM:
            for ns in asked:
                inside = sender.is_in(ns) and id(ns) not in sender.put_in
                if inside or (sender.comm in ("runc", "containerd-shim") and not sender.is_in(ns)):
                    return "stop_signal"
        return "kill"

    # Deaths.

    def exit(self, proc: Proc, code: int) -> None:
        """exit_group()."""
        if proc.state == "alive" and proc.fatal is None and not proc.stopped:
            proc.exit_code = code
            self.die(proc)

    def end_leader(self, proc: Proc) -> None:
        """pthread_exit() by the main thread while others live."""
        if proc.state == "alive" and proc.fatal is None and proc.threads and not proc.leader_dead:
            if proc.stopped:
                return
            proc.leader_dead = proc.had_leader_alone = True
            self.tick()
            self.rec.exit(self, proc, live=proc.threads)

    def die(self, proc: Proc) -> None:
        """do_exit() of the last thread."""
        if not proc.lives or proc.stuck or (proc.fatal is None and proc.exit_code is None):
            return
        if proc.fatal is not None:
            core = 0x80 if proc.fatal.signo in CORE else 0
            proc.status = proc.fatal.signo | core
            proc.cause = proc.fatal.why
        else:
            proc.status = (proc.exit_code or 0) << 8
        if not proc.leader_dead and proc.threads and self.rng.random() < 0.5:
            proc.leader_dead = proc.had_leader_alone = True
            self.tick()
            self.rec.exit(self, proc, live=proc.threads)
        self.tick()
        self.rec.exit_begin(self, proc)
        self.tick()
        proc.exit_t = self.t
        proc.last_exit_signal = proc.exit_signal
        proc.state = "exiting"
        self.rec.exit(self, proc, live=0)
        if proc.is_init and proc.ns.level > 0:
            stops = proc.ns.stops
            stop = stops[-1] if stops and stops[-1].end is None else None
            if stop is None:
                stop = self.open_stop(proc.ns, "init_exit")
            stop.init_exit = self.t
        self.tick(self.rng.choice([None, None, 30_000_000]))
        self._exit_ptrace(proc)
        if proc.is_init and proc.ns.level > 0:
            self._zap(proc)
        else:
            self._leave(proc)

    def _exit_ptrace(self, proc: Proc) -> None:
        for tracee in [one for one in self.procs if one.tracer is proc]:
            if tracee.exitkill and tracee.state != "released":
                self.send(tracee, KILL, "tracer_exit", proc, info=SignalInfo.KERNEL,
                          is_group=False, exiting=True, tracer=True,
                          reaper=self._reaps(proc, tracee))  # fmt: skip
            tracee.tracer = None
            if tracee.state != "zombie":
                continue
            # __ptrace_detach(): a tracer that is the parent too is told nothing.
            if tracee.parent is proc:
                is_dead = proc.sigchld in ("ignored", "nocldwait")
            else:
                is_dead = self._notify(tracee, proc)
            if is_dead:
                self.release(tracee, proc, "auto")

    def _reaps(self, proc: Proc, other: Proc) -> bool:
        return any(ns.init is proc for ns in other.ns.chain())

    def _zap(self, init: Proc) -> None:
        ns = init.ns
        init.state = "zapping"
        ns.zap_t = self.tick()
        self.rec.teardown(self, init, begin=True)
        init.sigchld = "ignored"
        for proc in list(self.procs):
            if proc is not init and proc.is_in(ns) and proc.state != "released":
                self.send(proc, KILL, "pidns_teardown", init, info=SignalInfo.KERNEL,
                          exiting=True, reaper=True)  # fmt: skip
        self.settle()

    def settle(self) -> None:
        """Let every init in its teardown go as far as it can."""
        moved = True
        while moved:
            moved = False
            for init in [one for one in self.procs if one.state == "zapping"]:
                for child in list(init.children):
                    if child.state == "zombie" and child.tracer is None:
                        self.tick()
                        self.release(child, init, "teardown")
                        moved = True
                left = [one for one in self.procs if one is not init and one.is_in(init.ns)
                        and one.state != "released"]  # fmt: skip
                if not left:
                    self.tick()
                    self.rec.teardown(self, init, begin=False)
                    init.state = "exiting"
                    self._leave(init)
                    moved = True

    def _leave(self, proc: Proc) -> None:
        """forget_original_parent() and the rest of exit_notify()."""
        for child in list(proc.children):
            heir = self._heir(proc)
            proc.children.remove(child)
            heir.children.append(child)
            child.parent = heir
            child.handed_t = self.t
            if child.pdeath and child.lives:
                self.send(child, child.pdeath, "parent_death", proc, info=SignalInfo.NONE,
                          exiting=True)  # fmt: skip
            child.exit_signal = CHLD
            if child.state == "zombie" and child.tracer is None and self._notify(child, proc):
                self.release(child, proc, "auto")
        proc.state = "zombie"
        self.tick()
        auto = self._notify(proc, proc)
        if proc.zombie_t is None:
            proc.zombie_t = self.t
        if auto:
            self.release(proc, proc, "auto", by_loop=proc.leader_dead)
        self.settle()

    def _heir(self, father: Proc) -> Proc:
        if father.ns.init is father:
            return father.parent or self.systemd
        ancestor = father.parent
        while ancestor is not None and ancestor.ns is father.ns and ancestor is not father.ns.init:
            if ancestor.subreaper and ancestor.lives:
                return ancestor
            ancestor = ancestor.parent
        init = father.ns.init
        return init if init is not None else self.systemd

    def _notify(self, proc: Proc, actor: Proc) -> bool:
        """do_notify_parent(): whether nobody will wait for it."""
        told = proc.tracer or proc.parent
        if told is None:
            return True
        sig = proc.exit_signal if proc.tracer is None or told is proc.parent else CHLD
        auto = False
        quiet = False
        if proc.tracer is None and sig == CHLD:
            if told.sigchld == "ignored":
                auto = quiet = True
            elif told.sigchld == "nocldwait":
                auto = True
        proc.is_parents_tracee |= proc.tracer is proc.parent
        if sig and not quiet:
            self.tick()
            self.rec.notify(self, told, proc, actor, sig)
            proc.told.append(told)
            proc.exit_signal_seen |= actor is proc
            if actor is proc and proc.zombie_t is None:
                proc.zombie_t = self.t
        return auto

    # Reaping.

    def wait(self, parent: Proc, child: Proc) -> None:
        """wait4() by a parent or a tracer."""
        if not parent.lives or parent.fatal is not None or child.state != "zombie":
            return
        if child.tracer is parent:
            child.tracer = None
            if child.parent is not parent:
                self.tick()
                if self._notify(child, parent):
                    self.release(child, parent, "auto")
                return
        if child.parent is not parent or child.tracer is not None:
            return
        self.tick()
        kind = "parent" if child.birth_parent is parent else "adopter"
        self.release(child, parent, kind)
        self.settle()

    def release(self, proc: Proc, actor: Proc, kind: str, *, by_loop: bool = False) -> None:
        """release_task()."""
        if any(ns.zap_t is not None and ns.init is not proc for ns in proc.ns.chain()):
            kind = "teardown"
        if kind == "auto" and proc.zombie_t is None:
            proc.zombie_t = self.t
        proc.state = "released"
        proc.released_t = self.t
        proc.kind = kind
        proc.reaper = actor
        if proc.parent is not None:
            proc.parent.children.remove(proc)
        self.rec.reap(self, proc, actor, by_loop=by_loop)
        if proc.ns.level > 0 and proc.is_init:
            self.free_inums.append(proc.ns.inum)
            for stop in proc.ns.stops:
                if stop.end is None:
                    stop.end = self.t
        self.free_pids.append(proc.pid)
