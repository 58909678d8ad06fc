"""A made-up host whose kernel side folds: the same records, ordinary lifetimes in one each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.support.made_host import MadeHost, Records
from tracer.wire.layout import CONSTANTS, RECORD

_FORK, _EXEC, _EXIT, _SIGNAL, _FREE, _LIFETIME = (
    CONSTANTS[f"ZT_KIND_{name}"] for name in ("FORK", "EXEC", "EXIT", "SIGNAL", "FREE", "LIFETIME")
)
_ORDINARY = [_FORK, _EXIT, _SIGNAL, _FREE]


@dataclass(frozen=True)
class FoldedHost(MadeHost):
    """See :class:`MadeHost`."""

    def records(self, at_once: int = 50_000) -> Iterator[Records]:
        """Give everything in order of time, folded."""
        for records in super().records(at_once):
            folded = fold(records)
            yield folded[np.argsort(folded["boot_ns"], kind="stable")]


def fold(records: Records) -> Records:
    """Fold the lives that are whole and ordinary in some records."""
    lives: dict[tuple[int, int], list[int]] = {}
    for row, record in enumerate(records):
        is_notice = record["kind"] == _SIGNAL and record["child_pid"]
        key = ("child_pid", "child_start_boot_ns") if is_notice else ("host_pid", "start_boot_ns")
        lives.setdefault((int(record[key[0]]), int(record[key[1]])), []).append(row)
    gone: list[int] = []
    made: list[Records] = []
    for rows in lives.values():
        steps = records[rows]
        kinds = [kind for kind in steps["kind"].tolist() if kind != _EXEC]
        if kinds != _ORDINARY or steps["exit_code"][kinds.index(_EXIT)] & 0x7F:
            continue
        by_kind = {int(step["kind"]): step for step in steps}
        if by_kind[_FORK]["pidns_level"] or by_kind[_EXIT]["exit_code"] & 0x7F:
            continue
        life = np.zeros(1, RECORD)
        life[0] = by_kind[_EXIT]
        life["kind"] = _LIFETIME
        life["flags"] |= CONSTANTS["ZT_F_RELEASED"]
        for name in ("sig", "si_code", "si_pid", "action", "result", "info"):
            life[name] = by_kind[_SIGNAL][name]
        life["boot_ns"] = by_kind[_FREE]["boot_ns"]
        life["forked_ns"] = by_kind[_FORK]["boot_ns"]
        life["exec_ns"] = by_kind[_EXEC]["boot_ns"] if _EXEC in by_kind else 0
        life["exit_ns"] = by_kind[_EXIT]["boot_ns"]
        life["notified_ns"] = by_kind[_SIGNAL]["boot_ns"]
        life["chain_comm"][0, 1] = by_kind[_FORK]["comm"]
        if _EXEC in by_kind:
            life["chain_comm"][0, 0] = by_kind[_EXEC]["comm"]
        gone += rows
        made.append(life)
    return np.concatenate([np.delete(records, gone), *made])
