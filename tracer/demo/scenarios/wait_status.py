"""wait-status: what waitpid returns to a parent, and that the trace shows the same."""

from __future__ import annotations

from tracer.demo.scenarios.observed import Observed, surprise
from tracer.demo.scenarios.scenario import Explanation, Scenario
from tracer.model.report import ProcessReport
from tracer.model.signals import parse_signal, signal_name
from tracer.model.verdicts import End
from tracer.model.wait_status import WaitStatus


def explain(observed: Observed) -> Explanation:
    """Status by status, what waitpid returned and what the trace concluded."""
    statuses = {}
    for line in observed.notes_of("status"):
        name, _, raw = line.partition(" ")
        process = observed.one(name)
        returned = WaitStatus.from_raw(int(raw))
        if returned != _concluded(process):
            raise surprise(
                f"waitpid returned {raw} for {name}, the trace has {_concluded(process).raw}"
            )
        statuses[name] = (process, returned)
    exits = [name for name, (_, returned) in statuses.items() if returned.exit_code is not None]
    signals = [name for name, (_, returned) in statuses.items() if returned.signo is not None]
    stopped, continued = observed.number("stopped"), observed.number("continued")
    lookalike = statuses["exits-137"][0]
    killed = statuses["killed"][0]
    return Explanation(
        steps=(
            "Exited on their own: "
            + ", ".join(_entry(name, *statuses[name]) for name in exits)
            + ". The code is the second byte of the status.",
            "Killed by a signal: "
            + ", ".join(_entry(name, *statuses[name]) for name in signals)
            + ". The signal is in the low 7 bits, and bit 7 is set if a core was dumped.",
            (
                f"{lookalike.comm} (host pid {lookalike.host_pid}) exited with code 137, and"
                f" {killed.comm} (host pid {killed.host_pid}) died of SIGKILL. A shell and `docker"
                " ps` show 137 for both; waitpid and the report above distinguish them."
            ),
            (
                "Not exited at all: for a stopped child waitpid(WUNTRACED) returned"
                f" {stopped:#06x}, {signal_name(stopped >> 8)} with low byte 0x7f, and after"
                f" SIGCONT waitpid(WCONTINUED) returned {continued:#06x}. In neither case did the"
                " process exit, and the report shows no exit for it."
            ),
        ),
        remedy=(
            "Use WIFEXITED and WIFSIGNALED, not 128 + n, to distinguish an exit code from a signal."
            " 137 alone proves neither SIGKILL nor an OOM kill: check the cause in the report."
        ),
    )


def _concluded(process: ProcessReport) -> WaitStatus:
    if process.end is End.RUNNING:
        raise surprise(f"the exit of {process.comm} was not seen")
    signo = parse_signal(process.term_signal) if process.term_signal is not None else None
    return WaitStatus(process.exit_code, signo, process.core_dumped)


def _entry(name: str, process: ProcessReport, returned: WaitStatus) -> str:
    return f"{name} (host pid {process.host_pid}) {returned} = {returned.raw:#06x}"


WAIT_STATUS = Scenario(
    name="wait-status",
    title="exit codes, signals, core dumps and stops, as waitpid sees them",
    plan=(
        "PID 1 has children that end in every possible way, and prints the status that waitpid"
        " returns for each. The trace must show the same."
    ),
    program="wait_status",
    explain=explain,
)
SCENARIOS = (WAIT_STATUS,)
