"""What can be named as a target, and what is said when it cannot be had."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.adopted import AdoptedContainer, adopted, cgroup_of
from tests.support.containers import pidns_of
from tests.support.containers_at_work import counts, pick
from tests.support.dockerd import IMAGE, Dockerd
from tests.support.exit_oracle import ExitOracle
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload, workload_files
from tests.support.zomtrace_process import Result, Zomtrace, run_zomtrace


@pytest.fixture
def runtime(runc: Runc) -> Runc:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family"))
    return runc


@contextmanager
def a_family(runtime: Runc, zombies: int, live: int) -> Iterator[AdoptedContainer]:
    with adopted(runtime, ["family", str(zombies), str(live), "exit"]) as container:
        container.wait_journal("ready")
        yield container


def stop(runtime: Runc, container: AdoptedContainer) -> None:
    runtime.cli("kill", container.id, "TERM")
    assert container.reap() == 0


def refusal(*args: str | Path, status: int, env: dict[str, str] | None = None) -> str:
    """What zomtrace says when it refuses: one clear line, perhaps one of advice."""
    result = run_zomtrace(*args, status=status, env=env)
    assert result.stdout == b""
    lines = result.stderr.splitlines()
    assert lines, "it said nothing"
    assert lines[0].startswith("zomtrace: ")
    assert len(lines) <= 2, result.stderr
    assert all(line.startswith("  ") for line in lines[1:])
    return lines[0].removeprefix("zomtrace: ")


@pytest.mark.parametrize("form", ["{}", "pid:[{}]"])
def test_a_pid_namespace_by_its_number(runtime: Runc, form: str) -> None:
    with a_family(runtime, 3, 5) as container, a_family(runtime, 1, 1) as other:
        inum = pidns_of(container.pid)
        with Zomtrace("--pidns", form.format(inum)) as trace:
            trace.wait_attached()
            stop(runtime, other)
            stop(runtime, container)
            result = trace.finish()
    assert pick(result.stop, "pidns_inum", "init_host_pid", "init_exit_code") == {
        "pidns_inum": inum, "init_host_pid": container.pid, "init_exit_code": 0,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 8, "sigkilled": 5, "already_zombie": 3}
    assert len(result.report["processes"]) == 9


def test_a_cgroup_by_its_path(runtime: Runc) -> None:
    with (
        a_family(runtime, 0, 5) as container,
        a_family(runtime, 1, 1) as other,
        Zomtrace("--cgroup", cgroup_of(container.pid)) as trace,
    ):
        trace.wait_attached()
        stop(runtime, other)
        stop(runtime, container)
        trace.wait_event("reap", host_pid=container.pid)
        result = trace.stop_tracing()
    assert len(result.report["processes"]) == 6
    assert result.fates() == {("exit", None): 1, ("signal", "pidns_teardown"): 5}
    assert result.process(host_pid=container.pid)["exit_code"] == 0


def test_a_cgroup_with_all_below_it(runtime: Runc) -> None:
    with a_family(runtime, 0, 2) as first, a_family(runtime, 0, 3) as second:
        above = cgroup_of(first.pid).parent
        assert above == cgroup_of(second.pid).parent
        with Zomtrace("--cgroup", above) as trace:
            trace.wait_attached()
            for container in (first, second):
                stop(runtime, container)
                trace.wait_event("reap", host_pid=container.pid)
            result = trace.stop_tracing()
    assert len(result.report["processes"]) == 7


def test_several_targets_at_once(runtime: Runc) -> None:
    with (
        a_family(runtime, 1, 2) as first,
        a_family(runtime, 3, 4) as second,
        Zomtrace("-c", first.id, "--pidns", str(pidns_of(second.pid))) as trace,
    ):
        trace.wait_attached()
        stop(runtime, first)
        stop(runtime, second)
        result = trace.finish()
    assert {one["init_host_pid"]: counts(one) for one in result.report["stops"]} == {
        first.pid: {"members": 3, "sigkilled": 2, "already_zombie": 1},
        second.pid: {"members": 7, "sigkilled": 4, "already_zombie": 3},
    }


def test_the_whole_host_for_a_while(runtime: Runc) -> None:
    with ExitOracle() as oracle, Zomtrace("--all", "-d", "2") as trace:
        trace.wait_attached()
        with a_family(runtime, 3, 5) as container:
            inum = pidns_of(container.pid)
            stop(runtime, container)
        ended = {}
        for status in range(41):
            with subprocess.Popen(["sh", "-c", f"exit {status}"]) as shell:
                ended[shell.pid] = shell.wait() << 8
        seen = trace.finish()
    assert seen.lines[0]["target"]["everything"] is True
    statuses = seen.statuses()
    assert {pid: statuses[pid] for pid in ended} == ended
    told = {(one.host_pid, one.status.raw) for one in oracle.exits}
    assert statuses.items() <= told
    (stopped,) = [one for one in seen.report["stops"] if one["init_host_pid"] == container.pid]
    assert stopped["pidns_inum"] == inum
    assert counts(stopped) == {"members": 8, "sigkilled": 5, "already_zombie": 3}
    assert seen.report["lost"] == {}


def test_namespaces_with_the_same_number_do_not_merge(tmp_path: Path) -> None:
    family = workload("family")
    with Zomtrace("--all") as trace:
        trace.wait_attached()
        stopped: dict[int, tuple[int, int]] = {}
        for live in range(1, 20):
            init, inum = _one_namespace_after_the_other(family, live)
            twins = [pid for pid, (number, _) in stopped.items() if number == inum]
            stopped[init] = (inum, live)
            if twins:
                break
        trace.wait_event("reap", host_pid=init)
        result = trace.stop_tracing()
    assert twins, "no number was reused: nothing is shown"
    stops = {one["init_host_pid"]: one for one in result.report["stops"]}
    for pid, (number, live) in stopped.items():
        assert stops[pid]["pidns_inum"] == number
        assert counts(stops[pid]) == {"members": 2 + live, "sigkilled": live, "already_zombie": 2}


def _one_namespace_after_the_other(family: Path, live: int) -> tuple[int, int]:
    """Start and stop a family in a new PID namespace; its init and its number."""
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", family, "2", str(live), "exit"],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        init = int(children)
        inum = pidns_of(init)
        os.kill(init, signal.SIGTERM)
        assert process.wait(60) == 0
    return init, inum


def test_no_such_target_is_one_clear_line(runtime: Runc, docker: Dockerd) -> None:
    assert "nobody-here" in refusal("-c", "nobody-here", status=69, env=docker.env)
    assert "4026599999" in refusal("--pidns", "4026599999", status=69)
    assert "/sys/fs/cgroup/nobody-here" in refusal(
        "--cgroup", "/sys/fs/cgroup/nobody-here", status=69
    )
    refusal("--cgroup", "/etc", status=69)
    refusal("stop", "-c", "nobody-here", status=69, env=docker.env)
    refusal("zombies", "-c", "nobody-here", status=69, env=docker.env)


def test_a_container_that_does_not_run(docker: Dockerd) -> None:
    container = docker.run("--name", "web", IMAGE, "true")
    wait_for(lambda: docker.pid(container) == 0, "it has ended")
    for name in ("web", container, container[:12]):
        said = refusal("-c", name, status=69, env=docker.env)
        assert "web" in said
        assert "exited" in said


def test_a_prefix_that_fits_two(runtime: Runc) -> None:
    both = [runtime.new_id(), runtime.new_id()]
    prefix = both[0].rpartition("-")[0] + "-"
    with (
        adopted(runtime, ["sleep", "1000"], container_id=both[0]),
        adopted(runtime, ["sleep", "1000"], container_id=both[1]),
    ):
        said = refusal("-c", prefix, status=69)
        assert "2 containers" in said
        assert all(one in said for one in both)


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    env = dict(os.environ) | {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    assert "nobody.sock" in refusal("-c", "nobody-here", status=69, env=env)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/run/runc/x", ".", "..", "a/../b", "a\nb", "\x1b]0;x\x07", "a\0b"]
)
def test_a_name_is_never_a_path(name: str) -> None:
    if "\0" in name:
        name = name.replace("\0", "\udcff")
    said = refusal("-c", name, status=2)
    assert said.isprintable()
    assert "is not a valid container name" in said


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--all", "-c", "web"],
        ["--pidns", "x"],
        ["--pidns", "-5"],
        ["--frobnicate"],
        ["frobnicate"],
        ["-d", "soon", "--all"],
        ["-d", "-1", "--all"],
        ["-s", "SIGNOPE", "--all"],
        ["--fail-on", "ZT999", "--all"],
        ["run"],
        ["run", "--"],
        ["run", "--", "/nobody/here"],
        ["run", "--stop-signal", "0", "--", "true"],
        ["-c", "web", "run", "--", "true"],
        ["stop"],
        ["stop", "-c", "a,b"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_status_2(args: list[str]) -> None:
    result = run_zomtrace(*args, status=2, json_lines=False)
    assert result.stdout == b""
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_stop_command_over_plain_runc(runtime: Runc) -> None:
    with adopted(runtime, ["family", "0", "2", "default"]) as container:
        container.wait_journal("ready")
        with Zomtrace("stop", "-c", container.id, "--grace", "300ms") as trace:
            trace.wait_event("exit", host_pid=container.pid)
            assert container.reap() == signal.SIGKILL
            result = trace.finish()
    assert pick(
        result.stop, "stop_signal", "stop_signal_result", "stop_sender_comm", "kill_sender_comm",
        "escalated", "init_cause",
    ) == {
        "stop_signal": "SIGTERM", "stop_signal_result": "ignored", "stop_sender_comm": "runc",
        "kill_sender_comm": "runc", "escalated": True, "init_cause": "grace_expired",
    }  # fmt: skip
    assert result.stop["stop_sender_chain"][0] == "zomtrace"
    assert 0.3e9 <= result.stop["grace_ns"] < 5e9
    assert counts(result.stop) == {"members": 2, "sigkilled": 2}


def test_result_is_the_same_however_it_is_named(runtime: Runc) -> None:
    def told(result: Result) -> dict[str, object]:
        return counts(result.stop) | pick(
            result.stop, "trigger", "stop_signal", "stop_sender_comm", "init_exit_code", "outcome"
        )

    results = []
    for name in ("id", "pidns"):
        with a_family(runtime, 7, 3) as container:
            args = (
                ("-c", container.id) if name == "id" else ("--pidns", str(pidns_of(container.pid)))
            )
            with Zomtrace(*args) as trace:
                trace.wait_attached()
                stop(runtime, container)
                results.append(trace.finish())
    assert told(results[0]) == told(results[1])
