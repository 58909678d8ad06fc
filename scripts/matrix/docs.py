"""docs/kernels.md, written from what the last full run saw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix.catalogue import CHECKOUT, Catalogue
from matrix.errors import InfrastructureError
from matrix.testrun import RESULTS_FILE

PAGE = CHECKOUT / "docs" / "kernels.md"

_HEAD = """\
# Kernels

<!-- Written by scripts/kernel-matrix --docs from what a run saw: edit
     scripts/matrix/docs.py, not this. -->

zomtrace is tested on these kernels, each an unmodified Debian package booted in
a virtual machine, each time `scripts/test` runs. zomtrace never checks the kernel's
version: it tests for each feature, so other kernels get the best hooks they have,
and `zomtrace doctor` lists them.
"""
_PRECISION = """\
## Precision

Median / worst over the tests' processes, in emulated guests of one processor:
real machines are faster. Verdicts and reap kinds are the same in both modes; without
kprobes the time is an upper bound.
"""
_PREEMPTION = """\
## Preemption

Since 7.0 a tracepoint can be preempted, and then its program is not run for other
tasks on that processor meanwhile. The spare hooks see those events: the table shows
how many, of 102 exits and 85 execs at about the same time, on an emulated processor.
None of them was lost on any kernel.
"""
_TAIL = """\
## Using these kernels

```
scripts/kernel-matrix --shell 5.10           a shell in that kernel, with this checkout
scripts/kernel-matrix 6.1 -- COMMAND         one command in it
scripts/kernel-matrix --oldest -k teardown   some of the tests
scripts/kernel-matrix 5.10-generic           the generic flavour: only when named
scripts/kernel-matrix --list                 the available ones (tests/kernels.toml)
```

The machines are emulated (set `ZOMTRACE_QEMU_ACCEL=kvm` to use KVM) and take some five
seconds to boot; images are built once and cached in `$XDG_CACHE_HOME/zomtrace`, by
default `/var/cache/zomtrace`. For a permanent machine, see
[vagrant/](../vagrant/README.md).
"""


@dataclass(frozen=True)
class _Seen:
    """What a run saw, by kernel."""

    kernels: Sequence[str]
    releases: Mapping[str, str]
    versions: Mapping[str, str]
    guests: Sequence[Mapping[str, Any]]

    def facts(self, kernel: str, name: str) -> list[Any]:
        """The values of a fact, one for each test that noted it."""
        return [
            result["facts"][name]
            for guest in self.guests
            if guest["kernel"] == kernel
            for result in guest["results"]
            if name in result["facts"]
        ]

    def reasons(self, kernel: str) -> list[str]:
        """Why tests were skipped."""
        return sorted(
            {
                str(result["reason"])
                for guest in self.guests
                if guest["kernel"] == kernel and guest["guest"] == "main"
                for result in guest["results"]
                if result["reason"]
            }
        )


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return _row(head) + _row(["---"] * len(head)) + "".join(_row(row) for row in rows)


def _plan(seen: _Seen) -> str:
    plans = {kernel: seen.facts(kernel, "plan")[0] for kernel in seen.kernels}
    rows = [
        [
            name,
            *(
                f"`{plans[kernel][name]}`" if name in plans[kernel] else "not needed"
                for kernel in seen.kernels
            ),
        ]
        for name in sorted(set().union(*plans.values()))
    ]
    return _table(["row", *seen.kernels], rows)


def _late(values: Sequence[Mapping[str, float]]) -> str:
    if not values:
        return "-"
    medians = sorted(value["median"] for value in values)
    worst = max(value["max"] for value in values)
    return f"{medians[len(medians) // 2]:.1f} / {worst:.1f}"


def _precision(seen: _Seen) -> str:
    rows = [
        [
            kernel,
            _late(seen.facts(kernel, "free after reap ms")),
            _late(seen.facts(kernel, "plain reaps late ms")),
        ]
        for kernel in seen.kernels
    ]
    return _table(
        ["kernel", "`sched_process_free` after `release_task`, ms",
         "reaps reported without kprobes, later by ms"],
        rows,
    )  # fmt: skip


def _preemption(seen: _Seen) -> str:
    rows = [
        [
            kernel,
            *(
                sum(seen.facts(kernel, f"made good of {number}"))
                for number in ("102 exits", "85 execs")
            ),
        ]
        for kernel in seen.kernels
    ]
    return _table(["kernel", "exits seen by the spare", "execs seen by the spare"], rows)


def _lacks(seen: _Seen) -> str:
    lines = []
    for kernel in seen.kernels:
        missing = [
            f"{row}: {reason}"
            for rejected in seen.facts(kernel, "rejected")
            for row, reasons in rejected.items()
            for reason in reasons
        ]
        missing += seen.reasons(kernel)
        lines.append(f"- **{kernel}**: {'; '.join(missing) if missing else 'nothing'}\n")
    return "".join(lines)


def _boots(seen: _Seen) -> str:
    rows = []
    for name in ("lockdown=integrity", "lockdown=confidentiality", "without BTF"):
        told = {str(value): kernel for kernel in seen.kernels for value in seen.facts(kernel, name)}
        rows += [[f"`{name}`" if "=" in name else name, text] for text in told]
    return _table(["boot", "zomtrace"], rows)


def render(catalogue: Catalogue, data: Mapping[str, Any]) -> str:
    """Render the page.

    Raises:
        InfrastructureError: A kernel's hooks were not tested, or failed.
    """
    names = [kernel.name for kernel in catalogue.defaults]
    seen = _Seen(names, data["releases"], data["versions"], data["guests"])
    for name in names:
        told = [
            guest["passed"]
            for guest in seen.guests
            if guest["kernel"] == name and guest["guest"] == "main"
        ]
        if told != [True]:
            raise InfrastructureError(
                f"the last run has no passed guest 'main' of {name}",
                hint="run scripts/kernel-matrix without arguments first",
            )
    suites = {kernel.name: kernel.suite for kernel in catalogue.defaults}
    kernels = _table(
        ["name", "Debian suite", "release", "package version", "guests", "tests", "seconds"],
        [
            [
                name,
                suites[name],
                f"`{seen.releases[name]}`",
                seen.versions[name],
                sum(1 for guest in seen.guests if guest["kernel"] == name),
                sum(len(g["results"]) for g in seen.guests if g["kernel"] == name),
                round(sum(g["seconds"] for g in seen.guests if g["kernel"] == name)),
            ]
            for name in names
        ],
    )
    return "\n".join(
        (
            _HEAD,
            kernels,
            "## Hooks\n\nThe hook that serves each row of the plan.\n",
            _plan(seen),
            _PRECISION,
            _precision(seen),
            _PREEMPTION,
            _preemption(seen),
            "## What each one lacks\n",
            _lacks(seen),
            "## Other boots\n",
            _boots(seen),
            _TAIL,
        )
    )


def write_page(catalogue: Catalogue, source: Path = RESULTS_FILE, page: Path = PAGE) -> None:
    """Write docs/kernels.md.

    Raises:
        InfrastructureError: There is no full run to write it from.
    """
    try:
        data = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InfrastructureError(
            f"{source} is not there", hint="run scripts/kernel-matrix without arguments first"
        ) from error
    page.write_text(render(catalogue, data), encoding="utf-8")
