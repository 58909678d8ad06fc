"""Counters of cgroups, as v1 and v2 spell them, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tracer.procfs.cgroup_limits import (
    MemoryLevel,
    PidsLevel,
    read_is_frozen,
    read_memory,
    read_pids,
)


def a_cgroup(path: Path, files: Mapping[str, str]) -> str:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return str(path)


def test_pids_are_read_from_every_level_that_counts(tmp_path: Path) -> None:
    inner = a_cgroup(
        tmp_path / "pod" / "web",
        {"pids.current": "18\n", "pids.max": "20\n", "pids.events": "max 3\n"},
    )
    pod = a_cgroup(tmp_path / "pod", {"pids.current": "19\n", "pids.max": "max\n"})
    # The root counts nothing.
    top = a_cgroup(tmp_path, {})
    assert read_pids([inner, pod, top]) == [
        PidsLevel(inner, 18, 20, 3),
        PidsLevel(pod, 19, None, None),
    ]


def test_memory_of_v2(tmp_path: Path) -> None:
    path = a_cgroup(
        tmp_path / "web",
        {
            "memory.current": "1000\n",
            "memory.max": "4096\n",
            "memory.peak": "4000\n",
            "memory.events": "low 0\nhigh 0\nmax 9\noom 5\noom_kill 2\noom_group_kill 0\n",
            "memory.events.local": "low 0\nhigh 0\nmax 9\noom 4\noom_kill 1\n",
        },
    )
    assert read_memory([path]) == [
        MemoryLevel(path, usage=1000, limit=4096, reached=4, peak=4000, kills=2)
    ]


def test_memory_of_v1(tmp_path: Path) -> None:
    path = a_cgroup(
        tmp_path / "web",
        {
            "memory.usage_in_bytes": "1000\n",
            "memory.limit_in_bytes": "4096\n",
            "memory.max_usage_in_bytes": "4096\n",
            "memory.failcnt": "7\n",
            "memory.memsw.failcnt": "2\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        },
    )
    unlimited = a_cgroup(
        tmp_path,
        {"memory.usage_in_bytes": "5000\n", "memory.limit_in_bytes": "9223372036854771712\n"},
    )
    assert read_memory([path, unlimited]) == [
        MemoryLevel(path, usage=1000, limit=4096, reached=9, peak=4096, kills=1),
        MemoryLevel(unlimited, usage=5000, limit=None, reached=None, peak=None, kills=None),
    ]


def test_what_is_gone_is_left_out(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert read_pids([gone]) == []
    assert read_memory([gone]) == []
    assert read_is_frozen([gone]) is None


@pytest.mark.parametrize(
    ("name", "text", "is_frozen"),
    [
        ("freezer.state", "FROZEN\n", True),
        ("freezer.state", "FREEZING\n", True),
        ("freezer.state", "THAWED\n", False),
        ("cgroup.events", "populated 1\nfrozen 1\n", True),
        ("cgroup.events", "populated 1\nfrozen 0\n", False),
    ],
)
def test_frozen_on_v1_and_v2(tmp_path: Path, name: str, text: str, is_frozen: bool) -> None:
    assert read_is_frozen([a_cgroup(tmp_path / "web", {name: text})]) is is_frozen
