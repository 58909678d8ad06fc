"""Thousands of histories of the model kernel: no report says anything untrue."""

from __future__ import annotations

import random

import pytest

from tests.model.history import Spoil, history
from tests.model.oracle import report_of
from tests.model.spoil import reordered, with_duplicates, with_losses
from tracer.model.events import Event
from tracer.model.report import Report

FLAVOURS = pytest.mark.parametrize("is_exact", [True, False], ids=["kprobes", "tracepoints"])


@FLAVOURS
def test_every_fate_is_reported_as_it_was(histories: int, is_exact: bool) -> None:
    for seed in range(histories):
        assert history(seed).differences(is_exact=is_exact) == [], f"seed {seed}"


@FLAVOURS
def test_a_trace_that_begins_late_says_nothing_untrue(histories: int, is_exact: bool) -> None:
    for seed in range(100_000, 100_000 + histories // 2):
        model = history(seed, length=30, late=seed % 30)
        assert model.differences(is_exact=is_exact) == [], f"seed {seed}"


@pytest.mark.parametrize("is_bounded", [True, False], ids=["since", "any-time-before"])
@FLAVOURS
def test_losses_make_verdicts_unknown_and_never_untrue(
    histories: int, is_exact: bool, is_bounded: bool
) -> None:
    for seed in range(200_000, 200_000 + histories // 2):
        rng = random.Random(seed)
        share = rng.choice([0.02, 0.1, 0.3])

        def spoil(
            events: list[Event], rng: random.Random = rng, share: float = share
        ) -> list[Event]:
            return with_losses(events, rng, share, is_bounded=is_bounded)

        found = history(seed).differences(is_exact=is_exact, spoil=spoil, is_lossy=True)
        assert found == [], f"seed {seed}"


@FLAVOURS
def test_losses_in_a_trace_that_began_late_blame_no_one_wrongly(
    histories: int, is_exact: bool
) -> None:
    for seed in range(500_000, 500_000 + histories // 2):
        rng = random.Random(seed)
        share = rng.choice([0.02, 0.1, 0.3])

        def spoil(
            events: list[Event], rng: random.Random = rng, share: float = share
        ) -> list[Event]:
            return with_losses(events, rng, share, is_bounded=bool(rng.randrange(2)))

        model = history(seed, length=30, late=seed % 30)
        found = model.differences(is_exact=is_exact, spoil=spoil, is_lossy=True)
        assert found == [], f"seed {seed}"


@pytest.mark.parametrize("spoil", [with_duplicates, reordered])
@FLAVOURS
def test_duplicates_and_swapped_neighbours_change_nothing(
    histories: int, is_exact: bool, spoil: object
) -> None:
    assert callable(spoil)
    for seed in range(300_000, 300_000 + histories // 4):
        rng = random.Random(seed)

        def apply(events: list[Event], rng: random.Random = rng) -> list[Event]:
            result: list[Event] = spoil(events, rng)
            return result

        chosen: Spoil = apply
        assert history(seed).differences(is_exact=is_exact, spoil=chosen) == [], f"seed {seed}"


def fates(report: Report) -> dict[tuple[int, int], tuple[object, ...]]:
    """How each process ended, which every source of records knows; not when it was reaped."""
    return {
        (one.host_pid, one.start_boot_ns): (
            one.ns_pid, one.comm, one.parent_host_pid, one.is_init,
            one.end, one.exit_code, one.term_signal, one.end_boot_ns, one.core_dumped,
            one.cause, one.sender_host_pid, one.sender_comm, one.trigger_host_pid,
            one.stop_signal_seen, one.stop_signal_disposition,
        )
        for one in report.processes
    }  # fmt: skip


def courses(report: Report) -> list[tuple[object, ...]]:
    """How each stop went, but for when its last process was reaped."""
    return [
        (
            stop.pidns_inum, stop.trigger, stop.stop_signal, stop.stop_signal_disposition,
            stop.escalated, stop.outcome, stop.init_exit_code, stop.init_term_signal,
            stop.begin_boot_ns, stop.kill_boot_ns, stop.init_exit_boot_ns, stop.grace_ns,
        )
        for stop in report.stops
    ]  # fmt: skip


def test_fates_and_stops_are_the_same_with_and_without_kprobes(histories: int) -> None:
    processes = stops = killed = 0
    for seed in range(400_000, 400_000 + histories // 4):
        model = history(seed)
        exact, plain = (
            report_of(model.stream(is_exact=is_exact), model.kernel.t, min_zombie_ns=0)
            for is_exact in (True, False)
        )
        assert fates(exact) == fates(plain), f"seed {seed}"
        assert courses(exact) == courses(plain), f"seed {seed}"
        processes += len(exact.processes)
        stops += len(exact.stops)
        killed += sum(one.cause is not None for one in exact.processes)
    # Or nothing was compared.
    assert min(processes, stops, killed) > histories // 8
