"""Which scenarios there are."""

from __future__ import annotations

from tracer.demo.scenarios.scenario import Scenario
from tracer.errors import UsageError

DEFAULT = "fwd-sig"


def load_scenarios() -> dict[str, Scenario]:
    """All scenarios by name, in the order of the manual."""
    from tracer.demo.scenarios import (
        dispositions,
        fwd_sig,
        host_init,
        init_b_c,
        orphans,
        wait_status,
        wait_styles,
        zombie_leader,
        zombie_proc,
    )

    modules = (
        fwd_sig,
        zombie_proc,
        wait_styles,
        orphans,
        init_b_c,
        host_init,
        zombie_leader,
        dispositions,
        wait_status,
    )
    return {scenario.name: scenario for module in modules for scenario in module.SCENARIOS}


def find_scenario(name: str) -> Scenario:
    """The scenario of a name.

    Raises:
        UsageError: There is none.
    """
    scenarios = load_scenarios()
    if name not in scenarios:
        raise UsageError(f"{name}: no such scenario", hint=f"available: {', '.join(scenarios)}")
    return scenarios[name]
