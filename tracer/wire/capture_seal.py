"""The seal on each message of a capture: how long it is, and its checksum.

An Arrow IPC message says neither where it ends before it was parsed nor whether
its bytes are what was written. Each message of a capture therefore has one more
entry in its metadata, of fixed length, filled in once the message is complete::

    zomtrace.seal = "crc32:89abcdef bytes:00000000001234"

A reader that does not know it sees an ordinary Arrow stream; ours hands no byte
to Arrow that it has not checked.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

BLANK_SEAL = b"crc32:00000000 bytes:00000000000000"
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""The last message of a stream that was ended in order."""

_SEAL = re.compile(rb"crc32:([0-9a-f]{8}) bytes:([0-9]{14})")
_PREFIX = struct.Struct("<II")
_CONTINUATION = 0xFFFFFFFF
_MAX_METADATA = 1 << 26


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
    """One whole message whose checksum is right."""

    offset: int
    size: int


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


def walk_messages(data: memoryview) -> Iterator[SealedMessage]:
    """Find the messages of a stream, each one checked before it is given.

    Raises:
        IncompleteError: The stream was not ended in order; all of its whole
            messages were given.
        BrokenMessageError: What comes next is no whole message, and not the
            beginning of one either.
    """
    offset = 0
    while offset < len(data):
        if data[offset : offset + len(END_OF_STREAM)] == END_OF_STREAM:
            rest = len(data) - offset - len(END_OF_STREAM)
            if rest:
                raise BrokenMessageError(
                    offset + len(END_OF_STREAM), f"{rest} bytes behind the end of the stream"
                )
            return
        size = _message_size(data, offset)
        if size is None:
            raise IncompleteError(offset)
        _check(data, offset, size)
        yield SealedMessage(offset, size)
        offset += size
    raise IncompleteError(offset)


def _message_size(data: memoryview, offset: int) -> int | None:
    """The size of the message there; None where the file ends before it does."""
    left = len(data) - offset
    if left < _PREFIX.size:
        begun = bytes(data[offset : offset + 4])
        if begun != b"\xff\xff\xff\xff"[: len(begun)]:
            raise BrokenMessageError(offset, "no message begins here")
        return None
    continuation, length = _PREFIX.unpack_from(data, offset)
    if continuation != _CONTINUATION or length % 8 or not 0 < length <= _MAX_METADATA:
        raise BrokenMessageError(offset, "no message begins here")
    found = _SEAL.search(data, offset, min(offset + _PREFIX.size + length, len(data)))
    if found is None:
        if left < _PREFIX.size + length:
            return None
        raise BrokenMessageError(offset, "the message has no checksum")
    size = int(found[2])
    if size < _PREFIX.size + length:
        raise BrokenMessageError(offset, "the message's lengths contradict each other")
    return size if size <= left else None


def _check(data: memoryview, offset: int, size: int) -> None:
    _, length = _PREFIX.unpack_from(data, offset)
    found = _SEAL.search(data, offset, offset + _PREFIX.size + length)
    if found is None:
        raise BrokenMessageError(offset, "the message has no checksum")
    at = found.start(1)
    checksum = zlib.crc32(data[offset:at])
    checksum = zlib.crc32(b"00000000", checksum)
    checksum = zlib.crc32(data[at + 8 : offset + size], checksum)
    if checksum != int(found[1], 16):
        raise BrokenMessageError(offset, "the checksum does not fit the message")
