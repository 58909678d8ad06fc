"""Who can write at a path, and what is not followed there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracer.trust import programs
from tracer.trust.programs import ProgramRefusedError, find_program
from tracer.trust.users import user_label
from tracer.trust.walk import PathRefusedError, refusal, walk

pytestmark = pytest.mark.root
MALLORY = 4321


def owner(path: Path | str) -> int | None:
    with walk(path) as found:
        return found.owner_uid


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    directory = tmp_path / "theirs"
    directory.mkdir()
    os.chown(directory, MALLORY, MALLORY)
    return directory


def test_what_root_alone_can_write_is_no_one_elses(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert owner(tmp_path / "file") is None
    assert owner("/") is None
    assert refusal("/bin/sh") is None


def test_all_below_a_users_directory_is_that_users(theirs: Path) -> None:
    (theirs / "roots").mkdir()
    (theirs / "roots/file").touch()
    assert owner(theirs / "roots/file") == MALLORY
    assert refusal(theirs) == f"user {MALLORY} can write there"


def test_what_a_third_has_in_a_users_place_is_no_ones(theirs: Path) -> None:
    (theirs / "file").touch()
    os.chown(theirs / "file", MALLORY + 1, 0)
    with pytest.raises(PathRefusedError, match=f"user {MALLORY + 1} owns it"):
        walk(theirs / "file")


def test_roots_links_are_followed_and_no_one_elses(tmp_path: Path, theirs: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/file").touch()
    (tmp_path / "absolute").symlink_to(tmp_path / "deep/file")
    (tmp_path / "relative").symlink_to("deep/../deep/./file")
    for name in ("absolute", "relative"):
        assert owner(tmp_path / name) is None
    (tmp_path / "planted").symlink_to("deep/file")
    os.lchown(tmp_path / "planted", MALLORY, MALLORY)
    # A link in a user's place is theirs, whoever's it is.
    (theirs / "roots").symlink_to("/etc/passwd")
    for path in (tmp_path / "planted", theirs / "roots"):
        with pytest.raises(PathRefusedError, match="symbolic link"):
            walk(path)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(PathRefusedError, match="too many"):
        walk(tmp_path / "a")


@pytest.mark.parametrize(("mode", "is_refused"), [
    (0o777, True), (0o1777, False), (0o775, True), (0o755, False),
])  # fmt: skip
def test_a_directory_where_others_can_write_is_refused_unless_names_stay(
    tmp_path: Path, mode: int, is_refused: bool
) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    os.chown(directory, 0, MALLORY)
    directory.chmod(mode)
    (directory / "file").touch()
    assert (refusal(directory / "file") is not None) is is_refused


@pytest.mark.parametrize("path", ["", "relative", "a/../b", "/a\0b", "/\ud800", "/nowhere/at/all"])
def test_what_is_no_path_is_refused_in_words(path: str) -> None:
    assert refusal(path)


def test_a_path_of_absurd_length_is_refused() -> None:
    assert refusal("/.." * 100_000) == "the path is too long"


def test_no_descriptor_is_left_behind(tmp_path: Path, theirs: Path) -> None:
    (tmp_path / "link").symlink_to("theirs/../theirs/none")
    before = set(os.listdir("/proc/self/fd"))
    for path in (tmp_path, tmp_path / "link", theirs, "/", "/..", "/bin/sh", "/nowhere"):
        refusal(path)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_program_that_others_can_write_is_refused_with_its_reason(
    tmp_path: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path, theirs):
        (place / "tool").write_text("#!/bin/sh\n")
        (place / "tool").chmod(0o755)
    monkeypatch.setattr(programs, "DIRECTORIES", (str(theirs),))
    with pytest.raises(ProgramRefusedError, match=f"user {MALLORY} can write it"):
        find_program("tool")
    monkeypatch.setattr(programs, "DIRECTORIES", (str(theirs), str(tmp_path)))
    assert find_program("tool") == str(tmp_path / "tool")
    (tmp_path / "tool").chmod(0o777)
    with pytest.raises(ProgramRefusedError):
        find_program("tool")


def test_users_have_names_where_etc_passwd_has_them() -> None:
    assert user_label(0) == "user root"
    assert user_label(3_999_999_999) == "user 3999999999"
