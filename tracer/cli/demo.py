"""``zomtrace demo``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from tracer.cli.options import OutputOptions, output_options
from tracer.cli.output import Output
from tracer.demo.scenarios.catalogue import DEFAULT, find_scenario, load_scenarios
from tracer.demo.scenarios.scenario import MIN_ZOMBIE_S, Explanation, Scenario
from tracer.errors import ReaderGoneError, StdoutError
from tracer.report.page import Page, Span, Style
from tracer.report.terminal import Terminal, write_page


@click.command("demo")
@click.argument("name", metavar="[SCENARIO]", default=DEFAULT)
@click.option("--list", "as_list", is_flag=True, help="List the scenarios.")
@click.option("--no-kprobes", is_flag=True, help="Use only tracepoints.")
@output_options
def command(name: str, as_list: bool, no_kprobes: bool, **output: Any) -> None:
    """Run a classic case live, trace it and explain it.

    The default scenario is fwd-sig. It runs in its own PID namespace, needs no
    container engine and leaves nothing behind. With --json, the explanation goes
    to stderr.
    """
    options = OutputOptions(**output)
    if as_list:
        _write(lambda page: _add_list(page, load_scenarios()), options)
        return
    from tracer.demo.play import explain, play
    from tracer.live.sources import SourceOptions

    scenario = find_scenario(name)
    out = Output(options, MIN_ZOMBIE_S)
    # A report that was asked for is made even if this cannot be read.
    tolerated = () if options.report_path is None else (ReaderGoneError, StdoutError)
    with suppress(*tolerated):
        _write(lambda page: _add_intro(page, scenario), options)
    try:
        played = play(
            scenario,
            out.callbacks(),
            utc=options.utc,
            source_options=SourceOptions(allow_kprobes=not no_kprobes),
        )
    finally:
        out.close_live()
    try:
        out.finish(played.report)
    finally:
        # A check that failed is no reason to leave the explanation out.
        _write(lambda page: _add_explanation(page, explain(scenario, played)), options)


def _write(lay_out: Callable[[Page], None], options: OutputOptions) -> None:
    stream = sys.stderr if options.as_json else sys.stdout
    terminal = Terminal.of(stream, no_color=options.no_color)
    page = Page(terminal.width)
    lay_out(page)
    write_page(page, stream, color=terminal.color)


def _add_list(page: Page, scenarios: dict[str, Scenario]) -> None:
    width = max(len(name) for name in scenarios) + 2
    for scenario in scenarios.values():
        page.entry((Span(f"{scenario.name:<{width}}", Style.NAME),), scenario.title)


def _add_intro(page: Page, scenario: Scenario) -> None:
    page.heading(f"Demo {scenario.name}", scenario.title)
    page.text(scenario.plan, indent=2)
    page.blank()


def _add_explanation(page: Page, explanation: Explanation) -> None:
    page.lines.append(())
    page.heading("What the kernel did and why")
    for number, step in enumerate(explanation.steps, start=1):
        page.entry((Span(f"  {number}. "),), step)
    page.heading("How to fix it")
    page.text(explanation.remedy, indent=2)
