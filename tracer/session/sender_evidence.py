"""The command lines of those who send fatal signals, while they are there.

The kernel tells the sender's name, 15 characters of it. Its command line is in
/proc for as long as it lives, which for kill(1) is no time at all: so it is read
when the record is drained, before it is decoded; that of a program inside the
target already when it is executed. It may be gone even so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tracer.correlate.correlator import Correlator
from tracer.kernel.clock import boot_now_ns
from tracer.kernel.procfs import open_process, read_cmdline
from tracer.model.events import ObservationEvent
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM
from tracer.model.target import Target
from tracer.session.masking import show_command
from tracer.session.observer import Listener
from tracer.wire.header import CONSTANTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TICK_NS = 10_000_000
_SIGNAL = CONSTANTS["ZT_KIND_SIGNAL"]
_FILLED = CONSTANTS["ZT_INFO_POINTER"]
_SKIPPED = CONSTANTS["ZT_F_NOTIFY"] | CONSTANTS["ZT_F_CUR_SELF"] | CONSTANTS["ZT_F_CUR_EXITING"]
_ALWAYS = frozenset({SIGKILL, SIGTERM, SIGINT, SIGQUIT, SIGHUP})
_EXEC = CONSTANTS["ZT_KIND_EXEC"]
_MOST_EXECS_A_DRAIN = 8
_MOST_KEPT = 1024


class SenderEvidence:
    """Reads each sender's command line once."""

    def __init__(self) -> None:
        self._signos: list[int] = sorted(_ALWAYS)
        self._seen: dict[tuple[int, int], None] = {}
        self._executed: dict[tuple[int, int], dict[str, Any]] = {}

    @property
    def period_s(self) -> None:
        """Never: a sender is read as it sends, or not at all."""

    def begin(self, correlator: Correlator, target: Target) -> Iterator[ObservationEvent]:  # noqa: ARG002
        """Learn which signals stop the target's containers."""
        stops = {container.stop_signo for container in target.containers}
        self._signos = sorted(_ALWAYS | stops)
        yield from ()

    def listeners(self) -> Mapping[type, Listener]:
        """None: an event comes too late."""
        return {}

    def peek(self, records: npt.NDArray[np.void]) -> Iterator[ObservationEvent]:
        """Read the command lines of the senders among the records."""
        import numpy as np

        kinds = records["kind"].copy()
        self._keep_executed(records, kinds)
        signals = (kinds == _SIGNAL).nonzero()[0]
        if not len(signals):
            return
        sent = (
            (records["info"][signals] == _FILLED)
            & (records["si_code"][signals] <= 0)
            & (records["flags"][signals] & _SKIPPED == 0)
            & np.isin(records["sig"][signals], self._signos)
        )
        if not sent.any():
            return
        senders = records[signals[sent]]
        for host_pid, start_boot_ns in dict.fromkeys(
            zip(
                senders["cur_host_pid"].tolist(), senders["cur_start_boot_ns"].tolist(), strict=True
            )
        ):
            if (host_pid, start_boot_ns) in self._seen or host_pid == os.getpid():
                continue
            self._seen[host_pid, start_boot_ns] = None
            values = _read(host_pid, start_boot_ns) or self._executed.get((host_pid, start_boot_ns))
            if values is not None:
                key = ProcessKey(host_pid, start_boot_ns)
                yield ObservationEvent(boot_now_ns(), "proc", key, values)

    def _keep_executed(self, records: npt.NDArray[np.void], kinds: npt.NDArray[np.uint8]) -> None:
        executed = records[(kinds == _EXEC).nonzero()[0][-_MOST_EXECS_A_DRAIN:]]
        for host_pid, start_boot_ns in zip(
            executed["host_pid"].tolist(), executed["start_boot_ns"].tolist(), strict=True
        ):
            values = _read(host_pid, start_boot_ns)
            if values is not None:
                self._executed[host_pid, start_boot_ns] = values
        for kept in (self._executed, self._seen):
            while len(kept) > _MOST_KEPT:
                del kept[next(iter(kept))]

    def look(self) -> Iterator[ObservationEvent]:
        """Nothing changes about a sender."""
        yield from ()

    def finish(self) -> Iterator[ObservationEvent]:
        """All was read when it was there."""
        yield from ()


def _read(host_pid: int, start_boot_ns: int) -> dict[str, Any] | None:
    words = read_cmdline(host_pid)
    if not words:
        return None
    directory = open_process(host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
    # Behind the arguments: whoever is there now was there when they were read.
    if status is None or abs(status.start_boot_ns - start_boot_ns) > _TICK_NS:
        return None
    return {"cmdline": show_command(words)}
