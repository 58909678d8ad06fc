"""What was read of the members of stops, found by whom and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.model.claims.claim import Evidence
from tracer.model.claims.hold import HeldThread
from tracer.model.events import ObservationEvent
from tracer.model.identity import ProcessKey

_SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "busybox", "ksh", "ksh93", "mksh", "zsh", "yash", "posh"}
)
_INTERPRETERS = ("python", "perl", "ruby", "node", "php", "lua", "tclsh")
_INITS = frozenset({"tini", "tini-static", "docker-init", "dumb-init", "catatonit"})


_READINGS = ("member", "init")
"""An init's own reading is a member's, with less in it."""


@dataclass(frozen=True, slots=True)
class MemberReading:
    """One reading of one member; what was not read is None or empty.

    Args:
        event: The observation.
    """

    event: ObservationEvent

    @property
    def evidence(self) -> Evidence:
        """It as what a claim rests on."""
        return Evidence("observation", self.event.boot_ns, self.event.about, "proc/member")

    @property
    def values(self) -> Mapping[str, Any]:
        """What was read, by name."""
        return self.event.values

    @property
    def has_threads(self) -> bool:
        """Whether its threads were read, too."""
        return bool(self.values.get("threads"))

    @property
    def has_freezer(self) -> bool:
        """Whether its cgroup's freezer was read, too."""
        return self.values.get("is_frozen") is not None

    @property
    def exe(self) -> str | None:
        """Its program."""
        exe = self.values.get("exe")
        return str(exe) if exe is not None else None

    def is_set(self, name: str) -> bool:
        """Whether a yes-or-no value was read, and as yes."""
        return self.values.get(name) is True

    def stuck_thread(self) -> HeldThread | None:
        """A thread in uninterruptible sleep."""
        for thread in self.values.get("threads", ()):
            if thread.get("state") == "D":
                return HeldThread(
                    int(thread["host_tid"]),
                    str(thread["comm"]),
                    thread.get("syscall"),
                    thread.get("wchan"),
                )
        return None

    @property
    def is_killed(self) -> bool:
        """Whether the end of the process had begun: its threads have SIGKILL pending."""
        return any(thread.get("is_killed") for thread in self.values.get("threads", ()))


def readings_of(
    correlator: Correlator, key: ProcessKey, since_ns: int = 0, until_ns: int | None = None
) -> list[MemberReading]:
    """The readings of one process within a span, in order of time."""
    found = _by_pid(correlator, len(correlator.observations)).get(key.host_pid, ())
    return [
        MemberReading(event)
        for event in found
        if event.about is not None
        and key.same_process(event.about)
        and event.boot_ns >= since_ns
        and (until_ns is None or event.boot_ns <= until_ns)
    ]


def program_of(correlator: Correlator, state: ProcessState) -> str:
    """The program a process runs, by /proc/PID/exe where that was read, else by its name.

    A script's name is that of the script, and says nothing of what interprets it.
    """
    since_ns = state.executed_ns or 0
    for reading in reversed(readings_of(correlator, state.key, since_ns)):
        if reading.exe is not None:
            return reading.exe
    return state.comm


def is_shell(correlator: Correlator, state: ProcessState) -> bool:
    """Whether a process is a shell, whatever it calls itself."""
    return program_of(correlator, state) in _SHELLS


def is_init_program(correlator: Correlator, state: ProcessState) -> bool:
    """Whether a process is an init that forwards signals and waits, as tini does."""
    return program_of(correlator, state) in _INITS


def is_interpreter(correlator: Correlator, state: ProcessState) -> bool:
    """Whether a process interprets a script that can be changed."""
    program = program_of(correlator, state)
    return program in _SHELLS or program.startswith(_INTERPRETERS)


def ignores(correlator: Correlator, state: ProcessState, signo: int) -> bool | None:
    """Whether a process ignores a signal, as read last; None = it was not read."""
    return _read_last(correlator, state, signo, "is_ignored")


def catches(correlator: Correlator, state: ProcessState, signo: int) -> bool | None:
    """Whether a process has a handler for a signal, as read last; None = it was not read."""
    return _read_last(correlator, state, signo, "is_caught")


def _read_last(correlator: Correlator, state: ProcessState, signo: int, name: str) -> bool | None:
    since_ns = state.executed_ns or 0
    for reading in reversed(readings_of(correlator, state.key, since_ns)):
        if reading.values.get("signo") == signo and reading.values.get(name) is not None:
            return reading.is_set(name)
    return None


def is_dying(correlator: Correlator, state: ProcessState) -> bool:
    """Whether the end of the whole process was seen to have begun when its main thread ended."""
    since_ns = state.leader_exit_ns
    return since_ns is not None and any(
        reading.is_killed for reading in readings_of(correlator, state.key, since_ns)
    )


def process_group_of(correlator: Correlator, state: ProcessState) -> int | None:
    """The process group a process was in when it was read last; None = it was not read."""
    for reading in reversed(readings_of(correlator, state.key)):
        group = reading.values.get("process_group")
        if isinstance(group, int):
            return group
    return None


@lru_cache(maxsize=1)
def _by_pid(
    correlator: Correlator,
    count: int,  # noqa: ARG001 (more observations make another answer)
) -> dict[int, Sequence[ObservationEvent]]:
    found: dict[int, list[ObservationEvent]] = {}
    for event in correlator.observations:
        if event.about is not None and event.values.get("reading") in _READINGS:
            found.setdefault(event.about.host_pid, []).append(event)
    return dict(found)
