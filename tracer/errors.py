"""Every error zomtrace raises on purpose, and the exit status each one means.

The statuses follow sysexits(3) where it has one: 69 is EX_UNAVAILABLE, 70
EX_SOFTWARE, 77 EX_NOPERM.
"""

from __future__ import annotations

from typing import ClassVar


class ZomtraceError(Exception):
    """Root of the tree; raised itself only for what is our own fault.

    Args:
        message: What failed, and on which value. One line.
        hint: What the user can do about it, or None. One line.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ZomtraceError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class CheckFailedError(ZomtraceError):
    """A --fail-on or --strict check found what it looks for."""

    exit_code = 1


class UnavailableError(ZomtraceError):
    """This host, or the target, cannot serve what was asked."""

    exit_code = 69


class TargetNotFoundError(UnavailableError):
    """No running container, namespace or cgroup answers to the given name."""


class AmbiguousTargetError(UnavailableError):
    """More than one container answers to the given name or prefix."""


class RuntimeUnreachableError(UnavailableError):
    """A container engine is there but does not answer, or refuses us."""


class BpfUnavailableError(UnavailableError):
    """The kernel cannot, or may not, run the BPF programs."""


class OutputError(UnavailableError):
    """A file that was asked for cannot be written."""


class StdoutError(OutputError):
    """stdout cannot be written to: it is full, closed, or its terminal is gone."""


class ReaderGoneError(BrokenPipeError):
    """The reader of stdout has gone (``| head -1``): not an error, there is just nothing to do.

    It has no errno, for what looks for EPIPE (click) ends the program with status 1.
    """


class CaptureError(UnavailableError):
    """A capture file cannot be read: it is corrupt, too new, or none at all."""


class PrivilegeError(ZomtraceError):
    """The caller lacks a capability."""

    exit_code = 77
