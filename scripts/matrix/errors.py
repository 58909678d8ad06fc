"""What can go wrong that is no test's fault, and the exit statuses."""

from __future__ import annotations

EXIT_OK = 0
EXIT_TESTS_FAILED = 1
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 75
"""EX_TEMPFAIL of sysexits(3): no verdict on the tests could be had."""


class InfrastructureError(Exception):
    """Something that is needed to run a test failed, not the test.

    Args:
        message: What failed, and on which value.
        hint: What to do about it, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Render both lines."""
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"


class BuildError(InfrastructureError):
    """An image, a kernel or a wheel could not be made."""


class GuestError(InfrastructureError):
    """A guest ended without saying how its command ended."""


class UsageError(Exception):
    """The command line asks for something that makes no sense."""
