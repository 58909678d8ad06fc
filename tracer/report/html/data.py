"""What the page's script draws from: plain JSON, strings said once.

Instants are ns from the trace's begin, so that they fit a script's numbers;
-1 stands for "none" in indices and null for "unknown" everywhere else.
"""

from __future__ import annotations

import re
from typing import Any

from tracer.model.events import Precision
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding, Report, StopReport, ZombieReport
from tracer.model.verdicts import FINDING_KINDS, Cause, End
from tracer.report.escape import safe_text
from tracer.report.fate_groups import explain_stop_of
from tracer.report.fates import explain_end, explain_origin, label_end
from tracer.report.html.scopes import Scopes
from tracer.report.picture.arrows import Arrow
from tracer.report.picture.lives import Life
from tracer.report.picture.phases import PHASE_MEANING, read_moments, read_phases
from tracer.report.picture.picture import Picture
from tracer.wording.causes import CAUSES
from tracer.wording.verdicts import (
    REAP_MEANING,
    SIGCHLD_MEANING,
    explain_sender,
)

_DIGITS = re.compile(r"\d+")
_BOUND = {Precision.UPPER_BOUND: "\u2264", Precision.LOWER_BOUND: "\u2265"}

LIFE_COLUMNS = (
    "pid", "nsPid", "name", "scope", "parent", "isInit", "isOutside", "isQuiet",
    "begin", "leaderExit", "exit", "wasZombie", "zombieFrom", "reap", "reapBound",
    "end", "endKind", "why", "origin", "stopSignal", "reaped", "fold", "foldName", "execs",
)  # fmt: skip
"""A life's values, in this order."""

ARROW_COLUMNS = (
    "at", "source", "target", "signal", "isSent", "isNotice", "isDropped",
    "result", "disposition", "cause", "sender",
)  # fmt: skip
"""An arrow's values, in this order."""


class _Texts:
    """Strings, each once: a name stands in thousands of rows."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str | None) -> int:
        return self._numbers.setdefault(safe_text(text or ""), len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


class _Writer:
    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.report = picture.report
        self.texts = _Texts()
        self.scopes = Scopes(picture.report)
        self.indices: dict[ProcessKey, int] = {
            life.key: number for number, life in enumerate(picture.lives)
        }
        self.folds: dict[tuple[object, ...], int] = {}

    def at(self, boot_ns: int | None) -> int | None:
        return None if boot_ns is None else boot_ns - self.report.begin_boot_ns

    def index(self, key: ProcessKey | None) -> int:
        return -1 if key is None else self.indices.get(key, -1)

    def life(self, life: Life) -> list[Any]:
        text = self.texts.number
        scope = self.scopes.number(life)
        pattern = _DIGITS.sub("#", life.comm)
        return [
            life.key.host_pid,
            life.ns_pid,
            text(life.comm),
            scope,
            self.index(life.parent),
            int(life.is_init),
            int(life.is_outside),
            int(not life.sent_count),
            self.at(life.begin_ns),
            self.at(life.leader_exit_ns),
            self.at(life.exit_ns),
            int(life.was_zombie),
            self.at(life.zombie_from_ns),
            self.at(life.reap_ns),
            text(_zombie_bound(life)),
            text(_end(life)),
            _end_kind(life),
            text(explain_end(life.report) if life.report else None),
            text(explain_origin(life.report) if life.report else None),
            text(_stop_signal(life, self.report)),
            text(_reaped(life)),
            self.fold(life, scope, pattern),
            text(pattern),
            [[self.at(boot_ns), text(comm)] for boot_ns, comm in life.execs],
        ]

    def fold(self, life: Life, scope: int, pattern: str) -> int:
        """Number the fate: processes of equal number may be shown as one."""
        key = (
            scope,
            pattern,
            _end(life),
            life.report.cause if life.report else None,
            _sender_key(life),
            life.report.passed_on_host_pid if life.report else None,
            life.zombie is not None,
            life.reap_kind,
            life.is_outside,
            life.is_init,
        )
        return self.folds.setdefault(key, len(self.folds))

    def arrow(self, arrow: Arrow) -> list[Any]:
        text = self.texts.number
        return [
            self.at(arrow.boot_ns),
            self.index(arrow.source),
            self.index(arrow.target),
            text(arrow.signal),
            int(arrow.is_sent),
            int(arrow.is_notification),
            int(arrow.result.value == "ignored"),
            text(arrow.result.value.replace("_", " ")),
            text(arrow.disposition.value),
            text(CAUSES[arrow.cause].phrase if arrow.cause else None),
            text(_sender(arrow)),
        ]

    def zombie(self, zombie: ZombieReport, number: int) -> list[Any]:
        text = self.texts.number
        parent = None
        if zombie.parent_comm is not None:
            parent = explain_sender(zombie.parent_comm, zombie.parent_host_pid, ())
        return [
            number,
            zombie.host_pid,
            zombie.ns_pid,
            text(zombie.comm),
            text(parent),
            zombie.zombie_ns,
            text(_BOUND.get(zombie.precision)),
            text(_zombie_end(zombie)),
            text(SIGCHLD_MEANING[zombie.parent_sigchld]),
            zombie.live_threads,
        ]


def page_data(picture: Picture) -> dict[str, Any]:
    """Build the JSON object the page's script reads.

    Returns:
        JSON types only; every string has gone through ``safe_text``.
    """
    writer = _Writer(picture)
    report = picture.report
    zero_ns = report.stops[0].begin_boot_ns if report.stops else report.begin_boot_ns
    lives = [writer.life(life) for life in picture.lives]
    stops = [_stop(writer, stop) for stop in report.stops]
    owners = {id(life.zombie): n for n, life in enumerate(picture.lives) if life.zombie}
    return {
        "beginUtcNs": str(report.begin_boot_ns + report.utc_offset_ns),
        "span": max(report.end_boot_ns - report.begin_boot_ns, 1),
        "zero": writer.at(zero_ns),
        "zeroText": "the start of the stop" if report.stops else "the start of the trace",
        "lifeColumns": LIFE_COLUMNS,
        "arrowColumns": ARROW_COLUMNS,
        "lives": lives,
        "scopes": [[safe_text(part) for part in label] for label in writer.scopes.labels()],
        "arrows": [writer.arrow(arrow) for arrow in picture.arrows],
        "marks": [
            [writer.at(mark.boot_ns), writer.index(mark.target), writer.texts.number(mark.text)]
            for mark in picture.marks
        ],
        "stops": stops,
        "phases": {kind.value: meaning for kind, meaning in PHASE_MEANING.items()},
        "zombies": [writer.zombie(each, owners.get(id(each), -1)) for each in report.zombies],
        "findings": [_finding(finding) for finding in report.findings],
        "timeline": [
            [writer.at(entry.boot_ns), writer.texts.number(entry.text), entry.weight]
            for entry in report.timeline
        ],
        "leftOut": [picture.left_out_lives, picture.left_out_arrows],
        "text": writer.texts.all(),
    }


def _stop(writer: _Writer, stop: StopReport) -> dict[str, Any]:
    report: Report = writer.report
    return {
        "label": safe_text(stop.container_name or f"PID namespace {stop.pidns_inum}"),
        "begin": writer.at(stop.begin_boot_ns),
        "end": writer.at(stop.end_boot_ns),
        "scope": writer.scopes.of_stop(stop),
        "moments": [
            [writer.at(moment.boot_ns), safe_text(moment.text), int(moment.is_kill)]
            for moment in read_moments(stop)
        ],
        "phases": [
            [phase.kind.value, writer.at(phase.begin_ns), writer.at(phase.end_ns)]
            for phase in read_phases(stop, report)
        ],
    }


def _finding(finding: Finding) -> list[Any]:
    kind = FINDING_KINDS.get(finding.code)
    return [
        safe_text(finding.code),
        kind.name if kind else "",
        finding.severity.value,
        safe_text(finding.title),
        safe_text(finding.detail),
        safe_text(finding.advice),
        list(finding.host_pids),
    ]


def _zombie_bound(life: Life) -> str | None:
    if life.was_zombie:
        return _BOUND[Precision.LOWER_BOUND]
    precision = life.zombie.precision if life.zombie is not None else life.precision
    return _BOUND.get(precision) if precision is not None else None


def _end(life: Life) -> str:
    if life.is_outside:
        return ""
    if life.report is not None:
        return label_end(life.report)
    return "ended" if life.exit_ns is not None else "still runs"


def _sender_key(life: Life) -> tuple[int | None, int | None] | None:
    """Who sent the signal it died of: two senders of one name are two."""
    process = life.report
    if process is None or process.sender_host_pid is None or process.cause is Cause.SELF:
        return None
    return process.sender_host_pid, process.sender_start_boot_ns


def _end_kind(life: Life) -> str:
    process = life.report
    if life.is_outside:
        return "outside"
    if process is None:
        return "unknown" if life.exit_ns is not None else "running"
    if process.end is None:
        return "unknown"
    if process.end is End.RUNNING:
        return "running"
    if process.end is End.SIGNAL:
        return "stopped" if process.cause is Cause.STOP_SIGNAL else "killed"
    return "failed" if process.exit_code else "ok"


def _reaped(life: Life) -> str | None:
    if life.reap_kind is None:
        return None
    who = ""
    if life.reaper_comm is not None and life.reap_kind.value in ("parent", "adopter"):
        who = f": {explain_sender(life.reaper_comm, life.reaper_host_pid, ())}"
    return REAP_MEANING[life.reap_kind] + who


def _stop_signal(life: Life, report: Report) -> str | None:
    process = life.report
    if process is None or process.stop is None:
        return None
    return explain_stop_of(process, report.stops[process.stop])


def _sender(arrow: Arrow) -> str:
    if arrow.is_notification:
        return "the kernel, because its child exited"
    if not arrow.is_sent:
        return "the kernel"
    call = f" ({arrow.sender_syscall})" if arrow.sender_syscall else ""
    return explain_sender(arrow.sender_comm, None, arrow.sender_chain) + call


def _zombie_end(zombie: ZombieReport) -> str:
    if zombie.reap_kind is not None:
        who = ""
        if zombie.reaper_comm is not None and zombie.reap_kind.value in ("parent", "adopter"):
            who = f": {explain_sender(zombie.reaper_comm, zombie.reaper_host_pid, ())}"
        return REAP_MEANING[zombie.reap_kind] + who
    return "reaped" if zombie.reaped else "still a zombie when the trace ended"
