"""JSON that was right once, and has something else in some places."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

from hypothesis import strategies as st

HOSTILE_JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.sampled_from([0, 1, -1, 1 << 31, 1 << 32, (1 << 61) - 1, 1 << 61, 1 << 63, 10**40]),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "../..", "\0", "\x1b[2J", "\ud800", "=1+1", "x" * 70_000, "9" * 5_000]),
    st.recursive(
        st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
    ),
)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value something can be put."""
    if place:
        yield place
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield from places(item, (*place, key))


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The same value with something else in one place."""
    if not place:
        return new
    changed = copy(value)
    changed[place[0]] = put(value[place[0]], place[1:], new)
    return changed


def spoil_json(data: st.DataObject, value: Any) -> Any:
    """Put something hostile into one place of a JSON value."""
    place = data.draw(st.sampled_from(list(places(value))), label="place")
    return put(value, place, data.draw(HOSTILE_JSON, label="value"))
