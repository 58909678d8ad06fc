"""``zomtrace demo``."""

from __future__ import annotations

import sys
from typing import Any

import click

from tracer.cli.options import OutputOptions, output_options
from tracer.cli.output import Output
from tracer.report.page import Page, Span, Style
from tracer.report.terminal import Terminal, write_page
from tracer.session.scenarios.catalogue import DEFAULT, find_scenario, load_scenarios
from tracer.session.scenarios.scenario import MIN_ZOMBIE_S, Explanation, Scenario


@click.command("demo")
@click.argument("name", metavar="[SCENARIO]", default=DEFAULT)
@click.option("--list", "as_list", is_flag=True, help="List the scenarios, one a line.")
@click.option("--no-kprobes", is_flag=True, help="Trace by tracepoints alone.")
@output_options
def command(name: str, as_list: bool, no_kprobes: bool, **output: Any) -> None:
    """Play a classic case live, trace it and explain it.

    Without a name: fwd-sig. Everything happens in a PID namespace of its own;
    no container engine is needed, and nothing is left behind. With --json the
    words around the events go to stderr.
    """
    options = OutputOptions(**output)
    if as_list:
        _write(_list_page(load_scenarios()), options)
        return
    from tracer.session.demo import explain, play

    scenario = find_scenario(name)
    _write(_intro_page(scenario), options)
    out = Output(options, MIN_ZOMBIE_S)
    try:
        played = play(
            scenario,
            [out.sink],
            utc=options.utc,
            on_starting=out.start,
            on_idle=out.on_idle,
            allow_kprobes=not no_kprobes,
        )
    finally:
        out.close_live()
    try:
        out.finish(played.report)
    finally:
        # A check that failed is no reason to leave the explanation out.
        _write(_explanation_page(explain(scenario, played)), options)


def _write(page: Page, options: OutputOptions) -> None:
    stream = sys.stderr if options.as_json else sys.stdout
    terminal = Terminal.of(stream, no_color=options.no_color)
    laid_out = Page(terminal.width)
    laid_out.lines = page.lines
    write_page(page, stream, color=terminal.color)


def _list_page(scenarios: dict[str, Scenario]) -> Page:
    page = Page()
    width = max(len(name) for name in scenarios) + 2
    for scenario in scenarios.values():
        page.entry((Span(f"{scenario.name:<{width}}", Style.NAME),), scenario.title)
    return page


def _intro_page(scenario: Scenario) -> Page:
    page = Page()
    page.heading(f"Demo {scenario.name}", scenario.title)
    page.text(scenario.plan, indent=2)
    page.blank()
    return page


def _explanation_page(explanation: Explanation) -> Page:
    page = Page()
    page.lines.append(())
    page.heading("What the kernel did, and why")
    for number, step in enumerate(explanation.steps, start=1):
        page.entry((Span(f"  {number}. "),), step)
    page.heading("What to do about it")
    page.text(explanation.remedy, indent=2)
    return page
