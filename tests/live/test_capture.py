"""Captures of real traces: replayed they say what the trace said, whatever befell them."""

from __future__ import annotations

import json
import shutil
import signal
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracer
from tests.support.containers_at_work import start
from tests.support.dockerd import Dockerd
from tests.support.noise import storm
from tests.support.waiting import wait_for
from tests.support.workloads import workload, workload_files
from tests.support.zomtrace_process import Zomtrace, zomtrace_command
from tracer.capture.reader import CaptureReader
from tracer.wire.header import KIND_NAMES


def zomtrace(*args: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run zomtrace until it ends by itself."""
    done = subprocess.run(
        [*zomtrace_command(), *args], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def record(*args: str | Path, **options: object) -> Zomtrace:
    """A running ``zomtrace record``, attached."""
    recorder = Zomtrace("record", *args, json_lines=False, **options)  # type: ignore[arg-type]
    recorder.wait_stderr("press Ctrl-C to stop", within_s=60)
    return recorder


def kinds_in(path: Path) -> Counter[str]:
    """How many records of each kind a capture holds by now."""
    with CaptureReader(path) as reader:
        items = list(reader.columns(("kind",)))
    batches = [item["kind"].tolist() for item in items if isinstance(item, dict)]
    return Counter(KIND_NAMES[kind] for batch in batches for kind in batch)


@pytest.fixture(scope="module")
def work(dockerd: Dockerd) -> str:
    """An image with the workloads."""
    return dockerd.import_image("zt-capture", workload_files("family"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", mount], check=True)
    yield mount
    subprocess.run(["umount", mount], check=True)


# Equal.


def test_a_docker_stop_is_replayed_byte_for_byte(
    docker: Dockerd, work: str, tmp_path: Path
) -> None:
    start(docker, work, "family", "13", "7", "exit")
    capture, live = tmp_path / "web.arrows", tmp_path / "live.json"
    options = ("-c", "web", "-w", capture, "--report", live, "--min-zombie", "0.1")
    with Zomtrace(*options, env=docker.env) as trace:
        trace.wait_attached()
        docker.cli("stop", "-t", "5", "web")
        result = trace.finish()
    assert stat.S_IMODE(capture.stat().st_mode) == 0o600
    assert len(result.report["stops"]) == 1

    replayed = tmp_path / "replayed.json"
    done = zomtrace("report", capture, "--json", "--report", replayed)
    assert done.stderr == ""
    assert replayed.read_bytes() == live.read_bytes()
    assert done.stdout.encode() == result.stdout.splitlines(keepends=True)[-1]

    lines = tmp_path / "lines.jsonl"
    zomtrace("export", capture, "-f", "jsonl", "-O", lines)
    assert lines.read_bytes() == result.stdout

    cap = tracer.open_capture(capture)
    assert not cap.is_cut
    assert cap.stops()["sigkilled"].tolist() == [7]
    assert cap.stops()["already_zombie"].tolist() == [13]

    story = zomtrace("why", capture, "-c", "web", "--utc").stdout
    for told in ("runc", "SIGTERM", "family has a handler for SIGTERM", "7 x family died of it"):
        assert told in " ".join(story.split()), story


def test_a_run_is_replayed_byte_for_byte_and_by_anyone(tmp_path: Path) -> None:
    capture, live = tmp_path / "run.arrows", tmp_path / "live.json"
    options = ("-w", capture, "--report", live, "--grace", "0.5")
    with Zomtrace("run", *options, "--", workload("family"), "5", "3", "ignore") as trace:
        trace.wait_stderr("ready\n")
        trace.stop_tracing()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        copy = Path(directory) / "copy.arrows"
        copy.write_bytes(capture.read_bytes())
        copy.chmod(0o644)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        done = subprocess.run(
            [*nobody, "env", "-i", *zomtrace_command(), "report", str(copy), "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert json.loads(done.stdout) == json.loads(live.read_text())


def test_checks_hold_for_a_replay_too(tmp_path: Path) -> None:
    capture = tmp_path / "run.arrows"
    options = ("-w", capture, "--stop-after", "0.3", "--grace", "0.3")
    with Zomtrace("run", *options, "--", "sleep", "100") as trace:
        trace.finish()
    assert "ZT101" in zomtrace("report", capture, "--fail-on", "ZT101", status=1).stderr
    zomtrace("report", capture, "--fail-on", "ZT104")


# What befalls a recorder.


def test_a_recorder_that_is_killed_loses_at_most_a_second(
    docker: Dockerd, work: str, tmp_path: Path
) -> None:
    start(docker, work, "family", "5", "3", "exit")
    capture = tmp_path / "web.arrows"
    with record("-c", "web", "-w", capture, env=docker.env) as recorder:
        docker.cli("exec", "web", "/bin/true")
        wait_for(lambda: kinds_in(capture)["exit"], "the exit in the file")
        before = kinds_in(capture)
        recorder.process.send_signal(signal.SIGKILL)
        recorder.process.wait()
    done = zomtrace("report", capture)
    assert "the last whole batch" in done.stderr
    assert kinds_in(capture) >= before
    cap = tracer.open_capture(capture)
    assert cap.is_cut
    assert {"process", "fork", "exec", "exit"} <= set(cap.events()["kind"])


def test_a_full_disk_ends_a_recording_with_one_line(small_disk: Path) -> None:
    capture = small_disk / "host.arrows"
    with storm(), record("--all", "-w", capture) as recorder:
        recorder.finish(status=69, within_s=60)
        complaint = recorder.stderr
    assert complaint.count("No space left on device") == 1
    assert "Traceback" not in complaint
    written = capture.stat().st_size
    assert written > 100_000
    with CaptureReader(capture) as reader:
        assert sum(1 for _ in reader.read()) > 1
        assert reader.is_cut
        assert reader.end_offset == written
    zomtrace("report", capture)


def test_a_full_disk_does_not_end_the_trace_beside_it(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 20_000))
    capture = small_disk / "run.arrows"
    options = ("-w", capture, "--grace", "1")
    with Zomtrace("run", *options, "--", workload("family"), "97", "7", "ignore") as trace:
        trace.wait_stderr("ready\n")
        result = trace.stop_tracing(status=69)
    assert result.report["stops"][0]["already_zombie"] == 97
    assert "tracing continues" in result.stderr
    with CaptureReader(capture) as reader:
        assert list(reader.read())
        assert reader.end_offset == capture.stat().st_size


def test_a_file_that_cannot_be_made_ends_the_trace_before_it_begins(tmp_path: Path) -> None:
    done = zomtrace("run", "-w", tmp_path / "no" / "a.arrows", "--", "true", status=69)
    assert "is not a directory" in done.stderr


def test_a_corrupt_capture_is_named_with_its_offset(tmp_path: Path) -> None:
    capture = tmp_path / "run.arrows"
    with Zomtrace("run", "-w", capture, "--", "true") as trace:
        trace.finish()
    data = bytearray(capture.read_bytes())
    data[len(data) * 2 // 3] ^= 0x40
    capture.write_bytes(data)
    for command in (("report",), ("why",), ("export", "-f", "csv", "-O", tmp_path / "csv")):
        done = zomtrace(command[0], capture, *command[1:], status=69)
        assert f"{capture}: corrupt at byte " in done.stderr
        assert "Traceback" not in done.stderr


# Left running.


def test_a_whole_host_is_recorded_in_rotated_files(
    docker: Dockerd, work: str, tmp_path: Path
) -> None:
    directory = tmp_path / "captures"
    options = ("--all", "-w", f"{directory}/", "--rotate", "100kB", "--keep", "50")
    with record(*options, env=docker.env) as recorder, storm() as noise:
        start(docker, work, "family", "5", "3", "exit")
        # Long enough for the engine to be asked who it is.
        wait_for(
            lambda: any(b'"name": "web"' in each.read_bytes() for each in directory.iterdir()),
            "the container's name",
        )
        docker.cli("stop", "-t", "5", "web")
        noise.end()
        recorder.stop_tracing()
        said = recorder.stderr
    files = sorted(directory.iterdir())
    assert len(files) > 1
    assert "events recorded in" in said
    for path in files:
        zomtrace("report", path)
    report = json.loads(zomtrace("report", directory, "-c", "web", "--json").stdout)
    (stop,) = report["stops"]
    assert (stop["container_name"], stop["sigkilled"], stop["already_zombie"]) == ("web", 3, 5)
    assert "web" in zomtrace("why", directory, "-c", "web").stdout
    stops = tracer.read_dataset(directory).stops()
    assert stops["container_name"].eq("web").sum() == 1
