"""Every cause of a death by signal, and its nearest look-alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.events import (
    BASH,
    BEGIN,
    HOOKS,
    HOST,
    INIT,
    KILL,
    MS,
    PIDNS,
    RUNC,
    TERM,
    a_delivery,
    a_fork,
    a_kernel_kill,
    a_process,
    a_seed,
    a_signal,
    a_teardown_kill,
    a_zombie_seed,
    an_actor,
    an_exit,
    an_oom_mark,
    attached,
    correlate,
    process,
    report_of,
    start_of,
    to_the_dead,
)
from tracer.model.events import Event, HookState, LossEvent, SignalInfo
from tracer.model.report import ProcessReport
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import Cause
from tracer.model.wait_status import WaitStatus

T = BEGIN + 1000
DEFAULT: dict[str, Any] = {"disposition": Disposition.DEFAULT}
NONE: dict[str, Any] = {"info": SignalInfo.NONE, "si_code": None, "si_pid": None}
PRIV: dict[str, Any] = {"info": SignalInfo.KERNEL, "si_code": None, "si_pid": None}


def fate(*events: Event, signo: int = KILL, host_pid: int = 101) -> ProcessReport:
    """What is said of process 101, which dies of a signal 10 ms after T."""
    seeds = [a_seed(101), a_seed(102)]
    return process(report_of(*seeds, *events, an_exit(T + 10, host_pid, signo=signo)), host_pid)


def test_teardown_by_an_init_that_was_asleep_is_a_teardown() -> None:
    actor = an_actor(INIT, is_exiting=True, syscall="clock_nanosleep")
    one = fate(a_kernel_kill(T, 101, INIT, actor=actor, actor_is_reaper=True))
    assert (one.cause, one.sender_comm, one.trigger_comm) == (Cause.PIDNS_TEARDOWN, None, "app")


def test_exitkill_by_an_init_that_traces_is_no_teardown() -> None:
    actor = an_actor(INIT, is_exiting=True)
    one = fate(
        a_kernel_kill(T, 101, INIT, actor=actor, actor_is_reaper=True, actor_is_tracer=True,
                      is_group=False),
        a_teardown_kill(T + 1, result=SignalResult.IGNORED, target_group_exit=True),
    )  # fmt: skip
    assert one.cause is Cause.TRACER_EXIT


def test_exitkill_of_any_tracer() -> None:
    actor = an_actor(102, is_exiting=True)
    one = fate(a_kernel_kill(T, 101, 102, actor=actor, actor_is_tracer=True, is_group=False))
    assert one.cause is Cause.TRACER_EXIT


def test_pdeathsig_of_init_is_no_teardown() -> None:
    actor = an_actor(INIT, is_exiting=True)
    one = fate(a_signal(T, 101, KILL, actor=actor, target_pdeath_signo=KILL,
                        actor_is_reaper=True, **NONE))  # fmt: skip
    assert one.cause is Cause.PARENT_DEATH


def test_another_signal_than_pdeathsig_of_an_exiting_process_is_unknown() -> None:
    actor = an_actor(102, is_exiting=True)
    one = fate(a_signal(T, 101, KILL, actor=actor, target_pdeath_signo=TERM, **NONE))
    assert one.cause is Cause.UNKNOWN


def test_cgroup_kill_is_recognised_by_its_missing_siginfo_not_by_write() -> None:
    actor = an_actor(BASH, syscall=None)
    assert fate(a_signal(T, 101, KILL, actor=actor, **NONE)).cause is Cause.CGROUP_KILL


def test_writer_to_its_own_cgroup_kill() -> None:
    actor = an_actor(101, syscall="write")
    assert fate(a_signal(T, 101, KILL, actor=actor, actor_is_self=True, **NONE)).cause is (
        Cause.CGROUP_KILL
    )


def test_kernel_giving_up_on_its_caller_is_no_cgroup_kill() -> None:
    actor = an_actor(101, syscall="execve")
    assert fate(a_signal(T, 101, KILL, actor=actor, actor_is_self=True, **NONE)).cause is (
        Cause.UNKNOWN
    )


def test_sigkill_then_mark_is_the_oom_killer() -> None:
    one = fate(a_kernel_kill(T, 101, 102), an_oom_mark(T + 0.01, 101, by=102))
    assert (one.cause, one.sender_comm, one.trigger_host_pid) == (Cause.OOM, None, 102)


def test_mark_then_sigkill_is_the_oom_killer_where_a_kprobe_marks() -> None:
    assert fate(an_oom_mark(T - 0.01, 101, by=102), a_kernel_kill(T, 101, 102)).cause is Cause.OOM


def test_oom_inside_write_is_no_cgroup_kill() -> None:
    actor = an_actor(102, syscall="write")
    one = fate(a_kernel_kill(T, 101, 102, actor=actor), an_oom_mark(T + 0.01, 101, by=102))
    assert one.cause is Cause.OOM


def test_victim_that_asked_for_the_memory_itself_is_not_at_its_cpu_limit() -> None:
    one = fate(a_kernel_kill(T, 101, 101), an_oom_mark(T + 0.01, 101, by=101))
    assert one.cause is Cause.OOM


def test_sharer_of_the_victims_memory_dies_of_oom_without_a_mark() -> None:
    report = report_of(
        a_seed(101), a_seed(102), a_seed(103),
        a_kernel_kill(T, 101, 102), an_oom_mark(T + 0.01, 101, by=102),
        a_kernel_kill(T + 0.02, 103, 102),
        an_exit(T + 5, 101, signo=KILL), an_exit(T + 6, 103, signo=KILL),
    )  # fmt: skip
    assert process(report, 103).cause is Cause.OOM


def test_mark_of_a_dying_process_does_not_make_its_death_oom() -> None:
    one = fate(a_signal(T, 101, KILL, BASH), an_oom_mark(T + 1, 101, by=101))
    assert (one.cause, one.sender_comm) == (Cause.KILL, "bash")


def test_mark_of_one_that_exits_after_its_cpu_limit_is_no_oom() -> None:
    one = fate(
        a_kernel_kill(T, 101, 101, cpu_limit_s=1),
        an_oom_mark(T + 1, 101, by=101, actor_changes={"is_exiting": True}),
    )
    assert one.cause is Cause.RLIMIT_CPU


def test_mark_by_a_threads_bare_number_finds_its_process() -> None:
    bare = a_process(9999, start_boot_ns=0, pidns_inum=None, pidns_level=None)
    one = fate(
        a_kernel_kill(T, 101, 102, target_host_tid=9999),
        an_oom_mark(T + 0.01, by=102, **{f: getattr(bare, f) for f in ("host_pid",
                    "start_boot_ns", "pidns_inum", "pidns_level")}),
    )  # fmt: skip
    assert one.cause is Cause.OOM


def test_a_mark_of_an_unknown_pid_belongs_to_no_process() -> None:
    bare = an_oom_mark(T, 9999, by=BASH, start_boot_ns=0, pidns_inum=None)
    assert [one.host_pid for one in report_of(bare).processes] == [INIT]


def test_cpu_limit_that_was_reached() -> None:
    assert fate(a_kernel_kill(T, 101, 101, cpu_limit_s=1)).cause is Cause.RLIMIT_CPU
    one = fate(a_signal(T, 101, 24, 101, **PRIV, **DEFAULT, cpu_limit_s=1), signo=24)
    assert one.cause is Cause.RLIMIT_CPU


def test_a_kernels_kill_in_its_own_context_without_a_limit_is_unknown() -> None:
    assert fate(a_kernel_kill(T, 101, 101)).cause is Cause.UNKNOWN
    one = fate(a_signal(T, 101, 24, 101, **PRIV, **DEFAULT), signo=24)
    assert one.cause is Cause.UNKNOWN


def test_cpu_limit_needs_no_hook_that_would_report_oom() -> None:
    hooks = (*(h for h in HOOKS if h.name != "oom"), HookState("oom", None))
    report = correlate(
        [attached(hooks=hooks), a_seed(INIT), a_seed(101),
         a_kernel_kill(T, 101, 101, cpu_limit_s=1), an_exit(T + 1, 101, signo=KILL)], T + 10,
    )  # fmt: skip
    assert process(report, 101).cause is Cause.RLIMIT_CPU


@pytest.mark.parametrize("code", [0, -1, -6])
def test_kill_by_every_call(code: int) -> None:
    one = fate(a_signal(T, 101, KILL, BASH, si_code=code))
    assert (one.cause, one.sender_host_pid, one.sender_syscall) == (Cause.KILL, BASH, "kill")


def test_timer_that_fires_in_a_bystanders_context_is_the_targets_own() -> None:
    one = fate(a_signal(T, 101, 14, BASH, si_code=-2, **DEFAULT), signo=14)
    assert (one.cause, one.sender_comm, one.trigger_comm) == (Cause.SELF, None, "bash")


def test_sigqueue_that_pretends_to_be_a_timer_is_a_kill() -> None:
    actor = an_actor(BASH, syscall="rt_sigqueueinfo")
    one = fate(a_signal(T, 101, 14, actor=actor, si_code=-2, **DEFAULT), signo=14)
    assert (one.cause, one.sender_comm) == (Cause.KILL, "bash")


def test_alarm_and_closed_pipe_are_the_process_s_own() -> None:
    assert fate(a_signal(T, 101, 14, BASH, **PRIV, **DEFAULT), signo=14).cause is Cause.SELF
    assert fate(a_signal(T, 101, 13, 101, **NONE, **DEFAULT), signo=13).cause is Cause.SELF


def test_abort_is_self_and_a_fault_s_signal_sent_is_not_a_fault() -> None:
    assert fate(a_signal(T, 101, 6, 101, si_code=-6, **DEFAULT), signo=6).cause is Cause.SELF
    assert fate(a_signal(T, 101, 11, 101, si_code=1, **DEFAULT), signo=11).cause is Cause.FAULT
    assert fate(a_signal(T, 101, 11, BASH, **DEFAULT), signo=11).cause is Cause.KILL


def test_seccomp_is_distinguished_from_a_sigsys_that_was_sent() -> None:
    assert fate(a_signal(T, 101, 31, 101, si_code=1, **DEFAULT), signo=31).cause is Cause.SECCOMP
    assert fate(a_signal(T, 101, 31, BASH, **DEFAULT), signo=31).cause is Cause.KILL


def test_sigsys_no_one_generated_is_seccomp_and_one_a_tracer_injects_is_unknown() -> None:
    assert fate(signo=31).cause is Cause.SECCOMP
    assert fate(a_delivery(T, signo=31), signo=31).cause is Cause.UNKNOWN


def test_sigkill_no_one_generated_is_unknown() -> None:
    assert fate().cause is Cause.UNKNOWN


def test_sigkill_a_tracer_injects_is_not_the_teardowns_that_follows() -> None:
    one = fate(a_delivery(T, signo=KILL), a_teardown_kill(T + 1))
    assert one.cause is Cause.UNKNOWN


def test_ctrl_c_comes_from_the_terminal() -> None:
    worker = an_actor(70, comm="kworker/u8:1", is_kernel_thread=True)
    one = fate(a_signal(T, 101, 2, actor=worker, **PRIV, **DEFAULT), signo=2)
    assert one.cause is Cause.TERMINAL


def test_hangup_of_an_orphaned_group_with_a_stopped_job_is_not_the_terminals() -> None:
    dying = an_actor(102, is_exiting=True)
    hangup = a_signal(T, 101, 1, actor=dying, **PRIV, **DEFAULT)
    assert fate(hangup, signo=1).cause is Cause.TERMINAL
    born = a_fork(T - 5, 103, parent=102)
    stop = a_signal(T - 1, 103, 19, BASH, process=born.process, **DEFAULT)
    assert fate(born, stop, hangup, signo=1).cause is Cause.UNKNOWN


def test_process_dying_of_sigterm_is_not_killed_by_the_teardown() -> None:
    one = fate(
        a_signal(T, 101, TERM, INIT, **DEFAULT),
        a_teardown_kill(T + 1, result=SignalResult.IGNORED, target_group_exit=True),
        signo=TERM,
    )
    assert (one.cause, one.term_signal) == (Cause.KILL, "SIGTERM")


def test_second_sigkill_did_not_kill() -> None:
    one = fate(
        a_signal(T, 101, KILL, BASH),
        a_teardown_kill(T + 1, result=SignalResult.ALREADY_PENDING, target_group_exit=True),
    )
    assert (one.cause, one.sender_comm) == (Cause.KILL, "bash")


def test_caught_signal_is_not_the_one_that_killed() -> None:
    one = fate(
        a_signal(T, 101, TERM, RUNC),
        a_signal(T + 1, 101, TERM, BASH, **DEFAULT),
        signo=TERM,
    )
    assert one.sender_comm == "bash"


def test_blocked_signal_kills_once_it_is_taken() -> None:
    one = fate(
        a_signal(T, 101, TERM, BASH, disposition=Disposition.BLOCKED),
        a_delivery(T + 5, si_code=0, si_pid=0),
        signo=TERM,
    )
    assert (one.cause, one.sender_comm) == (Cause.KILL, "bash")


def test_zombie_sent_sigkill_in_teardown_is_not_counted_as_killed() -> None:
    report = report_of(
        a_seed(101), an_exit(T - 500, 101), an_exit(T, INIT),
        a_teardown_kill(T + 1, 101, **to_the_dead()),
    )  # fmt: skip
    (stop,) = report.stops
    assert (stop.members, stop.already_zombie, stop.sigkilled) == (1, 1, 0)
    assert process(report, 101).cause is None


def test_death_before_the_trace_is_of_unknown_cause() -> None:
    dead = replace(a_zombie_seed(101), status=WaitStatus(None, KILL, False))
    assert process(report_of(dead), 101).cause is Cause.UNKNOWN


def test_a_runc_within_the_container_is_no_runtime_to_a_namespace_below_it() -> None:
    below: dict[str, Any] = {
        "pidns_inum": PIDNS + 1, "pidns_level": 2, "init_start_boot_ns": start_of(103)
    }  # fmt: skip
    inner_init = a_process(103, ns_pid=1, is_init=True, **below)
    worker = a_process(104, parent=103, parent_pidns_inum=PIDNS + 1, **below)
    runc = a_process(102, parent=RUNC, parent_pidns_inum=HOST, comm="runc")
    kill = a_signal(
        T + 1, 104, by=102, actor_changes={"comm": "runc", "ns_pid": 0}, process=worker,
        disposition=Disposition.DEFAULT,
    )  # fmt: skip
    events: list[Event] = [
        a_seed(102, process=runc), a_seed(103, process=inner_init), a_seed(104, process=worker),
        a_signal(T), kill, replace(an_exit(T + 2, 104, signo=TERM), process=worker),
    ]  # fmt: skip
    # A command injected by docker exec did it, whatever it calls itself.
    assert process(report_of(*events), 104).cause is Cause.KILL


def test_a_second_record_of_a_signal_to_itself_is_no_second_signal() -> None:
    blocked = a_signal(T + 1, 101, by=101, disposition=Disposition.BLOCKED)
    taken = a_delivery(T + 2, 101, TERM, si_pid=2)
    end = an_exit(T + 3, 101, signo=TERM)
    report = report_of(a_seed(101), a_signal(T), blocked, blocked, taken, end)
    assert process(report, 101).cause is Cause.SELF


def test_cpu_limit_in_a_thread_whose_number_was_a_dead_oom_callers() -> None:
    start = (T + 5) * 1_000_000
    young = a_process(101, start_boot_ns=start)
    caller = an_actor(101, start_boot_ns=start)
    events: list[Event] = [
        a_seed(101), a_kernel_kill(T, 101, 101), an_oom_mark(T + 0.1, 101, by=101),
        an_exit(T + 1, 101, signo=KILL), a_fork(T + 5.1, 101, start_boot_ns=start),
        a_kernel_kill(T + 6, 101, 101, actor=caller, process=young, cpu_limit_s=1),
        replace(an_exit(T + 7, 101, signo=KILL), process=young),
    ]  # fmt: skip
    causes = [one.cause for one in report_of(*events).processes if one.host_pid == 101]
    assert causes == [Cause.OOM, Cause.RLIMIT_CPU]


@pytest.mark.parametrize(
    ("signo", "by", "cause"),
    [(KILL, RUNC, Cause.UNKNOWN), (TERM, BASH, Cause.UNKNOWN), (KILL, BASH, Cause.KILL)],
)
def test_in_a_namespace_whose_init_was_never_met_no_stop_is_ruled_out(
    signo: int, by: int, cause: Cause
) -> None:
    strange = a_process(
        103, parent=104, pidns_inum=PIDNS + 1, pidns_level=2, init_start_boot_ns=start_of(104),
        parent_pidns_inum=PIDNS + 1,
    )  # fmt: skip
    how = DEFAULT if signo == TERM else {}
    events: list[Event] = [
        a_seed(103, process=strange), a_signal(T, 103, signo, by, process=strange, **how),
        replace(an_exit(T + 1, 103, signo=signo), process=strange),
    ]  # fmt: skip
    assert process(report_of(*events), 103).cause is cause


@pytest.mark.parametrize(("is_lost", "cause"), [(False, Cause.STOP_SIGNAL), (True, Cause.UNKNOWN)])
def test_who_passes_a_stop_on_belongs_to_it_unless_an_ancestor_is_not_known(
    is_lost: bool, cause: Cause
) -> None:
    # 102 is never met: its birth is lost, or it was there before and is gone.
    worker = a_process(103, parent=102)
    lost = LossEvent(BEGIN * MS + 5000, {"fork": 1}, BEGIN * MS)
    events: list[Event] = [
        a_seed(101), a_seed(103, process=worker), *([lost] if is_lost else []),
        a_signal(T + 90_000), a_signal(T + 90_001, 101, by=103, **DEFAULT),
        an_exit(T + 90_002, 101, signo=TERM),
    ]  # fmt: skip
    assert process(report_of(*events, until=T + 95_000), 101).cause is cause
