"""Exit codes of 128 + N that pass on a child's death by signal N, as shells do.

A process may choose such a code for itself: a JVM ends with 143 once it has handled
SIGTERM.
"""

from __future__ import annotations

from tracer.correlate.process import ProcessState
from tracer.correlate.process_table import ProcessTable
from tracer.model.identity import ProcessKey
from tracer.model.signals import Disposition
from tracer.model.verdicts import ReapKind

_SIGNAL_BASE = 128


class PassedOn:
    """Which processes ended with such a code, and whose death each passes on."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table
        passing = {state.key for state in table if _signo_of(state) is not None}
        self._children: dict[ProcessKey, list[ProcessState]] = {}
        for state in table if passing else ():
            parent = state.original_parent
            if parent is not None and parent in passing:
                self._children.setdefault(parent, []).append(state)

    def by(self, state: ProcessState) -> ProcessState | None:
        """The process whose death by signal an exit code most likely passes on.

        Returns:
            The child that died of this signal last, and for which it waited; where the
            child itself passes it on, the one whose death that is. None where there is
            none: the code is the process's own.
        """
        seen: set[ProcessKey] = set()
        passing: ProcessState | None = state
        while passing is not None and passing.key not in seen:
            seen.add(passing.key)
            signo = _signo_of(passing)
            ended = [
                child
                for child in self._children.get(passing.key, ())
                if child.status is not None
                and child.exit_ns is not None
                and passing.exit_ns is not None
                and child.exit_ns <= passing.exit_ns
                and _waited_for(passing, child)
                and signo is not None
                and signo in (child.status.signo, _signo_of(child))
            ]
            if not ended:
                return None
            last = max(ended, key=lambda child: child.exit_ns or 0)
            if last.status is not None and last.status.signo == signo:
                return last
            passing = last
        return None


def handled_before(state: ProcessState) -> bool:
    """Whether a process that ended with 128 + N had handled signal N before.

    Its own choice then, and an orderly end: it says of what it ended.
    """
    signo = _signo_of(state)
    return state.asked is not None and any(
        event.signo == signo and event.disposition is Disposition.CAUGHT
        for event in state.asked.sent
    )


def _waited_for(parent: ProcessState, child: ProcessState) -> bool:
    """Whether a parent knows how its child ended: wait() returned it."""
    return (
        child.reap is not None
        and child.reap.kind is ReapKind.PARENT
        and child.reap.reaper == parent.key
    )


def _signo_of(state: ProcessState) -> int | None:
    code = state.status.exit_code if state.status is not None else None
    return code - _SIGNAL_BASE if code is not None and code > _SIGNAL_BASE else None
