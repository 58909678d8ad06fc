"""The report of a trace, from the state the correlator reached."""

from __future__ import annotations

from tracer.correlate import causes
from tracer.correlate.conclude import conclude, is_complete
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings import find_all
from tracer.correlate.members import count_members, may_have_ended
from tracer.correlate.passed_on import PassedOn
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState
from tracer.correlate.story import tell_headline
from tracer.correlate.timeline import tell_timeline
from tracer.correlate.world import World
from tracer.correlate.zombies import ZombieView, release_of, view_zombie, view_zombies
from tracer.model.report import ProcessReport, Report, StopReport, ZombieReport
from tracer.model.signals import signal_name
from tracer.model.verdicts import End, StopSignalDisposition


def summarise(correlator: Correlator) -> Report:
    """Conclude a trace.

    The same events give an equal report, live or replayed.
    """
    world, attached = correlator.world, correlator.attached
    conclude(world)
    passed_on = PassedOn(world.table)
    stops = tuple(
        _stop_report(world, scope, stop) for scope in world.scopes for stop in scope.stops
    )
    findings = find_all(correlator)
    is_late = any(state.is_seen_late for state in world.table)
    return Report(
        complete=not world.losses.totals and not is_late,
        lost=world.losses.totals,
        kernel=attached.kernel if attached else "unknown",
        hooks=attached.hooks if attached else (),
        containers=world.scopes.containers,
        stops=stops,
        processes=tuple(
            _process_report(world, state, passed_on)
            for state in sorted(world.table, key=lambda s: (s.born_ns, s.key))
        ),
        zombies=tuple(
            _zombie_report(world, view)
            for view in sorted(view_zombies(world), key=lambda v: (v.state.key, v.live_threads))
        ),
        findings=findings,
        headline=tell_headline(correlator, stops, findings, passed_on),
        timeline=tell_timeline(correlator, passed_on),
        target=attached.target.description if attached else "unknown",
        begin_boot_ns=world.begin_ns or 0,
        end_boot_ns=world.now_ns,
        utc_offset_ns=attached.utc_offset_ns if attached else 0,
    )


def _stop_report(world: World, scope: Scope, stop: StopState) -> StopReport:
    init = world.table.get(scope.init)
    event, kill = stop.stop_signal, stop.kill
    kill_sender = kill.actor if kill is not None and causes.is_sent_by_user(kill) else None
    counts = count_members(world, scope, stop)
    status = init.status if init is not None and stop.init_exit_ns is not None else None
    is_whole = not world.losses.any_between(scope.init.start_boot_ns, stop.end_ns)
    if event is not None:
        disposition = StopSignalDisposition(event.disposition.value)
    else:
        disposition = StopSignalDisposition.NOT_SENT if is_whole else StopSignalDisposition.UNKNOWN
    container = scope.container
    return StopReport(
        container_id=container.id if container else None,
        container_name=container.name if container else None,
        pidns_inum=scope.pidns.inum,
        init_host_pid=scope.init.host_pid,
        init_comm=world.table.comm_of(scope.init) or "",
        trigger=stop.trigger.value,
        stop_signal=signal_name(event.signo) if event is not None else None,
        stop_signal_result=event.result if event is not None else None,
        stop_signal_disposition=disposition,
        stop_sender_host_pid=event.actor.host_pid if event is not None else None,
        stop_sender_comm=event.actor.comm if event is not None else None,
        stop_sender_chain=event.actor.chain if event is not None else (),
        escalated=stop.escalated,
        kill_sender_comm=kill_sender.comm if kill_sender is not None else None,
        kill_sender_chain=kill_sender.chain if kill_sender is not None else (),
        outcome=stop.outcome,
        grace_ns=_grace_ns(stop),
        teardown_ns=_teardown_ns(scope, stop),
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
        complete=is_whole
        and not any(
            state.is_seen_late
            for key in stop.members
            if (state := world.table.get(key)) is not None
        ),
    )


def _grace_ns(stop: StopState) -> int | None:
    if stop.stop_signal is None:
        return None
    until_ns = stop.init_exit_ns
    if stop.kill is not None and stop.escalated:
        until_ns = stop.kill.boot_ns
    return until_ns - stop.stop_signal.boot_ns if until_ns is not None else None


def _teardown_ns(scope: Scope, stop: StopState) -> int | None:
    if stop.init_exit_ns is None or scope.is_shared:
        return None
    end_ns = scope.init_notified_ns or scope.teardown_end_ns
    return end_ns - stop.init_exit_ns if end_ns is not None else None


def _container_id(world: World, state: ProcessState) -> str | None:
    container = world.scopes.container_around(state)
    return container.id if container is not None else None


def _end_of(world: World, state: ProcessState) -> End | None:
    if state.status is not None:
        return End.SIGNAL if state.status.signo is not None else End.EXIT
    if state.exit_ns is not None or may_have_ended(world, state):
        return None
    return End.RUNNING


def _disposition(world: World, state: ProcessState) -> StopSignalDisposition:
    if state.stop_signal is not None:
        return StopSignalDisposition(state.stop_signal.disposition.value)
    if world.losses.any_between(state.born_ns, state.exit_ns, ("signal",)):
        return StopSignalDisposition.UNKNOWN
    return StopSignalDisposition.NOT_SENT


def _process_report(world: World, state: ProcessState, passed_on: PassedOn) -> ProcessReport:
    status, reap = state.status, release_of(state)
    fatal = state.fatal_signal.event if state.fatal_signal is not None else None
    by_user = fatal is not None and causes.is_sent_by_user(fatal)
    sender = fatal.actor if fatal is not None and by_user else None
    trigger = fatal.actor if fatal is not None and not by_user else None
    victim = passed_on.by(state)
    zombie_ns = reap.zombie_ns if reap is not None else None
    if reap is None and (view := view_zombie(world, state)) is not None:
        zombie_ns = view.zombie_ns
    return ProcessReport(
        host_pid=state.key.host_pid,
        ns_pid=state.snapshot.ns_pid,
        comm=state.comm,
        end=_end_of(world, state),
        exit_code=status.exit_code if status is not None else None,
        term_signal=status.signal_name if status is not None else None,
        cause=state.cause,
        sender_host_pid=sender.host_pid if sender is not None else None,
        sender_comm=sender.comm if sender is not None else None,
        stop_signal_seen=state.stop_signal is not None,
        stop_signal_disposition=_disposition(world, state),
        zombie_ns=zombie_ns,
        reap_kind=reap.kind if reap is not None else None,
        reaper_host_pid=reap.reaper.host_pid if reap is not None and reap.reaper else None,
        reaper_comm=reap.reaper_comm if reap is not None else None,
        start_boot_ns=state.key.start_boot_ns,
        pidns_inum=state.snapshot.pidns_inum,
        container_id=_container_id(world, state),
        parent_host_pid=state.snapshot.parent_host_pid,
        end_boot_ns=state.exit_ns,
        core_dumped=status.core_dumped if status is not None else False,
        sender_chain=sender.chain if sender is not None else (),
        sender_syscall=sender.syscall if sender is not None else None,
        trigger_host_pid=trigger.host_pid if trigger is not None else None,
        trigger_comm=trigger.comm if trigger is not None else None,
        signal_boot_ns=fatal.boot_ns if fatal is not None else None,
        is_init=bool(state.led),
        complete=is_complete(world, state),
        passed_on_host_pid=victim.key.host_pid if victim is not None else None,
    )


def _zombie_report(world: World, view: ZombieView) -> ZombieReport:
    state, reap = view.state, view.reap
    return ZombieReport(
        host_pid=state.key.host_pid,
        ns_pid=state.snapshot.ns_pid,
        comm=state.comm,
        parent_host_pid=view.responsible.host_pid if view.responsible else None,
        parent_comm=world.table.comm_of(view.responsible),
        zombie_ns=view.zombie_ns,
        reaped=reap is not None,
        reap_kind=reap.kind if reap is not None else None,
        reaper_host_pid=reap.reaper.host_pid if reap is not None and reap.reaper else None,
        reaper_comm=reap.reaper_comm if reap is not None else None,
        precision=view.precision,
        live_threads=view.live_threads,
        parent_sigchld=view.parent_sigchld,
        injected=view.is_direct_injection,
        begin_boot_ns=view.begin_ns,
        pidns_inum=state.snapshot.pidns_inum,
        container_id=_container_id(world, state),
        complete=is_complete(world, state),
        tracer_host_pid=view.tracer.host_pid if view.tracer is not None else None,
    )
