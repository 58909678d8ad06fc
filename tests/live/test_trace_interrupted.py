"""Ctrl-C, twice; SIGTERM; a closed pipe; kill -9; a target that goes at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.adopted import adopted
from tests.support.containers_at_work import counts
from tests.support.kernel_objects import bpf_objects, children, is_there
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload, workload_files
from tests.support.zomtrace_process import Zomtrace, zomtrace_command
from tracer.kernel.store import DIRECTORY_VARIABLE

FAMILY = ("--", workload("family"), "2", "3")


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """No programs are kept from an earlier time."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")


@pytest.fixture
def runtime(runc: Runc) -> Runc:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family"))
    return runc


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_ends_a_trace_with_its_report(runtime: Runc, signo: int) -> None:
    with adopted(runtime, ["family", "2", "3", "exit"]) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id) as trace:
            result = trace.wait_attached().interrupt(signo).finish(status=0)
        assert result.report["stops"] == []
        assert len(result.processes(end="running")) == 4
        # The target goes on as if nothing had been.
        assert Path(f"/proc/{container.pid}").exists()


def test_a_failed_check_holds_after_ctrl_c_too() -> None:
    with Zomtrace("run", "--fail-on", "ZT102", "--grace", "9", *FAMILY, "exit") as trace:
        trace.wait_attached().wait_stderr("ready\n")
        trace.interrupt(signal.SIGTERM).finish(status=1)


def test_a_second_ctrl_c_ends_at_once_without_a_traceback(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with Zomtrace(
        "run", "--grace", "1000", "--report", report, *FAMILY, "hang", holds_contract=False
    ) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        # What it was sent, by the command's own word: the first is being answered.
        trace.interrupt()
        trace.wait_event("signal", signal="SIGTERM")
        init = trace.lines_so_far()[0]["target"]["containers"][0]["init_host_pid"]
        result = trace.interrupt().finish(status=130)
    assert "Traceback" not in result.stderr
    assert "KeyboardInterrupt" not in result.stderr
    assert not report.exists()
    wait_for(lambda: not Path(f"/proc/{init}").exists(), "its command ended with it")


@pytest.mark.parametrize("times", range(3))
def test_two_signals_at_once_give_a_report_or_none_but_no_traceback(
    runtime: Runc, times: int
) -> None:
    with adopted(runtime, ["family", "2", "3", "exit"]) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id, holds_contract=False) as trace:
            trace.wait_attached().interrupt(signal.SIGINT)
            result = trace.interrupt(signal.SIGTERM).finish(status=None)
    assert result.status in (0, 130)
    assert "Traceback" not in result.stderr
    assert (result.lines[-1]["kind"] == "report") == (result.status == 0)


@pytest.mark.parametrize("moment", ["started", "compiling"])
@pytest.mark.usefixtures("compiles")
def test_ctrl_c_before_it_is_attached(moment: str) -> None:
    with Zomtrace("--all", holds_contract=False) as trace:
        if moment == "compiling":
            wait_for(lambda: children(trace.process.pid), "the compiling child runs")
        else:
            wait_for(
                lambda: b"zomtrace" in Path(f"/proc/{trace.process.pid}/cmdline").read_bytes(),
                "it is there",
            )
        child = children(trace.process.pid)
        result = trace.interrupt().finish(status=None)
    assert "Traceback" not in result.stderr, result.stderr
    assert result.status in (0, -signal.SIGINT)
    for pid in child:
        wait_for(lambda pid=pid: not _runs(pid), "the compiling child is gone")  # type: ignore[misc]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_closed_pipe_ends_it_quietly_and_the_report_is_written(
    runtime: Runc, tmp_path: Path, as_json: bool
) -> None:
    report = tmp_path / "report.json"
    with adopted(runtime, ["family", "2", "3", "exit"]) as container:
        container.wait_journal("ready")
        command = [*zomtrace_command(), "-c", container.id, "--report", str(report), "-v"]
        with subprocess.Popen(
            [*command, *(["--json"] if as_json else [])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            first = process.stdout.read(1)
            process.stdout.close()
            assert first
            runtime.cli("kill", container.id, "TERM")
            container.reap()
            assert process.wait(60) == 0
            said = process.stderr.read().decode()
    assert "Traceback" not in said
    assert "Broken" not in said
    written = json.loads(report.read_text())
    assert written["kind"] == "report"
    assert written["containers"][0]["id"] == container.id


def test_head_1_of_a_shell(runtime: Runc) -> None:
    with adopted(runtime, ["family", "2", "3", "exit"]) as container:
        container.wait_journal("ready")
        (zomtrace,) = zomtrace_command()
        with subprocess.Popen(
            ["bash", "-c", '"$0" -c "$1" --json | head -1; echo "${PIPESTATUS[0]}"',
             zomtrace, container.id],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as shell:  # fmt: skip
            assert shell.stdout is not None
            assert json.loads(shell.stdout.readline())["kind"] == "attached"
            runtime.cli("kill", container.id, "TERM")
            container.reap()
            status, said = shell.communicate(timeout=60)
    assert status == "0\n"
    assert "Traceback" not in said


@pytest.mark.parametrize("moment", ["compiling", "attached", "tracing"])
@pytest.mark.usefixtures("compiles")
def test_kill_9_leaves_nothing_behind(moment: str) -> None:
    with Zomtrace("run", *FAMILY, "hang", holds_contract=False) as trace:
        pid = trace.process.pid
        wait_for(lambda: children(pid), "the compiling child runs")
        if moment != "compiling":
            trace.wait_attached()
        if moment == "tracing":
            trace.wait_stderr("ready\n")
        objects = bpf_objects(pid)
        if moment != "compiling":
            kinds = {kind for kind, _ in objects}
            assert {"prog_id", "map_id"} <= kinds
            assert all(is_there(*one) for one in objects)
        started = children(pid)
        trace.process.kill()
        trace.process.wait()
        for child in started:
            wait_for(lambda child=child: not _runs(child), f"child {child} is gone")  # type: ignore[misc]
        wait_for(lambda: not any(is_there(*one) for one in objects), "no BPF object is left")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _moments() -> dict[str, Callable[[Zomtrace], object]]:
    def has(kind: str) -> Callable[[Zomtrace], object]:
        def there(trace: Zomtrace) -> bool:
            if trace.process.poll() is not None:
                return True
            try:
                return any(one == kind for one, _ in bpf_objects(trace.process.pid))
            except FileNotFoundError:
                return True

        return there

    return {
        "before it starts": lambda _: True,
        "as it starts": lambda _: True,
        "while it compiles": lambda trace: (
            children(trace.process.pid) or trace.process.poll() is not None
        ),
        "with the maps handed over": has("map_id"),
        "with the first hook live": has("prog_id"),
        "once attached": lambda trace: trace.lines_so_far() or trace.process.poll() is not None,
    }


@pytest.mark.parametrize("moment", _moments())
@pytest.mark.usefixtures("compiles")
def test_a_target_may_vanish_at_any_moment(runtime: Runc, moment: str) -> None:
    with adopted(runtime, ["family", "2", "3", "exit"]) as container:
        container.wait_journal("ready")
        if moment == "before it starts":
            os.kill(container.pid, signal.SIGKILL)
            container.reap()
        with Zomtrace("-c", container.id, holds_contract=False) as trace:
            wait_for(lambda: _moments()[moment](trace), moment)
            if container.status is None:
                os.kill(container.pid, signal.SIGKILL)
                container.reap()
            result = trace.finish(status=None)
    assert "Traceback" not in result.stderr
    if result.status == 69:
        assert result.stdout == b""
        assert container.id in result.stderr
        assert len(result.stderr.splitlines()) <= 2
    else:
        assert result.status == 0
        assert result.lines[0]["kind"] == "attached"
        assert result.report["lost"] == {}
    if moment == "before it starts":
        assert result.status == 69
    if moment == "once attached":
        assert counts(result.stop) == {"members": 5, "sigkilled": 3, "already_zombie": 2}
