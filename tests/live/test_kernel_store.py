"""Programs compiled once and loaded ever after: the same trace, without the compiler."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.require import require_root
from tracer.kernel import loader
from tracer.kernel.image import ProgramImage
from tracer.kernel.source import BpfSource
from tracer.kernel.store import DIRECTORY_VARIABLE, ProgramStore
from tracer.model.events import HookState
from tracer.model.target import KernelFilter
from tracer.wire.layout import CONSTANTS

CHILDREN = 31


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    require_root()
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "programs"))
    return tmp_path / "programs"


def trace_children() -> tuple[tuple[HookState, ...], list[tuple[int, int]], set[str]]:
    """Trace this process's own children from birth.

    Returns:
        The hooks, pid and wait status of each child's exit record, and what
        time was taken for.
    """
    with BpfSource(everything=True) as source:
        source.set_filter(KernelFilter(everything=True))
        hooks = source.attach()
        steps = set(source.load_seconds)
        pids = []
        for number in range(CHILDREN):
            pid = os.fork()
            if pid == 0:
                os._exit(number)
            os.waitpid(pid, 0)
            pids.append(pid)
        records = source.finish()
        assert source.take_losses() == {}
    exits = records[(records["kind"] == CONSTANTS["ZT_KIND_EXIT"]) & (records["live_threads"] == 0)]
    told = [
        (int(record["host_pid"]), int(record["exit_code"]))
        for record in exits
        if record["host_pid"] in pids
    ]
    assert told == [(pid, number << 8) for number, pid in enumerate(pids)]
    return hooks, told, steps


def test_the_second_trace_needs_no_compiler(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled_hooks, _, steps = trace_children()
    assert "compile" in steps
    (kept,) = directory.iterdir()

    def refuse(options: object) -> None:
        raise AssertionError("it compiles again")

    monkeypatch.setattr(loader, "_CompilingProcess", refuse)
    hooks, _, steps = trace_children()
    assert hooks == compiled_hooks
    assert steps == {"find", "load"}
    assert list(directory.iterdir()) == [kept]


def test_a_damaged_set_is_compiled_again(directory: Path) -> None:
    trace_children()
    (kept,) = directory.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    _, _, steps = trace_children()
    assert "compile" in steps
    assert kept.read_bytes() == whole


def test_a_set_the_kernel_refuses_is_compiled_again(directory: Path) -> None:
    trace_children()
    (kept,) = directory.iterdir()
    store = ProgramStore(directory)
    stored = store.find(kept.stem)
    assert stored is not None
    programs = dict(stored.image.programs)
    programs["zt_exit"] = replace(programs["zt_exit"], code=bytes(16), maps={})
    image = ProgramImage(stored.image.maps, programs)
    store.keep(kept.stem, replace(stored, image=image))
    _, _, steps = trace_children()
    assert "compile" in steps


def test_a_place_that_cannot_be_written_costs_only_time(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.touch()
    for _ in range(2):
        _, _, steps = trace_children()
        assert "compile" in steps
    with BpfSource(everything=True) as source:
        source.set_filter(KernelFilter(everything=True))
        assert "the compiled programs could not be stored" in source.log
