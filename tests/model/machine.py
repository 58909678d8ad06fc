"""The machine of the model kernel: its clock, its pids and the processes it has."""

from __future__ import annotations

import random

from tests.model.process import Ns, Proc
from tests.model.records import Recorder
from tests.model.stops import note_survival


class Machine:
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
        self.systemd = self.create(self.host, None, "systemd", pid=1)
        self.host.init = self.systemd
        self.systemd.sigchld = "caught"
        self.shim = self.create(self.host, self.systemd, "containerd-shim")
        self.shim.subreaper = True
        self.shim.sigchld = "caught"
        self.runc = self.create(self.host, self.shim, "runc")
        self.bash = self.create(self.host, self.systemd, "bash")
        for one in (self.systemd, self.shim, self.runc, self.bash):
            self.rec.note_outsider(one)

    def tick(self, ns: int | None = None) -> int:
        self.t += ns if ns is not None else self.rng.randrange(1_000, 200_000)
        self.rec.run_until(self, self.t)
        for proc in self.procs:
            for stop in proc.ns.stops if proc.is_init else ():
                note_survival(stop, self.t)
        return self.t

    def create(self, ns: Ns, parent: Proc | None, comm: str, *, pid: int | None = None) -> Proc:
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

    def number_in(self, proc: Proc, ns: Ns) -> int:
        if ns.level == 0:
            return proc.pid
        return proc.ns_pid if proc.ns is ns else (1000 + proc.pid if proc.is_in(ns) else 0)
