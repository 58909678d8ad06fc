"""A small model of the kernel: processes, signals, waits, namespaces, teardown.

It keeps the truth (who died of what, who reaped whom, when) and tells a
:class:`tests.model.records.Recorder` what the hooks would have seen. Here is how
processes are born, die and are reaped; below it are :mod:`tests.model.signals` and
:mod:`tests.model.machine`.

Source: kernel/signal.c, kernel/exit.c, kernel/pid_namespace.c.
"""

from __future__ import annotations

from tests.model.process import CHLD, CORE, KILL, Ns, Proc
from tests.model.signals import Signals
from tests.model.stops import begin_stop
from tracer.model.events import SignalInfo
from tracer.model.signals import Disposition


class Kernel(Signals):
    """The machine with all that happens to its processes, from fork to reap."""

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
        if not creator.is_alive or creator.fatal is not None or creator.stopped:
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
        child = self.create(ns, parent, creator.comm)
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
        if not proc.is_alive or proc.fatal is not None or proc.stopped:
            return
        if proc.leader_dead and proc.threads == 0:
            return
        if proc.leader_exit_t is not None:
            proc.lone_leader_ns += self.t - proc.leader_exit_t
            proc.leader_exit_t = None
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
            proc.leader_exit_t = self.t
            self.rec.exit(self, proc, live=proc.threads)

    def die(self, proc: Proc) -> None:
        """do_exit() of the last thread."""
        if not proc.is_alive or proc.stuck or (proc.fatal is None and proc.exit_code is None):
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
        if proc.leader_exit_t is not None:
            proc.lone_leader_ns += self.t - proc.leader_exit_t
            proc.leader_exit_t = None
        proc.last_exit_signal = proc.exit_signal
        proc.state = "exiting"
        self.rec.exit(self, proc, live=0)
        if proc.is_init and proc.ns.level > 0:
            stops = proc.ns.stops
            stop = stops[-1] if stops and stops[-1].end is None else None
            if stop is None:
                stop = begin_stop(self.procs, self.t, proc.ns, "init_exit")
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
            # __ptrace_detach(): a tracer that is the parent too is not notified.
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
            if child.pdeath and child.is_alive:
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
            if ancestor.subreaper and ancestor.is_alive:
                return ancestor
            ancestor = ancestor.parent
        init = father.ns.init
        return init if init is not None else self.systemd

    def _notify(self, proc: Proc, actor: Proc) -> bool:
        """do_notify_parent(): whether no process will wait for it."""
        notified = proc.tracer or proc.parent
        if notified is None:
            return True
        proc.held.append((self.t, notified))
        sig = proc.exit_signal if proc.tracer is None or notified is proc.parent else CHLD
        auto = False
        quiet = False
        if proc.tracer is None and sig == CHLD:
            if notified.sigchld == "ignored":
                auto = quiet = True
            elif notified.sigchld == "nocldwait":
                auto = True
        proc.is_parents_tracee |= proc.tracer is proc.parent
        if sig and not quiet:
            self.tick()
            self.rec.notify(self, notified, proc, actor, sig)
            proc.notified.append(notified)
            proc.exit_signal_seen |= actor is proc
            if actor is proc and proc.zombie_t is None:
                proc.zombie_t = self.t
        return auto

    def wait(self, parent: Proc, child: Proc) -> None:
        """wait4() by a parent or a tracer."""
        if not parent.is_alive or parent.fatal is not None or child.state != "zombie":
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
