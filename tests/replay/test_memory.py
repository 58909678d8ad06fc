"""What a long trace keeps: nothing grows with what there is nothing to tell of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.events import (
    BASH,
    BEGIN,
    HOST,
    INIT,
    MS,
    RUNC,
    SHIM,
    TERM,
    a_fork,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_exit,
    attached,
)
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import summarise
from tracer.model.events import Event, ForkFailedEvent

ON_THE_HOST: dict[str, Any] = {
    "pidns_inum": HOST, "pidns_level": 0, "init_start_boot_ns": 1, "parent": BASH,
    "parent_pidns_inum": HOST,
}  # fmt: skip


def fed(*events: Event, keep_uneventful: bool = False) -> Correlator:
    correlator = Correlator(CorrelatorOptions(keep_uneventful=keep_uneventful))
    for event in (attached(), a_seed(INIT), *events):
        correlator.feed(event)
    return correlator


def a_lifetime(number: int, **where: Any) -> Iterator[Event]:
    """A child of bash, or of PID 1, that does its work and is reaped at once."""
    at, pid = BEGIN + 10 + number, 1000 + number
    start = int(at * MS) - 1000
    who = {"start_boot_ns": start, **where}
    parent = where.get("parent", INIT)
    yield a_fork(at, pid, **who)
    yield an_exit(at + 0.1, pid, **who)
    yield a_notice(at + 0.2, pid, to=parent, child_start=start)
    yield a_reap(at + 0.3, pid, by=parent, **who)


def test_a_host_wide_trace_forgets_uneventful_processes() -> None:
    correlator = fed(*(event for n in range(2000) for event in a_lifetime(n, **ON_THE_HOST)))
    assert len(correlator.table) == 1
    assert correlator.uneventful_exits == 2000


def test_it_forgets_uneventful_members_of_containers_too() -> None:
    correlator = fed(*(event for n in range(2000) for event in a_lifetime(n)))
    assert len(correlator.table) == 1


def test_it_keeps_everything_where_a_container_is_named() -> None:
    events = [event for n in range(20) for event in a_lifetime(n)]
    assert len(fed(*events, keep_uneventful=True).table) == 21


def test_a_parent_is_kept_while_a_child_may_have_to_name_its_descent() -> None:
    start = {"start_boot_ns": a_process(101).start_boot_ns}
    child = {"start_boot_ns": a_process(102).start_boot_ns, "parent": 101}
    events: list[Event] = [
        # docker exec puts 101 in, which leaves 102 behind.
        a_fork(BEGIN + 1, 101, parent=RUNC, **start), a_fork(BEGIN + 2, 102, **child),
        an_exit(BEGIN + 3, 101, parent=RUNC), a_notice(BEGIN + 3.1, 101, to=RUNC),
        a_reap(BEGIN + 4, 101, by=RUNC),
        a_signal(BEGIN + 5), an_exit(BEGIN + 6, INIT, parent=SHIM),
        a_teardown_kill(BEGIN + 7, 102), an_exit(BEGIN + 8, 102, signo=9, parent=INIT),
        a_notice(BEGIN + 9, INIT, to=SHIM), a_reap(BEGIN + 10, INIT, by=SHIM),
    ]  # fmt: skip
    # So nobody is blamed for not having told 102 to stop.
    assert [one.code for one in summarise(fed(*events)).findings] == []


def test_a_flood_of_signals_is_not_kept() -> None:
    flood = [a_signal(BEGIN + 1 + n / 1000, 101, TERM, BASH) for n in range(5000)]
    correlator = fed(a_seed(101), *flood)
    state = correlator.table.by_host_pid(101)
    assert state is not None
    assert state.suspects.pick(TERM) is not None
    assert sum(1 for _ in _kept(state.suspects)) <= 9


def _kept(suspects: object) -> Iterator[object]:
    by_signo = getattr(suspects, "_by_signo", None) or {}
    for one in by_signo.values():
        yield from one.recent
        if one.first_deadly is not None:
            yield one.first_deadly


def test_a_flood_of_failed_forks_is_summed_up() -> None:
    failed = [
        ForkFailedEvent((BEGIN + 1) * MS + n, a_process(101), 11) for n in range(5000)
    ]  # fmt: skip
    (group,) = fed(a_seed(101), *failed).fork_failures
    assert group.count == 5000


def test_names_of_processes_outside_the_target_are_not_kept_for_ever() -> None:
    correlator = fed(a_seed(101))
    for number in range(50_000):
        correlator.table.note_name(a_process(7, start_boot_ns=number).key, "passer-by")
    assert correlator.table.comm_of(a_process(7, start_boot_ns=1).key) is None
    assert correlator.table.comm_of(a_process(7, start_boot_ns=49_999).key) == "passer-by"
