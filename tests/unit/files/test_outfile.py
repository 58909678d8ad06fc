"""Files root writes: nobody else decides where they go, and they are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forging import WEB
from tracer.errors import OutputError
from tracer.files.outfile import NewFiles, check_new_file, is_capture_at, new_file
from tracer.files.place import find_place, open_directory
from tracer.live.recorder import Recorder, RecordOptions
from tracer.tables.capture import Capture
from tracer.tables.export import export_csv, export_jsonl, export_parquet
from tracer.tables.pictures import export_html, export_perfetto

STRANGER = 4321
EXPORTS = {
    "csv": export_csv,
    "html": export_html,
    "jsonl": export_jsonl,
    "parquet": export_parquet,
    "perfetto": export_perfetto,
}


def zomtrace(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run zomtrace on something that needs no privilege."""
    return subprocess.run(
        [sys.executable, "-m", "tracer.cli.main", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def write(path: Path, text: bytes = b"new") -> None:
    with new_file(path) as file:
        file.write(text)


def give_away(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory like /tmp."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    return path


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    path = tmp_path / "precious"
    path.write_text("precious")
    return path


@pytest.fixture(scope="module")
def web() -> Capture:
    return Capture(WEB)


# Whole, or not there.


def test_a_file_is_its_owners_alone_and_replaces_by_rename(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_text("old")
    os.link(path, link)
    write(path)
    assert path.read_text() == "new"
    assert link.read_text() == "old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_a_file_that_failed_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with new_file(path) as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_one_export_come_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with NewFiles() as files:
            files.open(tmp_path / "a").write(b"new")
            files.open(tmp_path)

    with pytest.raises(OSError, match="is a directory"):
        fail()
    assert (tmp_path / "a").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_an_export_that_failed_leaves_no_directory_it_made(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "full").mkdir()

    def fail() -> None:
        with NewFiles() as files:
            files.open(tmp_path / "there" / "host" / "date" / "a", make_parents=True)
            files.open(tmp_path / "full" / "host" / "a", make_parents=True)
            (tmp_path / "full" / "host" / "of another").write_text("")
            files.open(tmp_path / "made" / "for" / "it" / "a", make_parents=True)
            files.open(tmp_path / "there")

    with pytest.raises(OSError, match="is a directory"):
        fail()
    left = sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*"))
    assert left == ["full", "full/host", "full/host/of another", "there"]


def test_a_capture_is_replaced_by_nothing_else(tmp_path: Path, web: Capture) -> None:
    path = tmp_path / "web.arrows"
    path.write_bytes(WEB.read_bytes())
    for arguments in (
        ("report", path, "--report", path),
        ("export", path, "-f", "jsonl", "-O", path),
        ("export", path, "-f", "html", "-O", path),
    ):
        done = zomtrace(*arguments)
        assert done.returncode == 69, done
        assert "it is a capture" in done.stderr
    assert path.read_bytes() == WEB.read_bytes()


# Planted by somebody else.


@pytest.mark.root
@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("target", ["file", "directory", "nothing"])
def test_an_export_follows_no_link_of_another_user(
    name: str, target: str, shared: Path, precious: Path, web: Capture
) -> None:
    place, elsewhere = shared / "out", precious.parent / "elsewhere"
    if target == "directory":
        elsewhere.mkdir()
    place.symlink_to(precious if target == "file" else elsewhere)
    give_away(place)
    with pytest.raises(OutputError, match=f"of another user \\(uid {STRANGER}\\) is not followed"):
        EXPORTS[name](web, place)
    assert precious.read_text() == "precious"
    assert not elsewhere.exists() or not list(elsewhere.iterdir())
    assert list(shared.iterdir()) == [place]


@pytest.mark.root
def test_no_link_of_another_user_is_followed_within_an_export(
    shared: Path, precious: Path, web: Capture
) -> None:
    """A directory that was there may have been prepared."""
    out, elsewhere = shared / "out", precious.parent / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    for name in ("events", "events.csv"):
        (out / name).symlink_to(elsewhere if name == "events" else precious)
        give_away(out / name)
    for export in (export_csv, export_parquet):
        with pytest.raises(OutputError, match="is not followed"):
            export(web, out)
    assert precious.read_text() == "precious"
    assert not list(elsewhere.iterdir())


@pytest.mark.root
@pytest.mark.parametrize("kind", ["symlink", "fifo"])
def test_a_report_is_neither_redirected_nor_held_up(
    kind: str, shared: Path, precious: Path
) -> None:
    place = shared / "report.json"
    if kind == "fifo":
        os.mkfifo(place, 0o666)
    else:
        place.symlink_to(precious)
    give_away(place)
    done = zomtrace("report", WEB, "--report", place)
    assert done.returncode == 69
    assert done.stderr.startswith(f"zomtrace: {place}: cannot be written: ")
    assert "of another user (uid 4321) is not followed" in done.stderr
    assert precious.read_text() == "precious"


@pytest.mark.root
def test_a_capture_is_not_written_through_a_link_of_another_user(
    shared: Path, precious: Path
) -> None:
    (shared / "web.arrows").symlink_to(precious)
    (shared / "captures").symlink_to(precious.parent)
    for name in ("web.arrows", "captures"):
        give_away(shared / name)
    for named in ("web.arrows", "captures/", "captures/new.arrows"):
        with pytest.raises(OutputError, match="is not followed"):
            Recorder(RecordOptions(f"{shared}/{named}"), 1, lambda _: None)
    assert precious.read_text() == "precious"


@pytest.mark.root
@pytest.mark.parametrize("place", ["in a chain", "on the way", "relative"])
def test_a_link_of_another_user_is_found_wherever_it_is(
    shared: Path, precious: Path, place: str
) -> None:
    theirs = shared / "theirs"
    theirs.symlink_to("../precious" if place == "relative" else precious.parent)
    give_away(theirs)
    mine = shared / "mine"
    mine.symlink_to("theirs")
    path = {"in a chain": mine / "new", "on the way": theirs / "new", "relative": mine}[place]
    with pytest.raises(PermissionError, match="is not followed"):
        write(path)
    assert precious.read_text() == "precious"
    assert not (precious.parent / "new").exists()


# On purpose.


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "other").symlink_to("../file")
    write(tmp_path / "link" / "other")
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "real" / "other").is_symlink()


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many") as caught:
        write(tmp_path / "a")
    assert caught.value.errno == errno.ELOOP


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A FIFO of the caller's own, and what comes out of it."""
    path, got = tmp_path / "fifo", list[bytes]()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    yield path, got
    reader.join(60)


def test_a_fifo_of_ones_own_is_written(fifo: tuple[Path, list[bytes]]) -> None:
    path, got = fifo
    done = zomtrace("report", WEB, "--report", path)
    assert done.returncode == 0, done.stderr
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(60)
    assert got[0].startswith(b"{")
    assert stat.S_ISFIFO(path.lstat().st_mode)


def test_dev_null_is_written_and_stays(tmp_path: Path) -> None:
    write(Path("/dev/null"))
    assert stat.S_ISCHR(os.lstat("/dev/null").st_mode)


def test_a_full_device_is_one_line() -> None:
    done = zomtrace("report", WEB, "--report", "/dev/full")
    assert done.returncode == 69
    assert done.stderr.splitlines()[0] == (
        "zomtrace: /dev/full: cannot be written: No space left on device"
    )


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_stdout_by_name_is_where_stdout_goes(name: str, tmp_path: Path) -> None:
    """A file that stdout goes to is written on, not begun anew."""
    with (tmp_path / "out").open("wb") as file:
        file.write(b"before\n")
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "tracer.cli.main", "report", WEB, "--json", "--report", name],
            stdout=file, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    begun, line, *_ = (tmp_path / "out").read_bytes().split(b"\n", 2)
    assert begun == b"before"
    assert line.startswith(b"{")


def test_process_substitution_works() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m tracer.cli.main export {WEB} -f jsonl -O >(wc -l)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) > 20


def test_a_descriptor_that_is_not_open_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        write(Path("/dev/fd/9999"))


@pytest.mark.parametrize(
    ("named", "status", "expected"),
    [
        (("export", WEB, "-f", "csv", "-O", ""), 2, "path is empty"),
        (("report", WEB, "--report", ""), 2, "--report is empty"),
        (("report", WEB, "--report", "/no/such/file"), 69, "/no/such is not a directory"),
        (("report", WEB, "--report", "/proc/version"), 69, "cannot be written"),
        (("export", WEB, "-f", "html", "-O", "/no/such/file"), 69, "No such file"),
        (("export", WEB, "-f", "csv", "-O", "/dev/null"), 69, "Not a directory"),
        (("run", "-w", "", "--", "true"), 2, "-w is empty"),
        (("run", "-w", "/dev/null", "--", "true"), 69, "not a regular file"),
    ],
)
def test_a_place_that_is_none_is_one_line(
    named: tuple[str | Path, ...], status: int, expected: str
) -> None:
    done = zomtrace(*named)
    assert done.returncode == status, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_on_the_way_is_made_only_where_wanted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), find_place(tmp_path / "a" / "b"):
        pass
    with open_directory(tmp_path / "a" / "b" / "c", make=True, mode=0o700):
        assert stat.S_IMODE((tmp_path / "a" / "b" / "c").stat().st_mode) == 0o700


def test_a_look_beforehand_makes_nothing(tmp_path: Path) -> None:
    check_new_file(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_no_descriptor_is_left_open(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        write(tmp_path / "a")
        check_new_file(tmp_path / "a")
        for bad in (tmp_path / "loop", precious / "below", tmp_path, tmp_path / "none" / "a"):
            with pytest.raises(OSError, match=r"\w"):
                write(bad)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_was_looked_at_is_what_is_read_whatever_has_its_name_now(tmp_path: Path) -> None:
    path = tmp_path / "x.arrows"
    path.write_bytes(b"no capture")
    with find_place(path) as place:
        path.unlink()
        os.mkfifo(path)
        # With a writer that writes nothing there is nothing to be read, and no end either.
        keeps_it_open = os.open(path, os.O_RDWR)
        try:
            assert not is_capture_at(place)
        finally:
            os.close(keeps_it_open)
