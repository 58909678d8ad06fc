"""Text that others have named: taken apart as the kernel wrote it, in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tracer.procfs import cgroup
from tracer.procfs.status import ProcStatus, parse_cgroup
from tracer.report.escape import cell_width, safe_text
from tracer.report.page import wrap

LINE_ENDS = ["\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
"""What str.splitlines takes for the end of a line, and the kernel does not."""


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_cgroup_cannot_be_named_so_that_it_passes_for_another(end: str) -> None:
    path = f"/user.slice/x{end}0::/system.slice/docker-0123.scope"
    assert parse_cgroup(f"0::{path}\n".encode()) == {"": path}


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_mount_point_of_any_name_is_one_line(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        f"41 1 0:41 / /home/x{end}y rw - fuse.x x{end} rw",
        "30 25 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw",
    ]
    file = tmp_path / "mountinfo"
    file.write_bytes("".join(f"{line}\n" for line in lines).encode())
    monkeypatch.setattr(cgroup, "_MOUNTINFO", file)
    (mount,) = cgroup._mounts()
    assert mount.mount_point == "/sys/fs/cgroup"


def test_a_name_cannot_add_a_line_to_its_status() -> None:
    stat = b"7 (x\rThreads:9) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100" + b" 0" * 30
    status = b"Name:\tx\rThreads:9\nState:\tS\n"
    assert ProcStatus.parse(stat, status).threads == 0


def cpu_s(act: Callable[[], object]) -> float:
    least = float("inf")
    for _ in range(3):
        begun = time.process_time()
        act()
        least = min(least, time.process_time() - begun)
    return least


@pytest.mark.parametrize("unit", ["a", "\u65e5", "\x1b", "e\u0301", "/", "a ", "\u202e", "\udcff"])
def test_wrapping_takes_time_linear_in_the_length(unit: str) -> None:
    short = max(cpu_s(lambda: wrap(unit * 2_000, 40)), 0.001)
    # 32 times the text; were it quadratic, 1000 times the time.
    assert cpu_s(lambda: wrap(unit * 64_000, 40)) < 128 * short


@pytest.mark.parametrize("word", ["a" * 100, "ab/" * 40, "\u65e5" * 50, "/" * 90, "a" * 41 + "/b"])
@pytest.mark.parametrize("width", [1, 2, 5, 16, 40])
def test_a_word_in_pieces_is_the_word(word: str, width: int) -> None:
    pieces = wrap(word, width)
    assert "".join(pieces) == word
    assert all(cell_width(piece) <= max(width, 2) for piece in pieces)


def test_a_long_text_is_not_kept_once_it_is_shown() -> None:
    from tracer.report.escape import _safe_line

    before = _safe_line.cache_info().currsize
    assert safe_text("\x1b" * 100_000) == "\\x1b" * 100_000
    assert _safe_line.cache_info().currsize == before
