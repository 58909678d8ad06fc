"""Which hook is chosen, and what is said of those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.kernel import plan
from tracer.kernel.plan import Candidate, Row
from tracer.kernel.view import KernelFeatures
from tracer.model.events import HookState
from tracer.wire.header import KIND_NAMES, bpf_directory


def some_features(mark_victim: str | None = "task", *, preempt: bool = False) -> KernelFeatures:
    return KernelFeatures(
        exit_has_group_dead=True,
        mark_victim=mark_victim,
        task_pt_regs=True,
        maps_grow=True,
        tracepoints_preempt=preempt,
        functions=frozenset(
            {
                "do_exit",
                "release_task",
                "zap_pid_ns_processes",
                "kernel_clone",
                "__oom_kill_process",
            }
        ),
    )


def settle(
    features: KernelFeatures,
    *,
    kprobes_refused: str | None = None,
    fails: dict[str, str] | None = None,
) -> dict[str, plan.RowOutcome]:
    def try_attach(row: Row, candidate: Candidate) -> str | None:
        return (fails or {}).get(candidate.source)

    outcomes = plan.settle(features, kprobes_refused=kprobes_refused, try_attach=try_attach)
    return {outcome.state.name: outcome for outcome in outcomes}


def test_with_kprobes_every_row_is_served_and_nothing_degrades() -> None:
    outcomes = settle(some_features())
    assert {name: outcome.state.degrades for name, outcome in outcomes.items()} == dict.fromkeys(
        outcomes
    )
    assert outcomes["reap"].state == HookState("reap", "kprobe:release_task", None)


def test_without_kprobes_the_rows_they_serve_say_what_is_less_exact() -> None:
    outcomes = settle(some_features(), kprobes_refused="no kprobes here")
    unserved = {name for name, outcome in outcomes.items() if outcome.state.source is None}
    assert unserved == {"exit_begin", "reap", "teardown_begin", "teardown_end", "fork_failed"}
    assert all(outcomes[name].state.degrades for name in unserved)
    assert outcomes["reap"].rejected == (plan.Rejection("kprobe:release_task", "no kprobes here"),)


def test_spare_hooks_are_there_only_where_a_tracepoint_can_be_preempted() -> None:
    spares = {"exit_spare", "exec_spare"}
    assert spares.isdisjoint(settle(some_features()))
    outcomes = settle(some_features(preempt=True))
    assert spares <= set(outcomes)
    assert all(outcomes[name].state.source for name in spares)


def test_a_function_the_kernel_has_not_is_not_tried() -> None:
    features = some_features()
    without = KernelFeatures(
        exit_has_group_dead=features.exit_has_group_dead,
        mark_victim=features.mark_victim,
        task_pt_regs=features.task_pt_regs,
        maps_grow=features.maps_grow,
        tracepoints_preempt=features.tracepoints_preempt,
        functions=features.functions - {"kernel_clone"},
    )
    outcome = settle(without)["fork_failed"]
    assert outcome.rejected == (
        plan.Rejection("kretprobe:kernel_clone", "this kernel has no function kernel_clone"),
    )


def test_a_kprobe_that_cannot_be_attached_falls_back() -> None:
    outcome = settle(
        some_features("pid"), fails={"kprobe:__oom_kill_process": "it cannot be attached: busy"}
    )["oom"]
    assert outcome.state == HookState(
        "oom", "raw_tp:mark_victim", "only the pid of an OOM victim is known"
    )
    assert [r.reason for r in outcome.rejected] == [
        "its only argument on this kernel is a pid",
        "it cannot be attached: busy",
    ]


@pytest.mark.parametrize(
    ("mark_victim", "kprobes_refused", "source"),
    [
        ("task", None, "raw_tp:mark_victim"),
        ("task", "none", "raw_tp:mark_victim"),
        ("pid", None, "kprobe:__oom_kill_process"),
        ("pid", "none", "raw_tp:mark_victim"),
        (None, None, None),
    ],
)
def test_the_oom_hook_is_the_one_that_shows_most(
    mark_victim: str | None, kprobes_refused: str | None, source: str | None
) -> None:
    outcomes = settle(some_features(mark_victim), kprobes_refused=kprobes_refused)
    assert outcomes["oom"].state.source == source


def test_every_program_is_in_the_file_the_plan_names() -> None:
    for row in plan.ROWS:
        for candidate in row.candidates:
            text = (bpf_directory() / candidate.source_file).read_text()
            assert f"int {candidate.program}(" in text, candidate.program


def test_every_source_file_is_used_by_the_plan() -> None:
    planned = {candidate.source_file for row in plan.ROWS for candidate in row.candidates}
    assert planned == {path.name for path in Path(bpf_directory()).glob("*.c")}


def test_every_hook_says_what_it_costs_and_cannot_see() -> None:
    for path in sorted(bpf_directory().glob("*.c")):
        lines = path.read_text().splitlines()
        assert "SPDX-License-Identifier" in lines[0], path.name
        head = "\n".join(lines[1:20])
        for entry in ("Hook: ", "Where: ", "Since: ", "Cost: ", "Unseen: "):
            assert f" * {entry}" in head, f"{path.name}: {entry}"


def test_the_rows_emit_every_kind_and_no_other() -> None:
    assert {row.kind for row in plan.ROWS} == set(KIND_NAMES.values())


def test_without_these_rows_there_is_no_trace() -> None:
    required = {row.name for row in plan.ROWS if row.required}
    assert required == {"exit", "free", "signal", "fork", "seed", "folded"}
