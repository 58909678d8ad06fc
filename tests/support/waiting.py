"""Waiting on state, never on a delay."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = float(os.environ.get("ZOMTRACE_PATIENCE", "1"))
"""What all deadlines here are multiplied with: more than 1 for emulated machines."""


def wait_for(read: Callable[[], T | None], what: str, *, within_s: float = 60.0) -> T:
    """Poll until ``read`` gives something true, and return it.

    Args:
        read: Looks at the state; what it returns counts as not yet when false.
        what: What is waited for, for the message.
        within_s: The deadline. It ends a test that has failed: on a busy machine what is waited
            for may take a while.

    Raises:
        AssertionError: The deadline passed.
    """
    within_s *= PATIENCE
    deadline = time.monotonic() + within_s
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.005)
