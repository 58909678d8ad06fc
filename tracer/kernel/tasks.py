"""The processes that are there, listed by the BPF task iterator (bpf/seed.c)."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from tracer.kernel import attach
from tracer.wire.layout import RECORD

_READ_BYTES = 1 << 20


def list_tasks(link_fd: int | None) -> npt.NDArray[np.void]:
    """Make one pass of the iterator.

    Args:
        link_fd: The iterator's link; None where the kernel has none.

    Returns:
        A PROCESS record of each process the filter lets through; none without a link.

    Source:
        The BPF task iterator, over the PID namespace of this process.
    """
    if link_fd is None:
        return np.empty(0, RECORD)
    chunks = []
    iterator_fd = attach.open_iterator(link_fd)
    try:
        while chunk := os.read(iterator_fd, _READ_BYTES):
            chunks.append(chunk)
    finally:
        os.close(iterator_fd)
    # Not of bytes: whoever gets them may put them in order.
    return np.frombuffer(bytearray().join(chunks), RECORD)
