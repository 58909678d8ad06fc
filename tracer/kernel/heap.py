"""The C library's heap, set for one who copies megabytes and frees them at once."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_BATCH_BYTES = 16 << 20
_KEPT_BYTES = 32 << 20


def keep_freed_memory() -> None:
    """Have the memory of a batch used for the next one.

    glibc's malloc gives large blocks back to the kernel when they are freed
    (malloc/malloc.c, mallopt(3)), and the next batch takes a page fault for each
    4 KiB: a fifth of what a recording costs. Elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_BATCH_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give the kernel what :func:`keep_freed_memory` has kept: no more batches come."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return
    trim(0)
