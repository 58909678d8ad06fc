"""Records that found no room: what happened before and after them is whole all the same."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.patched import patched_copy
from tests.support.workloads import workload
from tests.support.zomtrace_process import Zomtrace, run_zomtrace

CALM = "sh -c 'exit {}' & wait $!; sleep 0.6"
"""A child that nothing disturbs, and a silence after it."""


def test_a_loss_puts_only_its_own_time_in_doubt(tmp_path: Path) -> None:
    copy = patched_copy(tmp_path / "copy")
    copy.replace(
        "tracer/kernel/source.py", "TARGET_RING_BYTES = 8 << 20", "TARGET_RING_BYTES = 32768"
    )
    capture, written = tmp_path / "lossy.arrows", tmp_path / "report.json"
    burst = f"{workload('family')} 700 0 exit & family=$!; sleep 0.6; kill $family; wait $family"
    script = "; ".join([CALM.format(3), burst, "sleep 0.6", CALM.format(4), "exit 5"])
    with Zomtrace(
        "run", "-w", capture, "--report", written, "--", "sh", "-c", script, **copy.options()
    ) as trace:
        result = trace.finish()
    report = result.report
    losses = result.of_kind("loss")
    assert losses
    assert report["complete"] is False
    before = result.process(exit_code=3, comm="sh")
    after = result.process(exit_code=4, comm="sh")
    assert (before["complete"], after["complete"]) == (True, True)
    # Whoever lived through it may have done more than was seen.
    assert result.process(exit_code=5, is_init=True)["complete"] is False
    family = [one for one in result.processes() if one["comm"] == "family"]
    assert family
    # Those that were told, and over, before anything was lost are whole.
    since_ns = losses[0]["since_boot_ns"]
    reaped = {line["host_pid"]: line["boot_ns"] for line in result.reaps()}
    through = [one for one in family if reaped.get(one["host_pid"], since_ns) >= since_ns]
    assert through
    assert not any(one["complete"] for one in through)
    assert not any(stop["complete"] for stop in report["stops"])
    first, last = losses[0], losses[-1]
    exits = {line["host_pid"]: line["boot_ns"] for line in result.of_kind("exit")}
    births = {line["host_pid"]: line["boot_ns"] for line in result.of_kind("fork")}
    births |= {line["host_pid"]: line["forked_boot_ns"] for line in result.ends()}
    assert exits[before["host_pid"]] < first["since_boot_ns"] < first["boot_ns"]
    assert last["boot_ns"] < births[after["host_pid"]]
    # What was lost when is in the capture too.
    replayed = tmp_path / "replayed.json"
    run_zomtrace("report", capture, "--report", replayed, json_lines=False)
    assert json.loads(replayed.read_text()) == json.loads(written.read_text())
