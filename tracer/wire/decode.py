"""Records to events: the one place where kernel numbers get their meaning.

A batch is worked off by columns and by kind: a column becomes a list in one
call, and only the columns that a kind of event needs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
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
from tracer.wire.layout import CONSTANTS
from tracer.wire.syscalls import syscall_name

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


Records = npt.NDArray[np.void]
Snapshots = Sequence[ProcessSnapshot]


class Decoder:
    """Turns records of one host into events.

    Args:
        machine: ``uname -m`` of the host the records come from: system call
            numbers differ.
    """

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._builders: dict[int, Callable[[Records, Snapshots], Iterable[KernelEvent]]] = {
            CONSTANTS["ZT_KIND_PROCESS"]: _process_events,
            CONSTANTS["ZT_KIND_FORK"]: self._fork_events,
            CONSTANTS["ZT_KIND_EXEC"]: _exec_events,
            CONSTANTS["ZT_KIND_EXIT_BEGIN"]: _exit_begin_events,
            CONSTANTS["ZT_KIND_EXIT"]: _exit_events,
            CONSTANTS["ZT_KIND_REAP"]: self._reap_events,
            CONSTANTS["ZT_KIND_FREE"]: _free_events,
            CONSTANTS["ZT_KIND_SIGNAL"]: self._signal_events,
            CONSTANTS["ZT_KIND_DELIVER"]: _deliver_events,
            CONSTANTS["ZT_KIND_TEARDOWN_BEGIN"]: _teardown_begin_events,
            CONSTANTS["ZT_KIND_TEARDOWN_END"]: _teardown_end_events,
            CONSTANTS["ZT_KIND_OOM"]: self._oom_events,
            CONSTANTS["ZT_KIND_FORK_FAILED"]: _fork_failed_events,
        }

    def decode_batch(self, batch: Records) -> list[KernelEvent]:
        """Decode records, in the order they stand.

        Raises:
            KeyError: A record of a kind this version does not know.
        """
        events: dict[int, KernelEvent] = {}
        kinds = batch["kind"]
        for kind in np.flatnonzero(np.bincount(kinds)).tolist():
            builder = self._builders[kind]
            where = np.flatnonzero(kinds == kind)
            records = batch[where]
            made = builder(records, _snapshots(records))
            events.update(zip(where.tolist(), made, strict=True))
        return [events[position] for position in range(len(batch))]

    def _actors(self, records: Records) -> list[Actor]:
        flags = records["flags"]
        return list(
            map(
                Actor,
                _column(records, "cur_host_pid"),
                map(_some, _column(records, "cur_start_boot_ns")),
                map(_some, _column(records, "cur_host_tid")),
                _column(records, "cur_ns_pid"),
                map(decode_comm, _column(records, "cur_comm")),
                map(_chain, _column(records, "chain_comm")),
                map(self._syscall, _column(records, "sys_nr"), _flag(flags, _F_CUR_COMPAT)),
                _flag(flags, _F_CUR_EXITING),
                _flag(flags, _F_CUR_KTHREAD),
            )
        )

    def _syscall(self, number: int, is_compat: bool) -> str | None:
        return syscall_name(number, self._machine, is_compat=is_compat)

    def _fork_events(self, records: Records, snapshots: Snapshots) -> Iterable[ForkEvent]:
        return map(
            ForkEvent,
            _column(records, "boot_ns"),
            snapshots,
            self._actors(records),
            _column(records, "exit_signal"),
        )

    def _reap_events(self, records: Records, snapshots: Snapshots) -> Iterable[ReapEvent]:
        return _releases(records, snapshots, self._actors(records), Precision.EXACT)

    def _oom_events(self, records: Records, snapshots: Snapshots) -> Iterable[OomEvent]:
        return map(OomEvent, _column(records, "boot_ns"), snapshots, self._actors(records))

    def _signal_events(self, records: Records, snapshots: Snapshots) -> Iterable[SignalEvent]:
        flags = records["flags"]
        infos = [_INFOS[info] for info in _column(records, "info")]
        is_notification = _flag(flags, _F_NOTIFY)
        return map(
            SignalEvent,
            _column(records, "boot_ns"),
            snapshots,
            _column(records, "host_tid"),
            _column(records, "sig"),
            infos,
            map(_if_filled, infos, _column(records, "si_code")),
            map(_if_filled, infos, _column(records, "si_pid")),
            self._actors(records),
            map(_RESULTS.__getitem__, _column(records, "result")),
            _dispositions(records),
            _flag(flags, _F_GROUP),
            _flag(flags, _F_GROUP_EXIT),
            _column(records, "live_threads"),
            _column(records, "exit_state"),
            _flag(flags, _F_UNKILLABLE),
            _column(records, "pdeath_signal"),
            _flag(flags, _F_CUR_REAPER),
            _flag(flags, _F_CUR_SELF),
            _flag(flags, _F_CUR_TRACER),
            is_notification,
            map(
                _notified_child,
                is_notification,
                _column(records, "child_pid"),
                _column(records, "child_start_boot_ns"),
            ),
            _flag(flags, _F_NOCLDWAIT),
        )


def _column(records: Records, name: str) -> list[Any]:
    column: list[Any] = records[name].tolist()
    return column


def _flag(flags: npt.NDArray[Any], bit: int) -> list[bool]:
    column: list[bool] = ((flags & bit) != 0).tolist()
    return column


@lru_cache(maxsize=4096)
def decode_comm(raw: bytes) -> str:
    """Make text of a comm; bytes that are no UTF-8 are spelt out."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


@lru_cache(maxsize=1024)
def decode_status(raw: int) -> WaitStatus:
    """Take a wait status apart."""
    return WaitStatus.from_raw(raw)


def _some(number: int) -> int | None:
    return number or None


def _chain(comms: list[bytes]) -> tuple[str, ...]:
    return tuple(decode_comm(comm) for comm in comms if comm) if comms[0] else ()


def _if_filled(info: SignalInfo, value: int) -> int | None:
    return value if info is SignalInfo.FILLED else None


def _notified_child(is_notification: bool, pid: int, start_boot_ns: int) -> ProcessKey | None:
    return ProcessKey(pid, start_boot_ns) if is_notification and pid else None


def _sigchld_actions(records: Records, name: str) -> list[SigchldAction]:
    return [
        _SIGCHLD_ACTIONS.get(action, SigchldAction.UNKNOWN) for action in _column(records, name)
    ]


def _dispositions(records: Records) -> list[Disposition]:
    return [
        decode_disposition(signo, action, is_blocked=is_blocked)
        for signo, action, is_blocked in zip(
            _column(records, "sig"),
            _column(records, "action"),
            _flag(records["flags"], _F_BLOCKED),
            strict=True,
        )
    ]


def decode_disposition(signo: int, action: int, *, is_blocked: bool) -> Disposition:
    """What a process had arranged for a signal."""
    # SIGKILL and SIGSTOP cannot be blocked; a blocked signal is queued
    # whatever its handler (kernel/signal.c, sig_ignored).
    if is_blocked and signo != SIGKILL:
        return Disposition.BLOCKED
    return _DISPOSITIONS.get(action, Disposition.DEFAULT)


def decode_result(number: int) -> SignalResult:
    """What the kernel did with a signal."""
    return _RESULTS[number]


def is_filled(info: int) -> bool:
    """Whether a signal came with a siginfo that says anything."""
    return _INFOS[info] is SignalInfo.FILLED


def _snapshots(records: Records) -> list[ProcessSnapshot]:
    return list(
        map(
            _snapshot,
            _column(records, "host_pid"),
            _column(records, "start_boot_ns"),
            _column(records, "ns_pid"),
            _column(records, "comm"),
            _column(records, "parent_host_pid"),
            _column(records, "parent_start_boot_ns"),
            _column(records, "parent_comm"),
            _column(records, "parent_pidns_inum"),
            _column(records, "pidns_inum"),
            _column(records, "pidns_level"),
            _column(records, "init_start_boot_ns"),
            _column(records, "cgroup_id"),
            _flag(records["flags"], _F_INIT),
        )
    )


def _snapshot(
    host_pid: int,
    start_boot_ns: int,
    ns_pid: int,
    comm: bytes,
    parent_host_pid: int,
    parent_start_boot_ns: int,
    parent_comm: bytes,
    parent_pidns_inum: int,
    pidns_inum: int,
    pidns_level: int,
    init_start_boot_ns: int,
    cgroup_id: int,
    is_init: bool,
) -> ProcessSnapshot:
    # Parent 0 is nobody inside the kernel: PID 1's, and kernel threads'.
    return ProcessSnapshot(
        host_pid,
        start_boot_ns,
        ns_pid or None,
        decode_comm(comm),
        parent_host_pid,
        parent_start_boot_ns if parent_host_pid else None,
        decode_comm(parent_comm) if parent_host_pid else None,
        parent_pidns_inum or None,
        pidns_inum or None,
        pidns_level if pidns_inum else None,
        init_start_boot_ns or None,
        cgroup_id or None,
        is_init,
    )


def _process_events(records: Records, snapshots: Snapshots) -> Iterable[ProcessEvent]:
    is_zombie = ((records["exit_state"] & _EXIT_ZOMBIE) != 0).tolist()
    live_threads = _column(records, "live_threads")
    return map(
        ProcessEvent,
        _column(records, "boot_ns"),
        snapshots,
        is_zombie,
        live_threads,
        (
            decode_status(raw) if zombie and not live else None
            for raw, zombie, live in zip(
                _column(records, "exit_code"), is_zombie, live_threads, strict=True
            )
        ),
        _sigchld_actions(records, "own_sigchld"),
        _sigchld_actions(records, "parent_sigchld"),
        map(_some, _column(records, "tracer_host_pid")),
    )


def _exec_events(records: Records, snapshots: Snapshots) -> Iterable[ExecEvent]:
    return map(ExecEvent, _column(records, "boot_ns"), snapshots)


def _exit_begin_events(records: Records, snapshots: Snapshots) -> Iterable[ExitBeginEvent]:
    return map(ExitBeginEvent, _column(records, "boot_ns"), snapshots)


def _exit_events(records: Records, snapshots: Snapshots) -> Iterable[ExitEvent]:
    # The counter may fall under the leader's feet: the flag was taken first.
    is_dead = (records["flags"] & _F_GROUP_DEAD) != 0
    live_threads = np.where(is_dead, 0, np.maximum(1, records["live_threads"]))
    return map(
        ExitEvent,
        _column(records, "boot_ns"),
        snapshots,
        map(decode_status, _column(records, "exit_code")),
        live_threads.tolist(),
        _column(records, "exit_signal"),
        _sigchld_actions(records, "parent_sigchld"),
        _flag(records["flags"], _F_NOCLDWAIT),
        map(_some, _column(records, "tracer_host_pid")),
    )


def _free_events(records: Records, snapshots: Snapshots) -> Iterable[ReapEvent]:
    return _releases(records, snapshots, repeat(None), Precision.UPPER_BOUND)


def _releases(
    records: Records, snapshots: Snapshots, actors: Iterable[Actor | None], precision: Precision
) -> Iterable[ReapEvent]:
    return map(
        ReapEvent,
        _column(records, "boot_ns"),
        snapshots,
        actors,
        repeat(precision),
        map(decode_status, _column(records, "exit_code")),
        _sigchld_actions(records, "parent_sigchld"),
    )


def _deliver_events(records: Records, snapshots: Snapshots) -> Iterable[DeliverEvent]:
    infos = [_INFOS[info] for info in _column(records, "info")]
    return map(
        DeliverEvent,
        _column(records, "boot_ns"),
        snapshots,
        _column(records, "host_tid"),
        _column(records, "sig"),
        map(_if_filled, infos, _column(records, "si_code")),
        _dispositions(records),
        map(_if_filled, infos, _column(records, "si_pid")),
    )


def _teardown_begin_events(records: Records, snapshots: Snapshots) -> Iterable[TeardownEvent]:
    begin = repeat(TeardownPhase.BEGIN)
    return map(TeardownEvent, _column(records, "boot_ns"), snapshots, begin)


def _teardown_end_events(records: Records, snapshots: Snapshots) -> Iterable[TeardownEvent]:
    end = repeat(TeardownPhase.END)
    return map(TeardownEvent, _column(records, "boot_ns"), snapshots, end)


def _fork_failed_events(records: Records, snapshots: Snapshots) -> Iterable[ForkFailedEvent]:
    errnos = (-records["error"]).tolist()
    return map(ForkFailedEvent, _column(records, "boot_ns"), snapshots, errnos)
