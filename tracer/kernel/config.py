"""What the kernel side is asked for: struct zt_config (bpf/zt_maps.h)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

from tracer.model.target import KernelFilter

_FOLD_NEVER, _FOLD_NO_MORE, _FOLD = range(3)
"""ZT_FOLD_*"""

_CONFIG = struct.Struct("=IIIIQQII")


class KernelConfig:
    """The one element of the map zt_config, written anew at every change.

    Args:
        memory: Gives the map's memory; called when there is something to write.
    """

    def __init__(self, memory: Callable[[], mmap.mmap]) -> None:
        self._memory = memory
        self._filter = KernelFilter()
        self._lists = self._listed_ns = 0
        self._folds, self._min_zombie_ns = _FOLD_NEVER, 0

    @property
    def folded_below_ns(self) -> int | None:
        """Lifetimes with a shorter zombie are folded; None: no new ones are."""
        return self._min_zombie_ns if self._folds == _FOLD else None

    def choose(self, kernel_filter: KernelFilter) -> None:
        """Say what passes; the namespaces and cgroups are in maps of their own."""
        self._filter = kernel_filter
        self._write()

    def fold(self, min_zombie_ns: int | None) -> None:
        """Have uneventful lifetimes folded; None: no new ones; those that are folded stay so."""
        if min_zombie_ns is not None:
            self._folds, self._min_zombie_ns = _FOLD, min_zombie_ns
        elif self._folds == _FOLD:
            self._folds = _FOLD_NO_MORE
        self._write()

    def list_tasks(self, wanted: int, listed_ns: int) -> None:
        """Say what passes of the task iterator are for.

        Args:
            wanted: ZT_LIST_*.
            listed_ns: When the last finished pass over the dead began.
        """
        self._lists, self._listed_ns = wanted, listed_ns
        self._write()

    def _write(self) -> None:
        self._memory()[: _CONFIG.size] = _CONFIG.pack(
            self._filter.everything,
            len(self._filter.pidns_inums),
            len(self._filter.cgroup_ids),
            self._lists,
            self._min_zombie_ns,
            self._listed_ns,
            self._folds,
            0,
        )
