"""Names and state files made to mislead: refused, not read, and no harm to other containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import a_runc_state, oci_only
from tracer.containers import state_files
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.containers.state_files import Limits
from tracer.errors import TargetNotFoundError, UsageError


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "web/../db",
        "web\0",
        "web\n",
        "we b",
        "\x1b[2J",
        "wéb",
        "٣٣٣",
        "a" * 256,
        "a" * 1_000_000,
    ],
)
def test_a_hostile_name_is_refused_before_any_file_is_opened(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was opened")

    for function in ("open", "scandir", "readlink", "stat"):
        monkeypatch.setattr(os, function, refuse)
    with pytest.raises(UsageError) as caught:
        resolve_containers(["web", name], RuntimePaths())
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"web"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"init_process_pid": "7"}',
        b'{"init_process_pid": -1}',
        b'{"init_process_pid": true, "config": []}',
        b'{"init_process_pid": 1e3, "config": {"labels": {"a": 1}}}',
        b'{"init_process_pid": 99999999999999999999, "config": {"labels": [1, null]}}',
    ],
)
def test_state_that_is_broken_hides_no_other_container(
    tmp_path: Path, init: int, state: bytes
) -> None:
    for name in ("broken", "zz-broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_bytes(state)
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    (container,) = resolve_containers(["web"], paths)
    assert container.init_host_pid == init
    with pytest.raises(TargetNotFoundError):
        resolve_containers(["broken"], paths)


def test_a_pipe_or_a_link_in_place_of_state_is_not_followed(tmp_path: Path, init: int) -> None:
    elsewhere = a_runc_state(tmp_path / "elsewhere", "web", init)
    root = tmp_path / "runc"
    for name in ("pipe", "link", "directory"):
        (root / name).mkdir(parents=True)
    os.mkfifo(root / "pipe/state.json")
    (root / "link/state.json").symlink_to(elsewhere / "web/state.json")
    (root / "directory/state.json").mkdir()
    assert running_containers(oci_only(root)) == ()


def test_state_of_absurd_size_is_not_read(
    tmp_path: Path, init: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    monkeypatch.setattr(state_files, "ROOTS_LIMITS", Limits(1000, 16, 1000))
    assert running_containers(paths) == ()


def test_another_users_state_speaks_for_that_users_processes_only(
    tmp_path: Path, init: int
) -> None:
    # Ours is no process of a user namespace which that user made.
    a_runc_state(tmp_path, "web", init)
    paths = RuntimePaths(oci_roots=(OciRoot(tmp_path, owner_uid=54321),))
    assert running_containers(paths) == ()
