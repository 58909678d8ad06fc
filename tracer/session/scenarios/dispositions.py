"""dispositions: what a signal does depends on what its target has arranged."""

from __future__ import annotations

import signal

from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport
from tracer.model.signals import SIGKILL, SIGTERM, Disposition, SignalResult
from tracer.model.verdicts import Cause, End
from tracer.session.scenarios.account import Account, surprise
from tracer.session.scenarios.scenario import Explanation, Scenario


def explain(account: Account) -> Explanation:
    """The same signal, four arrangements; and two signals that suffer none."""
    ignored, caught = account.one("ignored"), account.one("caught")
    default, reset = account.one("default"), account.one("reset")
    _expect(account, ignored, SIGTERM, [Disposition.IGNORED])
    _expect(account, caught, SIGTERM, [Disposition.CAUGHT])
    _expect(account, default, SIGTERM, [Disposition.DEFAULT])
    before, after = _expect(account, reset, SIGTERM, [Disposition.CAUGHT, Disposition.DEFAULT])
    (dropped,) = account.sent(SIGTERM, ignored)
    stopped = _expect(account, ignored, int(signal.SIGSTOP), [Disposition.DEFAULT])
    kills = [
        _expect(account, process, SIGKILL, [Disposition.DEFAULT])[0]
        for process in (ignored, caught)
    ]
    for process in (default, reset, ignored, caught):
        if process.end is not End.SIGNAL or process.cause is not Cause.KILL:
            raise surprise(f"{process.comm} was not killed")
    refused = account.told("refused")
    if refused != ["SIGKILL EINVAL", "SIGSTOP EINVAL"]:
        raise surprise("signal() for SIGKILL and SIGSTOP was not refused")
    if account.told("stopped") != ["ignored SIGSTOP"]:
        raise surprise("SIGSTOP did not stop its target")
    was = "dropped on the spot" if dropped.result is SignalResult.IGNORED else "without effect"
    return Explanation(
        steps=(
            (
                f"Ignored: at {account.clock(dropped.boot_ns)} PID 1 sent SIGTERM to"
                f" {_who(ignored)}, which has it set to SIG_IGN. It was {was}. Caught:"
                f" {_who(caught)} has a handler, which ran, and the process lived on."
            ),
            (
                f"Default: {_who(default)} had arranged nothing, and died of it"
                f" ({default.term_signal}). The same signal, the same sender, three outcomes."
            ),
            (
                f"Reset: {_who(reset)} has a handler that puts the default back, as SA_RESETHAND"
                f" does. The SIGTERM of {account.clock(before.boot_ns)} ran the handler, the one of"
                f" {account.clock(after.boot_ns)} killed it. What counts is the disposition at the"
                " moment the signal is sent, and that is when the trace reads it."
            ),
            (
                "Two signals take no arrangement: to set SIGKILL or SIGSTOP to SIG_IGN fails with"
                f" EINVAL. At {account.clock(stopped[0].boot_ns)} SIGSTOP stopped even the process"
                f" that ignores SIGTERM; at {account.clock(kills[0].boot_ns)} SIGKILL ended it,"
                f" stopped as it was, and then {_who(caught)}, handler or not."
            ),
        ),
        remedy=(
            "Look at what a process has arranged before you wonder: SigIgn, SigCgt and SigBlk in"
            " /proc/PID/status. A namespace's PID 1 is the exception: to it the default action does"
            " not apply (zomtrace demo fwd-sig-deaf)."
        ),
    )


def _expect(
    account: Account, process: ProcessReport, signo: int, dispositions: list[Disposition]
) -> list[SignalEvent]:
    sent = account.sent(signo, process)
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
        "PID 1 sends SIGTERM to four children: one ignores it, one catches it, one has arranged"
        " nothing, and one catches the first only. Then come SIGSTOP and SIGKILL, which nobody can"
        " refuse."
    ),
    program="dispositions",
    explain=explain,
)
SCENARIOS = (DISPOSITIONS,)
