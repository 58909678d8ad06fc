"""Ordinary lives on a host, found by whole columns before anything is decoded.

On a busy host nearly every record is of a process that is born, ends by itself
and is reaped at once by who forked it. The correlator forgets such a process as
it is reaped; so its records need not reach it, and the report of what is left is
the same. There is no second correlator: what is left out is so plain a life that
columns show it, and in doubt a process stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.correlate.correlator import Correlator
from tracer.model.identity import ProcessKey
from tracer.wire.decode import decode_comm
from tracer.wire.layout import CONSTANTS
from tracer.wire.process_ids import Ids, is_in, pids_of, process_ids

Columns = Callable[[str], npt.NDArray[Any]]
Mask = npt.NDArray[np.bool_]
Table = dict[str, npt.NDArray[Any]]
"""What :class:`Rows` gathers, a row for each record."""

_FORK, _EXEC = CONSTANTS["ZT_KIND_FORK"], CONSTANTS["ZT_KIND_EXEC"]
_EXIT_BEGIN, _EXIT = CONSTANTS["ZT_KIND_EXIT_BEGIN"], CONSTANTS["ZT_KIND_EXIT"]
_REAP, _FREE = CONSTANTS["ZT_KIND_REAP"], CONSTANTS["ZT_KIND_FREE"]
_SIGNAL, _NOTICE = CONSTANTS["ZT_KIND_SIGNAL"], CONSTANTS["ZT_KIND_COUNT"]
"""Stands for a SIGNAL that is an exit notification; it is about the child."""
_RELEASES = (_REAP, _FREE)
_MEETINGS = (CONSTANTS["ZT_KIND_PROCESS"], _FORK, _EXEC)
_F_NOTIFY, _F_INIT = CONSTANTS["ZT_F_NOTIFY"], CONSTANTS["ZT_F_INIT"]
_F_NOCLDWAIT, _F_GROUP_DEAD = CONSTANTS["ZT_F_NOCLDWAIT"], CONSTANTS["ZT_F_GROUP_DEAD"]
_F_CUR_EXITING = CONSTANTS["ZT_F_CUR_EXITING"]
_SIGCHLD = 17
COLUMNS = (
    "boot_ns", "start_boot_ns", "parent_start_boot_ns", "cur_start_boot_ns",
    "child_start_boot_ns", "kind", "flags", "host_pid", "parent_host_pid", "pidns_inum",
    "pidns_level", "tracer_host_pid", "exit_code", "exit_signal",
    "cur_host_pid", "sig", "si_pid", "child_pid", "comm", "parent_comm", "cur_comm",
)  # fmt: skip
CHOSEN_BY = ("kind", "flags", "host_pid", "start_boot_ns", "child_pid", "child_start_boot_ns")
"""The columns that :meth:`Sieve.choose` asks for."""
Narrow = Callable[[Table, Ids, Ids], Mask]
"""Given the records, the lives and who forked each."""
Renames = Callable[[Table, Ids], Ids]
_NAME_SALT = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which processes of a capture lived ordinary lives.

    Args:
        ordinary: Their ids, sorted.
        reaped: How many of them each parent reaped.
        last_boot_ns: The time of the last record of all.
    """

    ordinary: Ids
    reaped: dict[ProcessKey, int]
    last_boot_ns: int

    def choose(self, columns: Columns, count: int) -> Mask:  # noqa: ARG002
        """Pick the records that tell of anything else."""
        about = process_ids(columns("host_pid"), columns("start_boot_ns"))
        notices = _is_notice(columns("kind"), columns("flags"))
        told_of = process_ids(columns("child_pid"), columns("child_start_boot_ns"))
        chosen: Mask = ~is_in(np.where(notices, told_of, about), self.ordinary)
        return chosen

    def settle(self, correlator: Correlator) -> None:
        """Add what the records left out would have: children reaped, time passed."""
        for key, number in self.reaped.items():
            state = correlator.table.get(key)
            if state is not None:
                state.children_reaped += number
        correlator.pass_time(self.last_boot_ns)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known from before a batch.

    Args:
        pids: Of processes not known to be released, sorted.
        name_of: The newest name of a process; None = it was not met.
    """

    pids: Ids
    name_of: Callable[[ProcessKey], str | None]


def sift_batch(records: npt.NDArray[np.void], min_zombie_ns: int, known: Known) -> Sieve:
    """Find the ordinary lives that begin and end within one batch of a trace.

    Args:
        records: One at the least, in order of time.
        min_zombie_ns: Longer zombies are not ordinary.
        known: What came before.
    """
    rows = Rows()
    rows.add({name: records[name] for name in COLUMNS})
    return sift(rows, min_zombie_ns, known)


def sift(
    rows: Rows,
    min_zombie_ns: int,
    known: Known | None,
    narrow: Narrow | None = None,
    renames: Renames | None = None,
) -> Sieve:
    """Find the ordinary lives in what was gathered.

    Args:
        rows: Of one record at the least; they are given up.
        min_zombie_ns: Longer zombies are not ordinary.
        known: What came before, or None where nothing did.
        narrow: Says which of them to take, before those go that others concern.
        renames: Says whose children are not ordinary because of its names.
    """
    table = rows.join()
    ordinary, parents, released_ns = _find_lives(table, min_zombie_ns)
    met = _met_by(table, parents, released_ns)
    if known is not None:
        met |= is_in(parents, _known_before(np.unique(parents), rows, known))
        met &= ~is_in(pids_of(ordinary), known.pids)
    met &= released_ns <= _first_of_each(table, parents, _RELEASES)
    ordinary, parents = ordinary[met], parents[met]
    if narrow is not None and len(ordinary):
        taken = narrow(table, ordinary, parents)
        ordinary, parents = ordinary[taken], parents[taken]
    while True:
        stays = _concerned(table, ordinary, parents, renames or renamed)
        keep = ~stays
        if keep.all():
            break
        ordinary, parents = ordinary[keep], parents[keep]
    counted, numbers = np.unique(parents, return_counts=True)
    reaped = {
        rows.parents[parent].key: number
        for parent, number in zip(counted.tolist(), numbers.tolist(), strict=True)
    }
    return Sieve(ordinary, reaped, int(table["boot_ns"].max()))


def _known_before(parents: Ids, rows: Rows, known: Known) -> Ids:
    """Which of them are known, by the very name that the records have for them.

    Another name has to be told, and nobody may be there to tell it but a child.
    """
    found = [
        number
        for number in parents.tolist()
        if known.name_of(rows.parents[number].key) == rows.parents[number].comm
    ]
    return np.array(found, np.uint64)


@dataclass(frozen=True, slots=True)
class _Parent:
    """Who forked, as its first fork names it."""

    key: ProcessKey
    comm: str


@dataclass(slots=True)
class Rows:
    """What of each record the search needs, as few and narrow columns."""

    parts: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    parents: dict[int, _Parent] = field(default_factory=dict)

    def add(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Take one batch.

        ``about`` is the process a record is about; ``parent`` who forked it, or
        of a notice who was told; ``actor`` in whose context it happened.
        """
        flags, kinds = columns["flags"], columns["kind"].astype(np.uint8)
        notice = _is_notice(kinds, flags)
        kinds[notice] = _NOTICE
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
            self.parents[int(parent_id)] = _Parent(
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


def _is_notice(kinds: npt.NDArray[Any], flags: npt.NDArray[Any]) -> Mask:
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
        (kinds == _NOTICE)
        & is_own
        & (columns["sig"] == _SIGCHLD)
        & (columns["child_pid"] != 0)
        & (columns["child_start_boot_ns"] != 0)
        & ((flags & _F_NOCLDWAIT) == 0)
    )
    is_init = (flags & _F_INIT) != 0
    found: Mask = plain & ((kinds == _NOTICE) | ~is_init)
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


def _find_lives(table: Table, min_zombie_ns: int) -> tuple[Ids, Ids, Ids]:
    """The processes all of whose records make one ordinary life, parents, releases."""
    ids, life = np.unique(table["about"], return_inverse=True)
    life = life.astype(np.uint32)
    kinds, boot_ns, parents = table["kind"], table["boot_ns"], table["parent"]
    is_ordinary = np.bincount(life[~table["plain"]], minlength=len(ids)) == 0

    def first_of(*wanted: int) -> tuple[npt.NDArray[Any], Ids, Ids]:
        rows = np.flatnonzero(np.isin(kinds, wanted))[::-1]
        of_life = life[rows]
        stamps, holders = np.zeros(len(ids), np.uint64), np.zeros(len(ids), np.uint64)
        # The last written of each is the first in time.
        stamps[of_life], holders[of_life] = boot_ns[rows], parents[rows]
        return np.bincount(of_life, minlength=len(ids)), stamps, holders

    forks, forked_ns, forker = first_of(_FORK)
    exits, exited_ns, _ = first_of(_EXIT)
    notices, told_ns, told = first_of(_NOTICE)
    releases, released_ns, releaser = first_of(*_RELEASES)
    is_ordinary &= (forks == 1) & (exits == 1) & (notices == 1) & (releases >= 1)
    is_ordinary &= (forked_ns <= exited_ns) & (exited_ns <= told_ns) & (told_ns <= released_ns)
    is_ordinary &= (forker == told) & (forker == releaser)
    # One parent from first to last: a record names whom it calls its parent.
    is_odd = parents != forker[life]
    # A record from before the birth, or from beyond the grave, starts another story.
    is_odd |= boot_ns < forked_ns[life]
    is_odd |= (boot_ns > released_ns[life]) & (kinds != _FREE)
    is_ordinary &= np.bincount(life[is_odd], minlength=len(ids)) == 0
    # From the end on, which is earlier than the notice a zombie is counted from.
    is_ordinary &= released_ns - exited_ns < np.uint64(min_zombie_ns)
    return ids[is_ordinary], forker[is_ordinary], released_ns[is_ordinary]


def _met_by(table: Table, parents: Ids, released_ns: Ids) -> Mask:
    """Whether each parent was there for the trace when its child was released.

    Whom the correlator has not met yet it cannot count a reaped child for.
    """
    met: Mask = _first_of_each(table, parents, _MEETINGS) < released_ns
    return met


def _first_of_each(table: Table, whom: Ids, kinds: tuple[int, ...]) -> npt.NDArray[np.uint64]:
    """The time of the first record of some kinds about each; later than all for none."""
    owners, owner = np.unique(whom, return_inverse=True)
    rows = np.flatnonzero(is_in(table["about"], owners) & np.isin(table["kind"], kinds))
    first_ns = np.full(len(owners), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first_ns, np.searchsorted(owners, table["about"][rows]), table["boot_ns"][rows])
    return first_ns[owner]


def _concerned(table: Table, ordinary: Ids, parents: Ids, renames: Renames) -> Mask:
    """Which of the ordinary lives something that stays has to do with."""
    left_out = is_in(table["about"], ordinary)
    stays = ~left_out
    named = np.unique(
        np.concatenate([table["parent"][stays], table["actor"][stays], table["about"][stays]])
    )
    concerned = is_in(ordinary, named)
    concerned |= is_in(parents, _without_child_named(table, stays))
    # A pid says who is meant, and that its last owner is gone.
    rows = np.flatnonzero(stays)[::-1]
    about, last = np.unique(table["about"][rows], return_index=True)
    unreleased = about[~np.isin(table["kind"][rows[last]], _RELEASES)]
    bare_pids = table["bare_pid"]
    pids = np.unique(np.concatenate([pids_of(unreleased), bare_pids[bare_pids != 0]]))
    concerned |= is_in(pids_of(ordinary), pids)
    staying = np.unique(parents[~is_in(parents, ordinary)])
    concerned |= is_in(parents, renames(table, staying))
    return concerned


def _without_child_named(table: Table, stays: Mask) -> Ids:
    """Who told somebody of a child without saying which: any of theirs may be meant."""
    unnamed = stays & (table["kind"] == _NOTICE) & (table["bare_pid"] != 0)
    return np.unique(np.concatenate([table["actor"][unnamed], table["parent"][unnamed]]))


def renamed(table: Table, parents: Ids) -> Ids:
    """Which of some parents, sorted, are known by several names: the newest counts.

    Which is the newest may be told by a record of a child alone.
    """
    owners, names = [], []
    for who in ("about", "parent", "actor"):
        rows = np.flatnonzero(is_in(table[who], parents) & (table[f"{who}_name"] != 0))
        owners.append(np.searchsorted(parents, table[who][rows]))
        names.append(table[f"{who}_name"][rows])
    owner, name = np.concatenate(owners), np.concatenate(names)
    one_of_its = np.zeros(len(parents), np.uint64)
    one_of_its[owner] = name
    is_another = np.zeros(len(parents), bool)
    is_another[owner[name != one_of_its[owner]]] = True
    return parents[is_another]
