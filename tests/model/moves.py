"""What may happen next: one function a move, its choices drawn from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.model.kernel import Kernel
from tests.model.process import CONT, KILL, STOP, TERM, Ns, Proc
from tracer.model.events import SignalInfo
from tracer.model.signals import Disposition

_T = TypeVar("_T")
Move = Callable[["World"], None]
SIGNALS = (TERM, TERM, KILL, KILL, 1, 2, 3, 10, 15, 36)
STOPS_SOME = frozenset({2, 3})
RUNTIMES = frozenset({"runc", "containerd-shim"})


class World:
    """The model, and who chooses.

    Args:
        kernel: The model.
        choose: Given n > 0, a number below n.
    """

    def __init__(self, kernel: Kernel, choose: Callable[[int], int]) -> None:
        self.kernel = kernel
        self.choose = choose
        self.target: Ns | None = None

    def pick(self, some: Sequence[_T]) -> _T | None:
        return some[self.choose(len(some))] if some else None

    @property
    def inside(self) -> list[Proc]:
        assert self.target is not None
        return [
            one for one in self.kernel.procs
            if one.is_in(self.target) and one.state != "released"
        ]  # fmt: skip

    @property
    def living(self) -> list[Proc]:
        return [one for one in self.inside if one.is_alive]

    @property
    def at_work(self) -> list[Proc]:
        return [one for one in self.living if one.fatal is None and one.exit_code is None
                and not one.stopped]  # fmt: skip

    @property
    def outside(self) -> list[Proc]:
        kernel = self.kernel
        return [one for one in (kernel.shim, kernel.runc, kernel.bash) if one.is_alive]

    def anybody(self) -> Proc | None:
        return self.pick([*self.outside, *self.at_work])

    def begin(self) -> None:
        """Start the container."""
        init = self.kernel.fork(self.kernel.runc, clone_parent=True, new_ns=True)
        assert init is not None
        init.comm = "init"
        self.target = init.ns


def fork(world: World) -> None:
    parent = world.pick(world.at_work)
    if parent is not None and len(world.inside) < 14:
        how = world.choose(12)
        world.kernel.fork(
            parent,
            clone_parent=how == 0,
            exit_signal={1: 0, 2: 10}.get(how, 17),
            new_ns=how == 3,
        )


def inject(world: World) -> None:
    creator = world.pick(world.outside)
    where = world.pick([one.ns for one in world.inside if one.is_init])
    if creator is not None and where is not None and len(world.inside) < 14:
        world.kernel.fork(creator, into=where)


def runc_execs(world: World) -> None:
    """docker exec: a runc of its own puts it in, and is gone or stays."""
    kernel = world.kernel
    where = world.pick([one.ns for one in world.inside if one.is_init])
    if where is None or len(world.inside) >= 14:
        return
    runc = kernel.fork(kernel.shim)
    if runc is None:
        return
    runc.comm = "runc"
    kernel.fork(runc, into=where)
    if world.choose(2):
        kernel.exit(runc, 0)


def end_outside(world: World) -> None:
    kernel = world.kernel
    proc = world.pick([one for one in kernel.procs if one.ns is kernel.host and one.is_alive
                       and one.parent is kernel.shim and one is not kernel.runc])  # fmt: skip
    if proc is not None:
        kernel.exit(proc, 0)


def thread(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None and proc.threads < 3 and not (proc.leader_dead and proc.threads == 0):
        proc.threads += 1


def end_leader(world: World) -> None:
    proc = world.pick([one for one in world.at_work if one.threads])
    if proc is not None:
        world.kernel.end_leader(proc)


def execute(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None:
        world.kernel.exec(proc, f"prog{world.choose(3)}")


def leave(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None and (not proc.is_init or world.choose(6) == 0):
        world.kernel.exit(proc, (0, 0, 1, 137, 143)[world.choose(5)])


def die(world: World) -> None:
    proc = world.pick([one for one in world.living if one.fatal is not None])
    if proc is not None:
        world.kernel.die(proc)
        world.kernel.settle()


def kill(world: World) -> None:
    sender, target = world.anybody(), world.pick(world.inside)
    signo = world.pick(SIGNALS)
    if sender is None or target is None or signo is None:
        return
    if sender.ns is not world.kernel.host and not target.is_in(sender.ns):
        return
    if sender.comm in RUNTIMES and target.is_init and signo in STOPS_SOME:
        # A runtime stops what is here by SIGTERM: these would be taken for stop signals.
        return
    code, is_group = ((0, True), (-1, True), (-6, False))[world.choose(3)]
    world.kernel.send(target, signo, "user", sender, info=SignalInfo.FILLED, si_code=code,
                      is_group=is_group)  # fmt: skip


def stop_container(world: World) -> None:
    init = world.target.init if world.target is not None else None
    if init is not None and init.state != "released":
        world.kernel.send(init, TERM, "user", world.kernel.runc, info=SignalInfo.FILLED, si_code=0)


def kill_container(world: World) -> None:
    init = world.target.init if world.target is not None else None
    if init is not None and init.state != "released":
        world.kernel.send(init, KILL, "user", world.kernel.runc, info=SignalInfo.FILLED, si_code=0)


def forward(world: World) -> None:
    """An init passes the stop signal on."""
    init = world.pick([one for one in world.at_work if one.is_init and one.had_stop])
    init = init or (world.target.init if world.target is not None else None)
    child = world.pick([one for one in init.children if one.is_alive]) if init is not None else None
    if init is not None and child is not None and init.is_alive and init.fatal is None:
        if child.is_in(init.ns):
            world.kernel.send(child, TERM, "user", init, info=SignalInfo.FILLED, si_code=0)


def raise_self(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None:
        proc.handlers.pop(TERM, None)
        world.kernel.send(proc, (6, TERM, KILL)[world.choose(3)], "user", proc,
                          info=SignalInfo.FILLED, si_code=-6, is_group=False)  # fmt: skip


def fault(world: World) -> None:
    proc = world.pick([one for one in world.at_work if not one.is_init])
    if proc is None:
        return
    signo = (11, 7, 4, 8)[world.choose(4)]
    proc.handlers.pop(signo, None)
    proc.blocked.discard(signo)
    world.kernel.send(proc, signo, "fault", proc, info=SignalInfo.FILLED, si_code=1,
                      is_group=False)  # fmt: skip


def seccomp(world: World) -> None:
    proc = world.pick([one for one in world.at_work if not one.is_init])
    if proc is not None:
        proc.blocked.discard(31)
        world.kernel.send(proc, 31, "seccomp", proc, info=SignalInfo.FILLED, si_code=1,
                          is_group=False)  # fmt: skip


def own_doing(world: World) -> None:
    """A closed pipe, a timer: raised by the kernel, on the process's own account."""
    proc = world.pick([one for one in world.at_work if not one.is_init])
    if proc is None:
        return
    how = world.choose(3)
    if how == 0:
        world.kernel.send(proc, 13, "self", proc, info=SignalInfo.NONE, is_group=False)
    else:
        bystander = world.anybody() or proc
        if how == 1:
            world.kernel.send(proc, 14, "self", bystander, info=SignalInfo.KERNEL)
        else:
            world.kernel.send(proc, 14, "self", bystander, info=SignalInfo.FILLED, si_code=-2)


def cpu_limit(world: World) -> None:
    proc = world.pick([one for one in world.at_work if not one.is_init])
    if proc is not None:
        signo = (24, KILL)[world.choose(2)]
        # bpf_send_signal() does it the same way, to whoever has no limit.
        why = "rlimit_cpu" if proc.pid % 2 else "unknown"
        world.kernel.send(proc, signo, why, proc, info=SignalInfo.KERNEL)


def terminal(world: World) -> None:
    proc = world.pick([one for one in world.at_work if not one.is_init])
    if proc is not None:
        world.kernel.send(proc, (1, 2, 3)[world.choose(3)], "terminal", world.kernel.systemd,
                          info=SignalInfo.KERNEL, kthread=True)  # fmt: skip


def cgroup_kill(world: World) -> None:
    """cgroup.kill: who is dying already is passed over."""
    writer = world.anybody()
    if writer is None:
        return
    victims = world.inside if world.choose(3) == 0 else [world.pick(world.inside)]
    for victim in victims:
        if victim is None or victim is writer or victim.fatal is not None:
            continue
        if victim.state == "released" or (victim.is_init and writer.is_in(victim.ns)):
            continue
        world.kernel.send(victim, KILL, "cgroup_kill", writer, info=SignalInfo.NONE,
                          is_group=False)  # fmt: skip


def oom(world: World) -> None:
    caller, victim = world.pick(world.at_work), world.pick(world.at_work)
    if caller is None or victim is None:
        return
    kernel = world.kernel
    kernel.send(victim, KILL, "oom", caller, info=SignalInfo.KERNEL)
    kernel.tick()
    kernel.rec.oom(kernel, victim, caller)
    caller.oom_t = kernel.t
    sharer = world.pick([one for one in world.at_work if one is not victim and one is not caller])
    if sharer is not None and world.choose(3) == 0:
        kernel.send(sharer, KILL, "oom", caller, info=SignalInfo.KERNEL)


def arrange(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is None:
        return
    signo = (TERM, TERM, 1, 10)[world.choose(4)]
    how = world.choose(4)
    if how == 0:
        proc.handlers[signo] = Disposition.CAUGHT
    elif how == 1:
        proc.handlers[signo] = Disposition.IGNORED
    elif how == 2:
        proc.handlers.pop(signo, None)
    else:
        proc.blocked.add(signo)


def unblock(world: World) -> None:
    proc = world.pick([one for one in world.at_work if one.blocked])
    if proc is not None:
        world.kernel.unblock(proc, min(proc.blocked))


def arrange_sigchld(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None:
        proc.sigchld = ("default", "caught", "ignored", "nocldwait")[world.choose(4)]


def adopt(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None:
        proc.subreaper = not proc.subreaper


def bind_to_parent(world: World) -> None:
    proc = world.pick(world.at_work)
    if proc is not None:
        proc.pdeath = (TERM, KILL, 1)[world.choose(3)]


def trace(world: World) -> None:
    tracer = world.pick([*world.at_work, world.kernel.bash])
    target = world.pick(world.at_work)
    if tracer is None or target is None or tracer is target or target.tracer is not None:
        return
    if tracer.is_in(target.ns) or tracer.ns is world.kernel.host:
        target.tracer, target.exitkill = tracer, bool(world.choose(2))


def trace_own_child(world: World) -> None:
    pairs = [(one, child) for one in world.at_work for child in one.children
             if child in world.at_work and child.tracer is None]  # fmt: skip
    pair = world.pick(pairs)
    if pair is not None:
        tracer, child = pair
        child.tracer, child.exitkill = tracer, bool(world.choose(2))


def untrace(world: World) -> None:
    target = world.pick([one for one in world.living if one.tracer is not None])
    if target is not None:
        target.tracer = None


def inject_kill(world: World) -> None:
    target = world.pick([one for one in world.at_work if one.tracer is not None])
    if target is not None and target.tracer is not None:
        world.kernel.inject_kill(target.tracer, target)


def come_and_go(world: World) -> None:
    """A child that ends by itself, and whose parent waits for it."""
    kernel = world.kernel
    parent = world.pick(world.at_work)
    child = kernel.fork(parent) if parent is not None and len(world.inside) < 14 else None
    if parent is None or child is None:
        return
    if world.choose(2):
        kernel.exec(child, f"prog{world.choose(3)}")
    if world.choose(8) == 0:
        return
    kernel.exit(child, (0, 0, 1, 137)[world.choose(4)])
    if world.choose(3) == 0:
        kernel.tick(20_000_000)
    kernel.wait(parent, child)
    kernel.settle()


def wait(world: World) -> None:
    zombie = world.pick([one for one in world.inside if one.state == "zombie"])
    if zombie is None:
        return
    waiter = zombie.tracer or zombie.parent
    if waiter is not None:
        world.kernel.wait(waiter, zombie)
        world.kernel.settle()


def job_control(world: World) -> None:
    sender = world.pick(world.outside)
    stopped = [one for one in world.living if one.stopped]
    target = world.pick(stopped or [one for one in world.at_work if not one.is_init])
    if sender is not None and target is not None:
        world.kernel.send(target, CONT if target.stopped else STOP, "user", sender,
                          info=SignalInfo.FILLED, si_code=0)  # fmt: skip


def stick(world: World) -> None:
    proc = world.pick(world.living)
    if proc is not None:
        proc.stuck = not proc.stuck


def pass_time(world: World) -> None:
    world.kernel.tick((40_000_000, 1_000_000_000, 20_000_000_000, 61_000_000_000)[world.choose(4)])


MOVES: tuple[tuple[Move, int], ...] = (
    (fork, 8), (inject, 1), (runc_execs, 2), (end_outside, 1), (thread, 2), (end_leader, 2),
    (execute, 1), (leave, 4), (die, 8), (kill, 4), (stop_container, 2), (kill_container, 1),
    (forward, 2), (raise_self, 1), (fault, 1), (seccomp, 1), (own_doing, 1), (cpu_limit, 1),
    (terminal, 1), (cgroup_kill, 1), (oom, 1), (arrange, 4), (unblock, 1), (arrange_sigchld, 3),
    (adopt, 1), (bind_to_parent, 1), (trace, 1), (trace_own_child, 1),
    (untrace, 1), (inject_kill, 1), (wait, 8), (come_and_go, 6),
    (job_control, 1), (stick, 1), (pass_time, 3),
)  # fmt: skip
