"""Exit codes of 128 + N: where they came from, and who killed whose death they pass on."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.diagnose.why.evidence import Evidence
from tracer.diagnose.why.signals import signal_steps
from tracer.model.report import ProcessReport, Report
from tracer.model.signals import signal_name
from tracer.model.verdicts import ExitCodeOrigin
from tracer.model.why import WhyStep
from tracer.wording.why_words import fate, named

_SHELL_BASE = 128


def exit_code_steps(report: Report, process: ProcessReport) -> Iterator[WhyStep]:
    """Say where an exit code of 128 + N came from; nothing of any other one."""
    if process.exit_code is None or process.exit_code_origin is None:
        return
    signo = process.exit_code - _SHELL_BASE
    code = f"{process.exit_code} = {_SHELL_BASE} + {signo}"
    name = signal_name(signo)
    if process.exit_code_origin is ExitCodeOrigin.PASSED_ON:
        child = passed_on_by(report, process)
        who = named(child) if child is not None else f"host pid {process.passed_on_host_pid}"
        text = f"{code}: {process.comm} reported that {who} had died of {name}."
    elif process.exit_code_origin is ExitCodeOrigin.HANDLED_SIGNAL:
        text = f"{code}: {process.comm} handled {name} and chose this code itself."
    else:
        text = f"{code}; no child of {process.comm} was seen dying of {name}."
    yield WhyStep(process.end_boot_ns, text)


def passed_on_by(report: Report, process: ProcessReport) -> ProcessReport | None:
    """The process whose death an exit code passes on, where the report lists it."""
    if process.passed_on_host_pid is None:
        return None
    key = (process.passed_on_host_pid, process.passed_on_start_boot_ns)
    return next((p for p in report.processes if (p.host_pid, p.start_boot_ns) == key), None)


def passed_on_steps(evidence: Evidence, process: ProcessReport) -> Iterator[WhyStep]:
    """Who killed the process whose death an exit code passes on, and its end."""
    child = passed_on_by(evidence.report, process)
    if child is None:
        return
    yield from signal_steps(evidence, child, only_fatal=True, whom=named(child))
    yield WhyStep(child.end_boot_ns, f"{named(child)} {fate(child)}.")
