"""A run of the tests: jobs out, verdicts in, a table and a file at the end."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matrix.cache import say
from matrix.catalogue import CHECKOUT, Catalogue, GuestKind, Kernel
from matrix.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    EXIT_TESTS_FAILED,
    GuestError,
)
from matrix.guest import Guests, Machine, Outcome
from matrix.here import NAME as HERE
from matrix.here import pytest_here
from matrix.kernelimage import BootableKernel
from matrix.results import TestResult
from matrix.schedule import Ended, Job, run_jobs
from matrix.table import render_table

RESULTS_FILE = CHECKOUT / "build" / "kernel-matrix.json"
"""What the last full run saw; docs/kernels.md is generated from it."""

_PARTIAL_RESULTS_FILE = RESULTS_FILE.with_stem("kernel-matrix-partial")

PYTEST_OPTIONS = (
    "-q",
    "--color=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "pytest_timeout",
    "--timeout=300",
    "-p",
    "tests.kernel.guest",
)
PYTEST_ENVIRONMENT = {
    # No plugin but those named: finding the others takes a guest seconds.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    # What every kernel here has: a test that misses it fails, it is not skipped.
    "ZOMTRACE_REQUIRE": "root,bpf,busybox,kprobes,pids,runc,tini,unshare,zomtrace",
}
_PYTEST = (
    "env",
    *(f"{name}={value}" for name, value in PYTEST_ENVIRONMENT.items()),
    "python3",
    "-m",
    "pytest",
    *PYTEST_OPTIONS,
)


@dataclass(slots=True)
class TestRun:
    """The tests of some kernels.

    Args:
        catalogue: What tests there are.
        only: The guests asked for by name; none = all.
        pytest_arguments: Added to each pytest.
        verbose: Show what pytest said of guests that passed too.
    """

    catalogue: Catalogue
    only: Sequence[str] = ()
    pytest_arguments: Sequence[str] = ()
    verbose: bool = False
    _grid: dict[tuple[str, str], list[TestResult]] = field(default_factory=dict)
    _releases: dict[str, str] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    _guests: list[dict[str, object]] = field(default_factory=list)
    _failed: list[str] = field(default_factory=list)
    _without_verdict: list[str] = field(default_factory=list)

    def _kinds(self, kernel: Kernel) -> list[GuestKind]:
        kinds = self.catalogue.guests_of(kernel)
        return [kind for kind in kinds if not self.only or kind.name in self.only]

    def on_guests(self, guests: Guests, kernels: Sequence[BootableKernel]) -> int:
        """Boot each kernel as often as its tests want, and say how it went."""
        jobs = []
        for kernel in kernels:
            self._versions[kernel.kernel.name] = kernel.version
            self._releases[kernel.kernel.name] = kernel.release
            jobs += [
                Job(
                    f"{kernel.kernel.name} {kind.name}",
                    kernel,
                    Machine(kind.cpus, cmdline=kind.cmdline, cgroup_v1=kind.cgroup_v1),
                    (*_PYTEST, *kind.tests, *self.pytest_arguments),
                    kind.timeout_s,
                )
                for kind in self._kinds(kernel.kernel)
            ]
        # As the catalogue has them: the longest first, or the last guest runs alone
        # at the end; and what a kernel's first guest compiled is there for the next.
        order = [kind.name for kind in self.catalogue.guests]
        jobs.sort(key=lambda job: order.index(job.label.rpartition(" ")[2]))
        begin = time.monotonic()
        cpu_began = _children_cpu_seconds()
        ended = run_jobs(guests, jobs, self._heard)
        for result in ended:
            if result.outcome is None:
                self._without_verdict.append(result.job.label)
        names = [kernel.kernel.name for kernel in kernels]
        cpu = f" ({_children_cpu_seconds() - cpu_began:.0f} s of processor time)"
        return self._close(names, time.monotonic() - begin, cpu)

    def on_this_machine(self) -> int:
        """Run what needs no particular boot on the running kernel."""
        kinds = [kind for kind in self.catalogue.guests if kind.here]
        begin = time.monotonic()
        for kind in kinds:
            outcome = pytest_here(
                [*PYTEST_OPTIONS, *kind.tests, *self.pytest_arguments],
                environment=PYTEST_ENVIRONMENT,
                timeout_s=kind.timeout_s,
            )
            self._releases[HERE] = outcome.release
            self._take(f"{HERE} {kind.name}", HERE, outcome, retried=False)
        return self._close([HERE], time.monotonic() - begin)

    def _heard(self, ended: Ended) -> None:
        if ended.outcome is not None:
            name = ended.job.kernel.kernel.name
            self._take(ended.job.label, name, ended.outcome, retried=ended.retried)

    def _take(self, label: str, kernel: str, outcome: Outcome, *, retried: bool) -> None:
        try:
            results = [TestResult.parse(line) for line in outcome.results]
        except GuestError as error:
            say(f"{label}: {error}")
            self._without_verdict.append(label)
            return
        for result in results:
            self._grid.setdefault((result.subject, kernel), []).append(result)
        # pytest's own word counts too: a module that does not import is a test
        # that left no result.
        passed = outcome.status == 0 and bool(results)
        word = "passed" if passed else f"FAILED (exit status {outcome.status})"
        again = ", second try" if retried else ""
        say(
            f"{label}: {word}, {len(results)} tests, {outcome.seconds:.1f} s{again} "
            f"({outcome.release})"
        )
        if not passed:
            self._failed.append(label)
        if not passed or self.verbose:
            text = (outcome.stdout + outcome.stderr).decode(errors="replace").strip()
            print("\n".join(f"    {line}" for line in text.splitlines()), flush=True)
        self._guests.append(
            {
                "kernel": kernel,
                "guest": label.partition(" ")[2],
                "seconds": round(outcome.seconds, 1),
                "passed": passed,
                "retried": retried,
                "results": [asdict(result) for result in results],
            }
        )

    def _close(self, kernels: Sequence[str], seconds: float, cpu: str = "") -> int:
        heads = {name: f"{name} ({self._releases.get(name, '?')})" for name in kernels}
        if self._grid:
            print("\n" + render_table(self._grid, kernels, heads))
        tests = [result for results in self._grid.values() for result in results]
        skipped = sorted({result.reason or "" for result in tests if result.reason})
        for reason in skipped:
            print(f"skipped: {reason}")
        print(
            f"{len(self._guests)} guests, {len(tests)} tests, {seconds:.0f} s{cpu}; "
            f"{len(self._failed)} guests failed, {len(self._without_verdict)} without a verdict"
        )
        everything = [kernel.name for kernel in self.catalogue.defaults]
        is_full = list(kernels) == everything and not self.only and not self.pytest_arguments
        self._save(RESULTS_FILE if is_full else _PARTIAL_RESULTS_FILE)
        if self._failed:
            say(f"kernel-matrix: tests failed: {', '.join(self._failed)}")
        if self._without_verdict:
            say(f"kernel-matrix: no verdict: {', '.join(self._without_verdict)}")
            return EXIT_INFRASTRUCTURE
        return EXIT_TESTS_FAILED if self._failed or not tests else EXIT_OK

    def _save(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        data = {"releases": self._releases, "versions": self._versions, "guests": self._guests}
        _write(path, json.dumps(data, indent=1, sort_keys=True))


def _children_cpu_seconds() -> float:
    """What every process this one has waited for has used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
