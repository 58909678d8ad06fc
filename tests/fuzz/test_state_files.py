"""State of containers that somebody made up: it hides nobody's, and costs next to nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import state_reader
from tests.fuzz.bounds import WHOLE_RUN, Worker, cases, draw_named
from tests.fuzz.json_values import spoil_json
from tests.support.containers import WEB_ID, a_runc_state, cri_annotations, start_ticks
from tests.support.waiting import wait_for
from tracer.containers.resolve import running_containers
from tracer.procfs.status import ProcStat

pytestmark = WHOLE_RUN
MALLORY = 4321
TASKS = "containerd/io.containerd.runtime.v2.task"
STORE = "storage/overlay-containers"
NAMES = st.sampled_from([
    "x", WEB_ID, "web", "db", "a.b", "-rf", "...", " ", "x" * 255, "a\nb", "\x1b[2J", "\u202ex",
    "\udcff\udcfe", "\u65e5",
])  # fmt: skip
MANY = 700
"""More entries than a user's state is read of."""


class Place:
    """A directory for what is made up, and processes that it may speak of."""

    def __init__(self, directory: Path, worker: Worker, process: subprocess.Popen[bytes]) -> None:
        self.worker = worker
        self.pid = process.pid
        self.root = directory / "written"
        self.real = directory / "real"
        a_runc_state(self.real, state_reader.REAL_NAME, os.getpid())

    def look(self, *, is_users: bool) -> None:
        """Have the worker find what is there."""
        owner_uid = MALLORY if is_users else None
        if is_users:
            for directory, names, files in os.walk(self.root):
                for name in (".", *names, *files):
                    os.lchown(Path(directory, name), MALLORY, MALLORY)
        self.worker.look({
            "written": str(self.root), "owner_uid": owner_uid, "real": str(self.real),
            "real_pid": os.getpid(),
        })  # fmt: skip

    def clear(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()

    def file(self, path: str, *, name: str) -> Path | None:
        """Where a file of a container goes; None where there is something already."""
        file = self.root / path.replace("ID", name)
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            file.parent.mkdir(parents=True, exist_ok=True)
        return file if file.parent.is_dir() and not os.path.lexists(file) else None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One of all; where root tests, its process is in a user namespace of Mallory's."""
    become = ["setpriv", f"--reuid={MALLORY}", f"--regid={MALLORY}", "--clear-groups",
              "unshare", "--user"]  # fmt: skip
    with (
        Worker(state_reader.__name__) as worker,
        subprocess.Popen([*(become if os.geteuid() == 0 else ()), "sleep", "1000"]) as process,
    ):
        stat_file = Path(f"/proc/{process.pid}/stat")
        try:
            wait_for(lambda: ProcStat.parse(stat_file.read_bytes()).comm == "sleep", "it sleeps")
            yield Place(tmp_path_factory.mktemp("state"), worker, process)
        finally:
            process.kill()


def right_files(pid: int, root: Path) -> dict[str, Any]:
    """What runtimes write of one container, by where; ID stands for its name."""
    ticks = start_ticks(pid)
    pod = cri_annotations("web", "default/pod")
    podmans = {"io.container.manager": "libpod", "org.opencontainers.image.stopSignal": "TERM"}
    return {
        "runc/ID/state.json": {
            "init_process_pid": pid, "init_process_start": ticks,
            "config": {"labels": ["bundle=/x", *(f"{key}={value}" for key, value in pod.items())]},
        },
        "crun/ID/status": {
            "pid": pid, "process-start-time": ticks, "bundle": f"{root / STORE}/ID/userdata",
        },
        "crun/ID/config.json": {"annotations": podmans},
        f"{STORE}/containers.json": [{"id": "ID", "names": ["db"]}],
        f"{TASKS}/k8s.io/ID/init.pid": pid,
        f"{TASKS}/k8s.io/ID/config.json": {
            "annotations": {**pod, "nerdctl/name": "n", "nerdctl/stop-timeout": "10"},
        },
    }  # fmt: skip


def encoded(data: st.DataObject, value: Any) -> bytes:
    """A file that holds a value, or nearly."""
    text = json.dumps(value).encode()
    choices = {
        "right": text, "right too": text, "as it is": text, "half": text[: len(text) // 2],
        "BOM": b"\xef\xbb\xbf" + text, "twice": text + text, "empty": b"", "no UTF-8": b"\xff",
        "NUL": b"\0" * 9, "deep lists": b"[" * 200_000, "deep objects": b'{"a":' * 100_000,
        "wide": b"[" + b"[]," * 300_000 + b"[]]", "NaN": b"NaN", "long": b'"%s"' % (b"x" * 900_000),
        "digits": b"9" * 100_000, "infinite": b"1e999", "negative": b"-1", "odd digit": b"\xd9\xa3",
    }  # fmt: skip
    return bytes(draw_named(data, "bytes", choices))


def plant(data: st.DataObject, file: Path, content: bytes) -> None:
    """Put a file in its place, or what is none."""
    kind = data.draw(
        st.sampled_from([
            "file", "file", "file", "file", "nothing", "link", "loop", "directory", "pipe",
            "socket", "sparse", "closed", "open", "parent",
        ]),
        label="kind",
    )  # fmt: skip
    match kind:
        case "link":
            elsewhere = ["/etc/passwd", "/dev/zero", "/proc/self/mem", "..", str(file.parent)]
            file.symlink_to(data.draw(st.sampled_from(elsewhere), label="target"))
        case "loop":
            file.symlink_to(file.name)
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                # A socket's path has at most 107 bytes.
                here = os.open(file.parent, os.O_PATH)
                listener.bind(f"/proc/self/fd/{here}/.new")
                os.rename(".new", file.name, src_dir_fd=here, dst_dir_fd=here)
                os.close(here)
        case "sparse":
            with file.open("wb") as writer:
                writer.truncate(1 << 40)
        case "parent":
            # In its directory's place.
            shutil.rmtree(file.parent)
            file.parent.write_bytes(content)
        case "file" | "closed" | "open":
            file.write_bytes(content)
            mode = {"file": 0o644, "closed": 0, "open": 0o666}[kind]
            file.chmod(mode)
        case "nothing":
            pass


@cases(300)
@given(data=st.data())
def test_state_that_is_made_up_hides_nothing_and_ends_soon(
    place: Place, data: st.DataObject
) -> None:
    place.clear()
    right = right_files(place.pid, place.root)
    for name in data.draw(st.lists(NAMES, min_size=1, max_size=3, unique=True), label="names"):
        chosen = st.lists(st.sampled_from(list(right)), min_size=1, max_size=6, unique=True)
        for path in data.draw(chosen, label="files"):
            value = json.loads(json.dumps(right[path]).replace("ID", json.dumps(name)[1:-1]))
            if isinstance(value, (dict, list)):
                for _ in range(data.draw(st.integers(0, 2), label="spoilt")):
                    value = spoil_json(data, value) if value else value
            file = place.file(path, name=name)
            if file is not None:
                plant(data, file, encoded(data, value))
    is_users = os.geteuid() == 0 and data.draw(st.booleans(), label="a user's")
    place.look(is_users=is_users)


@cases(12)
@given(data=st.data())
def test_state_of_many_entries_hides_nothing_and_ends_soon(
    place: Place, data: st.DataObject
) -> None:
    place.clear()
    right = right_files(place.pid, place.root)
    path = data.draw(st.sampled_from(list(right)), label="file")
    content = encoded(data, right[path])
    first = place.root / "first"
    first.write_bytes(content)
    for number in range(MANY):
        another = place.file(path, name=f"n{number}")
        if another is not None:
            another.hardlink_to(first)
    place.look(is_users=os.geteuid() == 0)


def test_both_outcomes_were_met(place: Place) -> None:
    place.worker.has_met("read", "refused")


def test_what_runtimes_really_write_is_found(place: Place) -> None:
    """What is spoilt was right before."""
    place.clear()
    for path, value in right_files(place.pid, place.root).items():
        file = place.file(path, name="x")
        assert file is not None
        file.write_text(json.dumps(value).replace("ID", "x"))
    paths = state_reader.paths_of(
        {"written": str(place.root), "owner_uid": None, "real": str(place.real)}
    )
    assert {one.id for one in running_containers(paths)} == {"x", state_reader.REAL_NAME}
