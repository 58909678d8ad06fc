"""Ordinary lives whose every line the columns tell, found piece by piece.

Of an ordinary life (:mod:`tracer.session.ordinary_lives`) no report tells; its
lines do, and what a line says may rest on more than its own record: by what name
the reaper went then, in which container it lives, whose pid it was before. A life
is plain if nothing of that kind is open: then the correlator's conclusions are
that its parent reaped it, by the one name in force, and how long after the notice.
In doubt a life is left to the correlator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracer.correlate.correlator import Correlator
from tracer.model.identity import ProcessKey
from tracer.session.life_rows import COLUMNS, MEETINGS, Rows, Table
from tracer.session.ordinary_lives import Known, Sieve, sift
from tracer.session.reaper_names import name_reapers, renamed_unannounced
from tracer.wire.decode import decode_comm
from tracer.wire.layout import CONSTANTS
from tracer.wire.process_ids import Ids, is_in, pids_of
from tracer.wire.record_columns import RecordColumns

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]

WORTH_IT_RECORDS = 1024
"""A smaller piece is decoded sooner than searched."""
_STAGE = np.full(CONSTANTS["ZT_KIND_COUNT"] + 1, -1, np.int8)
"""In which order the records of a life come; a notice counts as ZT_KIND_COUNT."""
_FORK, _EXIT = CONSTANTS["ZT_KIND_FORK"], CONSTANTS["ZT_KIND_EXIT"]
_NOTICE = CONSTANTS["ZT_KIND_COUNT"]
_RELEASES = (CONSTANTS["ZT_KIND_REAP"], CONSTANTS["ZT_KIND_FREE"])
_STAGE[[_FORK, CONSTANTS["ZT_KIND_EXEC"], CONSTANTS["ZT_KIND_EXIT_BEGIN"]]] = (0, 1, 1)
_STAGE[[_EXIT, _NOTICE, *_RELEASES]] = (2, 3, 4, 4)
_REMEMBERED = 4_096
"""Of so many of the gone the name is kept: a pointer to a parent may dangle so long."""


@dataclass(frozen=True, slots=True)
class PlainLives:
    """The plain lives of one piece.

    Args:
        sieve: Who they are, and how many each parent reaped.
        rows: All their records, by position, in order.
        zombie_ns: For each record of the piece that is a release of one: how
            long it was a zombie, ns; 0 for the others.
        reaper_comm: Likewise: its parent's name then, as the kernel has it.
        last_comms: Of the last of them, what they were called in the end.
    """

    sieve: Sieve
    rows: Positions
    zombie_ns: npt.NDArray[np.int64]
    reaper_comm: npt.NDArray[np.bytes_]
    last_comms: tuple[tuple[ProcessKey, str], ...]

    def settle(self, correlator: Correlator) -> None:
        """Add what their records would have, once the others of the piece are fed."""
        self.sieve.settle(correlator)
        for key, comm in self.last_comms:
            correlator.table.note_name(key, comm)


def find_plain_lives(columns: RecordColumns, correlator: Correlator) -> PlainLives | None:
    """Find the plain lives that begin and end within one piece of a capture of a host.

    Args:
        columns: The piece, in order of time.
        correlator: Fed with all that came before.

    Returns:
        None where there are none, or where it is not worth the search.
    """
    if len(columns) < WORTH_IT_RECORDS:
        return None
    if not all(container.has_own_pidns for container in correlator.scopes.containers):
        # Who belongs to one is told by cgroup: the columns do not say.
        return None
    search = _Search(columns, correlator)
    return search.find()


class _Search:
    """One piece under examination."""

    def __init__(self, columns: RecordColumns, correlator: Correlator) -> None:
        self._columns = {name: columns[name] for name in (*COLUMNS, "ns_pid")}
        self._correlator = correlator
        self._table: Table = {}
        self._is_plain_row = self._find_plain_rows()

    def find(self) -> PlainLives | None:
        table = self._correlator.table
        rows = Rows()
        rows.add(self._columns)
        known = Known(
            pids=np.sort(np.fromiter(table.host_pids(), np.uint64)), name_of=self._plain_name_of
        )
        sieve = sift(
            rows, self._correlator.options.min_zombie_ns, known, self._narrow, renamed_unannounced
        )
        if not len(sieve.ordinary):
            return None
        return self._tell(sieve)

    def _find_plain_rows(self) -> Mask:
        """Records whose own members leave nothing open."""
        columns = self._columns
        is_release = np.isin(columns["kind"], _RELEASES)
        is_of_host = (columns["pidns_level"] == 0) & ((columns["pidns_inum"] != 0) | is_release)
        ns_pid = columns["ns_pid"]
        has_one_pid = (ns_pid == columns["host_pid"]) | (ns_pid == 0)
        plain: Mask = is_of_host & has_one_pid
        return plain

    def _plain_name_of(self, key: ProcessKey) -> str | None:
        """The name of a parent met before, if nothing about it is open."""
        state = self._correlator.table.get(key)
        if state is None or state.scopes or state.snapshot.pidns_level or state.is_released:
            return None
        return state.comm

    def _narrow(self, table: Table, ordinary: Ids, parents: Ids) -> Mask:
        """Which of the ordinary lives are plain, whatever becomes of the others."""
        self._table = table
        of_lives = np.flatnonzero(is_in(table["about"], ordinary))
        owner = np.searchsorted(ordinary, table["about"][of_lives])
        by_life = np.argsort(owner, kind="stable")
        of_lives, owner = of_lives[by_life], owner[by_life]
        stage = _STAGE[table["kind"][of_lives]]
        is_odd = ~self._is_plain_row[of_lives]
        # Fork, execs, exit, notice, release: each once but the execs, in this order.
        is_odd[1:] |= (owner[1:] == owner[:-1]) & (
            (stage[1:] < stage[:-1]) | ((stage[1:] == stage[:-1]) & (stage[1:] != 1))
        )
        keep: Mask = np.bincount(owner[is_odd], minlength=len(ordinary)) == 0
        begins = np.searchsorted(owner, np.arange(len(ordinary)))
        ends = np.append(begins[1:], len(owner)) - 1
        first, last = of_lives[begins], of_lives[ends]
        keep &= (stage[begins] == 0) & (stage[ends] == 4)
        keep &= self._has_elder_parent(first, ordinary, parents)
        keep &= ~is_in(ordinary, self._sharing_pids())
        keep &= self._is_new(first)
        keep &= self._is_parent_plain(parents, first, last)
        return keep

    def _has_elder_parent(self, forks: Positions, ordinary: Ids, parents: Ids) -> Mask:
        started = self._columns["parent_start_boot_ns"][forks]
        elder: Mask = (started != 0) & (started <= self._columns["start_boot_ns"][forks])
        elder &= (self._columns["parent_host_pid"][forks] != 0) & (ordinary != parents)
        return elder

    def _sharing_pids(self) -> Ids:
        """Processes that a pid seems to have had at one time, sorted."""
        about, kinds = self._table["about"], self._table["kind"]
        ids, first, owner = np.unique(about, return_index=True, return_inverse=True)
        last = np.zeros(len(ids), np.intp)
        last[owner] = np.arange(len(about))
        # Not known to be released, it has its pid for good.
        last[~np.isin(kinds[last], _RELEASES)] = len(about)
        order = np.lexsort((first, pids_of(ids)))
        pids, first, last = pids_of(ids)[order], first[order], last[order]
        # By pid and, within it, by position: one number each.
        _, group = np.unique(pids, return_inverse=True)
        base = group.astype(np.int64) * (2 * len(about) + 2)
        held_until = np.maximum.accumulate(base + last)
        overlaps = np.zeros(len(ids), bool)
        overlaps[1:] = base[1:] + first[1:] <= held_until[:-1]
        if len(ids) > 1:
            overlaps[:-1] |= overlaps[1:]
        doubtful = np.isin(pids, pids[overlaps])
        return np.sort(ids[order][doubtful])

    def _is_new(self, forks: Positions) -> Mask:
        """Whether the correlator has not met them before, as in a trace out of order."""
        pids, starts = self._columns["host_pid"], self._columns["start_boot_ns"]
        new = np.ones(len(forks), bool)
        for life in np.flatnonzero(starts[forks] < self._columns["boot_ns"].min()).tolist():
            key = ProcessKey(int(pids[forks[life]]), int(starts[forks[life]]))
            new[life] = self._correlator.table.get(key) is None
        return new

    def _is_parent_plain(self, parents: Ids, forks: Positions, releases: Positions) -> Mask:
        """Whether nothing about the parent is open from the fork to the release."""
        table, kinds = self._table, self._table["kind"]
        owners, one_fork, owner = np.unique(parents, return_index=True, return_inverse=True)
        is_plain, is_met = np.ones(len(owners), bool), np.zeros(len(owners), bool)
        for number, row in enumerate(forks[one_fork].tolist()):
            key = ProcessKey(
                int(self._columns["parent_host_pid"][row]),
                int(self._columns["parent_start_boot_ns"][row]),
            )
            if self._correlator.table.get(key) is not None:
                is_met[number] = True
                name = decode_comm(self._columns["cur_comm"][row])
                is_plain[number] = self._plain_name_of(key) == name
        notice = kinds == _NOTICE
        about_it = is_in(table["about"], owners) & ~notice
        told_it = is_in(table["parent"], owners) & notice
        acts = is_in(table["actor"], owners)
        for who, rows in (
            ("about", about_it & ~self._is_plain_row),
            ("about", about_it & (table["about_name"] == 0)),
            ("parent", told_it & ~self._is_plain_row),
            ("parent", told_it & (table["parent_name"] == 0)),
            ("actor", acts & (table["actor_name"] == 0)),
        ):
            is_plain[np.searchsorted(owners, table[who][rows])] = False

        def first_of(wanted: tuple[int, ...]) -> Positions:
            rows = np.flatnonzero(about_it & np.isin(kinds, wanted))[::-1]
            found = np.full(len(owners), len(kinds), np.intp)
            found[np.searchsorted(owners, table["about"][rows])] = rows
            return found

        met = is_met[owner] | (first_of(MEETINGS)[owner] < forks)
        plain: Mask = is_plain[owner] & met & (releases < first_of(_RELEASES)[owner])
        return plain

    def _tell(self, sieve: Sieve) -> PlainLives:
        table, columns = self._table, self._columns
        ordinary, kinds = sieve.ordinary, self._table["kind"]
        rows = np.flatnonzero(is_in(table["about"], ordinary))

        def by_life(*wanted: int) -> Positions:
            found = rows[np.isin(kinds[rows], wanted)]
            return found[np.argsort(table["about"][found])]

        notices, releases = by_life(_NOTICE), by_life(*_RELEASES)
        zombie_ns = np.zeros(len(kinds), np.int64)
        zombie_ns[releases] = columns["boot_ns"][releases] - columns["boot_ns"][notices]
        names = np.zeros(len(kinds), columns["comm"].dtype)
        names[releases] = name_reapers(table, columns, by_life(_FORK), releases)
        last = np.sort(releases)[-_REMEMBERED:]
        return PlainLives(sieve, rows, zombie_ns, names, self._last_comms(notices, releases, last))

    def _last_comms(
        self, notices: Positions, releases: Positions, last: Positions
    ) -> tuple[tuple[ProcessKey, str], ...]:
        columns = self._columns
        told = notices[np.argsort(releases)][-len(last) :]
        pids, starts, comms = (
            columns[name][told].tolist()
            for name in ("child_pid", "child_start_boot_ns", "cur_comm")
        )
        return tuple(
            (ProcessKey(pid, start), decode_comm(comm))
            for pid, start, comm in zip(pids, starts, comms, strict=True)
        )
