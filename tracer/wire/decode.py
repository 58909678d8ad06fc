"""Records to events: the one place where kernel numbers get their meaning.

A batch is worked off by columns and by kind: a column becomes a list in one
call, and only the columns that a kind of event needs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import numpy as np

from tracer.model.events import (
    DeliverEvent,
    ExecEvent,
    ExitBeginEvent,
    ExitEvent,
    ForkEvent,
    ForkFailedEvent,
    KernelEvent,
    LifetimeEvent,
    OomEvent,
    Precision,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
    SignalInfo,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.identity import Actor, ProcessKey, ProcessSnapshot
from tracer.model.lifetime import split_lifetime
from tracer.model.signals import SignalResult
from tracer.model.syscalls import syscall_name
from tracer.wire.layout import CONSTANTS
from tracer.wire.members import (
    Records,
    column,
    decode_comm,
    decode_status,
    dispositions,
    flag,
    sigchld_actions,
    snapshots_of,
    some,
    statuses,
)

_EXIT_ZOMBIE = 0x20
"""task_struct.exit_state of a zombie (include/linux/sched.h)."""

_F_CUR_EXITING = CONSTANTS["ZT_F_CUR_EXITING"]
_F_CUR_REAPER = CONSTANTS["ZT_F_CUR_REAPER"]
_F_CUR_SELF = CONSTANTS["ZT_F_CUR_SELF"]
_F_CUR_TRACER = CONSTANTS["ZT_F_CUR_TRACER"]
_F_CUR_COMPAT = CONSTANTS["ZT_F_CUR_COMPAT"]
_F_CUR_KTHREAD = CONSTANTS["ZT_F_CUR_KTHREAD"]
_F_CUR_UID = CONSTANTS["ZT_F_CUR_UID"]
_F_GROUP_EXIT = CONSTANTS["ZT_F_GROUP_EXIT"]
_F_UNKILLABLE = CONSTANTS["ZT_F_UNKILLABLE"]
_F_GROUP = CONSTANTS["ZT_F_GROUP"]
_F_NOTIFY = CONSTANTS["ZT_F_NOTIFY"]
_F_GROUP_DEAD = CONSTANTS["ZT_F_GROUP_DEAD"]
_F_NOCLDWAIT = CONSTANTS["ZT_F_NOCLDWAIT"]
_F_RELEASED = CONSTANTS["ZT_F_RELEASED"]
_F_EXACT = CONSTANTS["ZT_F_EXACT"]
_F_FOUND = CONSTANTS["ZT_F_FOUND"]

_INFOS = {
    CONSTANTS["ZT_INFO_NOINFO"]: SignalInfo.NONE,
    CONSTANTS["ZT_INFO_PRIV"]: SignalInfo.KERNEL,
    CONSTANTS["ZT_INFO_POINTER"]: SignalInfo.FILLED,
}
# enum in include/trace/events/signal.h: TRACE_SIGNAL_*
_RESULTS = tuple(SignalResult)


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
            CONSTANTS["ZT_KIND_LIFETIME"]: _lifetime_events,
        }

    def decode_batch(self, batch: Records) -> list[KernelEvent]:
        """Decode records, in the order they stand.

        Raises:
            KeyError: A record of a kind this version does not know.
        """
        return [event for events in self.decode_each(batch) for event in events]

    def decode_each(self, batch: Records) -> list[Sequence[KernelEvent]]:
        """Decode records one by one: the lifetime of a living process stands for several events.

        Raises:
            KeyError: A record of a kind this version does not know.
        """
        events: dict[int, Sequence[KernelEvent]] = {}
        kinds = batch["kind"]
        for kind in np.flatnonzero(np.bincount(kinds)).tolist():
            builder = self._builders[kind]
            where = np.flatnonzero(kinds == kind)
            records = batch[where]
            decoded = map(_unfold, builder(records, snapshots_of(records)))
            events.update(zip(where.tolist(), decoded, strict=True))
        return [events[position] for position in range(len(batch))]

    def _actors(self, records: Records) -> list[Actor]:
        flags = records["flags"]
        return list(
            map(
                Actor,
                column(records, "cur_host_pid"),
                map(some, column(records, "cur_start_boot_ns")),
                map(some, column(records, "cur_host_tid")),
                column(records, "cur_ns_pid"),
                map(decode_comm, column(records, "cur_comm")),
                map(_chain, column(records, "chain_comm")),
                map(self._syscall, column(records, "sys_nr"), flag(flags, _F_CUR_COMPAT)),
                flag(flags, _F_CUR_EXITING),
                flag(flags, _F_CUR_KTHREAD),
                map(_if_known, flag(flags, _F_CUR_UID), column(records, "cur_uid")),
                map(some, column(records, "cur_cgroup_id")),
            )
        )

    def _syscall(self, number: int, is_compat: bool) -> str | None:
        return syscall_name(number, self._machine, is_compat=is_compat)

    def _fork_events(self, records: Records, snapshots: Snapshots) -> Iterable[ForkEvent]:
        return map(
            ForkEvent,
            column(records, "boot_ns"),
            snapshots,
            self._actors(records),
            column(records, "exit_signal"),
        )

    def _reap_events(self, records: Records, snapshots: Snapshots) -> Iterable[ReapEvent]:
        return _releases(records, snapshots, self._actors(records), Precision.EXACT, repeat(None))

    def _oom_events(self, records: Records, snapshots: Snapshots) -> Iterable[OomEvent]:
        return map(OomEvent, column(records, "boot_ns"), snapshots, self._actors(records))

    def _signal_events(self, records: Records, snapshots: Snapshots) -> Iterable[SignalEvent]:
        flags = records["flags"]
        infos = [_INFOS[info] for info in column(records, "info")]
        is_notification = flag(flags, _F_NOTIFY)
        return map(
            SignalEvent,
            column(records, "boot_ns"),
            snapshots,
            column(records, "host_tid"),
            column(records, "sig"),
            infos,
            map(_if_filled, infos, column(records, "si_code")),
            map(_if_filled, infos, column(records, "si_pid")),
            self._actors(records),
            map(_RESULTS.__getitem__, column(records, "result")),
            dispositions(records),
            flag(flags, _F_GROUP),
            flag(flags, _F_GROUP_EXIT),
            column(records, "live_threads"),
            column(records, "exit_state"),
            flag(flags, _F_UNKILLABLE),
            column(records, "pdeath_signal"),
            flag(flags, _F_CUR_REAPER),
            flag(flags, _F_CUR_SELF),
            flag(flags, _F_CUR_TRACER),
            is_notification,
            map(
                _notified_child,
                is_notification,
                column(records, "child_pid"),
                column(records, "child_start_boot_ns"),
            ),
            flag(flags, _F_NOCLDWAIT),
            column(records, "repeats"),
            map(some, column(records, "repeats_since_ns")),
            map(some, column(records, "cpu_limit_s")),
        )


def _chain(comms: list[bytes]) -> tuple[str, ...]:
    return tuple(decode_comm(comm) for comm in comms if comm) if comms[0] else ()


def _if_known(is_known: bool, value: int) -> int | None:
    return value if is_known else None


def _if_filled(info: SignalInfo, value: int) -> int | None:
    return value if info is SignalInfo.FILLED else None


def _notified_child(is_notification: bool, pid: int, start_boot_ns: int) -> ProcessKey | None:
    return ProcessKey(pid, start_boot_ns) if is_notification and pid else None


def _process_events(records: Records, snapshots: Snapshots) -> Iterable[ProcessEvent]:
    is_zombie = ((records["exit_state"] & _EXIT_ZOMBIE) != 0).tolist()
    live_threads = column(records, "live_threads")
    return map(
        ProcessEvent,
        column(records, "boot_ns"),
        snapshots,
        is_zombie,
        live_threads,
        (
            status if zombie and not live else None
            for status, zombie, live in zip(statuses(records), is_zombie, live_threads, strict=True)
        ),
        sigchld_actions(records, "own_sigchld"),
        sigchld_actions(records, "parent_sigchld"),
        map(some, column(records, "tracer_host_pid")),
    )


def _exec_events(records: Records, snapshots: Snapshots) -> Iterable[ExecEvent]:
    return map(ExecEvent, column(records, "boot_ns"), snapshots)


def _exit_begin_events(records: Records, snapshots: Snapshots) -> Iterable[ExitBeginEvent]:
    return map(ExitBeginEvent, column(records, "boot_ns"), snapshots)


def _exit_events(records: Records, snapshots: Snapshots) -> Iterable[ExitEvent]:
    # The counter may fall under the leader's feet: the flag was taken first.
    is_dead = (records["flags"] & _F_GROUP_DEAD) != 0
    live_threads = np.where(is_dead, 0, np.maximum(1, records["live_threads"]))
    return map(
        ExitEvent,
        column(records, "boot_ns"),
        snapshots,
        map(decode_status, column(records, "exit_code")),
        live_threads.tolist(),
        column(records, "exit_signal"),
        sigchld_actions(records, "parent_sigchld"),
        flag(records["flags"], _F_NOCLDWAIT),
        map(some, column(records, "tracer_host_pid")),
    )


def _free_events(records: Records, snapshots: Snapshots) -> Iterable[ReapEvent]:
    # Where its pidfd reported the release, this is the exact time.
    hung_up_ns = records["notified_ns"]
    # There is no current here: the field is set by the sweep (tracer/kernel/sweep.py).
    seen_ns = np.where(hung_up_ns != 0, 0, records["cur_start_boot_ns"])
    return map(
        ReapEvent,
        np.where(hung_up_ns != 0, hung_up_ns, records["boot_ns"]).tolist(),
        snapshots,
        repeat(None),
        (Precision.EXACT if ns else Precision.UPPER_BOUND for ns in hung_up_ns.tolist()),
        statuses(records),
        sigchld_actions(records, "parent_sigchld"),
        map(some, seen_ns.tolist()),
    )


def _lifetime_events(records: Records, snapshots: Snapshots) -> Iterable[LifetimeEvent]:
    flags = records["flags"]
    names = records["chain_comm"]
    is_over = ((flags & _F_RELEASED) != 0).tolist()
    exits = column(records, "exit_ns")
    return map(
        LifetimeEvent,
        column(records, "boot_ns"),
        snapshots,
        map(decode_comm, names[:, 1].tolist()),
        column(records, "forked_ns"),
        map(some, column(records, "exec_ns")),
        (decode_comm(name) or None for name in names[:, 0].tolist()),
        map(some, exits),
        (
            decode_status(raw) if exit_ns else None
            for raw, exit_ns in zip(column(records, "exit_code"), exits, strict=True)
        ),
        map(some, column(records, "notified_ns")),
        map(_release_precision, is_over, flag(flags, _F_EXACT)),
        sigchld_actions(records, "parent_sigchld"),
        column(records, "si_code"),
        column(records, "si_pid"),
        dispositions(records),
        map(_RESULTS.__getitem__, column(records, "result")),
        map(some, _last_seen(records)),
    )


def _last_seen(lifetimes: Records) -> list[int]:
    """When processes whose release no hook saw were last there, 0 for the others."""
    last_ns = np.maximum(lifetimes["exit_ns"], lifetimes["notified_ns"])
    is_found = (lifetimes["flags"] & _F_FOUND) != 0
    seen_ns: list[int] = np.where(is_found, last_ns, 0).tolist()
    return seen_ns


def _release_precision(is_over: bool, is_exact: bool) -> Precision | None:
    if not is_over:
        return None
    return Precision.EXACT if is_exact else Precision.UPPER_BOUND


def _unfold(event: KernelEvent) -> Sequence[KernelEvent]:
    if isinstance(event, LifetimeEvent) and event.precision is None:
        return tuple(split_lifetime(event))
    return (event,)


def _releases(
    records: Records,
    snapshots: Snapshots,
    actors: Iterable[Actor | None],
    precision: Precision,
    seen: Iterable[int | None],
) -> Iterable[ReapEvent]:
    return map(
        ReapEvent,
        column(records, "boot_ns"),
        snapshots,
        actors,
        repeat(precision),
        map(decode_status, column(records, "exit_code")),
        sigchld_actions(records, "parent_sigchld"),
        seen,
    )


def _deliver_events(records: Records, snapshots: Snapshots) -> Iterable[DeliverEvent]:
    infos = [_INFOS[info] for info in column(records, "info")]
    return map(
        DeliverEvent,
        column(records, "boot_ns"),
        snapshots,
        column(records, "host_tid"),
        column(records, "sig"),
        map(_if_filled, infos, column(records, "si_code")),
        dispositions(records),
        map(_if_filled, infos, column(records, "si_pid")),
    )


def _teardown_begin_events(records: Records, snapshots: Snapshots) -> Iterable[TeardownEvent]:
    begin = repeat(TeardownPhase.BEGIN)
    return map(TeardownEvent, column(records, "boot_ns"), snapshots, begin)


def _teardown_end_events(records: Records, snapshots: Snapshots) -> Iterable[TeardownEvent]:
    end = repeat(TeardownPhase.END)
    return map(TeardownEvent, column(records, "boot_ns"), snapshots, end)


def _fork_failed_events(records: Records, snapshots: Snapshots) -> Iterable[ForkFailedEvent]:
    errnos = (-records["error"]).tolist()
    return map(ForkFailedEvent, column(records, "boot_ns"), snapshots, errnos)
