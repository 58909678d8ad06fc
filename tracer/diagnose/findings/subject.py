"""A process as advice speaks of it."""

from __future__ import annotations

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.diagnose.advice import Subject
from tracer.diagnose.member_readings import is_init_program, is_shell, program_of


def subject_of(correlator: Correlator, state: ProcessState, *, is_pid1: bool) -> Subject:
    """Put together what advice about a process rests on."""
    return Subject(
        comm=state.comm,
        program=program_of(correlator, state),
        is_shell=is_shell(correlator, state),
        is_init_program=is_init_program(correlator, state),
        is_pid1=is_pid1,
    )
