"""How much memory an Arrow message would take, computed from its metadata.

Arrow allocates what a message asks for: some hundred bytes can ask for gigabytes, as
a long run of zeros compressed, as one text that a thousand entries point to, or as
columns nested in one another. pyarrow does not show the metadata of a message before
it is read, so the few tables of it that a capture may have are looked at here (a
FlatBuffer: format/Message.fbs and format/Schema.fbs of Arrow), and what no recorder
writes is refused before Arrow meets it.

Attributes:
    MAX_ROWS: Of one batch. A recorder writes 4,096, earlier ones what came in half a
        second.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

MAX_ROWS = 1 << 17
_MAX_COLUMNS = 256
_MAX_NAME = 64
_MAX_WIDTH = 256
_MAX_METADATA_ENTRIES = 16
_PADDING = 64
"""Arrow rounds buffers up to a multiple of this many bytes."""

_SCHEMA, _RECORD_BATCH = 1, 3
_INT, _FIXED_SIZE_BINARY = 2, 15
_LZ4_FRAME, _BY_BUFFER = 0, 0
_STORED = -1
"""Stands for the length of a buffer that compression would not have made smaller."""


class RefusedMessageError(ValueError):
    """A message no recorder writes; the text says what about it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as the schema describes it.

    Args:
        name: Of the record's member.
        width: Bytes a row.
        kind: ``u`` for numbers without a sign, ``i`` with one, ``S`` for bytes.
    """

    name: str
    width: int
    kind: str


def check_schema(metadata: bytes) -> tuple[Column, ...]:
    """Check the first message of a stream.

    Args:
        metadata: Behind the message's prefix.

    Returns:
        The columns, all of a fixed width and each of another name.

    Raises:
        RefusedMessageError: It is none, or describes what a capture never has.
    """
    message = _Table.root(metadata)
    schema = _header(message, _SCHEMA, "a schema")
    if schema.number(0, "<h", 0):
        raise RefusedMessageError("its numbers are big-endian")
    _check_entries(message, 4)
    _check_entries(schema, 2)
    columns = tuple(_column(field) for field in schema.tables(1, _MAX_COLUMNS, "columns"))
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise RefusedMessageError(f"it has the column {name!r} twice")
    return columns


def check_batch(message_data: bytes, metadata_size: int, columns: tuple[Column, ...]) -> int:
    """Check one batch against its schema.

    Args:
        message_data: The whole message.
        metadata_size: How much of it is prefix and metadata.
        columns: What :func:`check_schema` found.

    Returns:
        The number of rows.

    Raises:
        RefusedMessageError: It is none, or asks for more than it holds.
    """
    message = _Table.root(message_data[8:metadata_size])
    batch = _header(message, _RECORD_BATCH, "a batch of records")
    _check_entries(message, 4)
    body = memoryview(message_data)[metadata_size:]
    if message.number(3, "<q", 0) != len(body):
        raise RefusedMessageError("the message's lengths contradict each other")
    rows = batch.number(0, "<q", 0)
    if not 0 <= rows <= MAX_ROWS:
        raise RefusedMessageError(f"a batch of {rows} rows; a recorder writes at most {MAX_ROWS}")
    if batch.has(4):
        raise RefusedMessageError("a batch with a variable number of buffers")
    if batch.structs(1, "<qq", len(columns)) != [(rows, 0)] * len(columns):
        raise RefusedMessageError("a batch whose columns differ in length, or have nulls")
    is_compressed = _is_compressed(batch)
    buffers = batch.structs(2, "<qq", 2 * len(columns))
    end = 0
    for number, (offset, length) in enumerate(buffers):
        column = columns[number // 2]
        if offset < end or length < 0 or offset + length > len(body):
            raise RefusedMessageError(f"column {column.name}: its buffer overlaps another one")
        end = offset + length
        size = _size(body[offset:end]) if is_compressed else length
        least, most = _bounds(column, rows, is_validity=number % 2 == 0)
        if not least <= size <= most:
            raise RefusedMessageError(
                f"column {column.name}: {size} bytes for {rows} rows of {column.width}"
            )
    return rows


def _bounds(column: Column, rows: int, *, is_validity: bool) -> tuple[int, int]:
    if is_validity:
        return 0, (rows + 7) // 8 + _PADDING
    return rows * column.width, rows * column.width + _PADDING


def _size(buffer: memoryview) -> int:
    """How large a compressed buffer says it is."""
    if not len(buffer):
        return 0
    if len(buffer) < 8:
        raise RefusedMessageError("a compressed buffer without its length")
    size: int = struct.unpack_from("<q", buffer)[0]
    return len(buffer) - 8 if size == _STORED else size


def _is_compressed(batch: _Table) -> bool:
    compression = batch.table(3)
    if compression is None:
        return False
    if (compression.number(0, "<b", 0), compression.number(1, "<b", 0)) != (_LZ4_FRAME, _BY_BUFFER):
        raise RefusedMessageError("a batch that is not compressed with LZ4")
    return True


def _header(message: _Table, kind: int, what: str) -> _Table:
    header = message.table(2)
    if message.number(1, "<B", 0) != kind or header is None:
        raise RefusedMessageError(f"a message that is not {what}")
    return header


def _column(field: _Table) -> Column:
    name = field.text(0, _MAX_NAME)
    if field.table(4) is not None or field.length(5) or field.has(6):
        raise RefusedMessageError(f"column {name!r} is nested or dictionary-encoded")
    kind, details = field.number(2, "<B", 0), field.table(3)
    width, code = 0, "S"
    if details is not None and kind == _INT:
        width = details.number(0, "<i", 0) // 8
        code = "i" if details.number(1, "<B", 0) else "u"
    elif details is not None and kind == _FIXED_SIZE_BINARY:
        width = details.number(0, "<i", 0)
    if not 0 < width <= _MAX_WIDTH:
        raise RefusedMessageError(f"column {name!r} has a type that no member of a record has")
    return Column(name, width, code)


def _check_entries(table: _Table, slot: int) -> None:
    """See that key and value of all metadata are no more than the message.

    Each is a reference, and many can be to one text.
    """
    entries = table.tables(slot, _MAX_METADATA_ENTRIES, "entries of metadata")
    if sum(entry.length(each) for entry in entries for each in (0, 1)) > table.size:
        raise RefusedMessageError("metadata larger than its message")


class _Table:
    """One table of a FlatBuffer; whatever leads out of the buffer is refused."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._vtable = at - self._read("<i", at)
        self._vtable_size = self._read("<H", self._vtable)

    @classmethod
    def root(cls, data: bytes) -> Self:
        """The table a buffer is about."""
        if len(data) < 8:
            raise RefusedMessageError("a message without metadata")
        return cls(data, struct.unpack_from("<I", data)[0])

    @property
    def size(self) -> int:
        """Of the whole buffer."""
        return len(self._data)

    def has(self, slot: int) -> bool:
        """Whether a member is there."""
        return self._member(slot) is not None

    def number(self, slot: int, code: str, default: int) -> int:
        """A member that is a number."""
        at = self._member(slot)
        return default if at is None else self._read(code, at)

    def table(self, slot: int) -> _Table | None:
        """A member that is a table, or one of several kinds of table."""
        at = self._member(slot)
        return None if at is None else _Table(self._data, at + self._read("<I", at))

    def tables(self, slot: int, most: int, what: str) -> list[_Table]:
        """A member that is a list of tables."""
        begin, count = self._vector(slot)
        if count > most:
            raise RefusedMessageError(f"it has {count} {what}")
        places = range(begin, begin + 4 * count, 4)
        return [_Table(self._data, at + self._read("<I", at)) for at in places]

    def structs(self, slot: int, code: str, count: int) -> list[tuple[int, int]]:
        """A member that is a list of this many pairs."""
        begin, found = self._vector(slot)
        size = struct.calcsize(code)
        if found != count or begin + count * size > len(self._data):
            raise RefusedMessageError("a batch that does not fit its schema")
        return [struct.unpack_from(code, self._data, begin + each * size) for each in range(count)]

    def text(self, slot: int, most: int) -> str:
        """A member that is a short text."""
        begin, count = self._vector(slot)
        if count > most:
            raise RefusedMessageError(f"a name of {count} bytes")
        return self._data[begin : begin + count].decode("utf-8", "replace")

    def length(self, slot: int) -> int:
        """How long a member is that is a text or a list."""
        return self._vector(slot)[1]

    def _vector(self, slot: int) -> tuple[int, int]:
        at = self._member(slot)
        if at is None:
            return 0, 0
        begin = at + self._read("<I", at)
        return begin + 4, self._read("<I", begin)

    def _member(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_size:
            return None
        offset = self._read("<H", self._vtable + entry)
        return self._at + offset if offset else None

    def _read(self, code: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(code) > len(self._data):
            raise RefusedMessageError("metadata that points outside its message")
        number: int = struct.unpack_from(code, self._data, at)[0]
        return number
