"""The capture format: what is written is read, and nothing else ever is."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.captures import header_of, write_capture
from tests.support.made_host import MadeHost
from tracer.capture.reader import CaptureReader
from tracer.capture.record_bounds import RECORD_BOUNDS
from tracer.capture.schema import (
    SEAL_KEY,
)
from tracer.capture.seal import BLANK_SEAL, seal, split_first
from tracer.capture.typed_json import MAX_TEXT
from tracer.capture.writer import CaptureWriter
from tracer.errors import CaptureError, OutputError
from tracer.model.events import (
    ContainerEvent,
    EndEvent,
    LossEvent,
    ObservationEvent,
)
from tracer.model.identity import ProcessKey
from tracer.wire.layout import RECORD

HOST = MadeHost(short_lived=7, killed=1, leaked=1, containers=1, workers=2)


def read_all(path: Path) -> tuple[list[Any], bool, int]:
    """Everything in a file, whether it was cut, and where."""
    with CaptureReader(path) as reader:
        items = list(reader.read())
        return items, reader.is_cut, reader.end_offset


def read_or_refuse(path: Path) -> tuple[str | None, tuple[list[Any], bool, int]]:
    """The message of a refusal, or everything in the file."""
    try:
        return None, read_all(path)
    except CaptureError as error:
        return error.message, ([], False, 0)


def same(left: Any, right: Any) -> bool:
    """Whether two things read are equal."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return type(left) is type(right) and bool(np.array_equal(left, right))
    return bool(left == right)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small capture, ended in order."""
    return write_capture(tmp_path_factory.mktemp("capture") / "whole.arrows", HOST, batch=3)


def test_records_and_events_come_back_in_the_order_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "a.arrows"
    records = next(HOST.records())
    between: list[Any] = [
        ObservationEvent(5, "docker", ProcessKey(4, 2), {"action": "kill", "more": [1, None]}),
        ContainerEvent(6, HOST.container(0)),
        LossEvent(7, {"signal": 3}),
        LossEvent(8, {"signal": 3, "late": 1}, 6),
        EndEvent(9, "interrupted"),
    ]
    writer = CaptureWriter(path, header_of(HOST))
    written: list[Any] = []
    for number, event in enumerate([HOST.attached, *between]):
        writer.write_event(event)
        batch = records[number * 2 : number * 2 + 2]
        writer.write_records(batch)
        written += [event, batch]
    writer.close()
    items, is_cut, end = read_all(path)
    assert len(items) == len(written)
    assert all(same(read, wrote) for read, wrote in zip(items, written, strict=True))
    assert not is_cut
    assert end == path.stat().st_size


def test_every_member_of_the_record_survives(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    raw = random.integers(0, 256, (11, RECORD.itemsize), np.uint8)
    records = raw.view(RECORD).reshape(11)
    records["kind"], records["pad"] = 1, 0
    for name, (least, most) in RECORD_BOUNDS.items():
        kind = records[name].dtype
        records[name] = random.integers(least, most, 11, np.int64, endpoint=True).astype(kind)
    records["exit_code"] &= 0xFF00
    records["boot_ns"] = range(11)
    path = tmp_path / "a.arrows"
    writer = CaptureWriter(path, header_of(HOST))
    writer.write_records(records)
    writer.close()
    (read,), _, _ = read_all(path)
    for name in RECORD.names or ():
        assert np.array_equal(read[name], records[name]), name


def test_the_header_shows_where_the_capture_is_from(whole: Path) -> None:
    with CaptureReader(whole) as reader:
        assert reader.header == header_of(HOST)
        assert reader.header.kernel == "6.18.0"


def test_any_arrow_reader_can_open_it(whole: Path) -> None:
    with pa.OSFile(str(whole)) as file, pa.ipc.open_stream(file) as stream:
        table = stream.read_all()
    assert table.num_rows == sum(len(batch) for batch in HOST.records(3))
    assert {"boot_ns", "kind", "host_pid", "comm"} <= set(table.column_names)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = write_capture(tmp_path / "a.arrows", HOST)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_earlier_capture_is_replaced_not_written_through(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "a.arrows", HOST)
    path.chmod(0o644)
    link = tmp_path / "b.arrows"
    os.link(path, link)
    before = link.read_bytes()
    write_capture(path, MadeHost(short_lived=1))
    assert link.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["text", "symlink", "directory", "fifo"])
def test_what_is_no_capture_is_left_alone(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "a.arrows", tmp_path / "other"
    other.write_text("precious")
    if kind == "text":
        path.write_text("root:x:0:0")
    elif kind == "symlink":
        path.symlink_to(other)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(OutputError, match=str(path)):
        write_capture(path, HOST)
    assert other.read_text() == "precious"
    assert path.is_symlink() == (kind == "symlink")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_capture(tmp_path / "none" / "a.arrows", HOST)


# Cut and corrupt.


def test_a_capture_cut_anywhere_is_read_up_to_its_last_whole_batch(
    whole: Path, tmp_path: Path
) -> None:
    data = whole.read_bytes()
    expected, _, _ = read_all(whole)
    path = tmp_path / "cut.arrows"
    header_size = len(split_first(data)[0])
    number_read = []
    for size in (*range(header_size, len(data) - 8, 97), len(data) - 8, len(data) - 1):
        path.write_bytes(data[:size])
        items, is_cut, end = read_all(path)
        assert is_cut
        assert end <= size
        assert all(same(read, wrote) for read, wrote in zip(items, expected, strict=False))
        number_read.append(len(items))
    assert number_read == sorted(number_read)
    assert number_read[-1] == len(expected)


def test_a_file_cut_within_its_header_is_no_capture(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.arrows"
    header_size = len(split_first(whole.read_bytes())[0])
    for size in range(0, header_size, 37):
        path.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(CaptureError, match="not a capture: no complete header"):
            CaptureReader(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_flipped_bit_is_an_error_with_its_offset_never_another_capture(
    whole: Path, tmp_path: Path, data: st.DataObject
) -> None:
    good = whole.read_bytes()
    expected, _, _ = read_all(whole)
    at = data.draw(st.integers(0, len(good) - 1), label="byte")
    bit = data.draw(st.integers(0, 7), label="bit")
    bad = bytearray(good)
    bad[at] ^= 1 << bit
    path = tmp_path / "bad.arrows"
    path.write_bytes(bad)
    refusal, (items, is_cut, end) = read_or_refuse(path)
    if refusal is not None:
        assert str(path) in refusal
        assert "at byte" in refusal or "its header" in refusal
    else:
        # All that can pass for an unfinished write is the length of the last message.
        assert is_cut
        assert end <= at
        assert all(same(read, wrote) for read, wrote in zip(items, expected, strict=False))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_bytes_put_in_anywhere_never_end_in_a_traceback(
    whole: Path, tmp_path: Path, data: st.DataObject
) -> None:
    good = whole.read_bytes()
    at = data.draw(st.integers(0, len(good)), label="byte")
    junk = data.draw(st.binary(min_size=1, max_size=40), label="junk")
    skipped = data.draw(st.integers(0, 40), label="skipped")
    path = tmp_path / "bad.arrows"
    path.write_bytes(good[:at] + junk + good[at + skipped :])
    refusal, _ = read_or_refuse(path)
    assert refusal is None or str(path) in refusal


@given(junk=st.binary(max_size=300))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_file_is_no_capture(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "junk"
    path.write_bytes(junk)
    with pytest.raises(CaptureError):
        read_all(path)


def test_a_record_of_an_unknown_kind_is_corrupt_not_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "a.arrows"
    writer = CaptureWriter(path, header_of(HOST))
    records = next(HOST.records())[:1].copy()
    records["kind"] = 99
    writer.write_records(records)
    writer.close()
    with pytest.raises(CaptureError, match=r"corrupt at byte .* kind 99"):
        read_all(path)


def test_an_arrow_stream_of_something_else_is_reported_so(tmp_path: Path) -> None:
    path = tmp_path / "other.arrows"
    schema = pa.schema([pa.field("a", pa.int32())], metadata={SEAL_KEY: BLANK_SEAL})
    path.write_bytes(seal(schema.serialize().to_pybytes()))
    with pytest.raises(CaptureError, match="not a capture of zomtrace"):
        CaptureReader(path)


# A writer that comes to grief.


def test_a_full_disk_leaves_the_file_whole_up_to_there(tmp_path: Path) -> None:
    """RLIMIT_FSIZE refuses a write in its middle, as a disk does that fills up."""
    path = tmp_path / "full.arrows"
    code = f"""
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.support.captures import header_of
from tests.support.made_host import MadeHost
from tracer.errors import OutputError
from tracer.capture.writer import CaptureWriter
host = MadeHost(short_lived=2000)
writer = CaptureWriter(Path({str(path)!r}), header_of(host))
resource.setrlimit(resource.RLIMIT_FSIZE, (40_001, 40_001))
written = 0
try:
    for records in host.records(100):
        writer.write_records(records)
        written += len(records)
except OutputError as error:
    print(written, writer.size)
    print(error.message, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    written, size = map(int, done.stdout.split())
    assert "complete up to there" in done.stderr
    assert path.stat().st_size == size <= 40_001
    items, is_cut, end = read_all(path)
    assert is_cut
    assert end == size
    assert sum(len(batch) for batch in items) == written > 0


def test_a_recorder_killed_in_the_act_loses_no_batch_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "killed.arrows"
    code = f"""
from pathlib import Path
from tests.support.captures import header_of
from tests.support.made_host import MadeHost
from tracer.capture.writer import CaptureWriter
host = MadeHost(short_lived=1_000_000)
writer = CaptureWriter(Path({str(path)!r}), header_of(host))
written = 0
for records in host.records(500):
    writer.write_records(records)
    written += len(records)
    print(written, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(13):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    items, is_cut, _ = read_all(path)
    assert is_cut
    assert sum(len(batch) for batch in items) >= told


def test_a_long_name_does_not_make_the_rest_unreadable(tmp_path: Path) -> None:
    """What an engine or a command line says is somebody else's; it is cut as it is kept."""
    path = tmp_path / "a.arrows"
    container = replace(
        HOST.container(0), name="x" * 3_000_000, pod="\ud800" * 100_000, stop_signo=4_000,
        stop_timeout_s=float("inf"), init_host_pid=-3, runtime_pids=(1 << 70,),
    )  # fmt: skip
    told = ObservationEvent(-5, "docker", None, {"error": "y" * 1_000_000, "more": ["z" * 100_000]})
    writer = CaptureWriter(path, header_of(HOST))
    for event in (ContainerEvent(4, container), told, HOST.end):
        writer.write_event(event)
    writer.close()
    items, is_cut, _ = read_all(path)
    assert not is_cut
    assert [type(item) for item in items] == [ContainerEvent, ObservationEvent, EndEvent]
    assert items[0].container.name == "x" * MAX_TEXT
    assert items[0].container.stop_signo == 64
    assert items[1].boot_ns == 0
    assert items[1].values == {"error": "y" * MAX_TEXT, "more": ["z" * MAX_TEXT]}


def test_the_header_alone_is_a_capture_too(tmp_path: Path) -> None:
    path = tmp_path / "empty.arrows"
    CaptureWriter(path, header_of(HOST)).close()
    assert read_all(path) == ([], False, path.stat().st_size)
