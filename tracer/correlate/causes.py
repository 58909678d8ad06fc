"""Why a signal was sent: a conjunction of kernel facts taken when it was.

The system call alone never decides (a teardown by an init that was killed in
sleep carries nanosleep); each rule names the kernel function it rests on.
"""

from __future__ import annotations

from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState, SentSignal
from tracer.model.events import SignalEvent, SignalInfo
from tracer.model.identity import Actor
from tracer.model.signals import (
    DEFAULT_IGNORED,
    DEFAULT_STOPS,
    FAULT_SIGNALS,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGSYS,
    SIGXCPU,
    SignalResult,
)
from tracer.model.verdicts import Cause

RUNTIME_COMMS = frozenset({
    "runc", "crun", "youki", "runsc", "kata-runtime", "containerd", "containerd-shim",
    "dockerd", "docker-containe", "conmon", "conmonrs", "crio", "podman", "buildah",
    "nerdctl", "lxc-start", "systemd-nspawn",
})
"""Names under which container runtimes send signals (15 characters at most)."""

_SYS_SECCOMP = 1
_TTY_SIGNALS = frozenset({SIGHUP, SIGINT, SIGQUIT})


def is_runtime(actor: Actor, scope: Scope | None) -> bool:
    """Whether a sender acts for a container runtime, judged from outside."""
    if actor.ns_pid not in (0, None) and not (scope is not None and scope.is_shared):
        return False
    if actor.comm.split(":", 1)[0] in RUNTIME_COMMS:
        return True
    container = scope.container if scope is not None else None
    return container is not None and actor.host_pid in container.runtime_pids


def is_fatal_by_default(signo: int) -> bool:
    """Whether the signal kills a process that does nothing about it."""
    return signo not in DEFAULT_IGNORED and signo not in DEFAULT_STOPS


def classify_signal(event: SignalEvent, scope: Scope | None) -> Cause | None:
    """Say why a signal was sent, from the signal alone and the stop under way.

    An OOM kill reads UNKNOWN here where mark_victim has not been seen yet;
    the verdict over a death (:func:`judge_death`) knows more.

    Returns:
        None for an exit notification and for signals that kill nobody.
    """
    if event.is_notification or not is_fatal_by_default(event.signo):
        return None
    if event.info is SignalInfo.FILLED:
        return _classify_filled(event, scope)
    actor = event.actor
    if event.info is SignalInfo.NONE:
        # forget_original_parent -> group_send_sig_info(pdeath_signal, NOINFO)
        if actor.is_exiting and event.signo == event.target_pdeath_signo:
            return Cause.PARENT_DEATH
        # __cgroup_kill -> send_sig(SIGKILL, task, 0)
        if event.signo == SIGKILL and not actor.is_exiting and not actor.is_kernel_thread:
            return Cause.CGROUP_KILL
        return Cause.UNKNOWN
    if event.signo == SIGKILL and actor.is_exiting:
        # zap_pid_ns_processes -> group_send_sig_info(SIGKILL, SEND_SIG_PRIV)
        if event.actor_is_reaper and not event.actor_is_self:
            return Cause.PIDNS_TEARDOWN
        # exit_ptrace with PTRACE_O_EXITKILL
        if event.actor_is_tracer:
            return Cause.TRACER_EXIT
        return Cause.UNKNOWN
    # posix_cpu_timers: check_rlimit -> __group_send_sig_info(signo, SEND_SIG_PRIV)
    if event.actor_is_self and event.signo in (SIGKILL, SIGXCPU) and actor.syscall is None:
        return Cause.RLIMIT_CPU
    # tty: __do_SAK, isig -> kill_pgrp(tty->pgrp, sig, 1)
    if event.signo in _TTY_SIGNALS and not event.actor_is_self:
        return Cause.TERMINAL
    return Cause.UNKNOWN


def _classify_filled(event: SignalEvent, scope: Scope | None) -> Cause:
    code = event.si_code
    if code is None:
        return Cause.UNKNOWN
    if code > 0:
        if event.signo == SIGSYS and code == _SYS_SECCOMP:
            return Cause.SECCOMP
        if event.signo in FAULT_SIGNALS and event.actor_is_self:
            return Cause.FAULT
        return Cause.UNKNOWN
    if event.actor_is_self:
        return Cause.SELF
    stop = scope.open_stop if scope is not None else None
    if scope is not None and event.process.key == scope.init:
        if event.signo == SIGKILL:
            if stop is not None and stop.stop_signal is not None:
                return Cause.GRACE_EXPIRED
            return Cause.RUNTIME_KILL if is_runtime(event.actor, scope) else Cause.KILL
        if stop is not None and event.signo == stop.stop_signo and is_from_outside(event, scope):
            return Cause.STOP_SIGNAL
        return Cause.KILL
    if event.signo == SIGKILL and is_runtime(event.actor, scope):
        return Cause.RUNTIME_KILL
    if stop is not None and stop.stop_signal is not None and event.signo == stop.stop_signo:
        is_forwarded = scope is not None and event.actor.key in (scope.init, *stop.members)
        if is_forwarded or is_runtime(event.actor, scope):
            return Cause.STOP_SIGNAL
    return Cause.KILL


def is_sent_by_user(event: SignalEvent) -> bool:
    """Whether a process sent it (kill, tgkill, sigqueue, pidfd_send_signal)."""
    return event.info is SignalInfo.FILLED and event.si_code is not None and event.si_code <= 0


def is_from_outside(event: SignalEvent, scope: Scope) -> bool:
    """Whether a user's signal came from outside the scope."""
    if scope.is_shared:
        return event.actor.key not in scope.unreleased
    return event.actor.ns_pid == 0


def pick_fatal_signal(state: ProcessState, signo: int) -> SentSignal | None:
    """Which of the signals a process was sent is the one that killed it.

    signal_generate fires after complete_signal(), so the event of the signal
    that sets SIGNAL_GROUP_EXIT already shows it set; later ones show it too,
    and killed nobody. Signals that dump core, and blocked ones, set it only
    when they are delivered: of those the last one sent counts.
    """
    candidates = [
        sent
        for sent in state.fatal_candidates
        if sent.event.signo == signo
        and sent.event.target_live_threads > 0
        and sent.event.result is not SignalResult.IGNORED
    ]
    if not candidates:
        return None
    for sent in candidates:
        if sent.event.target_group_exit or signo == SIGKILL:
            return sent
    fresh = [s for s in candidates if s.event.result is not SignalResult.ALREADY_PENDING]
    return (fresh or candidates)[-1]


def judge_death(state: ProcessState) -> Cause:
    """The cause of a death by signal, now that everything about it was seen."""
    fatal = state.fatal_signal
    if fatal is None:
        return Cause.UNKNOWN
    # __oom_kill_process sends SIGKILL with SEND_SIG_PRIV, then mark_oom_victim.
    if (
        state.oom_ns is not None
        and fatal.event.info is SignalInfo.KERNEL
        and fatal.event.signo == SIGKILL
        and fatal.cause in (Cause.UNKNOWN, Cause.RLIMIT_CPU, None)
    ):
        return Cause.OOM
    return fatal.cause or Cause.UNKNOWN
