"""The one way a finding is made: its severity and title come from its code."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.correlate.correlator import Correlator
from tracer.correlate.losses import LATE
from tracer.correlate.process import ProcessState
from tracer.model.events import OVERRUN
from tracer.model.report import Finding
from tracer.model.verdicts import FINDING_KINDS, Severity
from tracer.wording import names as wording


def is_complete(
    correlator: Correlator,
    states: Iterable[ProcessState],
    since_ns: int,
    until_ns: int | None = None,
) -> bool:
    """Whether nothing that these processes' verdict rests on can be missing.

    Args:
        correlator: Knows what was lost.
        states: The processes.
        since_ns: The first instant that matters.
        until_ns: The last one; None = the end of the trace.
    """
    involved = list(states)
    # Those they stand for may have been there long before.
    births_ns = [one.stands_since_ns for one in involved if one.stands_since_ns is not None]
    if correlator.losses.any_between(min([since_ns, *births_ns]), until_ns):
        return False
    return not any(state.is_seen_late for state in involved)


_RECORDS = {
    "fork": "forks",
    "exec": "execs",
    "exit": "exits",
    "free": "reaps",
    "reap": "reaps",
    "signal": "signals",
    "deliver": "signal deliveries",
    "teardown_begin": "teardowns",
    "teardown_end": "teardowns",
    "oom": "OOM kills",
    LATE: "events that arrived too late to be sorted",
    OVERRUN: "events of any kind",
}


def say_doubt(kinds: Iterable[str], unknown: str) -> str | None:
    """Say what is not known for want of the records that were lost; None = nothing was.

    Args:
        kinds: Which kinds of record were lost while they mattered.
        unknown: What they would have shown: ``whether it was reaped earlier``.
    """
    names = list(dict.fromkeys(_RECORDS.get(kind, kind) for kind in kinds))
    if not names:
        return None
    return f"Some events of that time were lost ({wording.enumerate_all(names)}): {unknown} is unknown."


def make_finding(
    code: str,
    *,
    title: str,
    detail: str,
    advice: str,
    states: Iterable[ProcessState],
    complete: bool,
    doubt: str | None = None,
    severity: Severity | None = None,
) -> Finding:
    """Make a finding about some processes.

    Args:
        code: Which.
        title: In a few words.
        detail: In sentences.
        advice: What to do.
        states: About whom.
        complete: Whether nothing that it rests on can be missing.
        doubt: What is not known (:func:`say_doubt`): such a finding may not be so. It
            is one to look at, no error and no warning.
        severity: Where it is another than the code's own: one that is nothing wrong by
            itself.
    """
    involved = list(states)
    graded = severity or FINDING_KINDS[code].severity
    return Finding(
        code=code,
        severity=graded if doubt is None else Severity.INFO,
        title=title if doubt is None else f"uncertain: {title}",
        detail=detail if doubt is None else f"{detail} {doubt}",
        advice=advice,
        host_pids=tuple(state.key.host_pid for state in involved),
        complete=complete and doubt is None,
        processes=wording.number(involved),
    )
