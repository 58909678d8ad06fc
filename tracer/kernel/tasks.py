"""The processes that are there, listed by the BPF task iterator (bpf/seed.c)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracer.kernel.attach import run_iterator
from tracer.wire.layout import RECORD


def list_tasks(link_fd: int | None) -> npt.NDArray[np.void]:
    """Make one pass of the iterator.

    Args:
        link_fd: The iterator's link; None where the kernel has none.

    Returns:
        A PROCESS record of each process the filter lets through; none without a link.

    Source:
        The BPF task iterator, over the PID namespace of this process.
    """
    # Not of bytes: the caller may sort them in place.
    written = bytearray() if link_fd is None else run_iterator(link_fd)
    return np.frombuffer(written, RECORD)
