"""One run of a tool: started, ready, watched, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmark.errors import PeerFailedError
from benchmark.peers import Peer, Setting
from benchmark.place import Place
from benchmark.workload import Driver

_READY_WITHIN_S = 60.0
_QUIET_WITHIN_S = 20.0
_END_WITHIN_S = 120.0
_AGAIN_S = 1.0
_LOOK_S = 0.15
_QUIET_SHARE = 0.03
"""Of a processor: a tool that uses less has worked off what there was."""


@dataclass(frozen=True)
class Memory:
    """Resident bytes of all processes of a tool together, and their highest so far."""

    resident: int
    highest: int


def memory_of(pids: Sequence[int]) -> Memory:
    """Read ``/proc/PID/status`` of some processes."""
    sums = {"VmRSS": 0, "VmHWM": 0}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in sums:
                    sums[key] += int(value.split()[0]) * 1024
    return Memory(sums["VmRSS"], sums["VmHWM"])


class Tool:
    """A peer that runs, in a cgroup of its own.

    Args:
        peer: What to run.
        setting: What its command line needs.
        place: Gives it a cgroup and files.
        stdout: A descriptor for its output; a file by default.
    """

    def __init__(
        self, peer: Peer, setting: Setting, place: Place, *, stdout: int | None = None
    ) -> None:
        self.peer = peer
        self.cgroup = place.cgroup(peer.name)
        self.stdout = place.file(f"{peer.name}.out")
        self.stderr = place.file(f"{peer.name}.err")
        self.output = setting.output
        self.highest_seen = 0
        join = f'echo 0 >"{self.cgroup.path}/cgroup.procs" && exec "$@"'
        self.began_s = time.monotonic()
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self._process = subprocess.Popen(
                ["sh", "-c", join, "sh", *peer.command(setting)],
                stdin=subprocess.DEVNULL, stdout=out if stdout is None else stdout, stderr=err,
                env={
                    **os.environ, "BCC_KERNEL_SOURCE": str(setting.kernel_tree), "LC_ALL": "C",
                },
                process_group=0,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cgroup.close()
        self._process.wait()
        for path in (self.stdout, self.stderr, self.output):
            path.unlink(missing_ok=True)

    @property
    def seen_beside(self) -> Path:
        """What counts beside stdout: the file it wrote itself, else its stderr."""
        return self.output if self.output.exists() else self.stderr

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            PeerFailedError: It has ended.
        """
        if self._process.poll() is not None:
            raise PeerFailedError(self.last_words())

    def last_words(self) -> str:
        """The last line it printed."""
        for path in (self.stderr, self.stdout):
            lines = path.read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1].strip()[:200]
        return f"ended with status {self._process.poll()} and without a word"

    def await_ready(self, driver: Driver) -> None:
        """Wait until it sees what happens.

        A tool that says nothing when it is attached is shown processes until it
        has written: into a file most write full blocks only.

        Raises:
            PeerFailedError: It ended, or does not get ready.
        """
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline:
            self.check()
            self.highest_seen = max(self.highest_seen, self.memory().resident)
            if self.peer.ready is not None:
                if self.peer.ready in self.stderr.read_bytes():
                    return
            elif b"zb-" in (text := self.stdout.read_bytes()) or b"exited with 19" in text:
                return
            else:
                driver.ping()
            time.sleep(0.005)
        raise PeerFailedError(f"not ready within {_READY_WITHIN_S:.0f} s: {self.last_words()}")

    def await_quiet(self) -> float:
        """Wait until it has worked off what there was.

        Returns:
            The processor time it has used by then; seconds.
        """
        deadline = time.monotonic() + _QUIET_WITHIN_S
        used = self.cgroup.cpu_s()
        while True:
            began = time.monotonic()
            time.sleep(_LOOK_S)
            before, used = used, self.cgroup.cpu_s()
            now = time.monotonic()
            # Whoever waits for a processor has used none, and is not done.
            if used - before < _QUIET_SHARE * (now - began) and not self._wants_to_run():
                return used
            if now > deadline:
                return used

    def _wants_to_run(self) -> bool:
        for pid in self.cgroup.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    if (task / "stat").read_text().rpartition(")")[2].split()[0] == "R":
                        return True
        return False

    def memory(self) -> Memory:
        """What it holds now."""
        return memory_of(self.cgroup.pids())

    def end(self) -> float:
        """Ctrl-C, and wait.

        Returns:
            All the processor time it used; seconds.

        Raises:
            PeerFailedError: It had ended before, or does not end.
        """
        self.check()
        deadline = time.monotonic() + _END_WITHIN_S
        step_s = _END_WITHIN_S if self.peer.takes_one_interrupt else _AGAIN_S
        while time.monotonic() < deadline:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(step_s)
                return self.cgroup.cpu_s()
        raise PeerFailedError(f"does not end within {_END_WITHIN_S:.0f} s")
