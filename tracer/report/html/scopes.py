"""Which container or PID namespace a process's lane belongs to."""

from __future__ import annotations

from tracer.model.report import Report, StopReport
from tracer.report.picture.lives import Life

_Key = tuple[str | None, int | None]


class Scopes:
    """The groups of lanes, in order of appearance; number 0 is outside the target.

    Args:
        report: Names the containers.
    """

    def __init__(self, report: Report) -> None:
        self._containers = {container.id: container for container in report.containers}
        self._numbers: dict[_Key | None, int] = {None: 0}

    def number(self, life: Life) -> int:
        """Give the number of the life's group."""
        key = None if life.is_outside else (life.container_id, life.pidns_inum)
        return self._numbers.setdefault(key, len(self._numbers))

    def of_stop(self, stop: StopReport) -> int:
        """Give the number of the group a stop is of."""
        return self._numbers.setdefault((stop.container_id, stop.pidns_inum), len(self._numbers))

    def labels(self) -> list[tuple[str, str]]:
        """Return each group's name and what else distinguishes it."""
        return [self._label(key) for key in self._numbers]

    def _label(self, key: _Key | None) -> tuple[str, str]:
        if key is None:
            return (
                "Outside the target",
                "processes that sent it signals or were notified of an exit",
            )
        container_id, pidns_inum = key
        where = "" if pidns_inum is None else f"PID namespace {pidns_inum}"
        if container_id is None:
            return where or "Unknown location", ""
        container = self._containers.get(container_id)
        if container is None:
            return container_id[:12], where
        is_inner = container.has_own_pidns and pidns_inum not in (None, container.pidns_inum)
        runtime = f"{container.runtime} {container.id[:12]}"
        return container.label, ", ".join(
            part for part in (runtime, where, "nested in it" if is_inner else "") if part
        )
