"""What each BPF program of a tool takes, as the kernel counts it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


def _programs_held(pids: Sequence[int]) -> set[int]:
    """The ids of the BPF programs some processes have open."""
    held = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            for info in Path(f"/proc/{pid}/fdinfo").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    for line in info.read_text().splitlines():
                        key, _, value = line.partition(":")
                        if key == "prog_id":
                            held.add(int(value))
    return held


def hook_costs(pids: Sequence[int]) -> dict[str, dict[str, float]]:
    """Ask bpftool for the run times of the programs some processes hold.

    Needs ``kernel.bpf_stats_enabled``; reading its clock is part of the time.

    Returns:
        By the program's name: ``runs``, and ``ns`` a run.
    """
    path = shutil.which("bpftool", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin")
    if path is None:
        return {}
    done = subprocess.run(
        [path, "--json", "prog", "show"], stdout=subprocess.PIPE, check=True, text=True
    )
    held = _programs_held(pids)
    return {
        program["name"]: {
            "runs": program["run_cnt"],
            "ns": program["run_time_ns"] / program["run_cnt"],
        }
        for program in json.loads(done.stdout)
        if program["id"] in held and program.get("run_cnt")
    }
