"""What scripts rely on: exit statuses, streams, the JSON lines, the report file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.containers_at_work import counts
from tests.support.waiting import wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Result, Zomtrace, run_zomtrace, zomtrace_command

ARGS = ("--min-zombie", "600", "--grace", "9", "--", workload("family"), "3", "5", "exit")


def stopped_family(*options: str | Path, status: int = 0, **more: object) -> Result:
    """``zomtrace run OPTIONS`` of a family that forwards nothing, stopped by Ctrl-C."""
    with Zomtrace("run", *options, *ARGS, **more) as trace:  # type: ignore[arg-type]
        trace.wait_attached().wait_stderr("ready\n")
        return trace.stop_tracing(status=status)


@pytest.mark.parametrize(
    ("codes", "status"),
    [("ZT101,zt102", 1), ("all", 1), ("ZT101,ZT103", 0)],
)
def test_fail_on_is_status_1_when_the_finding_is_there(
    tmp_path: Path, codes: str, status: int
) -> None:
    report = tmp_path / "report.json"
    with Zomtrace("run", "-v", "--fail-on", codes, "--report", report, *ARGS) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        # Each line is written when it happens: this is here, and nothing else will push it.
        trace.wait_line(lambda line: line["kind"] == "fork" and line["ns_pid"] == 9, "last fork")
        result = trace.stop_tracing(status=status)
    assert result.codes == ["ZT102"]
    assert ("--fail-on: found ZT102" in result.stderr) == (status == 1)
    # The report is there all the same.
    assert json.loads(report.read_text()) == result.report


def test_signal_list_filters_lines_and_no_verdict() -> None:
    everything, some = stopped_family(), stopped_family("-s", "TERM,9")
    shown = {line["signal"] for line in some.of_kind("signal")}
    assert shown == {"SIGTERM", "SIGKILL"}
    assert {line["signal"] for line in everything.of_kind("signal")} == shown | {"SIGCHLD"}
    for result in (everything, some):
        assert counts(result.stop) == {"members": 8, "sigkilled": 5, "already_zombie": 3}
        assert result.codes == ["ZT102"]
        assert len(result.of_kind("exit")) == 9
    # Zombies are judged by notifications, which were not shown.
    assert [one["reap_kind"] for one in some.report["processes"]] == [
        one["reap_kind"] for one in everything.report["processes"]
    ]


def test_report_file_is_the_last_line_and_replaces_an_older_at_once(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("older")
    with report.open() as kept:
        result = stopped_family("--report", report)
        assert kept.read() == "older"
    assert json.loads(report.read_text(encoding="utf-8")) == result.report
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_report_to_a_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        result = stopped_family("--report", fifo)
        read, _ = reader.communicate(timeout=60)
    assert json.loads(read) == result.report
    assert fifo.is_fifo()


@pytest.mark.parametrize("where", ["no/such/directory/x.json", ".", "etc-file/x.json"])
def test_unwritable_report_is_refused_before_anything_runs(tmp_path: Path, where: str) -> None:
    (tmp_path / "etc-file").write_text("")
    mark = tmp_path / "mark"
    result = run_zomtrace(
        "run", "--report", tmp_path / where, "--", "touch", mark, status=69
    )  # fmt: skip
    assert result.stdout == b""
    assert not mark.exists()
    assert len(result.stderr.splitlines()) <= 2


def test_a_full_disk_is_said_and_leaves_no_rubbish(tmp_path: Path) -> None:
    script = (
        'trap : INT; mount -t tmpfs -o size=4k tmpfs "$0" || exit 99; "$@"; status=$?;'
        ' ls -A "$0" | sed "s/^/left: /" >&2; exit $status'
    )
    with Zomtrace(
        "run", "--report", tmp_path / "report.json", *ARGS,
        command=["unshare", "--mount", "--propagation", "private", "sh", "-c", script, tmp_path,
                 *zomtrace_command()],
        start_new_session=True,
    ) as trace:  # fmt: skip
        trace.wait_attached().wait_stderr("ready\n")
        os.killpg(trace.process.pid, signal.SIGINT)
        result = trace.finish(status=None)
    assert result.status == 69, result.stderr
    assert "No space left on device" in result.stderr
    assert "left:" not in result.stderr
    # It was printed all the same.
    assert counts(result.stop) == {"members": 8, "sigkilled": 5, "already_zombie": 3}


def test_text_is_plain_and_80_columns_when_piped() -> None:
    with Zomtrace("run", "--utc", *ARGS, json_lines=False) as trace:
        trace.wait_stderr("ready\n")
        result = trace.stop_tracing()
    text = result.stdout.decode()
    assert "\x1b" not in text
    lines = text.splitlines()
    report = lines[lines.index("zomtrace: run family") :]
    assert [line for line in report if len(line) > 80] == []
    # What happened in one sentence comes first.
    assert "of 8 other" in " ".join(report[:8])
    assert "ZT102" in text
    # What the command itself printed is not a result.
    assert "zombie 2 0" not in text
    assert "live " not in text


def test_duration_ends_a_trace_and_leaves_the_rest_running() -> None:
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", workload("family"), "2", "3", "exit"],
        stdout=subprocess.PIPE, text=True,
    ) as shell:  # fmt: skip
        try:
            assert shell.stdout is not None
            while shell.stdout.readline() != "ready\n":
                assert shell.poll() is None
            init = int(Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text())
            inum = Path(f"/proc/{init}/ns/pid").stat().st_ino
            with Zomtrace("--pidns", str(inum), "-d", "500ms") as trace:
                result = trace.finish()
        finally:
            shell.kill()
    assert result.report["stops"] == []
    assert len(result.processes(end="running")) == 4
    assert len(result.processes(end="exit")) == 2
    assert result.report["end_boot_ns"] - result.report["begin_boot_ns"] >= 0.5e9


def test_exit_status_of_the_command_is_no_status_of_ours() -> None:
    with Zomtrace("run", "--", "sh", "-c", "exit 7") as trace:
        result = trace.finish(status=0)
    assert result.process(is_init=True)["exit_code"] == 7


def test_help_and_version_go_to_stdout() -> None:
    for args in (["--help"], ["-h"], ["run", "--help"], ["stop", "--help"], ["--version"]):
        result = run_zomtrace(*args, json_lines=False)
        assert result.stdout
        assert result.stderr == ""
        assert max(len(line) for line in result.stdout.decode().splitlines()) <= 80


def test_options_in_front_of_a_command_are_refused() -> None:
    result = run_zomtrace("--strict", "run", "--", "true", json_lines=False, status=2)
    assert "must follow the command name" in result.stderr


def test_attached_says_what_is_traced_and_how() -> None:
    result = stopped_family("--strict")
    assert result.report["lost"] == {}
    attached = result.lines[0]
    (container,) = attached["target"]["containers"]
    assert container == result.report["containers"][0]
    assert container["pidns_inum"] == attached["target"]["pidns_inums"][0]
    assert attached["target"]["everything"] is False
    assert attached["hooks"] == result.report["hooks"]
    sources = {hook["name"]: hook["source"] for hook in attached["hooks"]}
    assert {"exit", "signal", "fork", "exec", "oom"} <= {name for name in sources if sources[name]}
    for hook in attached["hooks"]:
        assert hook["source"] is not None or hook["degrades"], hook
    assert attached["kernel"] == os.uname().release
    # And doctor foretells it.
    doctor = run_zomtrace("doctor", "--json", json_lines=False)
    told = json.loads(doctor.stdout)
    assert told["usable"] is True
    assert doctor.stderr == ""
    assert [(hook["name"], hook["source"]) for hook in told["hooks"]] == [
        (hook["name"], hook["source"]) for hook in attached["hooks"]
    ]
    for hook in told["hooks"]:
        assert hook["source"] is not None or hook["rejected"], hook


def test_zombies_command_names_each_and_its_parent() -> None:
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", workload("family"), "13", "2", "exit"],
        stdout=subprocess.PIPE, text=True,
    ) as shell:  # fmt: skip
        try:
            assert shell.stdout is not None
            while shell.stdout.readline() != "ready\n":
                assert shell.poll() is None
            init = int(Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text())
            scan = json.loads(run_zomtrace("zombies", "--json", json_lines=False).stdout)
            text = run_zomtrace("zombies", json_lines=False).stdout.decode()
        finally:
            shell.kill()
        wait_for(lambda: not Path(f"/proc/{init}").exists(), "the namespace is gone")
    mine = [one for one in scan["zombies"] if one["parent"]["host_pid"] == init]
    assert len(mine) == 13
    assert {one["comm"] for one in mine} == {"family"}
    assert f"family[{init}]" in text
