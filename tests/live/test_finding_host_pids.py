"""ZT301 for a host whose table of tasks is nearly full: of what, and who makes them.

The host's own limits stay as they are: the copy that runs here reads its pid_max from
a file of ours. How many tasks there are is read from the kernel.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.adopted import adopted
from tests.support.patched import Patched, patched_copy
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload, workload_files
from tests.support.zomtrace_process import Result, Zomtrace

pytestmark = pytest.mark.alone

ZOMBIES = 307


def tasks() -> int:
    """How many tasks there are on this host."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


@pytest.fixture
def nearly_full(tmp_path: Path) -> Patched:
    """A zomtrace on a host that so many zombies more fill to four fifths and above."""
    limit = tmp_path / "pid_max"
    limit.write_text(f"{int((tasks() + ZOMBIES * 0.7) / 0.8)}\n")
    copy = patched_copy(tmp_path / "copy")
    copy.replace("tracer/procfs/task_table.py", '"/proc/sys/kernel/pid_max"', f'"{limit}"')
    return copy


def check(result: Result, maker: int) -> str:
    """What holds for both; the finding's detail."""
    (near,) = [one for one in result.report["findings"] if one["title"].startswith("the host had")]
    assert near["code"] == "ZT301"
    readings = [
        line["values"]
        for line in result.of_kind("observation")
        if line["values"].get("reading") == "host"
    ]
    fullest = max(one["tasks"] for one in readings)
    limit = readings[0]["limit"]
    assert {one["limit_name"] for one in readings} == {"kernel.pid_max"}
    assert fullest / limit >= 0.8
    assert near["title"] == f"the host had {fullest} of its {limit} pids in use"
    zombies = {one["host_pid"] for one in result.processes(comm="fill", end="exit")} - {maker}
    assert len(zombies) == ZOMBIES
    assert zombies <= set(near["host_pids"])
    # The next one counts what is there before it begins.
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in zombies), "they are gone")
    return str(near["detail"])


def test_a_leak_on_the_host_itself(nearly_full: Patched) -> None:
    with Zomtrace("--all", **nearly_full.options()) as trace:
        trace.wait_attached()
        with subprocess.Popen([workload("fill"), str(ZOMBIES)], stdout=subprocess.PIPE) as fill:
            assert fill.stdout is not None
            assert fill.stdout.readline().split() == [b"zombies", str(ZOMBIES).encode()]
            result = trace.stop_tracing()
            fill.terminate()
    # There may be zombies of others on this host; these are the most.
    detail = check(result, fill.pid)
    assert re.search(rf"\d+ zombies made up \d+% of them, children of fill .*\({ZOMBIES}\)", detail)
    assert str(fill.pid) in detail


def test_a_container_without_a_limit_of_its_own_has_the_hosts(
    nearly_full: Patched, runc: Runc
) -> None:
    runc.add_files(workload_files("fill"))
    with adopted(runc, ["fill", "0"]) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id, **nearly_full.options()) as trace:
            trace.wait_attached()
            inside = ["exec", container.id, "fill", str(ZOMBIES)]
            with subprocess.Popen(
                [*runc.command, *inside], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            ) as second:
                assert second.stdout is not None
                assert second.stdout.readline().split() == [b"zombies", str(ZOMBIES).encode()]
                result = trace.stop_tracing()
                runc.cli("kill", container.id, "KILL")
            container.reap()
    wait_for(lambda: not Path(f"/proc/{container.pid}").exists(), "it is gone")
    maker = result.process(comm="fill", end="running", is_init=False)["host_pid"]
    detail = check(result, maker)
    assert f"{container.id} has no lower pids limit: the host's limit applies." in detail
    assert f"{ZOMBIES} zombies among the traced processes made up" in detail
