"""By what name each parent went as it reaped a child, where it changed its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.session.life_rows import Table
from tracer.session.ordinary_lives import renamed
from tracer.wire.layout import CONSTANTS
from tracer.wire.process_ids import Ids, is_in

Positions = npt.NDArray[np.intp]

_DESCRIBES = tuple(CONSTANTS[f"ZT_KIND_{name}"] for name in ("FORK", "EXEC", "EXIT_BEGIN", "EXIT"))
"""Kinds that tell the newest name of the subject and of its parent."""
_ANNOUNCES = tuple(CONSTANTS[f"ZT_KIND_{name}"] for name in ("FORK", "EXEC"))
_FORK, _REAP = CONSTANTS["ZT_KIND_FORK"], CONSTANTS["ZT_KIND_REAP"]
_NOTICE = CONSTANTS["ZT_KIND_COUNT"]
_ACTED = (_FORK, _NOTICE, _REAP)
_TURNS = 4
"""Names that one record tells come one after the other: of it, of current, of its parent."""


def renamed_unannounced(table: Table, parents: Ids) -> Ids:
    """Which of some parents, sorted, have a name that no birth or exec of theirs told.

    Any other is known by its newest name whichever of its children is passed over.
    """
    several = renamed(table, parents)
    if not len(several):
        return several
    kinds = table["kind"]
    announces = np.flatnonzero(
        np.isin(kinds, _ANNOUNCES) & table["plain"] & is_in(table["about"], several)
    )
    when = _when(several, table["about"][announces], announces * _TURNS, len(kinds))
    order = np.argsort(when)
    when, names = when[order], table["about_name"][announces][order]
    owners = np.searchsorted(several, table["about"][announces])[order]
    is_unannounced = np.zeros(len(several), bool)
    for turn, who in enumerate(("about", "actor", "parent")):
        rows = np.flatnonzero(is_in(table[who], several) & (table[f"{who}_name"] != 0))
        whose = np.searchsorted(several, table[who][rows])
        told = _when(several, table[who][rows], rows * _TURNS + turn, len(kinds))
        newest = np.searchsorted(when, told, "right") - 1
        is_told = newest >= 0
        is_told[is_told] = (owners[newest[is_told]] == whose[is_told]) & (
            names[newest[is_told]] == table[f"{who}_name"][rows[is_told]]
        )
        is_unannounced[whose[~is_told]] = True
    return several[is_unannounced]


def name_reapers(
    table: Table,
    columns: Mapping[str, npt.NDArray[Any]],
    forks: Positions,
    releases: Positions,
) -> npt.NDArray[np.bytes_]:
    """Tell the name of the parent of each life at its release, as the correlator would.

    Args:
        table: The records of a piece.
        columns: Their members.
        forks: The birth of each, by position.
        releases: The release of each.
    """
    names: npt.NDArray[np.bytes_] = columns["cur_comm"][forks]
    parents = table["parent"][forks]
    several = renamed(table, np.unique(parents))
    if not len(several):
        return names
    asked = np.flatnonzero(is_in(parents, several))
    kinds = table["kind"]
    describes, acted = np.isin(kinds, _DESCRIBES), np.isin(kinds, _ACTED)
    tellings, told = [], []
    for turn, who, which, column in (
        (0, "about", describes, "comm"),
        (1, "actor", acted, "cur_comm"),
        (2, "parent", describes & (table["parent_name"] != 0), "parent_comm"),
        (2, "parent", kinds == _NOTICE, "comm"),
    ):
        rows = np.flatnonzero(which & is_in(table[who], several))
        tellings.append(_when(several, table[who][rows], rows * _TURNS + turn, len(kinds)))
        told.append(columns[column][rows])
    order = np.argsort(when := np.concatenate(tellings))
    rows = releases[asked]
    # Who releases a child in wait() is current in that very record.
    until = rows * _TURNS + np.where(kinds[rows] == _REAP, _TURNS, 0)
    newest = np.searchsorted(when[order], _when(several, parents[asked], until, len(kinds))) - 1
    names[asked] = np.concatenate(told)[order[newest]]
    return names


def _when(owners: Ids, whose: Ids, turns: Positions, count: int) -> npt.NDArray[np.int64]:
    """One number of whose name is told and when, to sort by."""
    owner = np.searchsorted(owners, whose).astype(np.int64)
    when: npt.NDArray[np.int64] = owner * (_TURNS * (count + 1)) + turns
    return when
