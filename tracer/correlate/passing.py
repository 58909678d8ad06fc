"""Uneventful lifetimes, counted by whole columns.

On a busy host nearly every record is of a whole lifetime that no report will mention, and
of a container that forks without end the report lists only the newest. The correlator
would count such a lifetime and forget it (:mod:`tracer.correlate.lifetimes`); the same is
done here for a whole batch at once. In doubt a lifetime is left to the correlator.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tracer.correlate.correlator import Correlator
from tracer.correlate.fates import ProcessKind
from tracer.correlate.ledger import Tally
from tracer.correlate.scope import Scope
from tracer.model.identity import PidnsKey, ProcessKey
from tracer.model.verdicts import End

Mask = npt.NDArray[np.bool_]

_SHELL_BASE = 128
"""A shell's exit code above it passes on a death by signal, and has a line."""


class WholeLifetimes(Protocol):
    """Lifetimes that are over, as columns (:mod:`tracer.wire.whole_lifetimes`)."""

    @property
    def count(self) -> int:
        """How many records there are in all."""

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """Which of them are whole lifetimes."""

    @property
    def are_found(self) -> Mask:
        """Those whose release no hook saw."""

    @property
    def parent_ids(self) -> npt.NDArray[np.uint64]:
        """One number for each parent, the same for the same one."""

    def __len__(self) -> int:
        """How many whole lifetimes there are."""

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]:
        """One member of all."""

    def names(self) -> list[str]:
        """The names of all."""

    def parent_names(self, which: npt.NDArray[np.intp], /) -> list[str]:
        """The names of some of the parents."""

    def pick(self, which: Mask, /) -> Self:
        """Leave out the others."""


def pass_lifetimes(correlator: Correlator, lifetimes: WholeLifetimes) -> Mask:
    """Count the uneventful lifetimes.

    Args:
        correlator: Fed with all that came before.
        lifetimes: Those among the next records.

    Returns:
        Which of those records were counted; the others are to be decoded and fed.
    """
    passed = np.zeros(lifetimes.count, bool)
    if not len(lifetimes) or not _may_pass(correlator):
        return passed
    lifetimes = lifetimes.pick(_plain(correlator, lifetimes))
    if correlator.options.keep_uneventful:
        lifetimes = lifetimes.pick(_spare(correlator, lifetimes))
    if not len(lifetimes):
        return passed
    _, first, parent, numbers = np.unique(
        lifetimes.parent_ids, return_index=True, return_inverse=True, return_counts=True
    )
    # A new name has to be noted in its place among the other records.
    is_same = lifetimes["parent_comm"] == lifetimes["parent_comm"][first][parent]
    is_named = np.bincount(parent, weights=~is_same) == 0
    keys = [
        ProcessKey(*key)
        for key in zip(
            lifetimes["parent_host_pid"][first].tolist(),
            lifetimes["parent_start_boot_ns"][first].tolist(),
            strict=True,
        )
    ]
    table = correlator.table
    names = lifetimes.parent_names(first)
    for place, (key, name) in enumerate(zip(keys, names, strict=True)):
        is_named[place] &= table.comm_of(key) in (name, None)
    lifetimes = lifetimes.pick(is_named[parent])
    if not correlator.options.keep_uneventful:
        correlator.retention.note_passed(len(lifetimes))
    elif not correlator.retention.count_spare(_count_kinds(correlator, lifetimes)):
        return passed
    for place in np.flatnonzero(is_named).tolist():
        table.note_name(keys[place], names[place])
        table.note_reaped(keys[place], int(numbers[place]))
    passed[lifetimes.rows] = True
    return passed


def _may_pass(correlator: Correlator) -> bool:
    if correlator.options.keep_uneventful and correlator.scopes.has_shared:
        return False
    # The columns do not show who belongs to a container by its cgroup.
    return all(container.has_own_pidns for container in correlator.scopes.containers)


def _plain(correlator: Correlator, lifetimes: WholeLifetimes) -> Mask:
    min_zombie_ns = np.uint64(correlator.options.min_zombie_ns)
    notified = lifetimes["notified_ns"]
    plain: Mask = (notified != 0) & (lifetimes["boot_ns"] >= notified)
    are_found = lifetimes.are_found
    plain &= are_found | ((lifetimes["boot_ns"] - notified) < min_zombie_ns)
    plain &= (lifetimes["exit_code"] >> 8) <= _SHELL_BASE
    plain &= lifetimes["parent_host_pid"] != 0
    if any(scope.open_stop is not None for scope in correlator.scopes):
        plain &= lifetimes["pidns_level"] == 0
    torn_down = [
        scope.pidns.inum
        for scope in correlator.scopes
        if scope.init_exit_ns is not None and not scope.is_shared
    ]
    # What is found late may have been left to the teardown of its namespace.
    plain &= ~are_found | ~np.isin(lifetimes["pidns_inum"], torn_down)
    known = np.fromiter(correlator.table.host_pids(), np.uint64)
    plain &= ~np.isin(lifetimes["host_pid"].astype(np.uint64), known)
    return plain


def _spare(correlator: Correlator, lifetimes: WholeLifetimes) -> Mask:
    """Of which of them the report will have only a count: of all but the newest."""
    spare = np.zeros(len(lifetimes), bool)
    spare[: correlator.retention.spare_of(len(lifetimes))] = True
    if not spare.any():
        return spare
    # Whose children are kept is kept for their sake.
    parents = np.fromiter((key.host_pid for key in correlator.table.unmet_parents), np.uint64)
    spare &= ~np.isin(lifetimes["host_pid"].astype(np.uint64), parents)
    where = _pidns_keys(lifetimes)
    quiet = {key for key in set(where) if _is_quiet(correlator.scopes.known_around(key))}
    spare &= np.fromiter((key in quiet for key in where), bool, len(where))
    return spare


def _is_quiet(around: tuple[Scope, ...]) -> bool:
    return bool(around) and all(
        scope.init_exit_ns is None and scope.open_stop is None for scope in around
    )


def _pidns_keys(lifetimes: WholeLifetimes) -> list[PidnsKey]:
    inums, starts = lifetimes["pidns_inum"].tolist(), lifetimes["init_start_boot_ns"].tolist()
    return list(map(PidnsKey, inums, starts))


def _count_kinds(correlator: Correlator, lifetimes: WholeLifetimes) -> dict[ProcessKind, Tally]:
    """What the report counts them under (:func:`tracer.correlate.fates.process_kind`)."""
    times: dict[tuple[PidnsKey, str, int], list[int]] = {}
    told_ns, codes = lifetimes["boot_ns"].tolist(), (lifetimes["exit_code"] >> 8).tolist()
    for key, boot_ns in zip(
        zip(_pidns_keys(lifetimes), lifetimes.names(), codes, strict=True), told_ns, strict=True
    ):
        times.setdefault(key, []).append(boot_ns)
    counts: dict[ProcessKind, Tally] = {}
    for (pidns, comm, code), instants in times.items():
        container = correlator.scopes.container_in(pidns)
        kind = ProcessKind(
            container_id=container.id if container is not None else None,
            comm=comm,
            end=End.EXIT,
            exit_code=code,
            term_signal=None,
            cause=None,
            sender_comm=None,
        )
        tally = Tally(len(instants), 0, min(instants), max(instants))
        counts.setdefault(kind, Tally()).add(tally)
    return counts
