"""The turning points of a trace in order, each in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracer.correlate import causes
from tracer.correlate.causes import is_dropped
from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.diagnose.conclusions import Conclusions
from tracer.diagnose.deaths import claim_death, claim_dropped
from tracer.diagnose.exit_codes import PassedOn
from tracer.diagnose.findings.dropped import say_dropped
from tracer.model.claims.death import Wish
from tracer.model.events import ObservationEvent, SignalEvent
from tracer.model.report import TimelineEntry
from tracer.model.signals import Disposition, signal_name
from tracer.model.verdicts import Cause, StopOutcome
from tracer.wording import names as wording
from tracer.wording.causes import CAUSES

_DISPOSITION_WORDS = {
    Disposition.CAUGHT: "it has a handler",
    Disposition.IGNORED: "it ignores the signal",
    Disposition.BLOCKED: "it blocks the signal and may wait for it",
    Disposition.DEFAULT: "it has no handler",
}
_BY_A_SENDER = frozenset({Cause.KILL, Cause.RUNTIME_KILL, Cause.GRACE_EXPIRED, Cause.STOP_SIGNAL})
_AT_ONCE_NS = 1_000_000_000
_MOST_MOMENTS = 20
_TOLD_ACTIONS = frozenset({"kill", "stop", "die", "oom", "restart", "pause", "unpause"})


def tell_timeline(
    conclusions: Conclusions, stops: Iterable[tuple[Scope, StopState]]
) -> tuple[TimelineEntry, ...]:
    """The turning points, in order; equal deaths share an entry.

    Args:
        conclusions: What was concluded.
        stops: Those to tell of.
    """
    correlator, passed_on = conclusions.correlator, conclusions.passed_on
    entries: list[TimelineEntry] = []
    for scope, stop in stops:
        entries.extend(_stop_entries(correlator, scope, stop, passed_on))
    entries.extend(_death_entries(correlator))
    entries.extend(_passing_entries(correlator, passed_on))
    entries.extend(_dropped_entries(correlator))
    for observation in correlator.observations:
        if observation.source == "docker":
            entries.extend(_engine_entries(correlator, observation))
    return tuple(sorted(entries, key=lambda entry: entry.boot_ns))


def _stop_entries(
    correlator: Correlator, scope: Scope, stop: StopState, passed_on: PassedOn
) -> Iterator[TimelineEntry]:
    init = correlator.table.get(scope.init)
    who = wording.named(init) if init is not None else wording.init_word(scope)
    event, kill = stop.stop_signal, stop.kill
    if event is not None:
        yield TimelineEntry(event.boot_ns, _say_asked(stop, event, who), 2)
    if kill is not None:
        source = (
            wording.sender(kill.actor)
            if causes.is_sent_by_user(kill)
            else _say_kernels_reason(correlator, scope, stop, kill)
        )
        yield TimelineEntry(kill.boot_ns, f"SIGKILL to {who} from {source}", 2)
    if stop.outcome is StopOutcome.SURVIVED and stop.end_ns is not None:
        yield TimelineEntry(
            stop.end_ns, f"{who} survived: it was still running and had not been killed", 2
        )
    if stop.init_exit_ns is not None and init is not None:
        text = f"{who} {wording.ended(init.status)}{_say_whose(init, passed_on)}"
        yield TimelineEntry(stop.init_exit_ns, text, 2)
    if stop.end_ns is not None and stop.init_exit_ns is not None:
        yield TimelineEntry(stop.end_ns, f"the last process of {scope.label} was reaped", 2)


def _say_asked(stop: StopState, event: SignalEvent, who: str) -> str:
    outcome = (
        "the kernel dropped it: PID 1 has no handler"
        if is_dropped(event)
        else _DISPOSITION_WORDS[event.disposition]
    )
    again = f", {stop.stop_signals} times" if stop.stop_signals > 1 else ""
    name = signal_name(event.signo)
    return f"{name} to {who}{again} from {wording.sender(event.actor)}; {outcome}"


def _say_kernels_reason(
    correlator: Correlator, scope: Scope, stop: StopState, kill: SignalEvent
) -> str:
    if stop.kill_by_cgroup:
        return f"a write to cgroup.kill by {wording.sender(kill.actor)}"
    init = correlator.table.get(scope.init)
    cause = init.cause if init is not None else None
    reason = {
        Cause.OOM: "the OOM killer",
        Cause.PIDNS_TEARDOWN: "the kernel, in the teardown of the enclosing namespace",
        Cause.PARENT_DEATH: "the kernel, because its parent exited (PR_SET_PDEATHSIG)",
        Cause.TRACER_EXIT: "the kernel, because its tracer exited (PTRACE_O_EXITKILL)",
        Cause.RLIMIT_CPU: "the kernel, because of its CPU time limit",
    }.get(cause or Cause.UNKNOWN)
    return reason or f"the kernel, while {kill.actor.comm} was running"


def _death_entries(correlator: Correlator) -> Iterator[TimelineEntry]:
    groups: dict[tuple[str, Cause, str, object], list[ProcessState]] = {}
    for state in correlator.table:
        if state.cause is not None and state.status is not None and not state.led:
            key = (str(state.status), state.cause, state.comm, _sender_of(state))
            groups.setdefault(key, []).append(state)
    for (_, cause, _, _), alike in groups.items():
        yield from (_death_entry(correlator, cause, states) for states in _moments(alike))


def _moments(states: list[ProcessState]) -> list[list[ProcessState]]:
    """Those of equal deaths that share an entry: checks that an engine ended have one each."""
    states.sort(key=_end_of)
    if len(states) > _MOST_MOMENTS or not all(state.is_injected for state in states):
        return [states]
    moments = [states[:1]]
    for state in states[1:]:
        if _end_of(state) - _end_of(moments[-1][0]) > _AT_ONCE_NS:
            moments.append([])
        moments[-1].append(state)
    return moments


def _death_entry(correlator: Correlator, cause: Cause, states: list[ProcessState]) -> TimelineEntry:
    is_one = wording.number(states) == 1
    who = wording.named(states[0]) if is_one else wording.name_counts(states)
    text = f"{who} {wording.ended(states[0].status)}, {_say_cause(cause, states[0])}"
    claim = claim_death(correlator, states[0]) if cause is Cause.RUNTIME_KILL else None
    if claim is not None and claim.wish is Wish.HEALTH_CHECK:
        text += " (a health check that timed out)"
    took_ns = _end_of(states[-1]) - _end_of(states[0])
    if took_ns > _AT_ONCE_NS:
        text += f", within {wording.seconds(took_ns)}"
    return TimelineEntry(_end_of(states[0]), text, 1)


def _sender_of(state: ProcessState) -> object:
    """The processes that the sentence about a death names: different ones get different entries."""
    fatal = state.fatal_signal.event if state.fatal_signal is not None else None
    if fatal is None or state.cause not in _BY_A_SENDER or not causes.is_sent_by_user(fatal):
        return None
    return None if fatal.actor_is_self else fatal.actor.key


def _say_cause(cause: Cause, state: ProcessState) -> str:
    fatal = state.fatal_signal.event if state.fatal_signal is not None else None
    if cause in (Cause.KILL, Cause.RUNTIME_KILL, Cause.GRACE_EXPIRED) and fatal is not None:
        if causes.is_sent_by_user(fatal):
            return f"sent by {wording.sender(fatal.actor)}"
    if cause is Cause.STOP_SIGNAL and fatal is not None and not fatal.actor_is_self:
        return f"the stop signal, sent by {fatal.actor.comm}"
    return CAUSES[cause].adjunct


def _passing_entries(correlator: Correlator, passed_on: PassedOn) -> Iterator[TimelineEntry]:
    for state in correlator.table:
        whose = _say_whose(state, passed_on)
        if whose and not state.led:
            text = f"{wording.named(state)} {wording.ended(state.status)}{whose}"
            yield TimelineEntry(_end_of(state), text, 1)


def _dropped_entries(correlator: Correlator) -> Iterator[TimelineEntry]:
    for claim in claim_dropped(correlator):
        init = correlator.table.get(claim.init)
        if init is not None:
            yield TimelineEntry(claim.first_ns, say_dropped(init, claim), 2)


def _say_whose(state: ProcessState, passed_on: PassedOn) -> str:
    victim = passed_on.by(state)
    code = state.status.exit_code if state.status is not None else None
    if victim is None or victim.status is None or code is None:
        return ""
    signo = code - 128
    return f" (128 + {signo}: {wording.named(victim)} died of {victim.status.signal_name})"


def _engine_entries(
    correlator: Correlator, observation: ObservationEvent
) -> Iterator[TimelineEntry]:
    values = observation.values
    error, action = values.get("error"), values.get("action")
    if error is not None:
        yield TimelineEntry(observation.boot_ns, f"docker could not be queried: {error}", 0)
    elif action in _TOLD_ACTIONS:
        container_id = str(values.get("container_id"))
        label = next(
            (c.label for c in correlator.scopes.containers if c.id == container_id),
            container_id[:12],
        )
        extra = ""
        if values.get("signal") is not None:
            extra = f", {values['signal']}"
        if values.get("exit_code") is not None:
            extra += f", exit code {values['exit_code']}"
        yield TimelineEntry(observation.boot_ns, f"docker reported: {label}: {action}{extra}", 0)


def _end_of(state: ProcessState) -> int:
    return state.exit_ns or 0
