"""Running out of file descriptors in the midst of a trace."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

_NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_RESERVE = 4
"""Descriptors that what is left to do takes: a reading, a module, the report's file."""


class Shortage:
    """Remembers that no more files could be opened: the trace ends there, with its report."""

    def __init__(self) -> None:
        self._error: OSError | None = None
        self._reserve: list[int] = []

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep some descriptors while the trace runs, to end it with."""
        # Held by what is never read: what counts is that their numbers are taken.
        self._reserve = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(_RESERVE)]
        try:
            yield
        finally:
            self._release()

    @property
    def has_come(self) -> bool:
        """Whether it has happened."""
        return self._error is not None

    def take(self, error: OSError) -> None:
        """Take an error of this kind; the first is remembered.

        Raises:
            OSError: It is of another kind.
        """
        if error.errno not in _NO_MORE_FILES:
            raise error
        self._error = self._error or error
        self._release()

    def raise_any(self) -> None:
        """Raise the error, if there was one.

        Raises:
            OSError: See :meth:`take`.
        """
        if self._error is not None:
            raise self._error

    def _release(self) -> None:
        while self._reserve:
            os.close(self._reserve.pop())
