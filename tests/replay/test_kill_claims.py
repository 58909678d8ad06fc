"""What a death claim says of its sender, and its nearest look-alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.events import (
    BASH,
    BEGIN,
    CHLD,
    HOST,
    INIT,
    KILL,
    MS,
    PIDNS,
    RUNC,
    SHIM,
    TERM,
    WEB,
    a_fork,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    an_actor,
    an_exit,
    attached,
    codes,
    correlate,
    finding,
    process,
    report_of,
)
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.deaths import claim_death, claim_dropped
from tracer.model.claims.death import DeathClaim, Relation, Wish
from tracer.model.events import EndEvent, Event, ObservationEvent
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import Cause, ReapKind, Severity, StopSignalDisposition

T = BEGIN + 5000
IGNORES: dict[str, Any] = {
    "disposition": Disposition.IGNORED, "result": SignalResult.IGNORED,
}  # fmt: skip


def known(*events: Event) -> Correlator:
    correlator = Correlator(CorrelatorOptions())
    for event in sorted([attached(), a_seed(INIT), *events], key=lambda one: one.boot_ns):
        correlator.feed(event)
    correlator.feed(EndEvent((T + 10_000) * MS, "test"))
    return correlator


def claim(*events: Event, host_pid: int = 101) -> DeathClaim:
    correlator = known(*events)
    (state,) = [one for one in correlator.table if one.key.host_pid == host_pid]
    found = claim_death(correlator, state)
    assert found is not None
    return found


def killed_init(**changes: Any) -> list[Event]:
    return [a_signal(T, INIT, KILL, RUNC, **changes), an_exit(T + 1, INIT, signo=KILL)]


def docker(at: float, action: str, **values: Any) -> ObservationEvent:
    return ObservationEvent(
        int(at * MS), "docker", None, {"container_id": WEB.id, "action": action, **values}
    )


def test_a_parent_that_escalates_is_reported_with_its_earlier_signal() -> None:
    one = claim(
        a_seed(101), a_signal(T, 101, TERM, INIT, **IGNORES), a_signal(T + 1000, 101, KILL, INIT),
        an_exit(T + 1001, 101, signo=KILL),
    )  # fmt: skip
    assert one.relation is Relation.PARENT
    (asked,) = one.earlier
    assert (asked.signo, asked.disposition) == (TERM, Disposition.IGNORED)


def test_what_another_sent_before_is_not_the_killers() -> None:
    one = claim(
        a_seed(101), a_signal(T, 101, TERM, BASH, **IGNORES), a_signal(T + 1000, 101, KILL, INIT),
        an_exit(T + 1001, 101, signo=KILL),
    )  # fmt: skip
    assert one.earlier == ()


def test_a_helper_killed_and_reaped_by_its_parent_is_no_finding_but_another_processes_kill_is() -> (
    None
):
    born: dict[str, Any] = {"start_boot_ns": (T - 9) * MS}
    events: list[Event] = [
        a_fork(T - 9, 101, **born),
        a_signal(T, 101, KILL, INIT, subject=born),
        an_exit(T + 1, 101, signo=KILL, **born),
        a_reap(T + 2, 101, by=INIT, **born),
    ]
    assert codes(report_of(*events)) == []
    events[1] = a_signal(T, 101, KILL, 102, subject=born)
    assert finding(report_of(*events, a_seed(102)), "ZT106").severity is Severity.WARNING


def test_a_parent_that_ends_an_old_child_is_an_information() -> None:
    report = report_of(a_seed(101), a_signal(T, 101, KILL, INIT), an_exit(T + 1, 101, signo=KILL))
    found = finding(report, "ZT106")
    assert found.severity is Severity.INFO
    assert found.title == "app killed its own child worker with SIGKILL"


def test_a_runtimes_kill_after_its_shim_was_gone_is_containerds_cleanup() -> None:
    orphan: dict[str, Any] = {"parent": 1, "parent_comm": "systemd"}
    events = killed_init(
        subject=orphan, actor_changes={"chain": ("containerd-shim", "containerd", "systemd")}
    )
    assert claim(*events, host_pid=INIT).wish is Wish.SHIM_EXITED
    found = finding(report_of(*events), "ZT106")
    assert "its shim had exited" in found.title
    assert "docker kill" not in found.advice


def test_a_runtimes_kill_with_its_shim_alive_asks_the_engine() -> None:
    assert claim(*killed_init(), host_pid=INIT).wish is Wish.UNKNOWN
    assert "docker kill" in finding(report_of(*killed_init()), "ZT106").advice


def test_an_init_that_runc_bore_and_its_shim_adopted_has_not_lost_its_shim() -> None:
    born: dict[str, Any] = {
        "start_boot_ns": (BEGIN + 10) * MS,
        "init_start_boot_ns": (BEGIN + 10) * MS,
    }
    correlator = Correlator(CorrelatorOptions())
    by_runc: dict[str, Any] = {**born, "parent": RUNC, "parent_comm": "runc"}
    shims: dict[str, Any] = {**born, "parent": SHIM, "parent_comm": "containerd-shim"}
    for event in (
        attached(), a_fork(BEGIN + 10, INIT, **by_runc),
        a_signal(T, INIT, KILL, RUNC, process=a_process(INIT, **shims)),
        an_exit(T + 1, INIT, signo=KILL, **shims),
    ):  # fmt: skip
        correlator.feed(event)
    (state,) = [one for one in correlator.table if one.key.host_pid == INIT]
    found = claim_death(correlator, state)
    assert found is not None
    assert found.wish is Wish.UNKNOWN


def test_a_kill_that_the_engine_reported_was_asked_of_it() -> None:
    asked = docker(T - 2, "kill", signal="SIGKILL")
    assert claim(asked, *killed_init(), host_pid=INIT).wish is Wish.ENGINE
    other = docker(T - 2, "kill", signal="SIGHUP")
    assert claim(other, *killed_init(), host_pid=INIT).wish is Wish.UNKNOWN
    long_before = docker(T - 60_000, "kill", signal="SIGKILL")
    assert claim(long_before, *killed_init(), host_pid=INIT).wish is Wish.UNKNOWN


def test_a_client_in_the_chain_asked_for_it() -> None:
    by_podman = killed_init(actor_changes={"comm": "crun", "chain": ("podman", "bash")})
    assert claim(*by_podman, host_pid=INIT).wish is Wish.COMMAND
    assert "`docker kill`" not in finding(report_of(*by_podman), "ZT106").advice


def exec_killed(at: float) -> list[Event]:
    start = int((at - 1000) * MS)
    put_in: dict[str, Any] = {
        "start_boot_ns": start, "parent": SHIM, "parent_comm": "containerd-shim",
        "parent_pidns_inum": 4026531836, "comm": "sh",
    }  # fmt: skip
    pid = 101 + int(at - T)
    return [
        a_fork(at - 1000, pid, **put_in),
        a_signal(at, pid, KILL, SHIM, subject=put_in),
        an_exit(at + 1, pid, signo=KILL, **put_in),
    ]


def test_health_checks_killed_at_their_timeout_are_reported_with_their_times() -> None:
    events = [*exec_killed(T), *exec_killed(T + 2000), *exec_killed(T + 4000)]
    assert claim(*events).wish is Wish.EXEC_ENDED
    failed = docker(T + 10, "health_status", detail="unhealthy")
    assert claim(failed, *events).wish is Wish.HEALTH_CHECK
    told = [entry for entry in report_of(failed, *events).timeline if "died of" in entry.text]
    assert [entry.boot_ns // MS for entry in told] == [T + 1, T + 2001, T + 4001]
    assert "a health check that timed out" in told[0].text
    found = finding(report_of(*events), "ZT106")
    assert "each injected (exec, health check) 1.0 s earlier, 3 times within 4.0 s." in found.detail
    assert "docker kill" not in found.advice


def test_a_runtimes_kill_that_the_engine_calls_a_stop_is_no_forced_kill() -> None:
    killed = a_signal(T + 70_000, INIT, KILL, RUNC), an_exit(T + 70_001, INIT, signo=KILL)
    asked = docker(T + 70_001, "kill", signal="SIGKILL")
    reported = docker(T + 70_030, "stop")
    late: dict[str, Any] = {"until": T + 80_000}
    report = report_of(*killed, asked, reported, **late)
    assert report.stops[0].stop_signal_disposition is StopSignalDisposition.UNKNOWN
    found = finding(report, "ZT106")
    assert found.title == "runc killed app with SIGKILL in a stop"
    assert "a forced kill" not in found.detail
    assert "docker kill" not in found.advice
    assert not found.complete
    # The engine's word of an earlier stop is another stop's.
    before = docker(T + 69_900, "stop")
    found = finding(report_of(*killed, asked, before, **late), "ZT106")
    assert "a forced kill, not a stop" in found.detail
    assert "docker kill" in found.advice


def test_a_runtimes_name_inside_the_container_is_no_runtime() -> None:
    impostor = a_signal(T, 101, KILL, 102, actor_changes={"comm": "runc"})
    events = a_seed(101), a_seed(102), impostor, an_exit(T + 1, 101, signo=KILL)
    assert claim(*events).relation is not Relation.RUNTIME
    assert process(report_of(*events), 101).cause is Cause.KILL


def test_a_user_space_oom_killer_is_named_where_its_command_line_says_so() -> None:
    events: list[Event] = [
        a_seed(101), a_signal(T, 101, KILL, BASH, actor_changes={"comm": "earlyoom"}),
        an_exit(T + 1, 101, signo=KILL),
    ]  # fmt: skip

    def read(command: str) -> ObservationEvent:
        about = an_actor(BASH).key
        return ObservationEvent((T + 1) * MS, "proc", about, {"cmdline": command})

    found = finding(report_of(*events, read("/usr/bin/earlyoom -r 3600")), "ZT106")
    assert found.title == "earlyoom, a user-space OOM killer, killed worker with SIGKILL"
    found = finding(report_of(*events, read("/tmp/tool --fast")), "ZT106")
    assert "OOM killer" not in found.title


SHARED = replace(WEB, has_own_pidns=False)
POD: dict[str, Any] = {"pidns_level": 1, "pidns_inum": PIDNS, "is_init": False}


def from_a_neighbour(signo: int, cgroup_id: int) -> list[Event]:
    main = a_process(INIT, **POD, ns_pid=7, init_start_boot_ns=5)
    neighbour = an_actor(300, ns_pid=20, comm="runc", cgroup_id=cgroup_id)
    end = an_exit(T + 1, INIT, signo=signo, **POD, ns_pid=7, init_start_boot_ns=5)
    sent = a_signal(
        T, INIT, signo, actor=neighbour, process=main, target_unkillable=False,
        disposition=Disposition.DEFAULT,
    )  # fmt: skip
    pause: dict[str, Any] = {
        **POD,
        "ns_pid": 1,
        "is_init": True,
        "start_boot_ns": 5,
        "init_start_boot_ns": 5,
    }
    first = a_seed(200, process=a_process(200, parent=SHIM, parent_pidns_inum=HOST, **pause))
    return [first, a_seed(INIT, process=main), sent, end]


def test_who_kills_from_a_sidecar_is_the_sidecar_whichever_targets_were_chosen() -> None:
    for signo in (KILL, TERM):
        events = from_a_neighbour(signo, cgroup_id=999)
        as_container = correlate([attached(SHARED), *events], T + 10_000)
        as_namespace = correlate([attached(), *events], T + 10_000)
        causes = {process(one, INIT).cause for one in (as_container, as_namespace)}
        assert causes == {Cause.KILL}
        assert "another container" in finding(as_container, "ZT106").detail
    inside = correlate([attached(SHARED), *from_a_neighbour(KILL, 4242)], T + 10_000)
    assert "another container" not in finding(inside, "ZT106").detail


def test_a_signal_that_a_traced_init_will_drop_is_dropped() -> None:
    usr1: dict[str, Any] = {"disposition": Disposition.DEFAULT, "target_unkillable": True}
    sent = a_signal(T, INIT, 10, 101, **usr1), a_signal(T + 500, INIT, 10, 101, **usr1)
    (found,) = claim_dropped(known(a_seed(101), *sent))
    assert (found.signo, found.count) == (10, 2)
    handled = a_signal(T, INIT, 10, 101, disposition=Disposition.CAUGHT)
    assert list(claim_dropped(known(a_seed(101), handled))) == []
    blocked = a_signal(T, INIT, 10, 101, disposition=Disposition.BLOCKED)
    assert list(claim_dropped(known(a_seed(101), blocked))) == []


def test_a_stop_signal_that_is_dropped_is_another_finding() -> None:
    dropped: dict[str, Any] = {"disposition": Disposition.DEFAULT, "result": SignalResult.IGNORED}
    assert "ZT110" not in codes(report_of(a_signal(T, INIT, TERM, RUNC, **dropped)))
    inside = a_signal(T, INIT, TERM, 101, **dropped)
    assert codes(report_of(a_seed(101), inside)) == ["ZT110"]


def test_a_release_after_inits_exit_needs_no_signal_to_be_a_teardown() -> None:
    found = report_of(
        a_seed(101), a_signal(T, 101, KILL, INIT), an_exit(T + 1, INIT),
        an_exit(T + 2, 101, signo=KILL), a_reap(T + 3, 101, by=101),
    )  # fmt: skip
    assert process(found, 101).reap_kind is ReapKind.TEARDOWN
    before = report_of(
        a_seed(101), a_signal(T, 101, KILL, INIT), an_exit(T + 1, 101, signo=KILL),
        a_notice(T + 1, 101, signo=CHLD), a_reap(T + 2, 101, by=INIT), an_exit(T + 3, INIT),
    )  # fmt: skip
    assert process(before, 101).reap_kind is ReapKind.PARENT


def raised_by_itself(at: float, signo: int = TERM) -> Event:
    """PID 1 sends a signal to itself, with the default action restored."""
    itself = an_actor(INIT)
    return a_signal(
        at, INIT, signo, INIT, actor=itself, actor_is_self=True,
        disposition=Disposition.DEFAULT, result=SignalResult.IGNORED,
    )  # fmt: skip


def test_a_handled_signal_that_pid_1_then_sends_itself_says_nothing_of_its_handler() -> None:
    asked = a_signal(T, disposition=Disposition.CAUGHT)
    report = report_of(asked, raised_by_itself(T + 300), an_exit(T + 301, INIT, code=1))
    found = finding(report, "ZT110")
    assert found.severity is Severity.INFO
    assert found.title == "app raised SIGTERM again, which has no effect in PID 1"
    assert "exited with code 1" in found.detail
    assert "no handler" not in found.detail
    assert "had no effect" not in report.headline
    assert any("it had restored the default action" in entry.text for entry in report.timeline)


def test_who_kept_running_after_sending_itself_a_signal_is_what_made_the_stop_expire() -> None:
    asked = a_signal(T, disposition=Disposition.CAUGHT)
    killed = a_signal(T + 10_000, INIT, KILL), an_exit(T + 10_001, INIT, signo=KILL)
    report = report_of(asked, raised_by_itself(T + 300), *killed)
    found = finding(report, "ZT103")
    assert found.severity is Severity.ERROR
    assert "raised SIGTERM again" in found.title
    assert "Run an init as PID 1" in found.advice
    again = finding(report, "ZT110")
    assert again.severity is Severity.INFO
    assert again.detail.endswith("app kept running.")


def test_a_signal_that_pid_1_sends_itself_unasked_was_not_handled_before() -> None:
    found = finding(report_of(raised_by_itself(T, 6)), "ZT110")
    assert found.severity is Severity.WARNING
    assert "abort()" in found.detail
    asked_for_another = a_signal(T, disposition=Disposition.CAUGHT)
    found = finding(report_of(asked_for_another, raised_by_itself(T + 1, 10)), "ZT110")
    assert "app has no handler" in found.title
