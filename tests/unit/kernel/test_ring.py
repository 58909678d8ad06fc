"""The ring reader against pages laid out as kernel/bpf/ringbuf.c lays them out."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.errors import ZomtraceError
from tracer.kernel.ring import PAGE, RingReader

RECORD = np.dtype([("number", "u8"), ("name", "S16"), ("tail", "u8")])
STRIDE = RECORD.itemsize + 8
SIZE = PAGE
BUSY = 1 << 31
DISCARD = 1 << 30


class FakeRing:
    """Writes records as the kernel would, into a memory file."""

    def __init__(self, position: int = 0) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + SIZE)
        self.pages = mmap.mmap(self.fd, 2 * PAGE + SIZE)
        self.produced = position
        self._put(0, position)
        self._put(PAGE, position)

    def reader(self) -> RingReader:
        return RingReader(self.fd, SIZE, RECORD)

    def reserve(self, number: int, *, flags: int = 0, size: int = RECORD.itemsize) -> int:
        """Append a record; returns where its header is."""
        at = self.produced
        record = np.array([(number, b"name", number)], RECORD).tobytes()
        for index, byte in enumerate((size | flags).to_bytes(4, "little") + bytes(4) + record):
            self.pages[2 * PAGE + (at + index) % SIZE] = byte
        self.produced += STRIDE
        self._put(PAGE, self.produced)
        return at

    def submit(self, at: int, *, flags: int = 0) -> None:
        """Finish a record that was reserved as busy."""
        for index, byte in enumerate((RECORD.itemsize | flags).to_bytes(4, "little")):
            self.pages[2 * PAGE + (at + index) % SIZE] = byte

    @property
    def consumed(self) -> int:
        return int.from_bytes(self.pages[:8], "little")

    def close(self) -> None:
        self.pages.close()
        os.close(self.fd)

    def _put(self, at: int, value: int) -> None:
        self.pages[at : at + 8] = value.to_bytes(8, "little")


@pytest.fixture
def ring() -> Iterator[FakeRing]:
    fake = FakeRing()
    yield fake
    fake.close()


def test_an_empty_ring_gives_an_empty_array(ring: FakeRing) -> None:
    drained = ring.reader().drain()
    assert drained.dtype == RECORD
    assert len(drained) == 0


def test_records_come_in_order_and_give_their_room_back(ring: FakeRing) -> None:
    for number in (7, 8, 9):
        ring.reserve(number)
    drained = ring.reader().drain()
    assert drained["number"].tolist() == drained["tail"].tolist() == [7, 8, 9]
    assert drained["name"].tolist() == [b"name"] * 3
    assert ring.consumed == ring.produced


def test_a_record_that_is_being_written_holds_back_those_behind_it(ring: FakeRing) -> None:
    reader = ring.reader()
    ring.reserve(1)
    busy = ring.reserve(2, flags=BUSY)
    ring.reserve(3)
    assert reader.drain()["number"].tolist() == [1]
    assert ring.consumed == busy
    assert reader.drain()["number"].tolist() == []
    ring.submit(busy)
    assert reader.drain()["number"].tolist() == [2, 3]
    assert ring.consumed == ring.produced


def test_a_discarded_record_is_passed_over(ring: FakeRing) -> None:
    ring.reserve(1)
    ring.reserve(2, flags=DISCARD)
    ring.reserve(3)
    assert ring.reader().drain()["number"].tolist() == [1, 3]
    assert ring.consumed == ring.produced


def test_only_discarded_records_are_consumed_too(ring: FakeRing) -> None:
    ring.reserve(1, flags=DISCARD)
    assert ring.reader().drain()["number"].tolist() == []
    assert ring.consumed == ring.produced


def test_a_record_of_another_size_is_an_error(ring: FakeRing) -> None:
    ring.reserve(1, size=RECORD.itemsize - 8)
    with pytest.raises(ZomtraceError, match="24 bytes, 32 were expected"):
        ring.reader().drain()


def test_what_was_drained_is_ours(ring: FakeRing) -> None:
    ring.reserve(5)
    drained = ring.reader().drain()
    ring.pages[2 * PAGE :] = bytes(SIZE)
    assert drained["number"].tolist() == [5]
    assert drained.flags["C_CONTIGUOUS"]


@given(
    # Positions never wrap: they count bytes since the ring was made.
    start=st.integers(0, 1 << 40).map(lambda n: n * 8),
    batches=st.lists(st.integers(0, SIZE // STRIDE), max_size=6),
)
def test_nothing_is_lost_or_torn_at_the_end_of_the_ring(start: int, batches: list[int]) -> None:
    ring = FakeRing(start)
    reader = ring.reader()
    number = 0
    try:
        for batch in batches:
            expected = list(range(number, number + batch))
            for value in expected:
                ring.reserve(value)
            number += batch
            drained = reader.drain()
            assert drained["number"].tolist() == drained["tail"].tolist() == expected
            assert ring.consumed == ring.produced
    finally:
        reader.close()
        ring.close()


def test_reading_with_fences_gives_the_same(
    ring: FakeRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    ring.reserve(1)
    busy = ring.reserve(2, flags=BUSY)
    reader = ring.reader()
    assert reader.drain()["number"].tolist() == [1]
    ring.submit(busy)
    assert reader.drain()["number"].tolist() == [2]
