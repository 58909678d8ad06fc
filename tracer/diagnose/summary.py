"""The report of a trace, from the state the correlator reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracer.correlate import causes
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.correlate.trace_state import TraceState
from tracer.correlate.zombies import ZombieView, release_of, view_zombie
from tracer.diagnose.conclude import conclude, is_complete
from tracer.diagnose.conclusions import Conclusions
from tracer.diagnose.evidence import most_behind_ns
from tracer.diagnose.findings import find_all, find_in_scope
from tracer.diagnose.headline import tell_headline
from tracer.diagnose.hold_words import say_what_it_did
from tracer.diagnose.listing import choose, choose_findings, choose_moments, end_of
from tracer.diagnose.stop_index import StopIndex
from tracer.diagnose.timeline import tell_timeline
from tracer.model.events import BPF_SOURCE
from tracer.model.report import ProcessReport, Report, StopHolder, StopReport, ZombieReport
from tracer.model.signals import signal_name

_MOST_HOLDERS = 64


def summarise(correlator: Correlator) -> Report:
    """Conclude a trace.

    The same events give an equal report, live or replayed.
    """
    trace, attached = correlator.trace, correlator.attached
    conclude(trace)
    conclusions = Conclusions(correlator)
    listing = choose(correlator)
    index = StopIndex(trace, listing.stops)
    stops = tuple(_stop_report(conclusions, scope, stop, index) for scope, stop in listing.stops)
    findings, more_findings = choose_findings(correlator, find_all(conclusions))
    timeline, more_moments = choose_moments(
        tell_timeline(conclusions, listing.stops), correlator.options.detail
    )
    is_late = any(state.is_seen_late for state in trace.table.each())
    reported = [(*pair, report) for pair, report in zip(listing.stops, stops, strict=True)]
    return Report(
        complete=not trace.losses.totals and not is_late and not correlator.retention.forgot_late,
        lost=trace.losses.totals,
        kernel=attached.kernel if attached else "unknown",
        hooks=attached.hooks if attached else (),
        source=attached.source if attached else BPF_SOURCE,
        containers=trace.scopes.containers,
        stops=stops,
        processes=tuple(
            _process_report(conclusions, listing.stops, state, index.of_process(state))
            for state in listing.processes
        ),
        zombies=tuple(_zombie_report(trace, view) for view in listing.zombies),
        findings=findings,
        headline=tell_headline(conclusions, reported, findings, listing.folded),
        timeline=timeline,
        target=attached.target.description if attached else "unknown",
        begin_boot_ns=trace.begin_ns or 0,
        end_boot_ns=trace.now_ns,
        utc_offset_ns=attached.utc_offset_ns if attached else 0,
        behind_ns=most_behind_ns(correlator),
        folded=replace(listing.folded, findings=more_findings, timeline=more_moments),
    )


def correlate(options: CorrelatorOptions) -> Correlator:
    """A correlator whose report counts the findings about what it forgets, too."""
    return Correlator(options, find_in_scope)


def _stop_report(
    conclusions: Conclusions, scope: Scope, stop: StopState, index: StopIndex
) -> StopReport:
    trace, course = conclusions.correlator.trace, conclusions.stop(scope, stop)
    init = trace.table.get(scope.init)
    event, kill = stop.stop_signal, stop.kill
    kill_sender = kill.actor if kill is not None and causes.is_sent_by_user(kill) else None
    counts = conclusions.counts(scope, stop)
    status = init.status if init is not None and stop.init_exit_ns is not None else None
    is_whole = not trace.losses.any_between(scope.init.start_boot_ns, stop.end_ns)
    container = scope.container
    return StopReport(
        container_id=container.id if container else None,
        container_name=container.shown_name if container else None,
        pidns_inum=scope.pidns.inum,
        init_host_pid=scope.init.host_pid,
        init_comm=trace.table.comm_of(scope.init) or "",
        trigger=course.trigger,
        stop_signal=signal_name(event.signo) if event is not None else None,
        stop_signal_result=event.result if event is not None else None,
        stop_signal_disposition=course.disposition,
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
        and not course.needs
        and not stop.forgot_late
        and not any(
            state.is_seen_late
            for key in stop.members
            if (state := trace.table.get(key)) is not None
        ),
        outer_stop=index.outer(scope, stop),
        holders=_holders(conclusions, scope, stop),
    )


def _holders(conclusions: Conclusions, scope: Scope, stop: StopState) -> tuple[StopHolder, ...]:
    return tuple(
        StopHolder(
            host_pid=hold.holder.host_pid,
            start_boot_ns=hold.holder.start_boot_ns,
            comm=conclusions.correlator.table.comm_of(hold.holder) or "",
            reason=hold.reason,
            why=say_what_it_did(hold, stop.stop_signo),
            waiter_host_pids=tuple(waiter.host_pid for waiter in hold.waiters),
            certainty=hold.certainty,
        )
        for hold in conclusions.holds(scope, stop)[:_MOST_HOLDERS]
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


def _container_id(trace: TraceState, state: ProcessState) -> str | None:
    container = trace.scopes.container_around(state)
    return container.id if container is not None else None


def _process_report(
    conclusions: Conclusions,
    stops: Sequence[tuple[Scope, StopState]],
    state: ProcessState,
    stop: int | None,
) -> ProcessReport:
    trace, end = conclusions.correlator.trace, conclusions.end(state.key)
    status, reap = state.status, release_of(state)
    fatal = end.signal if end is not None else None
    sender = end.sender if end is not None else None
    trigger = end.trigger if end is not None else None
    sender_key = sender.key if sender is not None else None
    victim = end.passed_on if end is not None else None
    scope, its_stop = stops[stop] if stop is not None else (None, None)
    is_its_init = scope is not None and scope.init == state.key
    needs = scope and its_stop and is_its_init and conclusions.stop(scope, its_stop).needs
    zombie_ns = reap.zombie_ns if reap is not None else None
    if reap is None and (view := view_zombie(trace, state)) is not None:
        zombie_ns = view.zombie_ns
    return ProcessReport(
        host_pid=state.key.host_pid,
        ns_pid=state.snapshot.ns_pid,
        comm=state.comm,
        end=end_of(trace, state),
        exit_code=status.exit_code if status is not None else None,
        term_signal=status.signal_name if status is not None else None,
        cause=state.cause,
        sender_host_pid=sender.host_pid if sender is not None else None,
        sender_comm=sender.comm if sender is not None else None,
        stop_signal_seen=state.stop_signal is not None,
        stop_signal_disposition=conclusions.disposition(scope, state, its_stop),
        zombie_ns=zombie_ns,
        reap_kind=reap.kind if reap is not None else None,
        reaper_host_pid=reap.reaper.host_pid if reap is not None and reap.reaper else None,
        reaper_comm=reap.reaper_comm if reap is not None else None,
        start_boot_ns=state.key.start_boot_ns,
        pidns_inum=state.snapshot.pidns_inum,
        container_id=_container_id(trace, state),
        parent_host_pid=state.snapshot.parent_host_pid,
        end_boot_ns=state.exit_ns,
        core_dumped=status.core_dumped if status is not None else False,
        sender_chain=sender.chain if sender is not None else (),
        sender_syscall=sender.syscall if sender is not None else None,
        trigger_host_pid=trigger.host_pid if trigger is not None else None,
        trigger_comm=trigger.comm if trigger is not None else None,
        signal_boot_ns=fatal.boot_ns if fatal is not None else None,
        is_init=bool(state.led),
        complete=is_complete(trace, state) and not needs,
        passed_on_host_pid=victim.host_pid if victim is not None else None,
        reap_boot_ns=reap.boot_ns if reap is not None else None,
        stop=stop,
        command=conclusions.commands.get(state.key),
        sender_start_boot_ns=sender_key.start_boot_ns if sender_key is not None else None,
        passed_on_start_boot_ns=victim.start_boot_ns if victim is not None else None,
        exit_code_origin=end.code_origin if end is not None else None,
    )


def _zombie_report(trace: TraceState, view: ZombieView) -> ZombieReport:
    state, reap = view.state, view.reap
    return ZombieReport(
        host_pid=state.key.host_pid,
        ns_pid=state.snapshot.ns_pid,
        comm=state.comm,
        parent_host_pid=view.responsible.host_pid if view.responsible else None,
        parent_comm=trace.table.comm_of(view.responsible),
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
        container_id=_container_id(trace, state),
        complete=is_complete(trace, state),
        tracer_host_pid=view.tracer.host_pid if view.tracer is not None else None,
    )
