"""Members of records, as columns: the numbers of one kind and what they mean."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.model.events import SigchldAction
from tracer.model.identity import ProcessSnapshot
from tracer.model.signals import SIGKILL, Disposition
from tracer.model.wait_status import WaitStatus
from tracer.wire.layout import CONSTANTS

Records = npt.NDArray[np.void]

_F_BLOCKED = CONSTANTS["ZT_F_BLOCKED"]
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


def column(records: Records, name: str) -> list[Any]:
    """One member of all records."""
    values: list[Any] = records[name].tolist()
    return values


def flag(flags: npt.NDArray[Any], bit: int) -> list[bool]:
    """Whether a flag is set, of each."""
    values: list[bool] = ((flags & bit) != 0).tolist()
    return values


@lru_cache(maxsize=4096)
def decode_comm(raw: bytes) -> str:
    """Make text of a comm; bytes that are no UTF-8 are spelt out."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


@lru_cache(maxsize=1024)
def decode_status(raw: int) -> WaitStatus:
    """Take a wait status apart."""
    return WaitStatus.from_raw(raw)


def statuses(records: Records) -> list[WaitStatus | None]:
    """The wait statuses; None with an error: /proc keeps them from who may not ask."""
    return [
        None if error else decode_status(raw)
        for raw, error in zip(column(records, "exit_code"), column(records, "error"), strict=True)
    ]


def some(number: int) -> int | None:
    """Take 0 for nothing."""
    return number or None


def sigchld_actions(records: Records, name: str) -> list[SigchldAction]:
    """What a parent does about SIGCHLD, by one of the members."""
    return [_SIGCHLD_ACTIONS.get(action, SigchldAction.UNKNOWN) for action in column(records, name)]


def dispositions(records: Records) -> list[Disposition]:
    """What the subjects had arranged for the signals."""
    return [
        _disposition(signo, action, is_blocked=is_blocked)
        for signo, action, is_blocked in zip(
            column(records, "sig"),
            column(records, "action"),
            flag(records["flags"], _F_BLOCKED),
            strict=True,
        )
    ]


def _disposition(signo: int, action: int, *, is_blocked: bool) -> Disposition:
    """What a process had arranged for a signal."""
    # SIGKILL and SIGSTOP cannot be blocked; a blocked signal is queued
    # whatever its handler (kernel/signal.c, sig_ignored).
    if is_blocked and signo != SIGKILL:
        return Disposition.BLOCKED
    return _DISPOSITIONS.get(action, Disposition.DEFAULT)


def snapshots_of(records: Records) -> list[ProcessSnapshot]:
    """The processes that records are about."""
    return list(
        map(
            _snapshot,
            column(records, "host_pid"),
            column(records, "start_boot_ns"),
            column(records, "ns_pid"),
            column(records, "comm"),
            column(records, "parent_host_pid"),
            column(records, "parent_start_boot_ns"),
            column(records, "parent_comm"),
            column(records, "parent_pidns_inum"),
            column(records, "pidns_inum"),
            column(records, "pidns_level"),
            column(records, "init_start_boot_ns"),
            column(records, "cgroup_id"),
            flag(records["flags"], _F_INIT),
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
    # Parent 0 is no process: PID 1 and kernel threads have it.
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
