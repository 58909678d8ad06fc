"""Names of system calls, by the table of the machine the number comes from."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_TABLES = {
    ("x86_64", False): "x86_64",
    ("x86_64", True): "i386",
    ("aarch64", False): "arm64",
    ("aarch64", True): "arm",
}


@lru_cache(maxsize=1)
def _tables() -> Any:
    import system_calls

    return system_calls.syscalls()


@lru_cache(maxsize=1024)
def syscall_name(number: int, machine: str, *, is_compat: bool) -> str | None:
    """Name a system call; None for none (-1), or where no table has it.

    Args:
        number: As the kernel keeps it for the interrupted task.
        machine: ``uname -m`` where the number was read.
        is_compat: Whether the task was in a 32-bit call.
    """
    architecture = _TABLES.get((machine, is_compat))
    if number < 0 or architecture is None:
        return None
    import system_calls

    try:
        name: str = _tables().get_name(number, architecture)
    except system_calls.NoSuchSystemCall:
        return None
    return name
