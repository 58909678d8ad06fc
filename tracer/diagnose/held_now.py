"""Who holds a stop up while it hangs: the line of the live view."""

from __future__ import annotations

from dataclasses import replace

from tracer.correlate.correlator import Correlator
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.diagnose.hold_up import HELD_UP_NS, holds_at, holds_teardown
from tracer.diagnose.hold_words import say_briefly
from tracer.model.annotated import Annotated
from tracer.model.claims.hold import Hold, HoldReason
from tracer.model.events import ObservationEvent
from tracer.wording import names as wording


def with_holder(correlator: Correlator, annotated: Annotated) -> Annotated:
    """Add who holds a stop up to the last reading of a look at its members."""
    event = annotated.event
    if (
        not isinstance(event, ObservationEvent)
        or event.about is None
        or event.values.get("reading") != "member"
        or event.values.get("left") != 0
        or not event.values.get("threads")
    ):
        return annotated
    state = correlator.table.get(event.about)
    for scope in state.scopes if state is not None else ():
        stop = scope.open_stop
        if stop is not None and stop.kill is None and event.boot_ns >= _hangs_since(stop):
            said = _say(correlator, scope, stop, event.boot_ns)
            if said is not None:
                return replace(annotated, held_up=said)
    return annotated


def _hangs_since(stop: StopState) -> int:
    since_ns = stop.begin_ns if stop.init_exit_ns is None else stop.init_exit_ns
    # The look that is due after a second may be a little early by the kernel's clock.
    return since_ns + HELD_UP_NS * 7 // 10


def _say(correlator: Correlator, scope: Scope, stop: StopState, now_ns: int) -> str | None:
    holds: tuple[Hold, ...]
    if stop.init_exit_ns is None:
        holds = holds_at(correlator, scope, stop, now_ns)
        what = f"the stop of {scope.label}"
    else:
        held_by = [
            one
            for key in scope.unreleased
            if key != scope.init and (one := correlator.table.get(key)) is not None
        ]
        holds = holds_teardown(correlator, stop, now_ns, held_by)
        what = f"the teardown of {scope.label}"
    if not holds:
        return None
    hold = next((one for one in holds if one.reason is not HoldReason.UNKNOWN), holds[0])
    holder = correlator.table.get(hold.holder)
    who = wording.named(holder) if holder is not None else f"host pid {hold.holder.host_pid}"
    more = f", and {len(holds) - 1} more" if len(holds) > 1 else ""
    lasted = wording.seconds(now_ns - (stop.init_exit_ns or stop.begin_ns))
    return f"{what}, for {lasted}: {who} {say_briefly(hold, stop.stop_signo)}{more}"
