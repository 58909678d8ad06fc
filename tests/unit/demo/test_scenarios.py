"""Demo scenarios: what they promise before they play, and that they claim nothing unseen."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from tests.support.report_stories import fwd_sig, nothing_happened
from tests.support.reports import a_process, a_report
from tracer.demo.scenarios.catalogue import DEFAULT, find_scenario, load_scenarios
from tracer.demo.scenarios.observed import Observed, count, longest, pids
from tracer.demo.scenarios.scenario import Scenario
from tracer.errors import UnavailableError, UsageError
from tracer.report.page import wrap

_SCENARIOS = load_scenarios()


def an_observation(**changes: object) -> Observed:
    """What was observed of a trace that saw nothing."""
    plain = Observed(report=nothing_happened(), signals=(), notes=(), utc=True)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=list(_SCENARIOS))
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return _SCENARIOS[request.param]


def test_a_title_fits_on_a_line_of_the_list(scenario: Scenario) -> None:
    width = max(len(name) for name in _SCENARIOS) + 2
    assert width + len(scenario.title) <= 80


def test_a_plan_is_reported_in_three_lines(scenario: Scenario) -> None:
    assert 1 < len(wrap(scenario.plan, 78)) <= 3


def test_a_name_is_one_the_kernel_can_keep(scenario: Scenario) -> None:
    # TASK_COMM_LEN: PID 1 is called as its scenario.
    assert len(scenario.name) < 16


def test_its_program_exists(scenario: Scenario) -> None:
    module = f"tracer.demo.scenarios.programs.{scenario.program}"
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None


@pytest.mark.parametrize("seen", [nothing_happened(), fwd_sig(), a_report()])
def test_nothing_is_explained_that_was_not_seen(scenario: Scenario, seen: object) -> None:
    with pytest.raises(UnavailableError, match="did not go as planned"):
        scenario.explain(an_observation(report=seen))


def test_the_default_is_a_scenario() -> None:
    assert find_scenario(DEFAULT).name == "fwd-sig"


def test_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no-such-case"):
        find_scenario("no-such-case")


def test_notes_are_found_by_their_first_word() -> None:
    observed = an_observation(notes=("ready", "forked 12", "refused EAGAIN now", "forked 13"))
    assert observed.notes_of("refused") == ["EAGAIN now"]
    assert observed.notes_of("ready") == [""]
    assert observed.number("forked") == 13


def test_a_number_that_was_not_reported_is_not_made_up() -> None:
    with pytest.raises(UnavailableError, match="forked"):
        an_observation(notes=("forked many",)).number("forked")


def test_processes_are_counted_and_named_by_host_pid() -> None:
    family = [a_process(pid, zombie_ns=pid * 1_000_000) for pid in (7, 9, 8)]
    assert pids(family) == "host pids 7-9"
    assert count(1, "child", "children") == "1 child"
    assert count(3, "child", "children") == "3 children"
    assert longest(family) == "9.0 ms"
    assert longest([a_process(7, zombie_ns=None)]) == "an unknown time"
