"""Which of its scopes a process was put into: one walk says it of all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tracer.correlate import descent
from tracer.model.identity import ProcessKey


@dataclass(eq=False)
class ANamespace:
    """What is asked about a scope."""

    init: ProcessKey
    is_shared: bool = False


@dataclass
class AProcess:
    """What is asked about a process; where its parent is unknown, ``came_in`` tells."""

    key: ProcessKey
    original_parent: ProcessKey | None
    scopes: tuple[ANamespace, ...]
    came_in: tuple[ANamespace, ...] | None = None


class Table:
    """Processes by key, which counts how often it is asked."""

    def __init__(self) -> None:
        self.processes: dict[ProcessKey, AProcess] = {}
        self.asked = 0

    def get(self, key: ProcessKey | None) -> AProcess | None:
        self.asked += 1
        return self.processes.get(key) if key is not None else None

    def ancestors(self, state: AProcess) -> Iterator[AProcess]:
        parent = self.get(state.original_parent)
        while parent is not None:
            yield parent
            parent = self.get(parent.original_parent)


def key(number: int) -> ProcessKey:
    return ProcessKey(number, number)


def nested(depth: int) -> tuple[Table, Any]:
    """Namespaces in one another, each with its init, and a process in the innermost."""
    table, scopes = Table(), tuple(ANamespace(key(level)) for level in range(depth))
    for level in range(depth):
        table.processes[key(level)] = AProcess(
            key(level), key(level - 1) if level else None, scopes[: level + 1], came_in=()
        )
    inner = AProcess(key(depth), key(depth - 1), scopes)
    return table, inner


def put_into(state: Any, table: Any) -> set[Any]:
    return set(descent.scopes_put_into(state, table))


@pytest.mark.parametrize("seed", range(50))
def test_it_says_of_each_scope_what_is_said_of_it_alone(seed: int) -> None:
    chance = random.Random(seed)
    table: Any = Table()
    every: list[Any] = [ANamespace(key(chance.randrange(12))) for _ in range(6)]
    found: set[bool] = set()
    for number in range(12):
        scopes = tuple(chance.sample(every, chance.randrange(7)))
        came_in = tuple(chance.sample(scopes, len(scopes) // 2))
        is_known = number > 0 and chance.random() < 0.8
        state: Any = AProcess(
            key(number),
            key(number - 1) if is_known else None,
            scopes,
            None if is_known else came_in,
        )
        table.processes[state.key] = state
        each = {one for one in scopes if descent.is_put_in(state, one, table)}
        assert put_into(state, table) == each
        found |= {one in each for one in scopes}
    assert found == {True, False}


def test_a_member_of_nested_namespaces_is_put_into_none() -> None:
    table, inner = nested(8)
    assert put_into(inner, table) == set()
    inner.original_parent, inner.came_in = None, inner.scopes[-1:]
    assert put_into(inner, table) == set(inner.scopes[-1:])


def test_its_cost_grows_with_the_depth_of_nesting_and_no_faster() -> None:
    asked = []
    for depth in (8, 32):
        table, inner = nested(depth)
        put_into(inner, table)
        asked.append(table.asked)
    assert 0 < asked[1] <= 5 * asked[0]
