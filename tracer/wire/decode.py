"""Records to events: the one place where kernel numbers get their meaning."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.model.events import (
    DeliverEvent,
    ExecEvent,
    ExitBeginEvent,
    ExitEvent,
    ForkEvent,
    ForkFailedEvent,
    KernelEvent,
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
from tracer.model.signals import SIGKILL, Disposition, SignalResult
from tracer.model.wait_status import WaitStatus
from tracer.wire.layout import CONSTANTS, RECORD
from tracer.wire.syscalls import syscall_name

# The names come from the C header, so no type checker can know them.
_make_row_type: Any = collections.namedtuple  # noqa: PYI024
Row = _make_row_type("Row", RECORD.names)

_EXIT_ZOMBIE = 0x20
"""task_struct.exit_state of a zombie (include/linux/sched.h)."""

_F_CUR_EXITING = CONSTANTS["ZT_F_CUR_EXITING"]
_F_CUR_REAPER = CONSTANTS["ZT_F_CUR_REAPER"]
_F_CUR_SELF = CONSTANTS["ZT_F_CUR_SELF"]
_F_CUR_TRACER = CONSTANTS["ZT_F_CUR_TRACER"]
_F_CUR_COMPAT = CONSTANTS["ZT_F_CUR_COMPAT"]
_F_CUR_KTHREAD = CONSTANTS["ZT_F_CUR_KTHREAD"]
_F_GROUP_EXIT = CONSTANTS["ZT_F_GROUP_EXIT"]
_F_UNKILLABLE = CONSTANTS["ZT_F_UNKILLABLE"]
_F_BLOCKED = CONSTANTS["ZT_F_BLOCKED"]
_F_GROUP = CONSTANTS["ZT_F_GROUP"]
_F_NOTIFY = CONSTANTS["ZT_F_NOTIFY"]
_F_GROUP_DEAD = CONSTANTS["ZT_F_GROUP_DEAD"]
_F_NOCLDWAIT = CONSTANTS["ZT_F_NOCLDWAIT"]
_F_INIT = CONSTANTS["ZT_F_INIT"]

_SIGCHLD_ACTIONS = {
    CONSTANTS["ZT_ACTION_DEFAULT"]: SigchldAction.DEFAULT,
    CONSTANTS["ZT_ACTION_IGNORE"]: SigchldAction.IGNORED,
    CONSTANTS["ZT_ACTION_CAUGHT"]: SigchldAction.CAUGHT,
}
_DISPOSITIONS = {
    CONSTANTS["ZT_ACTION_IGNORE"]: Disposition.IGNORED,
    CONSTANTS["ZT_ACTION_CAUGHT"]: Disposition.CAUGHT,
}
_INFOS = {
    CONSTANTS["ZT_INFO_NOINFO"]: SignalInfo.NONE,
    CONSTANTS["ZT_INFO_PRIV"]: SignalInfo.KERNEL,
    CONSTANTS["ZT_INFO_POINTER"]: SignalInfo.FILLED,
}
# enum in include/trace/events/signal.h: TRACE_SIGNAL_*
_RESULTS = tuple(SignalResult)


@lru_cache(maxsize=4096)
def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _some(number: int) -> int | None:
    return number or None


class Decoder:
    """Turns records of one host into events.

    Args:
        machine: ``uname -m`` of the host the records come from: system call
            numbers differ.
    """

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._builders: dict[int, Callable[[Any], KernelEvent]] = {
            CONSTANTS["ZT_KIND_PROCESS"]: _process_event,
            CONSTANTS["ZT_KIND_FORK"]: self._fork_event,
            CONSTANTS["ZT_KIND_EXEC"]: _exec_event,
            CONSTANTS["ZT_KIND_EXIT_BEGIN"]: _exit_begin_event,
            CONSTANTS["ZT_KIND_EXIT"]: _exit_event,
            CONSTANTS["ZT_KIND_REAP"]: self._reap_event,
            CONSTANTS["ZT_KIND_FREE"]: _free_event,
            CONSTANTS["ZT_KIND_SIGNAL"]: self._signal_event,
            CONSTANTS["ZT_KIND_DELIVER"]: _deliver_event,
            CONSTANTS["ZT_KIND_TEARDOWN_BEGIN"]: _teardown_begin_event,
            CONSTANTS["ZT_KIND_TEARDOWN_END"]: _teardown_end_event,
            CONSTANTS["ZT_KIND_OOM"]: self._oom_event,
            CONSTANTS["ZT_KIND_FORK_FAILED"]: _fork_failed_event,
        }

    def decode_batch(self, batch: npt.NDArray[np.void]) -> Iterator[KernelEvent]:
        """Decode records, in the order they stand.

        Raises:
            KeyError: A record of a kind this version does not know.
        """
        builders = self._builders
        for values in batch.tolist():
            row = Row._make(values)
            yield builders[row.kind](row)

    def _actor(self, row: Any) -> Actor:
        flags = row.flags
        return Actor(
            host_pid=row.cur_host_pid,
            start_boot_ns=_some(row.cur_start_boot_ns),
            host_tid=_some(row.cur_host_tid),
            ns_pid=row.cur_ns_pid,
            comm=_text(row.cur_comm),
            chain=tuple(_text(bytes(comm)) for comm in row.chain_comm if comm),
            syscall=syscall_name(row.sys_nr, self._machine, is_compat=bool(flags & _F_CUR_COMPAT)),
            is_exiting=bool(flags & _F_CUR_EXITING),
            is_kernel_thread=bool(flags & _F_CUR_KTHREAD),
        )

    def _fork_event(self, row: Any) -> ForkEvent:
        return ForkEvent(row.boot_ns, _snapshot(row), self._actor(row), row.exit_signal)

    def _reap_event(self, row: Any) -> ReapEvent:
        return ReapEvent(
            row.boot_ns,
            _snapshot(row),
            self._actor(row),
            Precision.EXACT,
            WaitStatus.from_raw(row.exit_code),
            _parent_sigchld(row),
        )

    def _oom_event(self, row: Any) -> OomEvent:
        return OomEvent(row.boot_ns, _snapshot(row), self._actor(row))

    def _signal_event(self, row: Any) -> SignalEvent:
        flags = row.flags
        info = _INFOS[row.info]
        is_filled = info is SignalInfo.FILLED
        is_notification = bool(flags & _F_NOTIFY)
        child = ProcessKey(row.child_pid, row.child_start_boot_ns) if row.child_pid else None
        return SignalEvent(
            boot_ns=row.boot_ns,
            process=_snapshot(row),
            target_host_tid=row.host_tid,
            signo=row.sig,
            info=info,
            si_code=row.si_code if is_filled else None,
            si_pid=row.si_pid if is_filled else None,
            actor=self._actor(row),
            result=_RESULTS[row.result],
            disposition=_disposition(row),
            is_group=bool(flags & _F_GROUP),
            target_group_exit=bool(flags & _F_GROUP_EXIT),
            target_live_threads=row.live_threads,
            target_exit_state=row.exit_state,
            target_unkillable=bool(flags & _F_UNKILLABLE),
            target_pdeath_signo=row.pdeath_signal,
            actor_is_reaper=bool(flags & _F_CUR_REAPER),
            actor_is_self=bool(flags & _F_CUR_SELF),
            actor_is_tracer=bool(flags & _F_CUR_TRACER),
            is_notification=is_notification,
            notified_child=child if is_notification else None,
            parent_nocldwait=bool(flags & _F_NOCLDWAIT),
        )


def _disposition(row: Any) -> Disposition:
    # SIGKILL and SIGSTOP cannot be blocked; a blocked signal is queued
    # whatever its handler (kernel/signal.c, sig_ignored).
    if row.flags & _F_BLOCKED and row.sig != SIGKILL:
        return Disposition.BLOCKED
    return _DISPOSITIONS.get(row.action, Disposition.DEFAULT)


def _snapshot(row: Any) -> ProcessSnapshot:
    has_parent = bool(row.parent_host_pid)
    return ProcessSnapshot(
        host_pid=row.host_pid,
        start_boot_ns=row.start_boot_ns,
        ns_pid=_some(row.ns_pid),
        comm=_text(row.comm),
        parent_host_pid=row.parent_host_pid,
        parent_start_boot_ns=row.parent_start_boot_ns if has_parent else None,
        parent_comm=_text(row.parent_comm) if has_parent else None,
        parent_pidns_inum=_some(row.parent_pidns_inum),
        pidns_inum=_some(row.pidns_inum),
        pidns_level=row.pidns_level if row.pidns_inum else None,
        init_start_boot_ns=_some(row.init_start_boot_ns),
        cgroup_id=_some(row.cgroup_id),
        is_init=bool(row.flags & _F_INIT),
    )


def _process_event(row: Any) -> ProcessEvent:
    is_zombie = bool(row.exit_state & _EXIT_ZOMBIE)
    return ProcessEvent(
        boot_ns=row.boot_ns,
        process=_snapshot(row),
        is_zombie=is_zombie,
        live_threads=row.live_threads,
        status=WaitStatus.from_raw(row.exit_code) if is_zombie and not row.live_threads else None,
        own_sigchld=_SIGCHLD_ACTIONS.get(row.own_sigchld, SigchldAction.UNKNOWN),
        parent_sigchld=_parent_sigchld(row),
        tracer_host_pid=_some(row.tracer_host_pid),
    )


def _parent_sigchld(row: Any) -> SigchldAction:
    return _SIGCHLD_ACTIONS.get(row.parent_sigchld, SigchldAction.UNKNOWN)


def _exec_event(row: Any) -> ExecEvent:
    return ExecEvent(row.boot_ns, _snapshot(row))


def _exit_begin_event(row: Any) -> ExitBeginEvent:
    return ExitBeginEvent(row.boot_ns, _snapshot(row))


def _exit_event(row: Any) -> ExitEvent:
    return ExitEvent(
        boot_ns=row.boot_ns,
        process=_snapshot(row),
        status=WaitStatus.from_raw(row.exit_code),
        # The counter may fall under the leader's feet: the flag was taken first.
        live_threads=0 if row.flags & _F_GROUP_DEAD else max(1, row.live_threads),
        exit_signo=row.exit_signal,
        parent_sigchld=_parent_sigchld(row),
        parent_nocldwait=bool(row.flags & _F_NOCLDWAIT),
        tracer_host_pid=_some(row.tracer_host_pid),
    )


def _free_event(row: Any) -> ReapEvent:
    return ReapEvent(
        row.boot_ns,
        _snapshot(row),
        None,
        Precision.UPPER_BOUND,
        WaitStatus.from_raw(row.exit_code),
        _parent_sigchld(row),
    )


def _deliver_event(row: Any) -> DeliverEvent:
    is_filled = row.info == CONSTANTS["ZT_INFO_POINTER"]
    return DeliverEvent(
        boot_ns=row.boot_ns,
        process=_snapshot(row),
        target_host_tid=row.host_tid,
        signo=row.sig,
        si_code=row.si_code if is_filled else None,
        disposition=_disposition(row),
        si_pid=row.si_pid if is_filled else None,
    )


def _teardown_begin_event(row: Any) -> TeardownEvent:
    return TeardownEvent(row.boot_ns, _snapshot(row), TeardownPhase.BEGIN)


def _teardown_end_event(row: Any) -> TeardownEvent:
    return TeardownEvent(row.boot_ns, _snapshot(row), TeardownPhase.END)


def _fork_failed_event(row: Any) -> ForkFailedEvent:
    return ForkFailedEvent(row.boot_ns, _snapshot(row), -row.error)
