"""The workloads: a C program that does what it is told and says how much it did."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.errors import BenchError
from benchmark.place import Cgroup, Place

_SOURCES = Path(__file__).parent / "workloads"
_ANSWER_WITHIN_S = 120.0


@dataclass(frozen=True)
class Programs:
    """The compiled workloads."""

    driver: Path
    nothing: Path


def compile_programs(directory: Path) -> Programs:
    """Compile ``workloads/*.c``, static, into a directory.

    Raises:
        BenchError: There is no compiler, or it fails.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise BenchError("there is no gcc to compile the workloads with", hint="scripts/setup")
    # The second one's file name is its comm: what tracers call it.
    programs = Programs(directory / "zb-driver", directory / "zb-exec")
    warnings = ["-O2", "-Wall", "-Wextra", "-Werror", "-static"]
    commands: tuple[list[str | Path], ...] = (
        [compiler, "-std=gnu11", *warnings, "-o", programs.driver, _SOURCES / "driver.c"],
        [compiler, *warnings, "-nostdlib", "-o", programs.nothing, _SOURCES / "nothing.c"],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"{command[-1]} does not compile:\n{done.stderr}")
    return programs


@dataclass(frozen=True)
class Truth:
    """What the workload says it did.

    Args:
        what: The command's name.
        processes: Processes made that have ended.
        signals: Signals sent, SIGCHLD not counted.
        seconds: From its first to its last act.
    """

    what: str
    processes: int
    signals: int
    seconds: float


class Driver:
    """One running workload program.

    Args:
        programs: The compiled workloads.
        place: Gives it a cgroup.
        own_pidns: Make it PID 1 of a PID namespace: a container, to tracers.
    """

    def __init__(self, programs: Programs, place: Place, *, own_pidns: bool = False) -> None:
        self.cgroup: Cgroup = place.cgroup("workload")
        join = f'echo 0 >"{self.cgroup.path}/cgroup.procs" && exec "$@"'
        self._process = subprocess.Popen(
            ["sh", "-c", join, "sh", programs.driver, *(["--pidns"] if own_pidns else []),
             programs.nothing],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0,
        )  # fmt: skip
        self.pings = 0
        self._answer()
        # The outer one waits; PID 1 is its child.
        self.pid = self._process.pid
        if own_pidns:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            self.pid = int(children[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it and all it made."""
        self.cgroup.close()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    @property
    def pidns_inum(self) -> int:
        """Its PID namespace."""
        return os.stat(f"/proc/{self.pid}/ns/pid").st_ino

    def do(self, command: str, *numbers: int, within_s: float = _ANSWER_WITHIN_S) -> Truth:
        """Have something done.

        Raises:
            BenchError: It could not do all of it.
        """
        answer = self._ask(command, *numbers, within_s=within_s)
        if answer.get("failed"):
            raise BenchError(f"workload: {answer['failed']} forks of {command} {numbers} failed")
        return Truth(
            command, answer["processes"], answer.get("signals", 0), answer["ns"] / 1e9
        )  # fmt: skip

    def ping(self) -> tuple[str, int, float]:
        """One process that signals itself and ends.

        Returns:
            Its comm, its pid, and when it ended (CLOCK_MONOTONIC, seconds).
        """
        self.pings += 1
        answer = self._ask("ping", self.pings)
        return f"zb-p{self.pings}", answer["pid"], answer["at_ns"] / 1e9

    def _ask(
        self, command: str, *numbers: int, within_s: float = _ANSWER_WITHIN_S
    ) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command} {' '.join(map(str, numbers))}\n")
        self._process.stdin.flush()
        return self._answer(within_s)

    def _answer(self, within_s: float = _ANSWER_WITHIN_S) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise BenchError(
                f"the workload said nothing within {within_s:.0f} s"
                if not ready
                else f"the workload ended with status {self._process.wait()}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


def until(deadline: float) -> float:
    """Seconds left until a time on the monotonic clock."""
    return max(0.0, deadline - time.monotonic())
