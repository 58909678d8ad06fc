"""Names of rotated captures, in a directory where others make and remove files."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import pytest

from tests.support.forging import WEB
from tests.support.made_host import MadeHost
from tracer.capture import names
from tracer.capture.names import capture_name
from tracer.live.recorder import Recorder, RecordOptions
from tracer.model.events import EndEvent
from tracer.replay.replay import find_files

HOST = MadeHost(short_lived=1, killed=1, leaked=1, containers=1, workers=2)


@pytest.fixture(autouse=True)
def web(monkeypatch: pytest.MonkeyPatch) -> None:
    """This host is called web."""
    monkeypatch.setattr(platform, "node", lambda: "web")


def recorder(path: str, keep: int) -> Recorder:
    """A recorder that has begun its first file."""
    made = Recorder(RecordOptions(path, rotate_s=3_600, keep=keep), 1, lambda _: None)
    made.add_event(HOST.attached)
    return made


def rotate(recorder: Recorder) -> Path:
    """Begin another file."""
    recorder._try(recorder._next_file)
    return recorder.paths[-1]


@pytest.mark.root
@pytest.mark.parametrize("what", ["file", "link", "fifo", "directory"])
def test_who_takes_the_names_of_the_next_files_does_not_end_the_recording(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    made = recorder(f"{tmp_path}/", keep=2)
    # The first file shows the trace; the time is no secret either.
    monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    for number in (1, 2):
        taken = tmp_path / capture_name("web", time.time_ns(), made._trace_id, number)
        if what == "file":
            taken.write_text("no capture")
        elif what == "link":
            taken.symlink_to("/etc/passwd")
        elif what == "fifo":
            os.mkfifo(taken)
        else:
            taken.mkdir()
        os.chown(taken, 4321, 4321, follow_symlinks=False)
        before = taken.lstat()
        path = rotate(made)
        assert made.failure is None
        assert path != taken
        assert path.stat().st_uid == os.geteuid()
        assert taken.lstat() == before
    made.add_event(EndEvent(HOST.attached.boot_ns + 1, "until"))
    made.finish()
    assert [path.exists() for path in made.paths] == [False, True, True]
    assert [header.sequence for _, header in find_files(made.paths[1:])] == [1, 2]


def test_a_capture_that_goes_as_it_is_to_be_removed_does_not_end_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / capture_name("web", 10**18, "0" * 32, 0)
    old.write_bytes(WEB.read_bytes())
    made = recorder(f"{tmp_path}/", keep=1)

    def removed_meanwhile(name: str, directory_fd: int) -> bool:
        os.unlink(name, dir_fd=directory_fd)
        return False

    old.write_bytes(WEB.read_bytes())
    monkeypatch.setattr(names, "is_being_written", removed_meanwhile)
    rotate(made)
    assert made.failure is None
    assert not old.exists()
    made.close()
