"""Signals in the model kernel: how they are sent, queued, delivered, and whom they kill.

Source: kernel/signal.c.
"""

from __future__ import annotations

from tests.model.machine import Machine
from tests.model.process import CONT, CORE, KILL, STOP, Proc, Sent, Sig
from tests.model.stops import note_signal
from tracer.model.events import SignalInfo
from tracer.model.signals import Disposition, SignalResult


class Signals(Machine):
    """A machine whose processes can be sent signals."""

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
        dead = not target.is_alive
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
            cpu_limit_s=1 if why == "rlimit_cpu" else None,
        )  # fmt: skip
        target.sent.append(
            Sent(self.t, signo, None if kthread else actor, why == "user", why == "cgroup_kill",
                 result, disposition, dying or dead)
        )  # fmt: skip
        note_signal(self.procs, self.t, target, signo, sig, result, dying or dead)
        if result is not SignalResult.DELIVERED or dead or dying:
            if result is SignalResult.DELIVERED:
                target.queue.append(sig)
            return result
        self._act(target, sig, disposition)
        return result

    def death_signo(self, target: Proc) -> int | None:
        return target.fatal.signo if target.fatal is not None else None

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
        """PTRACE_CONT with SIGKILL: no process generates it."""
        if target.tracer is not tracer or not target.is_alive or target.fatal is not None:
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
            if queued.signo == signo and target.fatal is None and target.is_alive:
                target.queue.remove(queued)
                self._take(target, queued)
