"""The report of a trace, from the state the correlator reached."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.correlate import causes
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings import find_all
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState
from tracer.correlate.story import tell_headline, tell_timeline
from tracer.correlate.zombies import ZombieView, view_zombie, view_zombies
from tracer.model.report import ProcessReport, Report, StopReport, ZombieReport
from tracer.model.signals import SIGKILL, signal_name
from tracer.model.verdicts import End, StopSignalDisposition


def summarise(correlator: Correlator) -> Report:
    """Conclude a trace.

    The same events give an equal report, live or replayed.
    """
    attached = correlator.attached
    stops = tuple(
        _stop_report(correlator, scope, stop) for scope in correlator.scopes for stop in scope.stops
    )
    findings = find_all(correlator)
    is_late = any(state.is_seen_late for state in correlator.table)
    return Report(
        complete=not correlator.losses.totals and not is_late,
        lost=correlator.losses.totals,
        kernel=attached.kernel if attached else "unknown",
        hooks=attached.hooks if attached else (),
        containers=correlator.scopes.containers,
        stops=stops,
        processes=tuple(
            _process_report(correlator, state)
            for state in sorted(correlator.table, key=lambda s: (s.born_ns, s.key))
        ),
        zombies=tuple(
            _zombie_report(correlator, view)
            for view in sorted(view_zombies(correlator), key=lambda v: v.state.key)
        ),
        findings=findings,
        headline=tell_headline(correlator, stops, findings),
        timeline=tell_timeline(correlator),
        target=attached.target.description if attached else "unknown",
        begin_boot_ns=correlator.begin_ns or 0,
        end_boot_ns=correlator.now_ns,
        utc_offset_ns=attached.utc_offset_ns if attached else 0,
    )


@dataclass(slots=True)
class MemberCounts:
    """How a stop's members ended; each in exactly one."""

    sigkilled: int = 0
    signalled: int = 0
    exited: int = 0
    already_zombie: int = 0
    survived: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return (
            self.sigkilled + self.signalled + self.exited + self.already_zombie + self.survived
        )


def count_members(correlator: Correlator, stop: StopState) -> MemberCounts:
    """Count a stop's members by their fate."""
    counts = MemberCounts()
    until = stop.end_ns if stop.end_ns is not None else correlator.now_ns
    for key in stop.members:
        state = correlator.table.get(key)
        if state is None or state.was_released_before(stop.begin_ns):
            continue
        if state.exit_ns is None or state.exit_ns > until or state.status is None:
            counts.survived += 1
        elif state.exit_ns <= stop.begin_ns:
            counts.already_zombie += 1
        elif state.status.signo == SIGKILL:
            counts.sigkilled += 1
        elif state.status.signo is not None:
            counts.signalled += 1
        else:
            counts.exited += 1
    return counts


def _stop_report(correlator: Correlator, scope: Scope, stop: StopState) -> StopReport:
    init = correlator.table.get(scope.init)
    event, kill = stop.stop_signal, stop.kill
    counts = count_members(correlator, stop)
    teardown_ns = None
    if stop.init_exit_ns is not None and scope.init_notified_ns is not None and not scope.is_shared:
        teardown_ns = scope.init_notified_ns - stop.init_exit_ns
    elif stop.init_exit_ns is not None and scope.teardown_end_ns is not None:
        teardown_ns = scope.teardown_end_ns - stop.init_exit_ns
    grace_ns = None
    if event is not None:
        if kill is not None:
            grace_ns = kill.boot_ns - event.boot_ns
        elif stop.init_exit_ns is not None:
            grace_ns = stop.init_exit_ns - event.boot_ns
    status = init.status if init is not None and stop.init_exit_ns is not None else None
    container = scope.container
    return StopReport(
        container_id=container.id if container else None,
        container_name=container.name if container else None,
        pidns_inum=scope.pidns.inum,
        init_host_pid=scope.init.host_pid,
        init_comm=correlator.table.comm_of(scope.init) or "",
        trigger=stop.trigger.value,
        stop_signal=signal_name(event.signo) if event is not None else None,
        stop_signal_result=event.result if event is not None else None,
        stop_signal_disposition=(
            StopSignalDisposition(event.disposition.value)
            if event is not None
            else StopSignalDisposition.NOT_SENT
        ),
        stop_sender_host_pid=event.actor.host_pid if event is not None else None,
        stop_sender_comm=event.actor.comm if event is not None else None,
        stop_sender_chain=event.actor.chain if event is not None else (),
        escalated=stop.escalated,
        kill_sender_comm=kill.actor.comm if kill is not None and causes.is_sent_by_user(kill)
        else None,
        kill_sender_chain=kill.actor.chain if kill is not None and causes.is_sent_by_user(kill)
        else (),
        outcome=stop.outcome,
        grace_ns=grace_ns,
        teardown_ns=teardown_ns,
        duration_ns=stop.end_ns - stop.begin_ns if stop.end_ns is not None else None,
        begin_boot_ns=stop.begin_ns,
        kill_boot_ns=kill.boot_ns if kill is not None else None,
        init_exit_boot_ns=stop.init_exit_ns,
        end_boot_ns=stop.end_ns,
        init_exit_code=status.exit_code if status is not None else None,
        init_term_signal=status.signal_name if status is not None else None,
        init_cause=init.cause if init is not None and stop.init_exit_ns is not None else None,
        members=counts.total,
        sigkilled=counts.sigkilled,
        signalled=counts.signalled,
        exited=counts.exited,
        already_zombie=counts.already_zombie,
        survived=counts.survived,
        complete=not correlator.losses.any_since(stop.begin_ns),
    )


def _container_id(correlator: Correlator, state: ProcessState) -> str | None:
    container = correlator.scopes.container_of(state.snapshot)
    return container.id if container is not None else None


def _is_complete(correlator: Correlator, state: ProcessState) -> bool:
    return not state.is_seen_late and not correlator.losses.any_since(state.born_ns)


def _process_report(correlator: Correlator, state: ProcessState) -> ProcessReport:
    status, reap = state.status, state.reap
    fatal = state.fatal_signal.event if state.fatal_signal is not None else None
    by_user = fatal is not None and causes.is_sent_by_user(fatal)
    sender = fatal.actor if fatal is not None and by_user else None
    trigger = fatal.actor if fatal is not None and not by_user else None
    if status is None:
        end = End.RUNNING if state.exit_ns is None else End.EXIT
    else:
        end = End.SIGNAL if status.signo is not None else End.EXIT
    view = view_zombie(correlator, state)
    disposition = StopSignalDisposition.NOT_SENT
    if state.stop_signals:
        disposition = StopSignalDisposition(state.stop_signals[-1][1].value)
    elif correlator.losses.any_since(state.born_ns, "signal"):
        disposition = StopSignalDisposition.UNKNOWN
    return ProcessReport(
        host_pid=state.key.host_pid,
        ns_pid=state.snapshot.ns_pid,
        comm=state.comm,
        end=end,
        exit_code=status.exit_code if status is not None else None,
        term_signal=status.signal_name if status is not None else None,
        cause=state.cause,
        sender_host_pid=sender.host_pid if sender is not None else None,
        sender_comm=sender.comm if sender is not None else None,
        stop_signal_seen=bool(state.stop_signals),
        stop_signal_disposition=disposition,
        zombie_ns=view.zombie_ns if view is not None and state.exit_ns is not None else None,
        reap_kind=reap.kind if reap is not None else None,
        reaper_host_pid=reap.reaper.host_pid if reap is not None and reap.reaper else None,
        reaper_comm=reap.reaper_comm if reap is not None else None,
        start_boot_ns=state.key.start_boot_ns,
        pidns_inum=state.snapshot.pidns_inum,
        container_id=_container_id(correlator, state),
        parent_host_pid=state.snapshot.parent_host_pid,
        end_boot_ns=state.exit_ns,
        core_dumped=status.core_dumped if status is not None else False,
        sender_chain=sender.chain if sender is not None else (),
        sender_syscall=sender.syscall if sender is not None else None,
        trigger_host_pid=trigger.host_pid if trigger is not None else None,
        trigger_comm=trigger.comm if trigger is not None else None,
        signal_boot_ns=fatal.boot_ns if fatal is not None else None,
        is_init=bool(correlator.scopes.led_by(state.key)),
        complete=_is_complete(correlator, state),
    )


def _zombie_report(correlator: Correlator, view: ZombieView) -> ZombieReport:
    state, reap = view.state, view.state.reap
    return ZombieReport(
        host_pid=state.key.host_pid,
        ns_pid=state.snapshot.ns_pid,
        comm=state.comm,
        parent_host_pid=view.responsible.host_pid if view.responsible else None,
        parent_comm=correlator.table.comm_of(view.responsible),
        zombie_ns=view.zombie_ns,
        reaped=reap is not None,
        reap_kind=reap.kind if reap is not None else None,
        reaper_host_pid=reap.reaper.host_pid if reap is not None and reap.reaper else None,
        reaper_comm=reap.reaper_comm if reap is not None else None,
        precision=view.precision,
        live_threads=state.live_threads if view.is_leader_only else 0,
        parent_sigchld=view.parent_sigchld,
        injected=view.injected,
        begin_boot_ns=view.begin_ns,
        pidns_inum=state.snapshot.pidns_inum,
        container_id=_container_id(correlator, state),
        complete=_is_complete(correlator, state),
    )
