"""The offline page in a real browser: it draws, answers, and nothing complains.

Needs Chromium, which scripts/setup --test installs where there is a package of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.annotated import a_fork, a_signal, a_teardown_kill, attached
from tests.support.chromium import Chromium, find_chromium
from tests.support.report_stories import SAMPLES, fwd_sig, hostile
from tests.support.reports import (
    BEGIN_NS,
    INIT_PID,
    MS,
    SECOND,
    a_process,
    a_report,
    a_stop,
    an_init,
    killed,
)
from tests.support.require import require
from tracer.model.annotated import Annotated
from tracer.model.report import Report
from tracer.model.verdicts import End
from tracer.report.html import render_html

EVIL = "</script><img src=x onerror=alert(1)><script>alert(1)</script>"
MANY = 1999  # a prime number of workers, and PID 1


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_chromium()
    require("chromium", program is not None, "there is no such browser here")
    assert program is not None
    with Chromium(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


def _open(browser: Chromium, directory: Path, report: Report, *events: Annotated) -> None:
    page = directory / "page.html"
    page.write_text(render_html(report, events), encoding="utf-8")
    browser.open(page)


def _check_quiet(browser: Chromium) -> None:
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


def _text(browser: Chromium, selector: str) -> str:
    return str(browser.run(f"document.querySelector({selector!r}).textContent"))


def _labels(browser: Chromium) -> list[str]:
    browser.settle()
    return list(
        browser.run("[...document.querySelectorAll('#labels .name')].map(e => e.textContent)")
    )


def _names(browser: Chromium) -> list[str]:
    """What the third column of the table that is shown says, row by row."""
    return list(
        browser.run(
            "[...document.querySelectorAll('.scroller:not([hidden]) tbody tr')]"
            ".map(e => e.children[2].textContent)"
        )
    )


def _many(*, alike: bool) -> tuple[Report, list[Annotated]]:
    """PID 1 and its workers, killed by the teardown; each of another name unless alike."""
    pids = range(INIT_PID + 1, INIT_PID + 1 + MANY)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = {
        pid: "worker" if alike else letters[pid % 26] + letters[pid // 26 % 26] + letters[pid % 23]
        for pid in pids
    }
    workers = [
        killed(
            pid,
            names[pid],
            start_boot_ns=BEGIN_NS + MS * (pid - INIT_PID),
            end_boot_ns=BEGIN_NS + 4 * SECOND + MS * (pid - INIT_PID),
        )
        for pid in pids
    ]
    report = a_report(
        processes=(an_init(), *workers),
        stops=(a_stop(members=MANY, sigkilled=MANY, begin_boot_ns=BEGIN_NS + 3 * SECOND),),
    )
    events: list[Annotated] = [attached(), a_signal(at_ns=BEGIN_NS + 3 * SECOND)]
    for number, worker in enumerate(workers):
        kill = a_teardown_kill(worker.host_pid, at_ns=BEGIN_NS + 4 * SECOND + 10_000 * number)
        process = replace(kill.event.process, start_boot_ns=worker.start_boot_ns)  # type: ignore[union-attr]
        events.append(replace(kill, event=replace(kill.event, process=process)))  # type: ignore[arg-type]
    return report, events


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_story_is_drawn_without_complaint(
    browser: Chromium, tmp_path: Path, name: str
) -> None:
    _open(browser, tmp_path, SAMPLES[name](), attached(), a_fork(), a_signal())
    assert browser.run("document.documentElement.dataset.readyMs") is not None
    assert len(set(browser.screenshot())) > 1
    _check_quiet(browser)


def test_hostile_names_are_shown_and_run_nothing(browser: Chromium, tmp_path: Path) -> None:
    report = replace(hostile(), headline=EVIL, target=EVIL)
    _open(browser, tmp_path, report, attached(), a_fork(4799, EVIL), a_signal(4799, EVIL))
    assert _text(browser, "h1") == EVIL
    assert EVIL in _labels(browser)
    assert EVIL in _names(browser)
    assert browser.run("document.images.length") == 0
    _check_quiet(browser)


def test_a_script_that_got_in_would_not_run(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = render_html(fwd_sig(), [])
    page.write_text(text.replace("</main>", "<script>window.gotIn = 1</script></main>"))
    browser.open(page)
    assert browser.run("window.gotIn") is None
    (complaint,) = browser.complaints
    assert "Content Security Policy" in complaint["params"]["entry"]["text"]


def test_equal_fates_are_one_lane_that_opens_by_key(browser: Chromium, tmp_path: Path) -> None:
    _open(browser, tmp_path, fwd_sig())
    assert _labels(browser) == ["web", "fwd", "7 \u00d7 worker"]
    browser.run("document.getElementById('lanes').focus()")
    browser.press("ArrowDown", "ArrowDown", "Enter")
    assert _labels(browser) == ["web", "fwd", "7 \u00d7 worker", *["worker"] * 7]
    browser.press("ArrowDown")
    assert _text(browser, "#selection h2").startswith(f"worker[{INIT_PID + 1}]")
    browser.press("Home", "ArrowDown", "Enter")
    assert len(_labels(browser)) == 3
    _check_quiet(browser)


def test_keys_move_in_time_and_from_signal_to_signal(browser: Chromium, tmp_path: Path) -> None:
    _open(browser, tmp_path, fwd_sig(), a_fork(), a_signal(at_ns=BEGIN_NS + 2 * SECOND))
    whole = browser.screenshot()
    browser.run("document.getElementById('lanes').focus()")
    browser.press("+", "+", "ArrowRight")
    assert browser.screenshot() != whole
    browser.press("n")
    assert _text(browser, "#selection h2").startswith("SIGTERM")
    assert "runc[4801]" in _text(browser, "#selection dl")
    browser.press("Escape")
    assert browser.run("document.getElementById('selection').hidden") is True
    _check_quiet(browser)


def test_tables_sort_and_filter(browser: Chromium, tmp_path: Path) -> None:
    _open(browser, tmp_path, fwd_sig())
    heads = "[...document.querySelectorAll('.scroller:not([hidden]) th button')]"
    browser.run(f"{heads}[0].click()")
    pids = browser.run(
        "[...document.querySelectorAll('.scroller:not([hidden]) tbody tr')]"
        ".map(e => Number(e.firstChild.textContent))"
    )
    assert pids == sorted(pids, reverse=True)
    assert len(pids) == 8
    browser.run(
        "(() => { const f = document.querySelector('.bar input'); f.value = 'name:fwd -worker';"
        " f.dispatchEvent(new Event('input')); })()"
    )
    assert _names(browser) == ["fwd"]
    assert _text(browser, ".bar output") == "1 of 8"
    browser.run("document.querySelector('.scroller:not([hidden]) tbody tr').click()")
    assert _text(browser, "#selection h2").startswith(f"fwd[{INIT_PID}]")
    _check_quiet(browser)


def test_each_finding_has_a_row_and_each_tab_its_table(browser: Chromium, tmp_path: Path) -> None:
    _open(browser, tmp_path, fwd_sig())
    tabs = browser.run("[...document.querySelectorAll('[role=tab]')].map(e => e.textContent)")
    assert tabs == ["Processes 8", "Signals 0", "Zombies 0", "Findings 1", tabs[4]]
    browser.run("document.querySelectorAll('[role=tab]')[3].click()")
    assert "ZT102" in _text(browser, ".scroller:not([hidden]) tbody")
    _check_quiet(browser)


@pytest.mark.parametrize("alike", [True, False])
def test_two_thousand_processes_stay_usable(browser: Chromium, tmp_path: Path, alike: bool) -> None:
    report, events = _many(alike=alike)
    _open(browser, tmp_path, report, *events)
    # Generous: the bounds are for a machine that does other things as well.
    assert float(browser.run("document.documentElement.dataset.readyMs")) < 10_000
    # A few rows are in the page, however many there are.
    assert browser.run("document.querySelectorAll('.label').length") < 100
    assert browser.run("document.querySelectorAll('tbody tr').length") < 1000
    browser.run("document.getElementById('lanes').focus()")
    frames = browser.run(
        """new Promise(done => {
            const lanes = document.getElementById("lanes"); const times = []; let n = 0;
            const frame = () => {
                const begun = performance.now(); lanes.scrollTop += 300;
                lanes.dispatchEvent(new KeyboardEvent("keydown", {key: n % 20 < 10 ? "+" : "-"}));
                requestAnimationFrame(() => {
                    times.push(performance.now() - begun);
                    if (++n < 40) requestAnimationFrame(frame); else done(times);
                });
            };
            frame();
        })"""
    )
    assert sorted(frames)[20] < 500
    browser.press("End")
    assert browser.run("document.querySelector('[aria-selected=true].label') !== null")
    _check_quiet(browser)


def test_who_was_idle_all_the_time_is_shown_on_demand(browser: Chromium, tmp_path: Path) -> None:
    idle = [
        a_process(
            9000 + n, f"idle{chr(97 + n % 26)}", end=End.RUNNING, end_boot_ns=None, exit_code=None
        )
        for n in range(53)
    ]
    idle = [replace(one, zombie_ns=None, reap_kind=None) for one in idle]
    report = replace(fwd_sig(), processes=(*fwd_sig().processes, *idle))
    _open(browser, tmp_path, report)
    assert _labels(browser) == ["web", "fwd", "7 \u00d7 worker"]
    browser.run(
        "[...document.querySelectorAll('button')].find(b => /idle/.test(b.textContent)).click()"
    )
    assert len(_labels(browser)) > 3
    # A table's row leads to it as well.
    _open(browser, tmp_path, report)
    browser.run(
        "[...document.querySelectorAll('tbody tr')]"
        ".find(r => r.firstChild.textContent === '9001').click()"
    )
    assert _text(browser, "#selection h2").startswith("idleb[9001]")
    _check_quiet(browser)


def test_dark_and_light_differ_and_the_button_overrules(browser: Chromium, tmp_path: Path) -> None:
    _open(browser, tmp_path, fwd_sig())
    background = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(background)
    browser.show(1366, 768, dark=True)
    assert browser.run(background) != light
    browser.run("document.getElementById('theme').click()")
    assert browser.run(background) == light
    browser.show(1366, 768)
    _check_quiet(browser)


@pytest.mark.parametrize("width", [1366, 800, 400])
def test_nothing_runs_out_of_the_window(browser: Chromium, tmp_path: Path, width: int) -> None:
    browser.show(width, 768)
    _open(browser, tmp_path, hostile(), attached(), a_fork(), a_signal())
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.show(1366, 768)
    _check_quiet(browser)
