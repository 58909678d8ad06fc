"""Waiting on state, never on a delay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(read: Callable[[], T | None], what: str, *, within_s: float = 10.0) -> T:
    """Poll until ``read`` gives something true, and return it.

    Args:
        read: Looks at the state; what it returns counts as not yet when false.
        what: What is waited for, for the message.
        within_s: The deadline.

    Raises:
        AssertionError: The deadline passed.
    """
    deadline = time.monotonic() + within_s
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.005)
