"""Ordinary lives on a host, found by whole columns before anything is decoded.

On a busy host nearly every record is of a process that is born, ends by itself
and is reaped at once by who forked it. The correlator forgets such a process as
it is reaped; so its records need not reach it, and the report of what is left is
the same. There is no second correlator: what is left out is so plain a life that
columns show it, and in doubt a process stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.correlate.correlator import Correlator
from tracer.model.identity import ProcessKey
from tracer.session.life_rows import (
    MEETINGS,
    NOTICE,
    Mask,
    Parent,
    Rows,
    Table,
    is_notice,
    is_one_of,
)
from tracer.wire.layout import CONSTANTS
from tracer.wire.process_ids import Ids, is_in, pids_of, process_ids

Columns = Callable[[str], npt.NDArray[Any]]

_FORK = CONSTANTS["ZT_KIND_FORK"]
_REAP, _FREE = CONSTANTS["ZT_KIND_REAP"], CONSTANTS["ZT_KIND_FREE"]
_EXIT = CONSTANTS["ZT_KIND_EXIT"]
_RELEASES = (_REAP, _FREE)
CHOSEN_BY = ("kind", "flags", "host_pid", "start_boot_ns", "child_pid", "child_start_boot_ns")
"""The columns that :meth:`Sieve.choose` asks for."""
Narrow = Callable[[Table, Ids, Ids], Mask]
"""Given the records, the lives and who forked each."""
Renames = Callable[[Table, Ids], Ids]


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
        notices = is_notice(columns("kind"), columns("flags"))
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
        narrow: Says which of them to take, before those go that others concern; and
            none that is released after its parent was, of which a line would tell.
        renames: Says whose children are not ordinary because of its names.
    """
    table = rows.join()
    return sift_table(table, find_lives(table, min_zombie_ns), rows.parents, known, narrow, renames)


def sift_table(
    table: Table,
    lives: Lives,
    parents_by_id: Mapping[int, Parent],
    known: Known | None,
    narrow: Narrow | None = None,
    renames: Renames | None = None,
) -> Sieve:
    """Find the ordinary lives among all lives; see :func:`sift`."""
    ordinary, parents = lives.ids[lives.is_ordinary], lives.parents[lives.is_ordinary]
    released_ns = lives.released_ns[lives.is_ordinary]
    met = _first_of_each(table, lives, parents, MEETINGS) < released_ns
    if known is not None:
        met |= is_in(parents, known_by_name(np.unique(parents), parents_by_id, known))
        met &= ~is_in(pids_of(ordinary), known.pids)
    # The kernel tells of releases late, and of a parent's sometimes first.
    is_late = released_ns > _first_of_each(table, lives, parents, _RELEASES)
    if narrow is not None:
        met &= ~is_late
    ordinary, parents, is_late = ordinary[met], parents[met], is_late[met]
    if narrow is not None and len(ordinary):
        taken = narrow(table, ordinary, parents)
        ordinary, parents, is_late = ordinary[taken], parents[taken], is_late[taken]
    ordinary, parents = without_concerned(
        table,
        lives,
        ordinary,
        parents,
        passed=np.zeros(len(table["about"]), bool),
        renames=renames or renamed,
        with_parent=is_late,
    )
    counted, numbers = np.unique(parents, return_counts=True)
    reaped = {
        parents_by_id[parent].key: number
        for parent, number in zip(counted.tolist(), numbers.tolist(), strict=True)
    }
    return Sieve(ordinary, reaped, int(table["boot_ns"].max()))


def known_by_name(parents: Ids, parents_by_id: Mapping[int, Parent], known: Known) -> Ids:
    """Which of them are known, by the very name that the records have for them.

    Another name has to be told, and nobody may be there to tell it but a child.
    """
    found = [
        number
        for number in parents.tolist()
        if known.name_of(parents_by_id[number].key) == parents_by_id[number].comm
    ]
    return np.array(found, np.uint64)


@dataclass(frozen=True, slots=True)
class Lives:
    """All lives some records tell of, an element for each.

    Args:
        ids: Sorted.
        of_row: Which of them a record is about.
        parents: Who forked each; 0 = not told.
        is_ordinary: All its records make one ordinary life.
        is_open: They make the beginning of one.
        forked_ns: When it began; 0 = not told.
        exited_ns: When it ended, likewise.
        released_ns: When it was released, likewise.
    """

    ids: Ids
    of_row: npt.NDArray[np.intp]
    parents: Ids
    is_ordinary: Mask
    is_open: Mask
    forked_ns: npt.NDArray[np.uint64]
    exited_ns: npt.NDArray[np.uint64]
    released_ns: npt.NDArray[np.uint64]

    def rows_of(self, ids: Ids) -> Mask:
        """The records about some of them, given sorted."""
        rows: Mask = is_in(self.ids, ids)[self.of_row]
        return rows


def find_lives(table: Table, min_zombie_ns: int) -> Lives:
    """Find out what the records, each by itself and in their order, say of each life.

    Args:
        table: As :meth:`Rows.join` makes it.
        min_zombie_ns: Longer zombies are not ordinary.
    """
    ids, life = np.unique(table["about"], return_inverse=True)
    kinds, boot_ns, parents = table["kind"], table["boot_ns"], table["parent"]

    def first_of(*wanted: int) -> tuple[npt.NDArray[Any], Ids, Ids]:
        rows = np.flatnonzero(is_one_of(kinds, wanted))[::-1]
        of_life = life[rows]
        stamps, holders = np.zeros(len(ids), np.uint64), np.zeros(len(ids), np.uint64)
        # The last written of each is the first in time.
        stamps[of_life], holders[of_life] = boot_ns[rows], parents[rows]
        return np.bincount(of_life, minlength=len(ids)), stamps, holders

    forks, forked_ns, forker = first_of(_FORK)
    exits, exited_ns, _ = first_of(_EXIT)
    notices, told_ns, told = first_of(NOTICE)
    releases, released_ns, releaser = first_of(*_RELEASES)
    is_over = (exits == 1) & (notices == 1) & (releases >= 1)
    is_over &= (exited_ns <= told_ns) & (told_ns <= released_ns)
    is_over &= (forker == told) & (forker == releaser)
    # From the end on, which is earlier than the notice a zombie is counted from.
    is_over &= released_ns - exited_ns < np.uint64(min_zombie_ns)
    is_open = (exits <= 1) & (notices <= exits) & (releases == 0)
    is_open &= (notices == 0) | (exited_ns <= told_ns)
    # One parent from first to last: a record names whom it calls its parent.
    is_odd = ~table["plain"] | (parents != forker[life])
    # A record from before the birth, or from beyond the grave, starts another story.
    is_odd |= boot_ns < forked_ns[life]
    is_odd |= (releases > 0)[life] & (boot_ns > released_ns[life]) & (kinds != _FREE)
    is_plain = (forks == 1) & (np.bincount(life[is_odd], minlength=len(ids)) == 0)
    is_plain &= (exits == 0) | (forked_ns <= exited_ns)
    return Lives(
        ids=ids,
        of_row=life,
        parents=forker,
        is_ordinary=is_plain & is_over,
        is_open=is_plain & is_open,
        forked_ns=forked_ns,
        exited_ns=exited_ns,
        released_ns=released_ns,
    )


def _first_of_each(
    table: Table, lives: Lives, whom: Ids, kinds: tuple[int, ...]
) -> npt.NDArray[np.uint64]:
    """The time of the first record of some kinds about each; later than all for none."""
    owners, owner = np.unique(whom, return_inverse=True)
    rows = np.flatnonzero(lives.rows_of(owners) & is_one_of(table["kind"], kinds))
    first_ns = np.full(len(owners), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first_ns, np.searchsorted(owners, table["about"][rows]), table["boot_ns"][rows])
    return first_ns[owner]


def without_concerned(
    table: Table,
    lives: Lives,
    some: Ids,
    parents: Ids,
    *,
    passed: Mask,
    renames: Renames,
    with_parent: Mask,
) -> tuple[Ids, Ids]:
    """Leave out the lives that something which stays has to do with, until none is left.

    Args:
        table: The records.
        lives: All that they tell of.
        some: Those in question, sorted.
        parents: Who forked each of those.
        passed: Records that do not stay in any case.
        renames: Says whose children are not ordinary because of its names.
        with_parent: Which of those in question stay if their parent does.

    Returns:
        What is left, and who forked each.
    """
    while len(some):
        stays = ~(passed | lives.rows_of(some))
        keep = ~_concerned(table, stays, some, parents, renames)
        keep &= ~with_parent | is_in(parents, some)
        if keep.all():
            break
        some, parents, with_parent = some[keep], parents[keep], with_parent[keep]
    return some, parents


def _concerned(table: Table, stays: Mask, lives: Ids, parents: Ids, renames: Renames) -> Mask:
    """Which of the lives the records that stay have to do with."""
    named = np.unique(
        np.concatenate([table["parent"][stays], table["actor"][stays], table["about"][stays]])
    )
    concerned = is_in(lives, named)
    concerned |= is_in(parents, _without_child_named(table, stays))
    # A pid says who is meant, and that its last owner is gone.
    rows = np.flatnonzero(stays)[::-1]
    about, last = np.unique(table["about"][rows], return_index=True)
    unreleased = about[~is_one_of(table["kind"][rows[last]], _RELEASES)]
    bare_pids = table["bare_pid"]
    pids = np.unique(np.concatenate([pids_of(unreleased), bare_pids[bare_pids != 0]]))
    concerned |= is_in(pids_of(lives), pids)
    staying = np.unique(parents[~is_in(parents, lives)])
    concerned |= is_in(parents, renames(table, staying))
    return concerned


def _without_child_named(table: Table, stays: Mask) -> Ids:
    """Who told somebody of a child without saying which: any of theirs may be meant."""
    unnamed = stays & (table["kind"] == NOTICE) & (table["bare_pid"] != 0)
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
