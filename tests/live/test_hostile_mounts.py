"""Mounts of other users: odd names, and file systems that they serve themselves."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.strangers import PrivateHost
from tests.support.waiting import wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


# Space, tab, line feed and backslash are escaped in mountinfo, and nothing else.
@pytest.mark.parametrize("name", ["a\rb", "a\x0c\x1cb", "a\u2028b", "a \n - b", "\udcff"])
def test_doctor_looks_around_whatever_mount_points_are_called(host: PrivateHost, name: str) -> None:
    where = f"/run/{name}"
    host.as_root("mkdir", where)
    host.as_root("mount", "-t", "tmpfs", "none", where)
    result = host.zomtrace("doctor", "--json", status=None, json_lines=False)
    checks = {check["name"]: check["state"] for check in json.loads(result.stdout)["checks"]}
    assert checks["/proc"] == checks["pid namespace"] == "ok"


def test_a_user_who_mounts_over_a_directory_of_captures_does_not_hold_the_recording(
    host: PrivateHost,
) -> None:
    captures = Path("/run/user/4321/captures")
    host.as_user(f"mkdir {captures}")
    inum = Path(f"/proc/{host.container_of_root()}/ns/pid").stat().st_ino
    recording = host.start_zomtrace(
        "record", "--pidns", str(inum), "-w", f"{captures}/", "--rotate", "1s", json_lines=False
    )
    with recording:
        wait_for(lambda: any(host.path(captures).iterdir()), "it has begun a file")
        host.mount_silent_fuse(captures)
        result = recording.finish(status=69)
    assert "user 4321 serves that file system" in result.stderr


@pytest.mark.parametrize("option", ["-w", "--report"])
def test_nothing_is_written_to_a_file_system_that_another_user_serves(
    host: PrivateHost, option: str
) -> None:
    theirs = Path("/run/user/4321/theirs")
    host.as_user(f"mkdir {theirs}")
    host.mount_silent_fuse(theirs)
    result = host.zomtrace("--all", option, f"{theirs}/file.html", status=69)
    assert "user 4321 serves that file system" in result.stderr


@pytest.mark.parametrize(
    "command",
    [("report",), ("why", "--pid", "1"), ("export", "--format", "jsonl", "-O", "/run/out")],
)
@pytest.mark.parametrize("what", ["a capture", "its directory"])
def test_a_reader_of_a_capture_that_never_comes_ends_by_a_signal(
    host: PrivateHost, command: tuple[str, ...], what: str
) -> None:
    theirs = Path("/run/user/4321/theirs")
    host.as_user(f"mkdir {theirs}")
    host.mount_silent_fuse(theirs)
    where = theirs / "x.arrows" if what == "a capture" else theirs
    with host.start_zomtrace(*command, str(where), json_lines=False) as reading:
        wait_for(lambda: _waits_for_fuse(reading.process.pid), "it waits for the file system")
        reading.interrupt(signal.SIGTERM).finish(status=-signal.SIGTERM)
    assert "terminated by SIGTERM" in reading.stderr


def _waits_for_fuse(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return any("fuse" in (thread / "wchan").read_text() for thread in threads)
