"""Where captures are read from: what is no file, not ours to read, or changes meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.forging import WEB
from tests.support.measured import run

PROMISED_KB = 150_000


@pytest.mark.parametrize("command", ["report", "why", "export"])
def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path: Path, command: str) -> None:
    fifo, empty, directory = tmp_path / "fifo", tmp_path / "empty", tmp_path / "directory"
    os.mkfifo(fifo)
    empty.touch()
    directory.mkdir()
    more = ["-f", "csv", "-O", str(tmp_path / "out")] if command == "export" else []
    began = time.monotonic()
    for path, status, expected in (
        ("/dev/zero", 69, "a device"),
        (fifo, 69, "a FIFO"),
        (empty, 69, "not a capture"),
        (directory, 69, "it contains no capture"),
        (tmp_path / "none", 69, "No such file"),
        ("", 2, "path is empty"),
    ):
        found, said, _, memory_kb = run(command, path, *more)
        assert (found, memory_kb < PROMISED_KB) == (status, True), said
        assert expected in said
        assert len(said.splitlines()) <= 2
    assert time.monotonic() - began < 60


@pytest.mark.root
@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_capture_one_may_not_read_is_a_matter_of_privilege(tmp_path: Path, place: str) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    path = closed / "web.arrows"
    path.write_bytes(WEB.read_bytes())
    named = path if place == "file" else closed
    done = subprocess.run(
        ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", "--inh-caps=-all",
         sys.executable, "-m", "tracer.cli.main", "report", named],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 77, done.stderr
    assert f"{named}: no permission to read it" in done.stderr
    assert "sudo install" in done.stderr


def test_a_capture_cut_by_its_owner_while_it_is_read_is_an_end_not_a_crash(tmp_path: Path) -> None:
    code = f"""
import os, shutil
from pathlib import Path
from tracer.capture.reader import CaptureReader
path = Path({str(tmp_path / "web.arrows")!r})
shutil.copy({str(WEB)!r}, path)
with CaptureReader(path) as reader:
    items = reader.read()
    next(items)
    os.truncate(path, 5000)
    print(sum(1 for _ in items), reader.is_cut)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[1:]) == (0, ["True"]), done.stderr
