"""wait-status: what waitpid tells a parent, and that the trace tells the same."""

from __future__ import annotations

from tracer.model.report import ProcessReport
from tracer.model.signals import parse_signal, signal_name
from tracer.model.verdicts import End
from tracer.model.wait_status import WaitStatus
from tracer.session.scenarios.account import Account, surprise
from tracer.session.scenarios.scenario import Explanation, Scenario


def explain(account: Account) -> Explanation:
    """Status by status, what the parent was told and what the trace concluded."""
    statuses = {}
    for line in account.told("status"):
        name, _, raw = line.partition(" ")
        process = account.one(name)
        told = WaitStatus.from_raw(int(raw))
        if told != _concluded(process):
            raise surprise(f"waitpid told {raw} of {name}, the trace {_concluded(process).raw}")
        statuses[name] = (process, told)
    exits = [name for name, (_, told) in statuses.items() if told.exit_code is not None]
    signals = [name for name, (_, told) in statuses.items() if told.signo is not None]
    stopped, continued = account.number("stopped"), account.number("continued")
    lookalike = statuses["exits-137"][0]
    killed = statuses["killed"][0]
    return Explanation(
        steps=(
            "Ended by themselves: "
            + ", ".join(_entry(name, *statuses[name]) for name in exits)
            + ". The code is the second byte of the status.",
            "Ended by a signal: "
            + ", ".join(_entry(name, *statuses[name]) for name in signals)
            + ". The signal is in the low 7 bits, and bit 7 says that a core was dumped.",
            (
                f"{lookalike.comm} (host pid {lookalike.host_pid}) chose to exit with code 137, and"
                f" {killed.comm} (host pid {killed.host_pid}) died of SIGKILL. A shell, and `docker"
                " ps`, show 137 for both; waitpid, and the report above, keep them apart."
            ),
            (
                f"Not ended at all: for a stopped child waitpid(WUNTRACED) told {stopped:#06x},"
                f" {signal_name(stopped >> 8)} with low byte 0x7f, and after SIGCONT"
                f" waitpid(WCONTINUED) told {continued:#06x}. Neither is an end, and neither is in"
                " the report as one."
            ),
        ),
        remedy=(
            "Tell an exit code from a signal by WIFEXITED and WIFSIGNALED, not by 128 + n. 137"
            " alone proves neither SIGKILL nor an OOM kill: look at the cause in the report."
        ),
    )


def _concluded(process: ProcessReport) -> WaitStatus:
    if process.end is End.RUNNING:
        raise surprise(f"{process.comm} was not seen to end")
    signo = parse_signal(process.term_signal) if process.term_signal is not None else None
    return WaitStatus(process.exit_code, signo, process.core_dumped)


def _entry(name: str, process: ProcessReport, told: WaitStatus) -> str:
    return f"{name} (host pid {process.host_pid}) {told} = {told.raw:#06x}"


WAIT_STATUS = Scenario(
    name="wait-status",
    title="exit codes, signals, core dumps, stops, as waitpid tells them",
    plan=(
        "PID 1 ends children in every way there is and writes down what waitpid says of each. The"
        " trace must say the same."
    ),
    program="wait_status",
    explain=explain,
)
SCENARIOS = (WAIT_STATUS,)
