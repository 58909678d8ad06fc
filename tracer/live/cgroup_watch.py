"""A cgroup that is traced may be removed, and made again under its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.errors import TargetNotFoundError
from tracer.procfs.cgroup import CgroupDirectory, resolve_cgroup

if TYPE_CHECKING:
    from tracer.live.trace import Trace

_LOOK_EVERY_S = 0.5
_LAST_EVENTS_S = 1.0
"""How long the events of a cgroup's end may take to come after it."""


class CgroupWatch:
    """Ends a trace whose cgroups are removed, or traces what is made in their place.

    The kernel side goes by a cgroup's id, and one that is made anew has another.

    Args:
        paths: The cgroups, as they were named.
        follow: Wait for a removed one to be made again.
        on_notice: Gets a message at a removal and at a return.

    Raises:
        TargetNotFoundError: One has been removed since it was looked up.
    """

    def __init__(
        self, paths: Sequence[str], *, follow: bool, on_notice: Callable[[str], None]
    ) -> None:
        self._there: dict[str, CgroupDirectory] = {path: resolve_cgroup(path) for path in paths}
        self._gone: dict[str, CgroupDirectory] = {}
        self._follow = follow
        self._on_notice = on_notice

    def serve(self, trace: Trace) -> None:
        """Begin, within a trace's loop."""
        if self._there:
            trace.schedule.after(_LOOK_EVERY_S, lambda: self._look(trace))

    def _look(self, trace: Trace) -> None:
        for path, cgroup in tuple(self._there.items()):
            traced = trace.target.kernel_filter.cgroup_ids
            if _id_of(cgroup.path) != cgroup.id or cgroup.id not in traced:
                self._gone[path] = self._there.pop(path)
                waiting = "; waiting for it to be created again" if self._follow else ""
                self._on_notice(f"cgroup {path} was removed{waiting}")
        for path in tuple(self._gone) if self._follow else ():
            with suppress(TargetNotFoundError):
                cgroup = resolve_cgroup(path)
                # Of the first version one may also be renamed, and renamed back.
                known = trace.target.kernel_filter.cgroup_ids
                if cgroup.id in known or trace.add_cgroup(cgroup.id):
                    self._there[path] = cgroup
                    del self._gone[path]
                    self._on_notice(f"cgroup {path} is back")
        if not self._there and not self._follow and not trace.target.containers:
            trace.schedule.after(_LAST_EVENTS_S, lambda: trace.end("target removed"))
            return
        if self._there or self._follow:
            trace.schedule.after(_LOOK_EVERY_S, lambda: self._look(trace))


def _id_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None
