"""Compiled programs between runs: found only where nothing has changed."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tracer.kernel import store as module
from tracer.kernel.image import ProgramCode, ProgramImage, take_code
from tracer.kernel.maps import MapShape
from tracer.kernel.store import ProgramStore, StoredSet, digest_of, users_store

DIGEST = "5eed"


def instruction(opcode: int, registers: int, immediate: int) -> bytes:
    """One BPF instruction (include/uapi/linux/bpf.h, struct bpf_insn)."""
    return struct.pack("=BBhi", opcode, registers, 0, immediate)


EXIT = instruction(0x95, 0, 0)


def a_set() -> StoredSet:
    return StoredSet(
        features={"functions": ["do_exit"], "mark_victim": None},
        image=ProgramImage(
            maps={"zt_events": MapShape(27, 0, 0, 4096, 0)},
            programs={"zt_exit": ProgramCode(17, b"\0" * 16, {1: "zt_events"}, 42)},
        ),
    )


@pytest.fixture
def store(tmp_path: Path) -> ProgramStore:
    kept = ProgramStore(tmp_path / "cache" / "programs")
    kept.keep(DIGEST, a_set())
    return kept


def test_what_was_kept_is_found(store: ProgramStore) -> None:
    assert store.find(DIGEST) == a_set()
    assert store.find("0ther") is None


def test_it_is_for_its_owner_alone(store: ProgramStore) -> None:
    (path,) = store.directory.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("which", ["file", "directory"])
def test_what_another_could_have_written_is_not_found(store: ProgramStore, which: str) -> None:
    (path,) = store.directory.iterdir()
    (path if which == "file" else store.directory).chmod(0o722)
    assert store.find(DIGEST) is None


@pytest.mark.root
def test_what_another_user_has_written_is_not_found(store: ProgramStore) -> None:
    (path,) = store.directory.iterdir()
    os.chown(path, 65534, 65534)
    assert store.find(DIGEST) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"features": {}, "maps": 1}', "\0"])
def test_a_damaged_file_is_as_none(store: ProgramStore, content: str) -> None:
    (path,) = store.directory.iterdir()
    path.write_text(content)
    assert store.find(DIGEST) is None
    store.keep(DIGEST, a_set())
    assert store.find(DIGEST) == a_set()


@pytest.mark.parametrize("at", [0, 70, 200, -1])
def test_a_single_changed_byte_is_compiled_anew(store: ProgramStore, at: int) -> None:
    (path,) = store.directory.iterdir()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert store.find(DIGEST) is None


def test_a_set_of_another_kernel_under_this_ones_name_is_not_found(store: ProgramStore) -> None:
    (path,) = store.directory.iterdir()
    path.rename(path.with_name("0ther.json"))
    assert store.find("0ther") is None


@pytest.mark.parametrize("planted", ["symlink", "fifo", "directory"])
def test_what_is_planted_in_a_sets_place_is_neither_followed_nor_waited_for(
    store: ProgramStore, tmp_path: Path, planted: str
) -> None:
    (path,) = store.directory.iterdir()
    moved = tmp_path / "moved"
    path.rename(moved)
    content = moved.read_bytes()
    if planted == "symlink":
        path.symlink_to(moved)
    elif planted == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert store.find(DIGEST) is None
    if planted != "directory":
        store.keep(DIGEST, a_set())
        assert path.is_file()
        assert not path.is_symlink()
        assert store.find(DIGEST) == a_set()
    assert moved.read_bytes() == content


@pytest.mark.root
def test_a_directory_of_another_user_is_not_used(store: ProgramStore) -> None:
    os.chown(store.directory, 65534, 65534)
    assert store.find(DIGEST) is None
    with pytest.raises(PermissionError, match="users other than its owner can write"):
        store.keep("0ther", a_set())
    assert [path.name for path in store.directory.iterdir()] == [f"{DIGEST}.json"]


def test_only_the_newest_stay(store: ProgramStore) -> None:
    for number in range(30):
        store.keep(f"{number:04}", a_set())
    assert 1 < len(list(store.directory.iterdir())) < 20
    assert store.find("0029") == a_set()
    assert store.find(DIGEST) is None


def test_a_place_that_cannot_be_written_is_an_error_without_a_rest(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        ProgramStore(tmp_path / "file" / "programs").keep(DIGEST, a_set())


def test_every_source_and_option_changes_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "btf").write_bytes(b"types")
    (tmp_path / "exit.c").write_text("int zt_exit;")
    (tmp_path / "kernel-tree").mkdir()
    monkeypatch.setattr(module, "BTF_PATH", tmp_path / "btf")
    seen = {digest_of(tmp_path, {"kprobes": True}), digest_of(tmp_path, {"kprobes": False})}
    (tmp_path / "exit.c").write_text("int zt_exit; /* */")
    seen.add(digest_of(tmp_path, {"kprobes": True}))
    (tmp_path / "kernel-tree" / "types.h").write_text("")
    seen.add(digest_of(tmp_path, {"kprobes": True}))
    (tmp_path / "btf").write_bytes(b"other types")
    seen.add(digest_of(tmp_path, {"kprobes": True}))
    monkeypatch.setattr(module, "_bcc_release", lambda: b"another")
    seen.add(digest_of(tmp_path, {"kprobes": True}))
    assert len(seen) == 6
    assert digest_of(tmp_path, {"kprobes": True}) in seen


def test_a_kernel_without_types_has_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BTF_PATH", tmp_path / "none")
    assert digest_of(tmp_path, {}) is None


def test_the_environment_names_the_place_or_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(module.DIRECTORY_VARIABLE, "/somewhere")
    assert users_store() == ProgramStore(Path("/somewhere"))
    monkeypatch.setenv(module.DIRECTORY_VARIABLE, "")
    assert users_store() is None
    monkeypatch.delenv(module.DIRECTORY_VARIABLE)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert users_store() == ProgramStore(Path("/var/cache/zomtrace/programs"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/cache")
    assert users_store() == ProgramStore(Path("/home/me/cache/zomtrace/programs"))


def test_descriptors_in_the_code_become_names_of_maps() -> None:
    half = bytes(8)
    code = instruction(0x18, 0x11, 7) + half + instruction(0x18, 0x01, 9) + half + EXIT
    taken = take_code(17, code, {7: "zt_events"})
    assert taken.maps == {0: "zt_events"}
    assert taken.code == instruction(0x18, 0x11, 0) + half + code[16:]


@pytest.mark.parametrize("registers", [0x11, 0x21])
def test_code_that_needs_something_else_cannot_be_kept(registers: int) -> None:
    with pytest.raises(LookupError, match="instruction 1"):
        take_code(17, EXIT + instruction(0x18, registers, 8) + bytes(8), {7: "zt_events"})
