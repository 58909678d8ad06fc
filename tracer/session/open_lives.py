"""Lives on a host that began and are not over, and are ordinary so far.

In a storm there are always some: the kernel tells of a release 20 ms after it, and
seconds after where its grace periods are long. Their records can be kept for a while,
for nothing else has to do with them: then either the life is over and ordinary, and
nothing is to be told of it, or the records are told then, before anything that has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tracer.model.identity import ProcessKey
from tracer.session.life_rows import MEETINGS, Parent, Table, is_one_of
from tracer.session.ordinary_lives import (
    Known,
    Lives,
    Sieve,
    known_by_name,
    renamed,
    without_concerned,
)
from tracer.wire.process_ids import Ids, is_in, pids_of


def find_open_lives(
    table: Table,
    lives: Lives,
    sieve: Sieve,
    parents_by_id: Mapping[int, Parent],
    known: Known,
    is_alive: Callable[[ProcessKey], bool],
    since_ns: int,
    dead_since_ns: int,
) -> Ids:
    """Find the lives whose records may wait for what comes next.

    Args:
        table: The records.
        lives: All that they tell of.
        sieve: Those that are over and ordinary.
        parents_by_id: Who forked.
        known: What came before.
        is_alive: Whether a process is known, and not to have ended.
        since_ns: Only those that began after this.
        dead_since_ns: Those that are dead, only if they died after this.

    Returns:
        Their ids, sorted.
    """
    is_open = lives.is_open & (lives.forked_ns > since_ns)
    is_open &= (lives.exited_ns == 0) | (lives.exited_ns > dead_since_ns)
    ids, parents = lives.ids[is_open], lives.parents[is_open]
    # A number that was given away again says that its last owner is gone.
    pids, owners = np.unique(pids_of(lives.ids), return_counts=True)
    keep = ~is_in(pids_of(ids), pids[owners > 1]) & ~is_in(pids_of(ids), known.pids)
    # What it reaped has to be counted for it.
    keep &= ~is_in(ids, lives.parents[is_in(lives.ids, sieve.ordinary)])
    alive = _alive(table, lives, np.unique(parents), parents_by_id, known, is_alive)
    keep &= is_in(parents, alive)
    ids, _ = without_concerned(
        table,
        lives,
        ids[keep],
        parents[keep],
        passed=lives.rows_of(sieve.ordinary),
        renames=renamed,
        with_parent=np.zeros(np.count_nonzero(keep), bool),
    )
    return ids


def _alive(
    table: Table,
    lives: Lives,
    parents: Ids,
    parents_by_id: Mapping[int, Parent],
    known: Known,
    is_alive: Callable[[ProcessKey], bool],
) -> Ids:
    """Which of some parents are there from first to last: a father's end concerns its children.

    And by the name that is known, lest a child's record be what tells another.
    """
    rows = np.flatnonzero(lives.rows_of(parents))
    about, is_meeting = table["about"][rows], is_one_of(table["kind"][rows], MEETINGS)
    met, ended = np.unique(about[is_meeting]), np.unique(about[~is_meeting])
    named = known_by_name(parents, parents_by_id, known)
    before = [number for number in named.tolist() if is_alive(parents_by_id[number].key)]
    there = np.union1d(met, np.array(before, np.uint64))
    return np.setdiff1d(there, ended)
