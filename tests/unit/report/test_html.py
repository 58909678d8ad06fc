"""The offline page, without a browser: what is in it and what may run in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.support.annotated import (
    a_death,
    a_fork,
    a_reap,
    a_signal,
    a_teardown_kill,
    an_actor,
    an_exit,
    attached,
)
from tests.support.report_stories import SAMPLES, fwd_sig, hostile
from tests.support.reports import BEGIN_NS, INIT_PID, MS, SECOND, a_report, a_stop
from tracer.model.annotated import Annotated
from tracer.model.events import ForkEvent
from tracer.model.identity import ProcessKey
from tracer.report.html import render_html
from tracer.report.picture.phases import PhaseKind, read_moments, read_phases
from tracer.report.picture.picture import Limits, make_picture

EVIL = "</script><script>alert(1)</script><!--\u202e\x1b[2J\ud800"


class _Page(HTMLParser):
    """The scripts and styles of a page, and everything that would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.fetched: list[str] = []
        self.handlers: list[str] = []
        self.policy = ""
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._open = tag
        if tag == "script":
            self.scripts.append((values, ""))
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""
        self.handlers += [name for name in values if name.startswith("on") or name == "style"]
        self.fetched += [
            value or ""
            for name, value in attrs
            if name in ("src", "href", "action", "data", "srcset") and value not in (None, "data:,")
        ]

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        if self._open == "style":
            self.styles.append(data)

    @property
    def data(self) -> dict[str, Any]:
        """What the script reads."""
        (text,) = [text for attrs, text in self.scripts if attrs.get("id") == "data"]
        return dict(json.loads(text))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _rows(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    texts = {"name", "end", "why", "reaped", "stopSignal", "signal", "sender", "result"}
    return [
        {
            column: data["text"][value] if column in texts else value
            for column, value in zip(data[f"{name}Columns"], row, strict=True)
        }
        for row in data[{"life": "lives", "arrow": "arrows"}[name]]
    ]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_nothing_is_fetched_and_only_the_page_s_own_script_may_run(name: str) -> None:
    page = _Page(render_html(SAMPLES[name](), [attached()]))
    assert page.fetched == []
    assert page.handlers == []
    (script,) = [text for attrs, text in page.scripts if not attrs]
    assert page.policy.split("; ") == [
        "default-src 'none'",
        f"style-src {_hash(page.styles[0])}",
        f"script-src {_hash(script)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_hostile_names_stay_text() -> None:
    events = [attached(), a_fork(4799, EVIL), a_signal(4799, EVIL), a_death(4799, EVIL)]
    text = render_html(replace(hostile(), headline=EVIL, target=EVIL), events)
    page = _Page(text)
    assert len(page.scripts) == 2
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text
    )
    names = [life["name"] for life in _rows(page.data, "life")]
    assert "</script><script>alert(1)</script><!--\\u202e\\x1b[2J\\ud800" in names
    assert text.encode()


def test_the_headline_comes_first_and_every_finding_with_its_advice() -> None:
    report = fwd_sig()
    text = render_html(report, [])
    body = text[text.index("<body>") : text.index('<script type="application/json"')]
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))
    assert told.index(report.headline.split(",")[0]) < told.index("Findings")
    for finding in report.findings:
        assert finding.code in told
        assert finding.advice.split(" ")[0] in told


def test_lifetimes_and_arrows_are_what_happened() -> None:
    at = BEGIN_NS + 2 * SECOND
    events = [
        attached(),
        a_fork(4712),
        a_signal(at_ns=at),
        a_teardown_kill(4712, at_ns=at + 5 * MS),
        a_death(4712, at_ns=at + 6 * MS),
        a_reap(4712, at_ns=at + 9 * MS, zombie_ns=2 * MS),
    ]
    data = _Page(render_html(fwd_sig(), events)).data
    lives = _rows(data, "life")
    (worker,) = [life for life in lives if life["pid"] == 4712 and life["zombieFrom"]]
    assert (worker["exit"], worker["zombieFrom"], worker["reap"]) == (
        at - BEGIN_NS + 6 * MS,
        at - BEGIN_NS + 7 * MS,
        at - BEGIN_NS + 9 * MS,
    )
    (runc,) = [life for life in lives if life["name"] == "runc"]
    assert (runc["isOutside"], runc["scope"]) == (1, 0)
    sent = [
        (arrow["signal"], lives[arrow["source"]]["name"], lives[arrow["target"]]["pid"])
        for arrow in _rows(data, "arrow")
    ]
    assert sent == [("SIGTERM", "runc", INIT_PID), ("SIGKILL", "fwd", 4712)]


def test_equal_fates_have_one_number_and_others_another() -> None:
    data = _Page(render_html(fwd_sig(), [])).data
    by_name: dict[str, set[int]] = {}
    for life in _rows(data, "life"):
        by_name.setdefault(life["name"], set()).add(life["fold"])
    assert {name: len(folds) for name, folds in by_name.items()} == {"worker": 1, "fwd": 1}
    assert by_name["worker"] != by_name["fwd"]


def test_a_process_that_never_was_a_zombie_is_not_drawn_as_one() -> None:
    picture = make_picture(a_report(), [a_fork(), an_exit(), a_reap(zombie_ns=0)])
    (life,) = [life for life in picture.lives if life.key.host_pid == 4712]
    assert life.exit_ns is not None
    assert life.zombie_from_ns is None


def test_a_dead_process_no_one_collected_is_a_zombie_to_the_end() -> None:
    picture = make_picture(a_report(), [a_fork(), an_exit(at_ns=BEGIN_NS + 2 * MS)])
    (life,) = [life for life in picture.lives if life.key.host_pid == 4712]
    assert (life.zombie_from_ns, life.reap_ns) == (BEGIN_NS + 2 * MS, None)


def test_a_sender_whose_start_is_unknown_is_found_by_its_pid() -> None:
    events = [a_fork(4712), a_signal(actor=an_actor(4712, "worker", start_boot_ns=None))]
    picture = make_picture(a_report(), events)
    (worker,) = [life for life in picture.lives if life.key.host_pid == 4712]
    assert [arrow.source for arrow in picture.arrows] == [worker.key]


def test_what_is_too_much_is_counted_and_the_turning_points_stay() -> None:
    quiet = [a_signal(signo=10, is_turning_point=False, at_ns=BEGIN_NS + n) for n in range(20)]
    events: list[Annotated] = [*quiet, a_signal(at_ns=BEGIN_NS + 100)]
    picture = make_picture(a_report(), events, Limits(arrows=5))
    assert picture.left_out_arrows == 16
    assert picture.arrows[-1].signal == "SIGTERM"
    assert [arrow.boot_ns for arrow in picture.arrows] == sorted(a.boot_ns for a in picture.arrows)


def test_phases_of_a_stop_that_had_to_kill() -> None:
    at = BEGIN_NS
    stop = a_stop(
        begin_boot_ns=at,
        kill_boot_ns=at + 10 * SECOND,
        init_exit_boot_ns=at + 10 * SECOND + MS,
        teardown_ns=5 * MS,
        end_boot_ns=at + 10 * SECOND + 20 * MS,
    )
    assert [
        (phase.kind, phase.end_ns - phase.begin_ns) for phase in read_phases(stop, a_report())
    ] == [
        (PhaseKind.GRACE, 10 * SECOND),
        (PhaseKind.KILL, MS),
        (PhaseKind.TEARDOWN, 5 * MS),
        (PhaseKind.RELEASE, 14 * MS),
    ]
    assert [moment.text for moment in read_moments(stop)] == [
        "SIGTERM", "SIGKILL", "PID 1 exited", "all reaped",
    ]  # fmt: skip


def test_a_stop_that_is_not_over_goes_on_to_the_trace_s_end() -> None:
    stop = a_stop(init_exit_boot_ns=None, end_boot_ns=None, teardown_ns=None)
    (phase,) = read_phases(stop, a_report())
    assert (phase.kind, phase.end_ns) == (PhaseKind.GRACE, a_report().end_boot_ns)


def test_pids_used_twice_are_two_lifetimes() -> None:
    second = a_fork(4712, at_ns=BEGIN_NS + 5 * MS)
    assert isinstance(second.event, ForkEvent)
    process = replace(second.event.process, start_boot_ns=BEGIN_NS + 5 * MS)
    later = replace(second, event=replace(second.event, process=process))
    events = [a_fork(4712), an_exit(4712), a_reap(4712), later]
    keys = {life.key for life in make_picture(a_report(), events).lives}
    assert ProcessKey(4712, BEGIN_NS + 5 * MS) in keys
    assert len(keys) == 2
