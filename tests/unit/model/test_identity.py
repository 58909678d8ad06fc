"""Whether two descriptions are of one process: /proc tells ticks, the kernel ns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.reports import WEB
from tracer.model.identity import ProcessKey

TICK_NS = 10_000_000
START = 1_234_567_891_234


@pytest.mark.parametrize(
    ("host_pid", "start_boot_ns", "is_same"),
    [
        (7, START, True),
        (7, START // TICK_NS * TICK_NS, True),
        (7, START + TICK_NS + 1, False),
        (7, START - TICK_NS - 1, False),
        (8, START, False),
        pytest.param(7, 0, True, id="start not known"),
        pytest.param(8, 0, False, id="another, start not known"),
    ],
)
def test_a_process_is_the_same_where_the_tick_agrees(
    host_pid: int, start_boot_ns: int, is_same: bool
) -> None:
    one, other = ProcessKey(7, START), ProcessKey(host_pid, start_boot_ns)
    assert one.same_process(other) is is_same
    assert other.same_process(one) is is_same


@pytest.mark.parametrize(("told_ns", "is_init"), [(START, True), (START + 3 * TICK_NS, False)])
def test_a_containers_init_is_known_by_the_tick_that_proc_gave(told_ns: int, is_init: bool) -> None:
    container = replace(WEB, init_host_pid=7, init_start_boot_ns=START // TICK_NS * TICK_NS)
    assert container.is_init(ProcessKey(7, told_ns)) is is_init
    assert not container.is_init(ProcessKey(8, told_ns))
    assert replace(container, init_start_boot_ns=None).is_init(ProcessKey(7, told_ns))
