"""A BpfSource that traces, its records picked by kind and field; a script to trace with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from tests.support.pidns_script import PidnsScript
from tests.support.waiting import wait_for
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.wire.header import CONSTANTS

Records = npt.NDArray[np.void]
PRIME = 101
FLAGS = {name.removeprefix("ZT_F_"): bit for name, bit in CONSTANTS.items() if name[:5] == "ZT_F_"}


class Tracing:
    """A source that traces, and all it has reported so far."""

    def __init__(self, source: BpfSource) -> None:
        self.source = source
        self._batches: list[Records] = []

    @property
    def records(self) -> Records:
        self._batches = [np.concatenate([*self._batches, self.source.read(0)])]
        return self._batches[0]

    def of(self, kind: str, **fields: object) -> Records:
        """Records of a kind whose fields have these values."""
        records = self.records
        chosen: npt.NDArray[np.bool_] = records["kind"] == CONSTANTS[f"ZT_KIND_{kind.upper()}"]
        for name, value in fields.items():
            chosen &= records[name] == value
        selected: Records = records[chosen]
        return selected

    def wait(self, count: int, kind: str, **fields: object) -> Records:
        """Wait until so many are there; more is an error."""

        def enough() -> tuple[Records] | None:
            got = self.of(kind, **fields)
            return (got,) if len(got) >= count else None

        found = wait_for(enough, f"{count} x {kind} {fields}")[0]
        assert len(found) == count
        return found


@contextmanager
def tracing(
    kernel_filter: KernelFilter,
    *,
    ring_bytes: int | None = None,
    allow_kprobes: bool = True,
    cgroup_v1: bool = False,
) -> Iterator[Tracing]:
    """Trace what passes a filter."""
    with BpfSource(
        everything=kernel_filter.everything,
        ring_bytes=ring_bytes,
        allow_kprobes=allow_kprobes,
        cgroup_v1=cgroup_v1,
    ) as source:
        source.set_filter(kernel_filter)
        source.attach()
        yield Tracing(source)


def in_pidns(script: PidnsScript) -> KernelFilter:
    """The PID namespace of a script."""
    return KernelFilter(pidns_inums=frozenset({script.pidns_inum}))


def has(records: Records, flag: str) -> list[bool]:
    """Of each record, whether it has a flag."""
    return [bool(bits & FLAGS[flag]) for bits in records["flags"]]


def pairs(records: Records, first: str, second: str) -> list[tuple[int, int]]:
    """Two fields of each record."""
    return list(zip(records[first].tolist(), records[second].tolist(), strict=True))


CHILDREN = f"""
say("ready")
hear()
for i in range({PRIME}):
    pid = os.fork()
    if not pid:
        if i % 3 == 0:
            os.execv("/bin/true", ["true"])
        if i % 3 == 1:
            os._exit(i)
        os.kill(os.getpid(), (signal.SIGKILL, signal.SIGTERM)[i % 2])
    _, status = os.waitpid(pid, 0)
    say(pid, status)
say("done")
hear()
"""


def waited_statuses(script: PidnsScript) -> dict[int, int]:
    """The wait status of each of CHILDREN, by pid, as the script's waitpid returned them."""
    statuses = {}
    while (line := script.listen()) != "done":
        pid, status = line.split()
        statuses[int(pid)] = int(status)
    return statuses
