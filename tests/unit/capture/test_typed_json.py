"""JSON of somebody else: of the type it must be, or refused with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.capture.typed_json import MAX_TEXT, build, fit, parse_object


class Color(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    host_pid: int
    start_boot_ns: int


@dataclass(frozen=True)
class Inner:
    name: str
    stop_signo: int = 15


@dataclass(frozen=True)
class Outer:
    boot_ns: int
    is_it: bool
    color: Color
    share: float | None
    pair: Pair | None
    inners: tuple[Inner, ...]
    cgroup_ids: frozenset[int] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "boot_ns": 7,
    "is_it": True,
    "color": "red",
    "share": 0.5,
    "pair": [1, 2],
    "inners": [{"name": "a"}, {"name": "b", "stop_signo": 9, "newer": None}],
    "cgroup_ids": [3, 1 << 63],
    "counts": {"exit": 4},
    "values": {"deep": [[{"x": None}]]},
}


def test_what_fits_is_made() -> None:
    assert build(Outer, GOOD) == Outer(
        boot_ns=7,
        is_it=True,
        color=Color.RED,
        share=0.5,
        pair=Pair(1, 2),
        inners=(Inner("a"), Inner("b", 9)),
        cgroup_ids=frozenset({3, 1 << 63}),
        counts={"exit": 4},
        values={"deep": [[{"x": None}]]},
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("boot_ns", "7", "Outer.boot_ns must be an integer, not '7'"),
        ("boot_ns", True, "Outer.boot_ns must be an integer, not True"),
        ("boot_ns", 7.0, "Outer.boot_ns must be an integer"),
        ("boot_ns", -1, "Outer.boot_ns is out of bounds"),
        ("boot_ns", None, "Outer.boot_ns must be an integer, not None"),
        ("is_it", 1, "Outer.is_it must be true or false"),
        ("color", "blue", "Outer.color is not a known value: 'blue'"),
        ("color", [], "Outer.color is not a known value: a list"),
        ("share", "much", "Outer.share must be a number"),
        ("pair", [1], "Outer.pair must be a list of 2"),
        ("pair", [1 << 32, 2], "Outer.pair.host_pid is out of bounds"),
        ("inners", {}, "Outer.inners must be a list, not an object"),
        ("inners", [[]], "Outer.inners must be an object, not a list"),
        ("inners", [{"name": 1}], "Outer.inners.name must be a string"),
        ("inners", [{"name": "a", "stop_signo": 65}], "Outer.inners.stop_signo is out of bounds"),
        ("inners", [{"name": "a" * (MAX_TEXT + 1)}], "more than"),
        ("cgroup_ids", [1 << 65], "Outer.cgroup_ids is out of bounds"),
        ("counts", {"exit": []}, "Outer.counts.exit must be an integer, not a list"),
        ("values", {"x": json.loads("[" * 20 + "]" * 20)}, "nested too deep"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(name: str, value: Any, expected: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        build(Outer, {**GOOD, name: value})
    assert expected in str(refused.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match=r"Outer\.pair"):
        build(Outer, {name: value for name, value in GOOD.items() if name != "pair"})


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{", '{"a":NaN}', '{"a":-Infinity}', '{"a":' * 9_999, "[" * 99_999]
)
def test_a_text_that_is_no_object_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_object(text)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(name=st.sampled_from(sorted(GOOD)), value=ANY)
def test_whatever_it_is_it_is_made_or_refused(name: str, value: Any) -> None:
    message, made = "", None
    try:
        made = build(Outer, {**GOOD, name: value})
    except (KeyError, TypeError, ValueError) as error:
        message = str(error)
    assert bool(message) != isinstance(made, Outer)
    assert len(message) < 300


@given(
    boot_ns=st.integers(),
    name=st.text(max_size=9),
    share=st.none() | st.floats(),
    ids=st.lists(st.integers()),
)
def test_what_is_made_to_fit_is_taken(
    boot_ns: int, name: str, share: float | None, ids: list[int]
) -> None:
    long = name * MAX_TEXT
    raw = {**GOOD, "boot_ns": boot_ns, "share": share, "cgroup_ids": ids}
    raw["inners"] = [{"name": long, "stop_signo": boot_ns}]
    raw["pair"] = Pair(boot_ns, boot_ns)
    made = build(Outer, fit(raw))
    assert made.inners[0].name == long[:MAX_TEXT]
