"""The command lines of those who send fatal signals, while they are there.

The kernel gives the sender's name, 15 characters of it. Its command line is in
/proc for as long as it lives, which for kill(1) is no time at all: so it is read
when the record is drained, before it is decoded; that of a program inside the
target already when it is executed. It may be gone even so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tracer.correlate.correlator import Correlator
from tracer.live.observers.observer import Observer
from tracer.masking.masking import show_command
from tracer.model.events import ObservationEvent
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM
from tracer.model.target import Target
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.procfs.patience import NoAnswerError, ask
from tracer.procfs.process import open_process, read_cmdline
from tracer.wire.header import CONSTANTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SIGNAL = CONSTANTS["ZT_KIND_SIGNAL"]
_FILLED = CONSTANTS["ZT_INFO_POINTER"]
_SKIPPED = CONSTANTS["ZT_F_NOTIFY"] | CONSTANTS["ZT_F_CUR_SELF"] | CONSTANTS["ZT_F_CUR_EXITING"]
_ALWAYS = frozenset({SIGKILL, SIGTERM, SIGINT, SIGQUIT, SIGHUP})
_EXEC = CONSTANTS["ZT_KIND_EXEC"]
_MOST_EXECS_A_DRAIN = 8
_MOST_KEPT = 1024


class SenderEvidence(Observer):
    """Reads each sender's command line once: as it sends, or not at all."""

    def __init__(self, clock: BootClock = boot_now_ns) -> None:
        super().__init__(clock)
        self._signos: list[int] = sorted(_ALWAYS)
        self._seen: dict[tuple[int, int], None] = {}
        self._executed: dict[tuple[int, int], dict[str, Any]] = {}

    def begin(self, _correlator: Correlator, target: Target, /) -> Iterable[ObservationEvent]:
        """Learn which signals stop the target's containers."""
        stops = {container.stop_signo for container in target.containers}
        self._signos = sorted(_ALWAYS | stops)
        return ()

    def peek(self, records: npt.NDArray[np.void], /) -> Iterator[ObservationEvent]:
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
            values = read_command(host_pid, start_boot_ns) or self._executed.get(
                (host_pid, start_boot_ns)
            )
            if values is not None:
                key = ProcessKey(host_pid, start_boot_ns)
                yield ObservationEvent(self._clock(), "proc", key, values)

    def _keep_executed(self, records: npt.NDArray[np.void], kinds: npt.NDArray[np.uint8]) -> None:
        executed = records[(kinds == _EXEC).nonzero()[0][-_MOST_EXECS_A_DRAIN:]]
        for host_pid, start_boot_ns in zip(
            executed["host_pid"].tolist(), executed["start_boot_ns"].tolist(), strict=True
        ):
            values = read_command(host_pid, start_boot_ns)
            if values is not None:
                self._executed[host_pid, start_boot_ns] = values
        for kept in (self._executed, self._seen):
            while len(kept) > _MOST_KEPT:
                del kept[next(iter(kept))]


def read_command(host_pid: int, start_boot_ns: int) -> dict[str, Any] | None:
    """Read the command line of a process, masked and cut, as an observation's values.

    Returns:
        None where it is gone, is another process by now, or does not answer in time.
    """
    # As one question: there are many of them.
    try:
        return ask(lambda: _read(host_pid, start_boot_ns))
    except NoAnswerError:
        return None


def _read(host_pid: int, start_boot_ns: int) -> dict[str, Any] | None:
    # Without its start time the pid may be another process's by now.
    words = read_cmdline(host_pid) if start_boot_ns else None
    if not words:
        return None
    directory = open_process(host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
    # After the arguments: a process that exists now existed when they were read.
    if status is None or not ProcessKey(host_pid, start_boot_ns).same_process(status.key):
        return None
    return {"cmdline": show_command(words)}
