"""Doing something as a user who may do nothing."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
NOBODY = 65534


def as_nobody(action: Callable[[], T]) -> T | Exception:
    """Call ``action`` in a child that gave up root; return its result or exception."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        result: object
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            result = action()
        except Exception as error:  # noqa: BLE001 - the parent gets to see whatever it was
            result = error
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    value: T | Exception = pickle.loads(answer)
    return value
