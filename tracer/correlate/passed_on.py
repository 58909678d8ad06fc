"""Exit codes of 128 + N that pass on a child's death by signal N, as shells do."""

from __future__ import annotations

from tracer.correlate.state import ProcessState
from tracer.correlate.table import ProcessTable
from tracer.model.identity import ProcessKey

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
            The child that died of this signal last; where the child itself passes
            it on, the one whose death that is. None where there is none: the code
            is the process's own.
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


def _signo_of(state: ProcessState) -> int | None:
    code = state.status.exit_code if state.status is not None else None
    return code - _SIGNAL_BASE if code is not None and code > _SIGNAL_BASE else None
