"""What the search for ordinary lives needs of each record, as few and narrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.model.identity import ProcessKey
from tracer.wire.decode import decode_comm
from tracer.wire.layout import CONSTANTS
from tracer.wire.process_ids import Ids, process_ids

Mask = npt.NDArray[np.bool_]
Table = dict[str, npt.NDArray[Any]]
"""What :class:`Rows` gathers, a row for each record."""

NOTICE = CONSTANTS["ZT_KIND_COUNT"]
"""Stands for a SIGNAL that is an exit notification; it is about the child."""
COLUMNS = (
    "boot_ns", "start_boot_ns", "parent_start_boot_ns", "cur_start_boot_ns",
    "child_start_boot_ns", "kind", "flags", "host_pid", "parent_host_pid", "pidns_inum",
    "pidns_level", "tracer_host_pid", "exit_code", "exit_signal",
    "cur_host_pid", "sig", "si_pid", "child_pid", "comm", "parent_comm", "cur_comm",
)  # fmt: skip
_FORK, _EXEC = CONSTANTS["ZT_KIND_FORK"], CONSTANTS["ZT_KIND_EXEC"]
_EXIT_BEGIN, _EXIT = CONSTANTS["ZT_KIND_EXIT_BEGIN"], CONSTANTS["ZT_KIND_EXIT"]
_REAP, _FREE = CONSTANTS["ZT_KIND_REAP"], CONSTANTS["ZT_KIND_FREE"]
MEETINGS = (CONSTANTS["ZT_KIND_PROCESS"], _FORK, _EXEC)
"""By which the correlator comes to know a process."""
_SIGNAL = CONSTANTS["ZT_KIND_SIGNAL"]
_F_NOTIFY, _F_INIT = CONSTANTS["ZT_F_NOTIFY"], CONSTANTS["ZT_F_INIT"]
_F_NOCLDWAIT, _F_GROUP_DEAD = CONSTANTS["ZT_F_NOCLDWAIT"], CONSTANTS["ZT_F_GROUP_DEAD"]
_F_CUR_EXITING = CONSTANTS["ZT_F_CUR_EXITING"]
_SIGCHLD = 17
_NAME_SALT = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Parent:
    """Who forked, as a fork names it."""

    key: ProcessKey
    comm: str


@dataclass(slots=True)
class Rows:
    """The columns of some records, gathered batch by batch."""

    parts: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    parents: dict[int, Parent] = field(default_factory=dict)

    def add(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Take one batch.

        ``about`` is the process a record is about; ``parent`` who forked it, or
        of a notice who was told; ``actor`` in whose context it happened.
        """
        flags, kinds = columns["flags"], columns["kind"].astype(np.uint8)
        notice = is_notice(kinds, flags)
        kinds[notice] = NOTICE
        subject = process_ids(columns["host_pid"], columns["start_boot_ns"])
        parent = process_ids(columns["parent_host_pid"], columns["parent_start_boot_ns"])
        actor = process_ids(columns["cur_host_pid"], columns["cur_start_boot_ns"])
        child = process_ids(columns["child_pid"], columns["child_start_boot_ns"])
        about = np.where(notice, child, subject)
        holder = np.where(notice, subject, parent)
        own_name, parent_name = _names(columns["comm"]), _names(columns["parent_comm"])
        forks = np.flatnonzero(kinds == _FORK)
        for parent_id, first in zip(*np.unique(parent[forks], return_index=True), strict=True):
            row = forks[first]
            self.parents[int(parent_id)] = Parent(
                ProcessKey(
                    int(columns["parent_host_pid"][row]), int(columns["parent_start_boot_ns"][row])
                ),
                decode_comm(columns["parent_comm"][row]),
            )
        self.parts.append(
            {
                "boot_ns": columns["boot_ns"].copy(),
                "about": about,
                "parent": holder,
                "actor": actor,
                "kind": kinds,
                "plain": _is_plain(columns, kinds, actor == about, actor == parent),
                "bare_pid": _bare_pids(columns, notice),
                "about_name": np.where(notice, 0, own_name),
                "parent_name": np.where(notice, own_name, parent_name),
                "actor_name": _names(columns["cur_comm"]),
            }
        )

    def join(self) -> Table:
        """All batches as one; they are given up."""
        joined = {}
        for name in list(self.parts[0]):
            joined[name] = np.concatenate([part.pop(name) for part in self.parts])
        return joined


def is_one_of(kinds: npt.NDArray[np.uint8], wanted: Sequence[int]) -> Mask:
    """Which are of some kinds; np.isin() takes three times as long for a few."""
    found: Mask = kinds == wanted[0]
    for kind in wanted[1:]:
        found |= kinds == kind
    return found


def is_notice(kinds: npt.NDArray[Any], flags: npt.NDArray[Any]) -> Mask:
    """Which records tell somebody of a child's end."""
    notice: Mask = (kinds == _SIGNAL) & ((flags & _F_NOTIFY) != 0)
    return notice


def _is_plain(
    columns: dict[str, npt.NDArray[Any]], kinds: npt.NDArray[Any], is_own: Mask, is_parents: Mask
) -> Mask:
    """Which records may be of an ordinary life, each by itself."""
    flags = columns["flags"]
    on_host = (columns["pidns_level"] == 0) & (columns["pidns_inum"] != 0)
    plain = on_host & (kinds == _EXEC)
    plain |= on_host & (kinds == _FORK) & (columns["exit_signal"] == _SIGCHLD) & is_parents
    plain |= (kinds == _EXIT_BEGIN) | (kinds == _FREE)
    plain |= (
        (kinds == _EXIT)
        & ((flags & _F_GROUP_DEAD) != 0)
        & (columns["tracer_host_pid"] == 0)
        & ((columns["exit_code"] & 0x7F) == 0)
    )
    plain |= (kinds == _REAP) & is_parents & ((flags & _F_CUR_EXITING) == 0)
    plain |= (
        (kinds == NOTICE)
        & is_own
        & (columns["sig"] == _SIGCHLD)
        & (columns["child_pid"] != 0)
        & (columns["child_start_boot_ns"] != 0)
        & ((flags & _F_NOCLDWAIT) == 0)
    )
    is_init = (flags & _F_INIT) != 0
    found: Mask = plain & ((kinds == NOTICE) | ~is_init)
    return found


def _bare_pids(columns: dict[str, npt.NDArray[Any]], notice: Mask) -> npt.NDArray[np.uint32]:
    """Pids by which a record speaks of a process whose start it does not tell."""
    bare = np.where(columns["start_boot_ns"] == 0, columns["host_pid"], 0)
    return np.where(
        notice & ((columns["child_pid"] == 0) | (columns["child_start_boot_ns"] == 0)),
        np.where(columns["child_pid"] != 0, columns["child_pid"], columns["si_pid"]),
        bare,
    ).astype(np.uint32)


def _names(comms: npt.NDArray[Any]) -> Ids:
    """A number for each name, to compare by."""
    halves = np.ascontiguousarray(comms).view(np.uint64).reshape(len(comms), 2)
    hashed: Ids = (halves[:, 0] * _NAME_SALT) ^ halves[:, 1]
    return hashed
