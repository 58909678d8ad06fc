"""Why a signal was sent: a conjunction of kernel facts taken when it was.

The system call alone never decides (a teardown by an init that was killed in
sleep carries nanosleep); each rule names the kernel function it rests on.
docs/causes.md explains them.
"""

from __future__ import annotations

from tracer.correlate.descent import is_descent_known, is_passing_on
from tracer.correlate.process import ProcessState
from tracer.correlate.process_table import ProcessTable
from tracer.correlate.scope import Scope
from tracer.correlate.suspects import SentSignal
from tracer.model.events import SignalEvent, SignalInfo
from tracer.model.identity import Actor
from tracer.model.signals import (
    DEFAULT_IGNORED,
    DEFAULT_STOPS,
    FAULT_SIGNALS,
    SIGALRM,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGPIPE,
    SIGPROF,
    SIGQUIT,
    SIGSYS,
    SIGTERM,
    SIGVTALRM,
    SIGXCPU,
    SIGXFSZ,
    Disposition,
    SignalResult,
)
from tracer.model.verdicts import Cause

RUNTIME_COMMS = frozenset({
    "runc", "crun", "youki", "runsc", "kata-runtime", "containerd", "containerd-shim",
    "dockerd", "docker-containe", "conmon", "conmonrs", "crio", "podman", "buildah",
    "nerdctl", "lxc-start", "systemd-nspawn",
})  # fmt: skip
"""Names under which container runtimes send signals (15 characters at most)."""

_SYS_SECCOMP = 1
_SI_TIMER = -2
_SI_ASYNCIO = -4
_SENT_BY_CALL = frozenset({0, -1, -6})
_QUEUEING_CALLS = frozenset({"rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"})
_WRITING_CALLS = frozenset({"write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile",
                            "splice", "io_uring_enter"})  # fmt: skip
_TTY_SIGNALS = frozenset({SIGHUP, SIGINT, SIGQUIT})
_OWN_TIMERS = frozenset({SIGALRM, SIGVTALRM, SIGPROF})
_OWN_WRITES = frozenset({SIGPIPE, SIGXFSZ})
_NO_SIGNAL_LOST = frozenset({"signal"})
_NO_BIRTH_LOST = frozenset({"signal", "fork"})
_NO_ANCESTOR_LOST = frozenset({"fork"})


def is_fatal_by_default(signo: int) -> bool:
    """Whether the signal kills a process that does nothing about it."""
    return signo not in DEFAULT_IGNORED and signo not in DEFAULT_STOPS


def is_sent_by_user(event: SignalEvent) -> bool:
    """Whether a process sent it (kill, tgkill, sigqueue, pidfd_send_signal).

    Negative codes are a sender's to choose; where no such call is under way,
    the kernel made it for a timer or an asynchronous request.
    """
    if event.info is not SignalInfo.FILLED or event.si_code is None or event.si_code > 0:
        return False
    return event.si_code in _SENT_BY_CALL or event.actor.syscall in _QUEUEING_CALLS


def is_cgroup_kill(event: SignalEvent) -> bool:
    """Whether a SIGKILL came through cgroup.kill.

    Source: __cgroup_kill() -> send_sig(SIGKILL, task, 0), in the context of
    the writer of the file.
    """
    actor = event.actor
    if event.signo != SIGKILL or event.info is not SignalInfo.NONE:
        return False
    if actor.is_exiting or actor.is_kernel_thread:
        return False
    # Kernel code that gives up on its own caller does it the same way.
    return not event.actor_is_self or actor.syscall in _WRITING_CALLS


def is_from_outside(event: SignalEvent, scope: Scope) -> bool:
    """Whether a user's signal came from outside the scope.

    Of a namespace that containers share their runtime is outside; a neighbour in it
    is not.
    """
    if is_inside(event.actor, scope):
        return False
    # Its pid there is the one in the target's own, innermost namespace.
    return event.actor.ns_pid == 0 or not scope.level


def is_inside(actor: Actor, scope: Scope) -> bool:
    """Whether a sender is a member of a scope; for a shared one the cgroup decides."""
    if actor.key in scope.present:
        return True
    return scope.is_shared and actor.cgroup_id in scope.cgroup_ids


def is_neighbour(actor: Actor, scope: Scope) -> bool:
    """Whether a sender is in another container that shares the namespace (a sidecar)."""
    return (
        scope.is_shared
        and bool(scope.level)
        and bool(actor.ns_pid)
        and actor.cgroup_id is not None
        and not is_inside(actor, scope)
    )


def is_runtime(event: SignalEvent, scopes: tuple[Scope, ...]) -> bool:
    """Whether a sender acts for a container runtime, judged from outside.

    A process inside may call itself runc; that is no runtime. Nor is what a user
    calls so who may signal the container only because it runs as that user.
    """
    actor = event.actor
    is_outside = is_from_outside(event, scopes[0]) if scopes else actor.ns_pid == 0
    if not is_outside:
        return False
    if actor.comm.split(":", 1)[0] in RUNTIME_COMMS and _may_run_containers(actor, scopes):
        return True
    return any(
        scope.container is not None and actor.host_pid in scope.container.runtime_pids
        for scope in scopes
    )


def _may_run_containers(actor: Actor, scopes: tuple[Scope, ...]) -> bool:
    # A user's own runtime makes a user namespace first; root's acts as root.
    return actor.uid in (None, 0) or any(
        scope.container is not None
        and actor.uid in (scope.container.namespace_uid, scope.container.owner_uid)
        for scope in scopes
    )


def is_dropped(event: SignalEvent) -> bool:
    """Whether the kernel dropped a signal because init has no handler.

    Source: sig_task_ignored(): SIGNAL_UNKILLABLE and SIG_DFL. Where init is traced the
    signal is queued first, and get_signal() drops it once the tracer lets go of it.
    """
    return (
        event.disposition is Disposition.DEFAULT
        and event.target_unkillable
        and not event.target_group_exit
        and event.target_live_threads > 0
        and (
            event.result is SignalResult.IGNORED
            or (event.signo != SIGKILL and event.signo not in DEFAULT_STOPS)
        )
    )


def classify_signal(
    event: SignalEvent, state: ProcessState, table: ProcessTable
) -> SentSignal | None:
    """Say why a signal was sent, from the signal and the stop under way.

    What only a later event tells reads UNKNOWN here: the OOM killer marks its victim
    after the signal. The verdict over a death (:mod:`tracer.correlate.deaths`) knows
    more.

    Args:
        event: The signal.
        state: Whom it was sent to.
        table: To tell a sender's descent.

    Returns:
        None for an exit notification and for signals that kill no process.
    """
    if event.is_notification or not is_fatal_by_default(event.signo):
        return None
    if event.info is not SignalInfo.FILLED:
        cause = _classify_kernels(event, state, table)
        if cause is Cause.CGROUP_KILL and state.led:
            if any(scope.asked_stop for scope in state.led):
                return SentSignal(event, Cause.GRACE_EXPIRED)
            return SentSignal(event, cause, _NO_SIGNAL_LOST)
        return SentSignal(event, cause)
    if is_sent_by_user(event):
        return _classify_users(event, state, table)
    return SentSignal(event, _classify_filled(event))


def _classify_kernels(event: SignalEvent, state: ProcessState, table: ProcessTable) -> Cause:
    actor = event.actor
    if event.info is SignalInfo.NONE:
        # reparent: forget_original_parent -> group_send_sig_info(pdeath_signal, NOINFO)
        if actor.is_exiting and event.signo == event.target_pdeath_signo:
            return Cause.PARENT_DEATH
        if is_cgroup_kill(event):
            return Cause.CGROUP_KILL
        # pipe_write, generic_write_check: send_sig(SIGPIPE or SIGXFSZ, current, 0)
        return Cause.SELF if event.actor_is_self and event.signo in _OWN_WRITES else Cause.UNKNOWN
    if _is_of_cpu_limit(event):
        return Cause.RLIMIT_CPU
    if event.signo == SIGKILL:
        # exit_ptrace with PTRACE_O_EXITKILL: to one thread. An init that traces is
        # through with that before it tears its namespace down.
        if actor.is_exiting and event.actor_is_tracer and not event.is_group:
            return Cause.TRACER_EXIT
        # zap_pid_ns_processes -> group_send_sig_info(SIGKILL, SEND_SIG_PRIV)
        if actor.is_exiting and event.actor_is_reaper and not event.actor_is_self:
            return Cause.PIDNS_TEARDOWN
        return Cause.UNKNOWN
    # it_real_fn, check_cpu_itimer: the timers a process set for itself
    if event.signo in _OWN_TIMERS:
        return Cause.SELF
    if event.signo in _TTY_SIGNALS and not event.actor_is_self:
        return _classify_hangup(event, state, table)
    return Cause.UNKNOWN


def _is_of_cpu_limit(event: SignalEvent) -> bool:
    """Whether a CPU time limit raised it: there is one, and it was reached.

    Source: check_process_timers() -> check_rlimit() -> send_signal_locked(signo,
    SEND_SIG_PRIV, current, PIDTYPE_TGID). bpf_send_signal() does the same, and has no
    limit to show.
    """
    return (
        event.info is SignalInfo.KERNEL
        and event.signo in (SIGKILL, SIGXCPU)
        and event.actor_is_self
        and event.is_group
        and event.cpu_limit_s is not None
    )


def is_kernels_own(event: SignalEvent) -> bool:
    """Whether the kernel raised it in its target's own context, with no reason that shows."""
    return (
        event.info is SignalInfo.KERNEL
        and event.actor_is_self
        and not event.actor.is_exiting
        and event.cpu_limit_s is None
    )


def _classify_hangup(event: SignalEvent, state: ProcessState, table: ProcessTable) -> Cause:
    # tty: isig -> kill_pgrp(tty->pgrp, sig, 1), disassociate_ctty, __tty_hangup.
    # Its look-alike is kill_orphaned_pgrp(): a process ends, and with it goes the
    # last link of a process group of its children's, one of which is stopped.
    if event.signo != SIGHUP or not event.actor.is_exiting:
        return Cause.TERMINAL
    stopped = {key: table.get(key) for scope in state.scopes for key in scope.stopped}
    if state.is_stopped:
        stopped[state.key] = state
    for one in stopped.values():
        if one is None:
            continue
        if one.snapshot.parent_key == event.actor.key or any(
            ancestor.key == event.actor.key for ancestor in table.ancestors(one)
        ):
            return Cause.UNKNOWN
    return Cause.TERMINAL


def _classify_filled(event: SignalEvent) -> Cause:
    code = event.si_code
    if code is None:
        return Cause.UNKNOWN
    if code > 0:
        if event.signo == SIGSYS and code == _SYS_SECCOMP:
            return Cause.SECCOMP
        if event.signo in FAULT_SIGNALS and event.actor_is_self:
            return Cause.FAULT
        return Cause.UNKNOWN
    # A POSIX timer fires in any process's context, but belongs to the target.
    if code == _SI_TIMER or (code == _SI_ASYNCIO and event.actor_is_self):
        return Cause.SELF
    return Cause.UNKNOWN


def _classify_users(event: SignalEvent, state: ProcessState, table: ProcessTable) -> SentSignal:
    signo = event.signo
    asked = [scope for scope in state.scopes if scope.asked_stop is not None]
    could_be_stop = any(scope.stop_signo == signo for scope in state.scopes)
    if not _knows_its_namespace(state):
        # Of what is being stopped there nothing is known either.
        if signo == SIGTERM or (signo == SIGKILL and is_runtime(event, state.scopes)):
            return SentSignal(event, Cause.UNKNOWN)
    if event.actor_is_self:
        return _classify_own(event, state, asked, could_be_stop=could_be_stop)
    for scope in state.led:
        if signo == _stop_signo(scope) and is_from_outside(event, scope):
            return SentSignal(event, Cause.STOP_SIGNAL)
        if signo == SIGKILL and scope in asked:
            return SentSignal(event, Cause.GRACE_EXPIRED)
    if signo == SIGKILL:
        if is_runtime(event, state.scopes):
            if asked:
                return SentSignal(event, Cause.GRACE_EXPIRED)
            return SentSignal(event, Cause.RUNTIME_KILL, _NO_SIGNAL_LOST)
        return SentSignal(event, Cause.KILL, _NO_SIGNAL_LOST if state.led else frozenset())
    return _classify_passed_on(event, asked, table) or SentSignal(
        event, Cause.KILL, _NO_BIRTH_LOST if could_be_stop else frozenset()
    )


def _stop_signo(scope: Scope) -> int:
    """The signal of the stop under way, else the one that was configured."""
    stop = scope.open_stop
    return stop.stop_signo if stop is not None else scope.stop_signo


def _classify_passed_on(
    event: SignalEvent, asked: list[Scope], table: ProcessTable
) -> SentSignal | None:
    for scope in asked:
        if event.signo != _stop_signo(scope):
            continue
        if is_runtime(event, (scope,)):
            return SentSignal(event, Cause.STOP_SIGNAL)
        if is_passing_on(event.actor, scope, table):
            sender = table.get(event.actor.key)
            if sender is not None and is_descent_known(sender, scope, table):
                return SentSignal(event, Cause.STOP_SIGNAL)
            # An ancestor whose birth is lost may have been put in from outside.
            return SentSignal(event, Cause.STOP_SIGNAL, _NO_ANCESTOR_LOST, rests_since_ns=0)
    return None


def _classify_own(
    event: SignalEvent, state: ProcessState, asked: list[Scope], *, could_be_stop: bool
) -> SentSignal:
    # A handler that cleans up and raises the signal again.
    seen = state.stop_signal
    for scope in asked:
        stop = scope.asked_stop
        if seen is None or stop is None or event.signo != stop.stop_signo:
            continue
        if stop.begin_ns <= seen.boot_ns < event.boot_ns:
            return SentSignal(event, Cause.STOP_SIGNAL)
    return SentSignal(event, Cause.SELF, _NO_SIGNAL_LOST if could_be_stop else frozenset())


def _knows_its_namespace(state: ProcessState) -> bool:
    return not state.snapshot.pidns_level or any(not scope.is_shared for scope in state.scopes)
