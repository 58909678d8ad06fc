"""What can go wrong, and the exit statuses."""

from __future__ import annotations

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 69
EXIT_NOISY = 75
"""EX_TEMPFAIL of sysexits(3): the machine was too busy for a comparison."""

EXIT_INTERRUPTED = 130


class BenchError(Exception):
    """Nothing can be measured, or not compared.

    Args:
        message: What failed, and on which value.
        hint: What to do about it, or None.
        status: The exit status.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int = EXIT_UNAVAILABLE
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        """Render both lines."""
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"


class PeerFailedError(Exception):
    """A peer does not work on this machine; the message says why."""
