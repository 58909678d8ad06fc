"""Captures in one directory: none is lost to another recorder, whatever the clock does."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.captures import header_of, write_capture
from tests.support.forging import WEB
from tests.support.made_host import MadeHost
from tracer.capture.names import CaptureDirectory, capture_name
from tracer.capture.reader import CaptureReader
from tracer.capture.writer import CaptureWriter
from tracer.errors import OutputError
from tracer.live import recorder as recorder_module
from tracer.live.recorder import Recorder, RecordOptions
from tracer.replay.replay import Replay, find_files

HOST = MadeHost(short_lived=7, killed=1, leaked=1, containers=1, workers=2)
HOUR_NS = 3_600 * 10**9


def recorder(path: str | Path, keep: int | None = None) -> Recorder:
    """A recorder that has begun its first file; the next are begun by hand."""
    options = RecordOptions(str(path), rotate_s=None if keep is None else 3_600, keep=keep)
    made = Recorder(options, 1, lambda _: None)
    made.add_event(HOST.attached)
    return made


def rotate(recorder: Recorder) -> Path:
    """Begin another file."""
    recorder._try(recorder._next_file)
    return recorder.paths[-1]


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def plant(directory: Path, host: str, number: int, *, age_s: float = 0.0) -> str:
    """A capture of another trace, so old."""
    name = capture_name(host, 10**18 + number * 10**9, f"{number:032x}"[::-1], 0)
    (directory / name).write_bytes(WEB.read_bytes())
    now = time.time() - age_s
    os.utime(directory / name, (now, now))
    return name


@pytest.fixture(autouse=True)
def web(monkeypatch: pytest.MonkeyPatch) -> None:
    """This host is called web."""
    monkeypatch.setattr(platform, "node", lambda: "web")


def test_recorders_that_begin_at_once_have_a_file_each(tmp_path: Path) -> None:
    recorders = [recorder(f"{tmp_path}/") for _ in range(7)]
    for each in recorders:
        each.close()
    assert len(names(tmp_path)) == 7
    assert {find_files(tmp_path / name)[0][1].trace_id for name in names(tmp_path)} == {
        each._trace_id for each in recorders
    }


def test_a_name_shows_host_time_trace_and_number(tmp_path: Path) -> None:
    made = recorder(f"{tmp_path}/")
    (path,) = made.paths
    made.close()
    header = find_files(path)[0][1]
    created = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(header.created_unix_ns // 10**9))
    assert path.name == f"zomtrace-web-{created}-{header.trace_id[:12]}-000000.arrows"


def test_a_file_that_is_being_written_is_not_taken_from_its_recorder(tmp_path: Path) -> None:
    path = tmp_path / "a.arrows"
    writer = CaptureWriter(path, header_of(HOST))
    with pytest.raises(OutputError, match="is being written by another zomtrace"):
        CaptureWriter(path, header_of(HOST))
    writer.write_event(HOST.attached)
    writer.close()
    CaptureWriter(path, header_of(HOST)).close()


def test_an_earlier_capture_stays_until_the_new_one_has_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_capture(tmp_path / "a.arrows", HOST)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OutputError("full")

    monkeypatch.setattr(CaptureWriter, "_append", fail)
    for name in ("a.arrows", "b.arrows"):
        with pytest.raises(OutputError, match="full"):
            CaptureWriter(tmp_path / name, header_of(HOST))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.arrows"]


# --keep.


@pytest.mark.parametrize(
    "other", ["web-1", "we", "web-20261101T000000Z", "other", "web.example", "WEB"]
)
def test_keep_counts_and_removes_this_hosts_captures_alone(tmp_path: Path, other: str) -> None:
    theirs = [plant(tmp_path, other, number, age_s=1_000) for number in range(4)]
    ours = [plant(tmp_path, "web", number, age_s=100 - number) for number in range(4)]
    made = recorder(f"{tmp_path}/", keep=2)
    made.close()
    assert names(tmp_path) == sorted([*theirs, ours[3], made.paths[0].name])


def test_captures_of_before_names_had_a_trace_count_too(tmp_path: Path) -> None:
    old = "zomtrace-web-20261101T000000Z-000000.arrows"
    other = "zomtrace-web-1-20261101T000000Z-000000.arrows"
    for name in (old, other):
        shutil.copy(WEB, tmp_path / name)
    made = recorder(f"{tmp_path}/", keep=1)
    made.close()
    assert names(tmp_path) == sorted([other, made.paths[0].name])


@pytest.mark.parametrize("name", ["zomtrace-web-notes.arrows", "zomtrace-web-.arrows", "a.arrows"])
def test_what_has_another_name_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    recorder(f"{tmp_path}/", keep=1).close()
    assert name in names(tmp_path)


@pytest.mark.parametrize("steps_h", [[-1], [-1, 2], [5, -9], [-1, -1, -1, 3]])
def test_the_newest_of_a_trace_stay_whatever_the_clock_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_h: list[int]
) -> None:
    """Also beside files of before whose times are in the future."""
    for number in range(3):
        plant(tmp_path, "web", number, age_s=-86_400 * 365)
    made = recorder(f"{tmp_path}/", keep=3)
    now_ns = time.time_ns()
    for step_h in steps_h * 3:
        now_ns += step_h * HOUR_NS
        monkeypatch.setattr(time, "time_ns", lambda now_ns=now_ns: now_ns)
        current = rotate(made)
        os.utime(current, ns=(now_ns, now_ns))
        assert current.exists()
        newest = [path.name for path in made.paths[-3:]]
        assert set(newest) <= set(names(tmp_path))
        assert len(names(tmp_path)) == 3
    made.close()
    assert made.failure is None


def test_a_file_another_recorder_writes_is_never_removed(tmp_path: Path) -> None:
    first, second = recorder(f"{tmp_path}/", keep=2), recorder(f"{tmp_path}/", keep=2)
    for path in (*first.paths, *second.paths):
        os.utime(path, (1, 1))
    for _ in range(4):
        rotate(first)
        assert first.paths[-1].exists()
        assert second.paths[-1].exists()
        assert len(names(tmp_path)) == 2
    rotate(second)
    assert first.paths[-1].exists()
    first.close()
    second.close()
    assert [each.failure for each in (first, second)] == [None, None]
    for path in (first.paths[-1], second.paths[-1]):
        with CaptureReader(path) as reader:
            assert list(reader.read())


@pytest.mark.root
def test_files_of_another_user_neither_count_nor_go(tmp_path: Path) -> None:
    """Or anybody who can write there would have root remove its captures."""
    planted = [plant(tmp_path, "web", number) for number in range(5)]
    for name in planted:
        os.chown(tmp_path / name, 4321, 4321)
    mine = plant(tmp_path, "web", 9, age_s=50)
    made = recorder(f"{tmp_path}/", keep=2)
    made.close()
    assert names(tmp_path) == sorted([*planted, mine, made.paths[0].name])


def test_links_and_directories_of_such_a_name_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    link, directory = (capture_name("web", number, "a" * 32, 0) for number in (1, 10**9))
    (tmp_path / link).symlink_to(target)
    (tmp_path / directory).mkdir()
    recorder(f"{tmp_path}/", keep=1).close()
    assert {link, directory, "target"} < set(names(tmp_path))
    assert target.read_text() == "precious"


def test_no_two_hosts_share_a_name(tmp_path: Path) -> None:
    hosts = ["a b", "a_b", "a/b", "a%20b", "..", "", "host", "ä"]
    made = {capture_name(host, 0, "f" * 32, 0) for host in hosts}
    assert len(made) == len(hosts) - 1
    assert not [name for name in made if "/" in name]


def test_what_others_make_in_a_directory_takes_no_time_of_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A place where everybody can write, full of what is called like captures and is none.
    made = recorder(f"{tmp_path}/", keep=1)
    for number in range(30_000):
        (tmp_path / capture_name("web", 0, f"{number:012x}", 0)).symlink_to("x")
    looks = 0
    look = os.stat

    def counted(*args: Any, **options: Any) -> os.stat_result:
        nonlocal looks
        looks += 1
        return look(*args, **options)

    with monkeypatch.context() as context:
        context.setattr(os, "stat", counted)
        for _ in range(3):
            rotate(made)
    assert looks < 3 * 12_000
    made.close()
    assert [path.exists() for path in made.paths] == [False, False, False, True]


# A disk, or a directory, that goes away.


def test_a_directory_removed_under_a_recorder_ends_it_with_one_line(tmp_path: Path) -> None:
    directory = tmp_path / "captures"
    made = recorder(f"{directory}/", keep=2)
    shutil.rmtree(directory)
    rotate(made)
    with pytest.raises(OutputError, match="No such file or directory"):
        made.finish()
    assert not directory.exists()


FULL = """
set -e
mount -t tmpfs -o size=200k tmpfs {place}
cp {web} {place}/filler
head -c 300000 /dev/zero > {place}/more 2>/dev/null || true
truncate -s -{room} {place}/more
set +e
{command}
echo status $?
ls -A {place}
"""


def on_a_full_disk(place: Path, command: str, room: int = 8_192) -> tuple[str, str]:
    """Run a command in a mount namespace where a directory is a disk of little room."""
    place.mkdir()
    script = FULL.format(place=place, web=WEB, command=command, room=room)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "bash", "-c", script],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout, done.stderr


ZOMTRACE = f"{sys.executable} -m tracer.cli.main"


@pytest.mark.root
@pytest.mark.parametrize("kind", ["csv", "html", "jsonl", "parquet", "perfetto"])
def test_an_export_on_a_full_disk_is_one_line_and_nothing_else(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "disk"
    command = f"{ZOMTRACE} export {WEB} -f {kind} -O {place}/out"
    said, complaint = on_a_full_disk(place, command)
    assert "status 69" in said
    assert len(complaint.splitlines()) == 1
    assert "cannot be written: No space left on device" in complaint
    files = set(said.split("status 69\n")[1].split())
    assert files - {"out"} == {"filler", "more"}


@pytest.mark.root
def test_a_report_on_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    command = (
        f"echo old > {place}/report; truncate -s +4096 {place}/more;"
        f" {ZOMTRACE} report {WEB} --report {place}/report; cat {place}/report"
    )
    said, complaint = on_a_full_disk(place, command, room=4_096)
    assert "No space left on device" in complaint, complaint
    assert "Traceback" not in complaint
    assert "\nold\n" in said
    assert ".part" not in said


@pytest.mark.root
def test_what_was_written_before_a_disk_filled_up_is_read(tmp_path: Path) -> None:
    place, copy = tmp_path / "disk", tmp_path / "copy.arrows"
    code = f"""
from pathlib import Path
from typing import Any
from tests.replay.test_capture_directory import recorder, HOST
made = recorder("{place}/", keep=3)
for records in HOST.records(3):
    made.begin(records); made.position = len(records); made.end()
    made._flush()
    if made.failure: break
made.close()
print(made.failure.message)
import shutil
shutil.copy(made.paths[-1], "{copy}")
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    said, complaint = on_a_full_disk(
        place, f"PYTHONPATH={Path.cwd()} {sys.executable} {script}", room=20_480
    )
    assert "the capture ends after" in said, (said, complaint)
    assert "complete up to there" in said
    replay = Replay(copy)
    assert replay.conclude() is not None
    assert replay.cuts == [(copy, copy.stat().st_size)]


def test_a_directory_is_looked_at_before_the_first_file_is_made(tmp_path: Path) -> None:
    """A file of this trace is none of those that were there before."""
    made = recorder(f"{tmp_path}/", keep=1)
    assert isinstance(made._captures, CaptureDirectory)
    assert not made._captures._before
    made.close()


def test_what_was_held_for_long_enough_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    clock = SimpleNamespace(monotonic=lambda: now_s, time_ns=time.time_ns)
    monkeypatch.setattr(recorder_module, "time", clock)
    made = recorder(tmp_path / "a.arrows")
    records = next(HOST.records())[:3]
    made.begin(records)
    made.end()
    now_s += recorder_module.FLUSH_S - 0.01
    assert not made.tick()
    assert (made.is_holding, made.records) == (True, 0)
    now_s += 0.02
    assert not made.tick()
    assert (made.is_holding, made.records) == (False, 3)
    # It can be read though the recorder has not ended.
    with CaptureReader(tmp_path / "a.arrows") as reader:
        batches = [item for item in reader.read() if isinstance(item, np.ndarray)]
    assert [len(batch) for batch in batches] == [3]
    made.close()
