"""The BPF ring buffer, read by numpy straight from its pages.

Layout (kernel/bpf/ringbuf.c): page 0 holds the consumer's position, which we
write; page 1 the producer's; then the data. A record has an 8-byte header, its
length with a busy bit and a discard bit, and is padded to 8. Ours are all of one
size, so a drain is one strided view.
"""

from __future__ import annotations

import mmap
import platform
import select
import threading
import time

import numpy as np
import numpy.typing as npt

from tracer.errors import ZomtraceError

PAGE = mmap.PAGESIZE
HEADER_BYTES = 8
BUSY_BIT = np.uint32(1 << 31)
DISCARD_BIT = np.uint32(1 << 30)

BATCH_WAIT_S = 0.02
"""How long records may gather after a wake-up: at most 50 wake-ups a second,
however fast they come, and an event is still shown well within 100 ms."""

_FILLING = 0.25
"""Nothing is waited for once so much of it is taken."""

MAX_BATCH_RECORDS = 65_536
"""Bounds what one drain copies (18 MB): more than a ring of 16 MiB holds."""


class RingReader:
    """The consumer's side of one ring. Not for use by two threads at once.

    Args:
        fd: The map's descriptor; it stays the caller's.
        size: The ring's size in bytes (the map's max_entries).
        record: The dtype of every record.

    Raises:
        ZomtraceError: The ring holds records of another size.
    """

    def __init__(self, fd: int, size: int, record: np.dtype[np.void]) -> None:
        self._fd = fd
        self._size = size
        self._record = record
        self._stride = (HEADER_BYTES + record.itemsize + 7) // 8 * 8
        # Members are no business of a copy, and numpy would look at each.
        self._blob = np.dtype((np.void, record.itemsize))
        self._framed = np.dtype(
            {
                "names": ["record"],
                "formats": [self._blob],
                "offsets": [HEADER_BYTES],
                "itemsize": self._stride,
            }
        )
        self._consumer_map = mmap.mmap(fd, PAGE, mmap.MAP_SHARED)
        # The kernel maps the data twice in a row so that no record is split;
        # one copy mapped costs half the resident memory and one more slice.
        self._producer_map = mmap.mmap(
            fd, PAGE + size, mmap.MAP_SHARED, mmap.PROT_READ, offset=PAGE
        )
        self._consumer = np.frombuffer(self._consumer_map, np.uint64, 1)
        self._producer = np.frombuffer(self._producer_map, np.uint64, 1)
        self._bytes = np.frombuffer(self._producer_map, np.uint8, size, offset=PAGE)
        self._words = np.frombuffer(self._producer_map, np.uint32, size // 4, offset=PAGE)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._needs_fences = platform.machine() not in {"x86_64", "i686"}
        self._fence_lock = threading.Lock()

    @property
    def nothing(self) -> npt.NDArray[np.void]:
        """No records."""
        return np.empty(0, self._record)

    def close(self) -> None:
        """Unmap the ring."""
        del self._consumer, self._producer, self._bytes, self._words
        self._consumer_map.close()
        self._producer_map.close()

    @property
    def capacity(self) -> int:
        """How many records it has room for."""
        return self._size // self._stride

    @property
    def filled(self) -> float:
        """The share of it that is taken."""
        return self._pending_bytes() / self._size

    def wait(self, timeout_s: float | None) -> bool:
        """Sleep until there are records, then let them gather.

        Returns:
            Whether there is something to drain.
        """
        timeout_ms = None if timeout_s is None else max(0, int(timeout_s * 1000))
        if not self._poll.poll(timeout_ms):
            return False
        if self.filled < _FILLING:
            time.sleep(BATCH_WAIT_S)
        return True

    def drain(self) -> npt.NDArray[np.void]:
        """Copy out the records that are complete and give their room back.

        Returns:
            Records in ring order; empty if there are none.
        """
        consumed = int(self._consumer[0])
        count = min(self._pending_bytes() // self._stride, MAX_BATCH_RECORDS)
        if count == 0:
            return self.nothing
        self._fence()
        starts = (consumed + np.arange(count, dtype=np.int64) * self._stride) % self._size
        headers = self._words[starts // 4]
        busy = np.flatnonzero(headers & BUSY_BIT)
        if busy.size:
            # Still being written; those behind it wait for their turn.
            count = int(busy[0])
            headers = headers[:count]
            if count == 0:
                return self.nothing
        kept = (headers & DISCARD_BIT) == 0
        if np.any(headers[kept] != self._record.itemsize):
            raise ZomtraceError(
                f"the ring holds a record of {int(headers[kept][0])} bytes,"
                f" {self._record.itemsize} were expected",
                hint="the BPF sources and the Python package have different versions",
            )
        self._fence()
        records = self._copy(consumed % self._size, count)
        self._fence()
        self._consumer[0] = consumed + count * self._stride
        return (records if kept.all() else records[kept]).view(self._record)

    def _pending_bytes(self) -> int:
        return int(self._producer[0]) - int(self._consumer[0])

    def _copy(self, start: int, count: int) -> npt.NDArray[np.void]:
        copy = np.empty(count, self._blob)
        before = min(count, (self._size - start) // self._stride)
        copy[:before] = self._frames(start, before)
        if before < count:
            # The next one may begin at the ring's end and go on at its beginning.
            cut = start + before * self._stride
            head = self._size - cut
            parts = [self._bytes[cut:], self._bytes[: self._stride - head]]
            copy[before] = np.concatenate(parts).view(self._framed)["record"][0]
            after = count - before - 1
            copy[before + 1 :] = self._frames(self._stride - head, after)
        return copy

    def _frames(self, start: int, count: int) -> npt.NDArray[np.void]:
        return np.ndarray(count, self._framed, self._bytes, start)["record"]

    def _fence(self) -> None:
        """Keep the reads before it before the reads and writes after it.

        x86 never reorders loads with loads or a store with an earlier load. On
        arm64 it may; releasing a lock and taking it again is a full fence there
        (a release is not passed by an earlier access, nor an acquire by a later
        one, and the two keep their order).
        """
        if self._needs_fences:
            with self._fence_lock:
                pass
            with self._fence_lock:
                pass
