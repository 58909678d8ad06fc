"""A container that shares its PID namespace and has cgroups below its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.adopted import AdoptedContainer, adopted, cgroup_of
from tests.support.containers_at_work import counts, pick
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Zomtrace
from tracer.containers.resolve import resolve_containers

HOSTS = {"pid": "host"}


@pytest.fixture
def runtime(runc: Runc) -> Runc:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family"))
    return runc


@pytest.fixture
def below() -> Iterator[Callable[[Path, str], Path]]:
    """Make cgroups below one; they go when they are empty."""
    made: list[Path] = []

    def make(top: Path, name: str) -> Path:
        directory = top
        for part in name.split("/"):
            directory /= part
            directory.mkdir()
            made.append(directory)
        return directory

    yield make
    while made:
        directory = made.pop()
        wait_for(lambda one=directory: _is_gone(one), f"{directory} is empty")  # type: ignore[misc]


def _is_gone(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _members(top: Path) -> set[int]:
    return {
        int(pid)
        for file in top.rglob("cgroup.procs")
        for pid in file.read_text().split()
    }  # fmt: skip


def _put_in(runtime: Runc, container: AdoptedContainer, cgroup: Path, top: Path) -> int:
    """Exec a sleep into a container, and move it below; whose child it is no more."""
    before = _members(top)
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    argv = [*runtime.command, "exec", "-d", container.id, "sleep", "1000"]
    subprocess.run(argv, check=True, timeout=60, **quiet)  # type: ignore[call-overload]
    (pid,) = _members(top) - before
    (cgroup / "cgroup.procs").write_text(str(pid))
    return pid


def test_who_sits_in_a_cgroup_below_belongs_to_it(
    runtime: Runc, below: Callable[[Path, str], Path]
) -> None:
    with adopted(runtime, ["family", "2", "3", "exit"], namespaces=HOSTS) as container:
        container.wait_journal("ready")
        top = cgroup_of(container.pid)
        deeper, empty = below(top, "work/deeper"), below(top, "idle")
        sleep = _put_in(runtime, container, deeper, top)
        (known,) = resolve_containers([container.id])
        assert known.descendant_cgroup_ids == {
            one.stat().st_ino for one in (deeper, deeper.parent, empty)
        }
        with (
            subprocess.Popen(["sleep", "1000"]) as stranger,
            Zomtrace("-c", container.id) as trace,
        ):
            trace.wait_attached()
            stranger.kill()
            runtime.cli("kill", container.id, "TERM")
            trace.wait_event("exit", host_pid=container.pid)
            (top / "cgroup.kill").write_text("1")
            container.reap()
            result = trace.finish()
    member = result.process(host_pid=sleep)
    assert pick(member, "container_id", "end", "cause", "is_init") == {
        "container_id": container.id, "end": "signal", "cause": "cgroup_kill", "is_init": False,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 6, "sigkilled": 4, "already_zombie": 2}
    assert stranger.pid not in {one["host_pid"] for one in result.report["processes"]}


def test_an_init_that_moves_itself_below_leaves_the_container_its_cgroup(
    runtime: Runc, below: Callable[[Path, str], Path]
) -> None:
    with adopted(runtime, ["family", "0", "1", "exit"], namespaces=HOSTS) as container:
        container.wait_journal("ready")
        top = cgroup_of(container.pid)
        scope, work = below(top, "init.scope"), below(top, "system.slice/work.service")
        # As systemd does: itself into a scope, what it starts beside that one.
        (scope / "cgroup.procs").write_text(str(container.pid))
        sleep = _put_in(runtime, container, work, top)
        (known,) = resolve_containers([container.id])
        assert (known.cgroup_path, known.cgroup_id) == (str(top), top.stat().st_ino)
        assert known.descendant_cgroup_ids == {
            one.stat().st_ino for one in (scope, work, work.parent)
        }
        with Zomtrace("-c", container.id) as trace:
            trace.wait_attached()
            os.kill(sleep, 15)
            trace.wait_event("exit", host_pid=sleep)
            (top / "cgroup.kill").write_text("1")
            container.reap()
            result = trace.finish()
    assert pick(result.process(host_pid=sleep), "container_id", "cause", "term_signal") == {
        "container_id": container.id, "cause": "kill", "term_signal": "SIGTERM",
    }  # fmt: skip
    assert result.stop["init_host_pid"] == container.pid
