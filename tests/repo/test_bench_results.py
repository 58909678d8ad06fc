"""What scripts/bench makes of what it measured."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from benchmark import counting, docs
from benchmark.errors import BenchError
from benchmark.figures import noise, peer_figures, slow_downs
from benchmark.table import render_page, render_readme, target_lines
from benchmark.targets import targets


def a_run(
    peer: str, *seconds: float, number: int = 0, where: str = "host", **more: Any
) -> dict[str, Any]:
    storm = {"seconds": list(seconds), "processes": 1000, "signals": 0, "cpu_s": 0.013,
             "work_cpu_s": 2.0}  # fmt: skip
    return {"peer": peer, "round": number, "where": where, "storms": {"fork": storm}, **more}


def a_watched_run(peer: str, *seconds: float, exits: int | None, lost: Any) -> dict[str, Any]:
    return a_run(
        peer, *seconds, ready_s=0.4, resident=50_000_000, resident_after=51_000_000,
        highest=60_000_000, working_cpu_s=0.01, ending_cpu_s=0.1,
        seen={"exits": exits, "signals": None, "lost": lost, "events": 5000, "kinds": {}},
    )  # fmt: skip


RESULTS: dict[str, Any] = {
    "schema": docs.SCHEMA,
    "command": "scripts/bench", "when": "2026-01-02", "rounds": 1, "comparable": True,
    "host": {"kernel": "6.1", "cpus": 2, "model": "a processor"},
    "noise": {"fork": 0.02}, "too_noisy": [],
    "runs": [
        a_run("nothing", 1.0, 1.0, 1.1),
        a_watched_run("zt-all", 1.1, 1.2, 9.0, exits=None, lost={}),
        a_watched_run("exitsnoop", 1.4, 1.5, 1.6, exits=990, lost=None),
        a_run("nothing", 1.4, 1.4, 1.4),
    ],
    "starts": [
        {"peer": "exitsnoop", "round": 0, "first_s": 1.5, "latencies_s": [0.001, 0.003, 0.002],
         "missed": 0, "highest": 130_000_000},
    ],
    "unavailable": {"killsnoop": "no kprobes"},
    "idle": {"zt-all": 0.001},
    "help_s": [0.1, 0.2, 0.14],
    "long": [
        {"peer": "zt-all", "processes": 100_000, "seconds": 10.0, "working_cpu_s": 1.0,
         "all_cpu_s": 2.0, "highest": 90_000_000,
         "seen": {"exits": None, "signals": None, "lost": {"exit": 3}, "events": None}},
    ],
    "zombies": [], "crowd": [],
    "tiny": {"exit": {"happened": 100, "told": 40, "lost": 60},
             "fork": {"happened": 100, "told": 40, "lost": 59}},
    "hooks": {"bare": {"bare_exit": {"runs": 10, "ns": 40.2}}},
}  # fmt: skip


def verdict(text: str, data: dict[str, Any]) -> tuple[str, str | None]:
    (one,) = [one for one in targets(data) if one.text.startswith(text)]
    return one.verdict, one.reached


def test_a_peer_is_compared_with_nothing_attached_just_before_and_after() -> None:
    # 1.2 is the peer's median burst; 1.0 1.0 1.1 1.4 1.4 1.4 are around it.
    assert slow_downs(RESULTS["runs"], "zt-all", "fork") == [pytest.approx(1.2 / 1.25)]


def test_in_a_container_it_is_compared_with_nothing_there() -> None:
    runs = [
        a_run("nothing", 1.0),
        a_run("nothing-container", 2.0, where="container"),
        a_run("zt-container", 3.0, where="container"),
        a_run("nothing-container", 9.0, where="container", number=1),
    ]
    assert slow_downs(runs, "zt-container", "fork") == [1.5]


def test_noise_is_how_far_nothing_attached_is_from_itself() -> None:
    drifting = [a_run("nothing", *each) for each in ((1.0, 9.0, 1.0), (1.1,), (1.2,), (1.3,))]
    # A machine that changes its speed in the course of a run is no trouble.
    assert noise([*drifting, a_run("zt-all", 5.0)]) == {"fork": pytest.approx(0.0)}
    jumping = [a_run("nothing", 1.0), a_run("nothing", 1.3), a_run("nothing", 1.0)]
    assert noise(jumping) == {"fork": pytest.approx(0.3)}


def test_a_storm_that_was_too_noisy_has_no_slow_downs() -> None:
    data = {**RESULTS, "noise": {"fork": 0.3}, "too_noisy": ["fork"]}
    assert "| bcc exitsnoop | - | - | - | - | 1.00 | 10 (1.00%) |" in render_page(data)
    assert "too much for a comparison by the fork storm." in render_page(data)
    assert verdict("fork storm, tracing the host, all", data) == ("not measured", None)


def test_what_a_tool_did_not_report_is_lost_whatever_it_says() -> None:
    figures = peer_figures(RESULTS, "exitsnoop")
    assert (figures.happened, figures.missing, figures.lost_own_word) == (1000, 10, None)
    own_word = peer_figures(RESULTS, "zt-all")
    assert (own_word.missing, own_word.lost_own_word) == (None, 0)


def test_every_target_says_whether_it_was_met() -> None:
    assert verdict("zomtrace --help", RESULTS) == ("met", "0.140 s")
    assert verdict("a long storm on all processors, zt-all", RESULTS) == (
        "missed",
        "3 lost of 100,000 processes in 10 s (its own count)",
    )
    assert verdict("a long storm on all processors, zt-record", RESULTS) == ("not measured", None)
    assert verdict("a tiny ring", RESULTS)[0] == "missed"
    # 20 CPU-s with its ending, where exitsnoop takes 13.
    assert verdict("CPU per million processes, zt-all", RESULTS)[0] == "missed"
    assert verdict("idle, zt-all", RESULTS) == ("met", "0.10%")


def test_the_tables_hold_every_peer_that_was_measured() -> None:
    page = render_page(RESULTS)
    assert "| bcc exitsnoop | 1.20 | - | - | - | 1.00 | 10 (1.00%) |" in page
    assert "| zomtrace --all | 0.96 | - | - | - | 1.00 | 0, says itself |" in page
    assert "| bcc exitsnoop | 13.0 | - | 50 | 130 | 1.50 | 2.0 | 3.0 |" in page
    assert "bcc killsnoop did not work: no kprobes" in page
    assert "| exit | 40 | - | - | - | - |" in page
    assert "strace" not in render_readme(RESULTS)
    assert target_lines(RESULTS).count("\n") == len(targets(RESULTS))


def a_checkout(directory: Path) -> Path:
    (directory / "docs").mkdir()
    for page in (directory / "README.md", directory / "docs/performance.md"):
        page.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n")
    return directory


def test_the_pages_get_the_tables_between_their_markers(tmp_path: Path) -> None:
    source = tmp_path / "bench.json"
    source.write_text(json.dumps(RESULTS))
    checkout = a_checkout(tmp_path)
    for _ in range(2):
        readme, page = (checkout / "README.md", checkout / "docs/performance.md")
        assert set(docs.write_pages(source, checkout)) == {readme, page}
        assert readme.read_text().startswith("before\n<!-- bench: begin -->\n\n|")
        assert page.read_text().startswith("before\n<!-- bench: begin -->\n\n`scripts/bench`")
        for text in (readme.read_text(), page.read_text()):
            assert text.endswith("\n<!-- bench: end -->\nafter\n")
            assert "\nold\n" not in text


def test_a_noisy_run_is_not_quoted(tmp_path: Path) -> None:
    noisy = copy.deepcopy(RESULTS) | {"comparable": False}
    source = tmp_path / "bench.json"
    source.write_text(json.dumps(noisy))
    with pytest.raises(BenchError, match="too noisy"):
        docs.write_pages(source, a_checkout(tmp_path))
    assert "too busy" in render_page(noisy)


def test_what_bpftrace_says_it_lost_is_read(tmp_path: Path) -> None:
    stdout, stderr = tmp_path / "out", tmp_path / "err"
    stdout.write_text("Attaching 1 probe...\n7 zb-fork 0\n8 other 0\nLost 5 events\n9 zb-exec 0\n")
    stderr.write_text("Lost 6 events\n")
    seen = counting.bpftrace_exits(stdout, stderr)
    assert (seen.exits, seen.lost) == (2, {"events": 11})
