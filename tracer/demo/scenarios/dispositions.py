"""dispositions: what a signal does depends on how its target handles it."""

from __future__ import annotations

import signal

from tracer.demo.scenarios.observed import Observed, surprise
from tracer.demo.scenarios.scenario import Explanation, Scenario
from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport
from tracer.model.signals import SIGKILL, SIGTERM, Disposition, SignalResult
from tracer.model.verdicts import Cause, End


def explain(observed: Observed) -> Explanation:
    """The same signal, four dispositions; and two signals that cannot be handled."""
    ignored, caught = observed.one("ignored"), observed.one("caught")
    default, reset = observed.one("default"), observed.one("reset")
    _expect(observed, ignored, SIGTERM, [Disposition.IGNORED])
    _expect(observed, caught, SIGTERM, [Disposition.CAUGHT])
    _expect(observed, default, SIGTERM, [Disposition.DEFAULT])
    before, after = _expect(observed, reset, SIGTERM, [Disposition.CAUGHT, Disposition.DEFAULT])
    (dropped,) = observed.sent(SIGTERM, ignored)
    stopped = _expect(observed, ignored, int(signal.SIGSTOP), [Disposition.DEFAULT])
    kills = [
        _expect(observed, process, SIGKILL, [Disposition.DEFAULT])[0]
        for process in (ignored, caught)
    ]
    for process in (default, reset, ignored, caught):
        if process.end is not End.SIGNAL or process.cause is not Cause.KILL:
            raise surprise(f"{process.comm} was not killed")
    refused = observed.notes_of("refused")
    if refused != ["SIGKILL EINVAL", "SIGSTOP EINVAL"]:
        raise surprise("signal() for SIGKILL and SIGSTOP was not refused")
    if observed.notes_of("stopped") != ["ignored SIGSTOP"]:
        raise surprise("SIGSTOP did not stop its target")
    was = "dropped at once" if dropped.result is SignalResult.IGNORED else "without effect"
    return Explanation(
        steps=(
            (
                f"Ignored: at {observed.clock(dropped.boot_ns)} PID 1 sent SIGTERM to"
                f" {_who(ignored)}, which has set it to SIG_IGN. The signal was {was}. Caught:"
                f" {_who(caught)} has a handler, which ran, and the process kept running."
            ),
            (
                f"Default: {_who(default)} has no handler, and died of it"
                f" ({default.term_signal}). The same signal from the same sender had three"
                " outcomes."
            ),
            (
                f"Reset: {_who(reset)} has a handler that restores the default, as SA_RESETHAND"
                f" does. The SIGTERM at {observed.clock(before.boot_ns)} ran the handler, the one"
                f" at {observed.clock(after.boot_ns)} killed the process. The disposition at the"
                " time the signal is sent decides, and that is when the trace reads it."
            ),
            (
                "Two signals cannot be handled: setting SIGKILL or SIGSTOP to SIG_IGN fails with"
                f" EINVAL. At {observed.clock(stopped[0].boot_ns)} SIGSTOP stopped even the process"
                f" that ignores SIGTERM; at {observed.clock(kills[0].boot_ns)} SIGKILL killed it"
                f" while it was stopped, and then {_who(caught)}, despite its handler."
            ),
        ),
        remedy=(
            "To see how a process handles signals, read SigIgn, SigCgt and SigBlk in"
            " /proc/PID/status. PID 1 of a namespace is the exception: the default action does not"
            " apply to it (zomtrace demo fwd-sig-deaf)."
        ),
    )


def _expect(
    observed: Observed, process: ProcessReport, signo: int, dispositions: list[Disposition]
) -> list[SignalEvent]:
    sent = observed.sent(signo, process)
    if [event.disposition for event in sent] != dispositions:
        raise surprise(
            f"{_who(process)} was sent {signal.Signals(signo).name} as"
            f" {[event.disposition.value for event in sent]}"
        )
    return sent


def _who(process: ProcessReport) -> str:
    return f"'{process.comm}' (host pid {process.host_pid})"


DISPOSITIONS = Scenario(
    name="dispositions",
    title="SIGTERM ignored, caught, default, reset; SIGKILL and SIGSTOP",
    plan=(
        "PID 1 sends SIGTERM to four children: one ignores it, one catches it, one has the default"
        " action, and one catches only the first. Then it sends SIGSTOP and SIGKILL, which no"
        " process can catch or ignore."
    ),
    program="dispositions",
    explain=explain,
)
SCENARIOS = (DISPOSITIONS,)
