"""What is said of one column of a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """What a column holds, by its Arrow name; a category has fixed values."""

    INT32 = "int32"
    INT64 = "int64"
    UINT64 = "uint64"
    BOOL = "bool"
    STRING = "string"
    CATEGORY = "category"
    TIME = "timestamp[ns, UTC]"
    STRINGS = "list<string>"
    PIDS = "list<int32>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Args:
        name: As in the JSON, where it is there.
        type: What it holds.
        meaning: What it says, unit included.
        null: What it means that it is not there; None where it always is.
        categories: Of a category, all values it can have.
        clock: Of a time, the column it is made from: CLOCK_BOOTTIME, ns.
    """

    name: str
    type: ColumnType
    meaning: str
    null: str | None = None
    categories: tuple[str, ...] = ()
    clock: str | None = None
