"""Tables of a real host: what columns tell is what its lines tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.noise import storm
from tests.live.test_capture import kinds_in, record
from tests.live.waiting import wait_for
from tracer.frames.capture import EVENT_TABLES, Capture
from tracer.session import replay as replay_module

pytestmark = pytest.mark.live


def test_the_tables_of_a_storm_are_the_same_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However short it is.
    monkeypatch.setattr(replay_module, "_SIEVED_BYTES", 0)
    path = tmp_path / "host.arrows"
    with storm() as noise, record("--all", "-w", path) as recorder:
        wait_for(lambda: kinds_in(path)["exit"] > 5003, "a storm in the file")
        noise.end()
        recorder.stop_tracing()
    quick, full = Capture(path), Capture(path)
    full._replay.sieves = False
    pieces = quick._replay.pieces()
    assert pieces is not None
    plain = sum(len(one.lives.sieve.ordinary) for one in pieces if one.lives is not None)
    assert plain > 1009
    for name in EVENT_TABLES:
        found, wanted = quick.table(name), full.table(name)
        for column in wanted.column_names:
            assert found[column].equals(wanted[column]), (name, column)
