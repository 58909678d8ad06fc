"""The seal on each message of a capture: how long it is, and its checksum.

An Arrow IPC message says neither where it ends before it was parsed nor whether
its bytes are what was written. Each message of a capture therefore has one more
entry in its metadata, of fixed length, filled in once the message is complete::

    zomtrace.seal = "crc32:89abcdef bytes:00000000001234"

A reader that does not know it sees a plain Arrow stream; ours hands no byte
to Arrow that it has not checked.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

BLANK_SEAL = b"crc32:00000000 bytes:00000000000000"
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""The last message of a stream that was ended in order."""

_SEAL = re.compile(rb"crc32:([0-9a-f]{8}) bytes:([0-9]{14})")
_PREFIX = struct.Struct("<II")
_CONTINUATION = 0xFFFFFFFF
MAX_EVENT_BYTES = 15 << 20
"""What one event, or the header, may have as JSON."""
_MAX_METADATA = 1 << 24
_MAX_MESSAGE = 1 << 26
"""No recorder comes near: what is larger is read no further."""


class Source(Protocol):
    """Bytes that are got piece by piece: a memoryview, or a file."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, where: slice, /) -> bytes | memoryview:
        """Some of them; fewer where a file was cut meanwhile."""


class BrokenMessageError(Exception):
    """Bytes that no recorder wrote so; ``reason`` says what is wrong with them."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class IncompleteError(Exception):
    """The stream stops without its end, behind a whole message at ``offset``."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"stops at byte {offset}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """One whole message whose checksum is right.

    Args:
        offset: Where it begins.
        size: Its length.
        metadata_size: How much of it is prefix and metadata; the rest is its body.
        data: The message itself, as it was when it was checked.
    """

    offset: int
    size: int
    metadata_size: int
    data: bytes


def seal(message: bytes) -> bytes:
    """Fill the blank seal in a complete message.

    Raises:
        ValueError: It has none.
    """
    at = message.find(BLANK_SEAL)
    if at < 0:
        raise ValueError("the message has no blank seal")
    sized = bytearray(message)
    sized[at : at + len(BLANK_SEAL)] = b"crc32:00000000 bytes:%014d" % len(message)
    checksum = zlib.crc32(sized)
    sized[at : at + 14] = b"crc32:%08x" % checksum
    return bytes(sized)


def split_first(stream: bytes) -> tuple[bytes, bytes]:
    """Cut a stream behind its first message, which has no body."""
    _, length = _PREFIX.unpack_from(stream)
    end = _PREFIX.size + length
    return stream[:end], stream[end:]


def walk_messages(data: Source) -> Iterator[SealedMessage]:
    """Find the messages of a stream, each one checked before it is given.

    Raises:
        IncompleteError: The stream ends within a message, or without its end. All
            whole messages were given.
        BrokenMessageError: What comes next is no whole message, and not the
            beginning of one either.
    """
    offset, end = 0, len(data)
    while offset < end:
        prefix = bytes(data[offset : offset + _PREFIX.size])
        if prefix == END_OF_STREAM:
            rest = end - offset - len(END_OF_STREAM)
            if rest:
                raise BrokenMessageError(
                    offset + len(END_OF_STREAM), f"{rest} bytes after the end of the stream"
                )
            return
        message = _read_message(data, offset, prefix)
        yield message
        offset += message.size
    raise IncompleteError(offset)


def _read_message(data: Source, offset: int, prefix: bytes) -> SealedMessage:
    """Read the message there and check it.

    Raises:
        IncompleteError: The file ends before it does.
        BrokenMessageError: There is none.
    """
    if len(prefix) < _PREFIX.size:
        if prefix[:4] != b"\xff\xff\xff\xff"[: len(prefix)]:
            raise BrokenMessageError(offset, "no message begins here")
        raise IncompleteError(offset)
    continuation, length = _PREFIX.unpack(prefix)
    if continuation != _CONTINUATION or length % 8 or not 0 < length <= _MAX_METADATA:
        raise BrokenMessageError(offset, "no message begins here")
    metadata_size = _PREFIX.size + length
    metadata = bytes(data[offset : offset + metadata_size])
    found = _SEAL.search(metadata, _PREFIX.size)
    if found is None:
        if len(metadata) < metadata_size:
            raise IncompleteError(offset)
        raise BrokenMessageError(offset, "the message has no checksum")
    size = int(found[2])
    if size < metadata_size:
        raise BrokenMessageError(offset, "the message's lengths contradict each other")
    if size > _MAX_MESSAGE:
        raise BrokenMessageError(offset, f"a message of {size} bytes, which no recorder writes")
    if size > len(data) - offset:
        raise IncompleteError(offset)
    whole = metadata + bytes(data[offset + metadata_size : offset + size])
    if len(whole) < size:
        raise IncompleteError(offset)
    at = found.start(1)
    checksum = zlib.crc32(memoryview(whole)[:at])
    checksum = zlib.crc32(b"00000000", checksum)
    checksum = zlib.crc32(memoryview(whole)[at + 8 :], checksum)
    if checksum != int(found[1], 16):
        raise BrokenMessageError(offset, "the checksum does not match the message")
    return SealedMessage(offset, size, metadata_size, whole)
