"""Of what processes died in a stop: the stop's own signals, the runtime's, a stranger's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.events import (
    BASH,
    BEGIN,
    INIT,
    KILL,
    MS,
    RUNC,
    TERM,
    WEB,
    a_fork,
    a_kernel_kill,
    a_process,
    a_seed,
    a_signal,
    an_actor,
    an_exit,
    an_oom_mark,
    attached,
    codes,
    correlate,
    finding,
    init_end,
    process,
    report_of,
    the_stop,
)
from tracer.model.events import LossEvent
from tracer.model.signals import Disposition
from tracer.model.verdicts import Cause, StopSignalDisposition

T = BEGIN + 1000
DEFAULT: dict[str, Any] = {"disposition": Disposition.DEFAULT}


def test_handler_that_raises_the_signal_again_dies_of_the_stop_signal() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, INIT),
        a_signal(T + 2, 101, TERM, 101, **DEFAULT), an_exit(T + 3, signo=TERM),
    )  # fmt: skip
    one = process(report, 101)
    assert (one.cause, one.stop_signal_disposition) == (
        Cause.STOP_SIGNAL, StopSignalDisposition.CAUGHT,
    )  # fmt: skip


def test_an_unrelated_signal_during_a_stop_is_a_kill() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, BASH, **DEFAULT),
        an_exit(T + 2, signo=TERM),
    )  # fmt: skip
    assert process(report, 101).cause is Cause.KILL
    assert codes(report) == ["ZT106"]


def test_signal_of_a_docker_execed_process_during_a_stop_is_a_kill() -> None:
    start = {"start_boot_ns": a_process(102).start_boot_ns}
    report = report_of(
        a_seed(101), a_fork(T - 9, 102, parent=RUNC, **start), a_signal(T),
        a_signal(T + 1, 101, TERM, 102, **DEFAULT), an_exit(T + 2, signo=TERM),
    )  # fmt: skip
    assert process(report, 101).cause is Cause.KILL


@pytest.mark.parametrize(
    ("uid", "namespace_uid", "cause"),
    [
        (0, None, Cause.RUNTIME_KILL),
        (1000, None, Cause.KILL),
        (1000, 1000, Cause.RUNTIME_KILL),
        (1001, 1000, Cause.KILL),
        (0, 1000, Cause.RUNTIME_KILL),
        # An older capture does not say.
        (None, None, Cause.RUNTIME_KILL),
    ],
)
def test_a_runtime_acts_as_root_or_as_the_user_whose_container_it_is(
    uid: int | None, namespace_uid: int | None, cause: Cause
) -> None:
    web = replace(WEB, namespace_uid=namespace_uid)
    events = (
        a_signal(T, INIT, KILL, RUNC, actor_changes={"uid": uid}),
        an_exit(T + 10, INIT, signo=KILL),
    )
    report = correlate([attached(web), a_seed(INIT), *events], T + 100_000)
    assert process(report, INIT).cause is cause


def test_a_users_runc_ends_no_grace_period_of_a_member() -> None:
    events = (
        a_seed(101),
        a_signal(T, INIT, TERM),
        a_signal(T + 1, 101, KILL, RUNC, actor_changes={"uid": 1000}),
        an_exit(T + 2, 101, signo=KILL),
    )
    assert process(report_of(*events), 101).cause is Cause.KILL


def test_runtime_kill_is_distinguished_from_anyones() -> None:
    by_runc = report_of(a_signal(T, INIT, KILL), *init_end(T + 1, signo=KILL))
    assert process(by_runc, INIT).cause is Cause.RUNTIME_KILL
    assert (the_stop(by_runc).trigger, the_stop(by_runc).grace_ns) == ("sigkill", None)
    by_bash = report_of(a_signal(T, INIT, KILL, BASH), *init_end(T + 1, signo=KILL))
    assert process(by_bash, INIT).cause is Cause.KILL
    inside = a_signal(T, 102, KILL, actor=an_actor(101, comm="runc"))
    called_runc = report_of(a_seed(101), a_seed(102), inside, an_exit(T + 1, 102, signo=KILL))
    assert process(called_runc, 102).cause is Cause.KILL


def test_oom_of_init_during_the_grace_is_no_escalation() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_kernel_kill(T + 1, INIT, 101), an_oom_mark(T + 1.01, INIT, 101),
        *init_end(T + 2, signo=KILL),
    )  # fmt: skip
    assert process(report, INIT).cause is Cause.OOM
    assert (the_stop(report).escalated, the_stop(report).trigger) == (False, "stop_signal")
    assert codes(report) == ["ZT104"]


def test_lost_signals_make_a_runtimes_kill_unknown() -> None:
    lost = LossEvent((T + 50) * MS, {"signal": 1}, (T - 50) * MS)
    report = report_of(a_signal(T, INIT, KILL), *init_end(T + 1, signo=KILL), lost)
    assert process(report, INIT).cause is Cause.UNKNOWN
    assert (the_stop(report).complete, report.complete) == (False, False)
    assert "app (PID 1) was killed, cause unknown" in report.headline
    assert codes(report) == ["ZT901"]


def test_loss_of_another_time_leaves_it_alone() -> None:
    lost = LossEvent((T + 190_000) * MS, {"signal": 1}, (T + 180_000) * MS)
    later = T + 80_000
    report = report_of(a_signal(later, INIT, KILL), *init_end(later + 1, signo=KILL), lost)
    assert process(report, INIT).cause is Cause.RUNTIME_KILL
    assert (process(report, INIT).complete, the_stop(report).complete) == (True, True)
    assert finding(report, "ZT106").complete
    assert not report.complete
