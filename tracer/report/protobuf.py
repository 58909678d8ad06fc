"""The protobuf wire format, as much of it as a writer needs.

A dependency of half a megabyte and 0.1 s of import for one message type would
buy nothing: what is written here is read back in the tests with the format's
own definition.
"""

from __future__ import annotations

_VARINT = 0
_FIXED64 = 1
_BYTES = 2


def varint(value: int) -> bytes:
    """Write an unsigned number, seven bits a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def uint_field(number: int, value: int) -> bytes:
    """Write a field of an unsigned number, an enum or a bool."""
    return varint(number << 3 | _VARINT) + varint(value)


def int_field(number: int, value: int) -> bytes:
    """Write a field of type int32 or int64, which may be negative."""
    return varint(number << 3 | _VARINT) + varint(value & (1 << 64) - 1)


def fixed64_field(number: int, value: int) -> bytes:
    """Write a field of type fixed64."""
    return varint(number << 3 | _FIXED64) + value.to_bytes(8, "little")


def bytes_field(number: int, value: bytes) -> bytes:
    """Write a field that holds bytes or another message."""
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    """Write a field of type string."""
    return bytes_field(number, value.encode())
