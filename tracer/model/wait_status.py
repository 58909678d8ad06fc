"""A wait status, taken apart as waitpid's macros do."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.signals import signal_name

_CORE_DUMPED = 0x80


@dataclass(frozen=True, slots=True)
class WaitStatus:
    """How a process ended: an exit code, or a signal. One of the two is None.

    Source: low 7 bits the signal, bit 7 the core dump, the next 8 the exit
    code (kernel/exit.c, wait_task_zombie).
    """

    exit_code: int | None
    signo: int | None
    core_dumped: bool

    @classmethod
    def from_raw(cls, raw: int) -> WaitStatus:
        """Take a raw 16-bit wait status apart."""
        signo = raw & 0x7F
        if signo:
            return cls(None, signo, bool(raw & _CORE_DUMPED))
        return cls((raw >> 8) & 0xFF, None, False)

    @property
    def raw(self) -> int:
        """The status as waitpid would return it."""
        if self.signo is not None:
            return self.signo | (_CORE_DUMPED if self.core_dumped else 0)
        return (self.exit_code or 0) << 8

    @property
    def signal_name(self) -> str | None:
        """The signal's name, or None after an exit."""
        return None if self.signo is None else signal_name(self.signo)

    def __str__(self) -> str:
        """Render as exitsnoop does: ``0``, ``code 65``, ``signal 9 (KILL)``."""
        if self.signo is not None:
            name = signal_name(self.signo).removeprefix("SIG")
            dumped = ", core dumped" if self.core_dumped else ""
            return f"signal {self.signo} ({name}){dumped}"
        return "0" if not self.exit_code else f"code {self.exit_code}"
