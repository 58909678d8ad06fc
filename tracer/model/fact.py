"""The decorator of what is made once an event, and therefore must be cheap.

``dataclass(frozen=True)`` sets each field through ``object.__setattr__``: 0.83 us
for 13 fields, against 0.14 us without (CPython 3.11, 2-core VM), and a trace
makes three such objects a record. A fact is frozen to the type checker, which
is where a mistake would be made, and plain at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def fact(cls: type[_T]) -> type[_T]:
    """Make a slotted dataclass, compared and hashed by value, never changed."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
