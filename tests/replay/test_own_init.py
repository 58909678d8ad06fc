"""The init of a command that this program started, and that it alone can reap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.events import (
    BEGIN,
    INIT,
    SHIM,
    WEB,
    S,
    a_free,
    a_notice,
    a_reap,
    a_seed,
    an_exit,
    attached,
    codes,
    correlate,
)
from tracer.model.target import OWN_RUNTIME

T = BEGIN + 1000


@pytest.mark.parametrize(
    ("runtime", "pids", "found"), [(OWN_RUNTIME, [], []), ("docker", [INIT], ["ZT204"])]
)
def test_how_late_this_program_reaps_it_says_nothing_about_it(
    runtime: str, pids: list[int], found: list[str]
) -> None:
    events = (
        attached(replace(WEB, runtime=runtime)),
        a_seed(INIT),
        an_exit(T, INIT, parent=SHIM),
        a_notice(T + 2, INIT, to=SHIM),
        a_reap(T + 5 * S, INIT, by=SHIM),
        a_free(T + 5 * S + 20, INIT),
    )
    report = correlate(events, BEGIN + 100 * S)
    assert [one.host_pid for one in report.zombies] == pids
    assert codes(report) == found
