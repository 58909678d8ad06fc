"""``why``: the stop or process that is meant, and the instants it tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.events import (
    BEGIN,
    INIT,
    KILL,
    MS,
    PIDNS,
    WEB,
    a_fork,
    a_free,
    a_kernel_kill,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_actor,
    an_exit,
    init_end,
    process,
    start_of,
)
from tests.support.stream import Stream, stream, why
from tracer.errors import UsageError
from tracer.model.events import Event, ObservationEvent
from tracer.model.identity import ProcessKey, ProcessSnapshot

T = BEGIN + 1000
INNER, IN_IT = 103, 104


def below(host_pid: int, inum: int = PIDNS + 1, init: int = INNER) -> ProcessSnapshot:
    """A process in a namespace nested in web's."""
    return a_process(
        host_pid,
        parent=INIT if host_pid == init else init,
        ns_pid=host_pid - init + 1,
        pidns_inum=inum,
        pidns_level=2,
        init_start_boot_ns=start_of(init),
        parent_pidns_inum=PIDNS if host_pid == init else inum,
        is_init=host_pid == init,
    )


def an_inner_death(at: float, host_pid: int, init: int = INNER, inum: int = PIDNS + 1) -> Event:
    return replace(an_exit(at, host_pid, signo=KILL), process=below(host_pid, inum, init))


def a_whole_stop_with_a_nested_namespace() -> Stream:
    outer_kill = a_teardown_kill(T + 12, INNER, process=below(INNER))
    inner_kill = a_signal(
        T + 13, IN_IT, KILL, process=below(IN_IT), actor=an_actor(INNER, is_exiting=True),
        actor_is_reaper=True, info=outer_kill.info, si_code=None, si_pid=None,
    )  # fmt: skip
    return stream(
        replace(a_seed(INNER), process=below(INNER)), replace(a_seed(IN_IT), process=below(IN_IT)),
        a_signal(T), an_exit(T + 10, INIT), outer_kill,
        an_inner_death(T + 12, INNER), inner_kill, an_inner_death(T + 13, IN_IT),
        a_free(T + 14, IN_IT, **_changes(IN_IT)), a_free(T + 15, INNER, **_changes(INNER)),
        a_notice(T + 20, INIT, 50), a_reap(T + 21, INIT, 50),
    )  # fmt: skip


def _changes(host_pid: int) -> dict[str, Any]:
    snapshot = below(host_pid)
    return {
        name: getattr(snapshot, name)
        for name in ("ns_pid", "pidns_inum", "pidns_level", "init_start_boot_ns", "is_init")
    }


def test_inits_end_as_a_zombie_is_when_it_was_reaped_not_earlier_by_the_teardown() -> None:
    told = stream(
        a_seed(101), an_exit(T, INIT), a_teardown_kill(T + 1, 101), an_exit(T + 2, 101, signo=KILL),
        a_reap(T + 900, 101), a_notice(T + 900, INIT, 50), a_reap(T + 950, INIT, 50),
    )  # fmt: skip
    story = why(told, INIT)
    init = process(told.conclude(), INIT)
    assert (init.end_boot_ns, init.reap_boot_ns) == (T * MS, (T + 950) * MS)
    assert init.zombie_ns == 50 * MS
    (reaped,) = [step for step in story.steps if "reaped it" in step.text]
    assert reaped.boot_ns == (T + 950) * MS


def test_a_nested_namespace_that_stopped_with_its_container_is_no_second_stop() -> None:
    told = a_whole_stop_with_a_nested_namespace()
    story = why(told)
    report = told.conclude()
    labels = [(stop.pidns_inum, stop.outer_stop) for stop in report.stops]
    outer = next(number for number, (inum, _) in enumerate(labels) if inum == PIDNS)
    assert sorted(labels) == [(PIDNS, None), (PIDNS + 1, outer)]
    assert story.question == "Why did web stop, and how?"
    assert process(report, INIT).stop == outer
    assert {process(report, pid).stop for pid in (INNER, IN_IT)} == {1 - outer}
    # Whatever was in the nested one is told of with the container's stop.
    assert any("2 x worker" in step.text for step in story.steps)


def test_a_container_named_is_meant_before_a_namespace_in_it_that_ended_on_its_own() -> None:
    told = stream(
        replace(a_seed(INNER), process=below(INNER)),
        an_inner_death(T, INNER), a_notice(T, INNER), a_reap(T + 1, INNER, **_changes(INNER)),
        a_signal(T + 100), an_exit(T + 110, INIT), a_notice(T + 110, INIT, 50),
        a_reap(T + 111, INIT, 50),
    )  # fmt: skip
    assert why(told).question == "Why did web stop, and how?"


def test_of_two_namespaces_that_ended_the_choice_is_offered_with_times_and_inits() -> None:
    told = stream(
        *(
            event
            for number, init in enumerate((INNER, 203))
            for event in (
                replace(a_seed(init), process=below(init, PIDNS + 1 + number, init)),
                an_inner_death(T + number, init, init, PIDNS + 1 + number),
            )
        )
    )
    with pytest.raises(UsageError) as raised:
        why(told)
    assert raised.value.message == "2 containers or PID namespaces were stopped in web: choose one"
    assert raised.value.hint == (
        f"instead of -c: --pidns {PIDNS + 1} (init worker, host pid {INNER}, stopped at"
        f" 00:16:41.000 UTC), --pidns {PIDNS + 2} (init worker, host pid 203, stopped at"
        " 00:16:41.001 UTC)"
    )


def test_a_pid_of_the_container_named_is_not_asked_about_again() -> None:
    told = stream(
        replace(a_seed(INNER), process=below(INNER)), a_seed(101),
        replace(a_seed(IN_IT), process=below(IN_IT)),
        an_inner_death(T, IN_IT), an_exit(T + 1, 101, code=3),
    )  # fmt: skip
    assert why(told, 2).question == "Why did worker (pid 2, host 101) exit?"
    told = Stream(told.events)
    with pytest.raises(UsageError) as raised:
        why(told, 2, name=None)
    assert "-c" not in f"{raised.value.message} {raised.value.hint}"
    assert "--pid 101 (worker, ended at 00:16:41.001 UTC)" in (raised.value.hint or "")


def test_a_command_line_that_was_read_is_the_processs_own() -> None:
    key = ProcessKey(101, start_of(101))
    told = stream(
        a_seed(101),
        ObservationEvent(T * MS, "proc", key, {"cmdline": "worker --token ***"}),
        a_fork(T + 1, 102),
    )
    list(told.annotated())
    report = told.conclude()
    assert process(report, 101).command == "worker --token ***"
    assert process(report, 102).command is None
    assert process(report, 102).stop is None
    assert report.containers == (WEB,)


def test_a_kill_in_the_processs_own_context_is_told_as_far_as_it_is_known() -> None:
    def killed_by(actor: int) -> Stream:
        sent = a_kernel_kill(T, 101, actor)
        return stream(
            a_seed(101), sent, an_exit(T + 1, 101, signo=KILL),
            a_reap(T + 2, 101), *init_end(T + 50),
        )  # fmt: skip

    told = why(killed_by(101))
    assert "died of SIGKILL, which the kernel raised for no reason that is known," in told.answer
    assert any("a BPF program (bpf_send_signal)" in step.text for step in told.steps)
    # In another's context: whatever it was, it was not that.
    told = why(killed_by(102))
    assert "for no reason" not in told.answer
    assert not any("bpf_send_signal" in step.text for step in told.steps)
