"""Which cgroup tells a process from others, on every kind of host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracer.containers.cgroup_tree import ids_below, top_of
from tracer.errors import TargetNotFoundError
from tracer.procfs import cgroup
from tracer.procfs.cgroup import (
    CgroupDirectory,
    controller_directories,
    every_directory,
    find_cgroup,
    resolve_cgroup,
)


class Hierarchies:
    """Directories that mountinfo says are cgroup mounts."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self._mountinfo = top / "mountinfo"
        self._mountinfo.write_text("22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n")
        monkeypatch.setattr(cgroup, "_MOUNTINFO", self._mountinfo)

    def mount(self, name: str, kind: str, options: str, root: str = "/") -> Path:
        directory = self.top / name
        directory.mkdir(parents=True, exist_ok=True)
        device = directory.stat().st_dev
        where = str(directory).replace(" ", "\\040")
        with self._mountinfo.open("a") as file:
            file.write(
                f"30 22 {os.major(device)}:{os.minor(device)} {root} {where} "
                f"rw,nosuid shared:9 - {kind} {kind} {options}\n"
            )
        return directory

    def add(self, path: Path) -> int:
        path.mkdir(parents=True)
        return path.stat().st_ino


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hierarchies:
    return Hierarchies(tmp_path, monkeypatch)


def test_on_v2_it_is_the_only_one(host: Hierarchies) -> None:
    mount = host.mount("cgroup", "cgroup2", "rw,nsdelegate")
    inode = host.add(mount / "docker/abc")
    assert find_cgroup(b"0::/docker/abc\n") == CgroupDirectory(f"{mount}/docker/abc", inode, "v2")


def test_on_a_hybrid_it_is_the_v2_one(host: Hierarchies) -> None:
    pids = host.mount("cgroup/pids", "cgroup", "rw,pids")
    unified = host.mount("cgroup/unified", "cgroup2", "rw")
    host.add(pids / "docker/abc")
    inode = host.add(unified / "docker/abc")
    raw = b"3:pids:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n"
    assert find_cgroup(raw) == CgroupDirectory(f"{unified}/docker/abc", inode, "v2")


def test_in_the_v2_root_a_v1_controller_decides(host: Hierarchies) -> None:
    host.mount("cgroup/unified", "cgroup2", "rw")
    memory = host.mount("cgroup/memory", "cgroup", "rw,memory")
    pids = host.mount("cgroup/pids", "cgroup", "rw,pids")
    host.add(memory / "abc")
    inode = host.add(pids / "abc")
    raw = b"8:pids:/abc\n4:memory:/abc\n0::/\n"
    assert find_cgroup(raw) == CgroupDirectory(f"{pids}/abc", inode, "pids")


def test_a_v1_controller_mounted_with_others_is_found(host: Hierarchies) -> None:
    both = host.mount("cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct")
    inode = host.add(both / "abc")
    assert find_cgroup(b"2:cpu,cpuacct:/abc\n") == CgroupDirectory(f"{both}/abc", inode, "cpu")


def test_the_root_cgroup_identifies_no_container(host: Hierarchies) -> None:
    host.mount("cgroup/unified", "cgroup2", "rw")
    host.mount("cgroup/pids", "cgroup", "rw,pids")
    assert find_cgroup(b"8:pids:/\n0::/\n") is None


def test_a_cgroup_that_is_gone_or_not_below_our_mount_is_unknown(host: Hierarchies) -> None:
    host.mount("cgroup", "cgroup2", "rw", root="/docker/abc")
    for path in (b"/docker/abc/gone (deleted)", b"/docker/other", b"/../outside"):
        assert find_cgroup(b"0::" + path + b"\n") is None


def test_a_mount_of_a_part_of_the_hierarchy_is_looked_through(host: Hierarchies) -> None:
    mount = host.mount("cgroup", "cgroup2", "rw", root="/docker/abc")
    inode = host.add(mount / "init")
    assert find_cgroup(b"0::/docker/abc/init\n") == CgroupDirectory(f"{mount}/init", inode, "v2")


def test_a_mount_point_with_a_blank_is_understood(host: Hierarchies) -> None:
    mount = host.mount("c g", "cgroup2", "rw")
    inode = host.add(mount / "abc")
    assert find_cgroup(b"0::/abc\n") == CgroupDirectory(f"{mount}/abc", inode, "v2")


def test_a_named_cgroup_may_be_given_in_every_usual_form(host: Hierarchies) -> None:
    pids = host.mount("cgroup/pids", "cgroup", "rw,pids")
    host.add(pids / "docker/abc")
    for form in (
        f"{pids}/docker/abc",
        "/docker/abc",
        "docker/abc",
        "docker/abc/",
        "pids/docker/abc",
    ):
        assert resolve_cgroup(form).path == f"{pids}/docker/abc"


@pytest.mark.parametrize(
    "path", ["/proc", "/nope", "nope", "a\0b", "docker/../../../proc", "x" * 5000]
)
def test_what_is_no_cgroup_is_refused(host: Hierarchies, path: str) -> None:
    host.mount("cgroup/pids", "cgroup", "rw,pids")
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_cgroup(path)
    assert caught.value.exit_code == 69


def test_a_file_of_a_cgroup_is_no_cgroup(host: Hierarchies) -> None:
    mount = host.mount("cgroup", "cgroup2", "rw")
    (mount / "cgroup.procs").write_text("")
    with pytest.raises(TargetNotFoundError):
        resolve_cgroup("cgroup.procs")


GENERATED = "3f" * 32


@pytest.mark.parametrize(
    ("path", "container_id", "top"),
    [
        (f"docker/{GENERATED}/init.scope", GENERATED, f"docker/{GENERATED}"),
        (f"m.slice/docker-{GENERATED}.scope/a/b", GENERATED, f"m.slice/docker-{GENERATED}.scope"),
        (f"kubepods/pod1/{GENERATED}", GENERATED, f"kubepods/pod1/{GENERATED}"),
        # What a human calls it may be part of another's name.
        ("web-frontend/web", "web", "web-frontend/web"),
        ("web-frontend/other", "web", "web-frontend/other"),
    ],
)
def test_a_containers_cgroup_is_the_one_with_its_name(
    tmp_path: Path, path: str, container_id: str, top: str
) -> None:
    (tmp_path / path).mkdir(parents=True)
    inits = CgroupDirectory(str(tmp_path / path), (tmp_path / path).stat().st_ino, "v2")
    found = top_of(inits, container_id)
    assert found == CgroupDirectory(str(tmp_path / top), (tmp_path / top).stat().st_ino, "v2")


def test_cgroups_below_are_listed_up_to_a_bound(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}/{number}/{number}").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path.parent, target_is_directory=True)
    (tmp_path / "cgroup.procs").touch()
    cgroup = CgroupDirectory(str(tmp_path), tmp_path.stat().st_ino, "v2")
    below = {
        one.stat().st_ino for one in tmp_path.rglob("*") if one.is_dir() and not one.is_symlink()
    }
    assert ids_below(cgroup) == below
    assert len(below) == 120


def test_a_cgroup_that_is_gone_has_none_below(tmp_path: Path) -> None:
    assert ids_below(CgroupDirectory(str(tmp_path / "gone"), 7, "v2")) == frozenset()


def test_of_very_many_cgroups_the_nearest_are_listed(tmp_path: Path) -> None:
    for number in range(1100):
        (tmp_path / f"{number}/below").mkdir(parents=True)
    found = ids_below(CgroupDirectory(str(tmp_path), tmp_path.stat().st_ino, "v2"))
    assert len(found) == 1024
    assert found < {one.stat().st_ino for one in tmp_path.iterdir()}


def test_on_a_hybrid_each_controller_is_where_it_is_mounted(host: Hierarchies) -> None:
    pids = host.mount("cgroup/pids", "cgroup", "rw,pids")
    unified = host.mount("cgroup/unified", "cgroup2", "rw")
    host.add(pids / "v1/abc")
    host.add(unified / "v2/abc")
    raw = b"3:pids:/v1/abc\n0::/v2/abc\n"
    assert controller_directories(raw, "pids") == (f"{pids}/v1/abc", f"{pids}/v1", f"{pids}")
    # A controller without a hierarchy of its own is the unified one's.
    assert controller_directories(raw, "memory") == (
        f"{unified}/v2/abc", f"{unified}/v2", f"{unified}",
    )  # fmt: skip
    assert list(every_directory(raw)) == [pids / "v1/abc", unified / "v2/abc"]


def test_a_v1_controller_is_not_looked_for_in_another_hierarchy(host: Hierarchies) -> None:
    memory = host.mount("cgroup/memory", "cgroup", "rw,memory")
    unified = host.mount("cgroup/unified", "cgroup2", "rw")
    host.add(memory / "abc")
    host.add(unified / "abc")
    # The v1 hierarchy of pids is not mounted here, though one of another controller is.
    assert controller_directories(b"3:pids:/abc\n0::/abc\n", "pids") == ()
    assert list(every_directory(b"3:pids:/abc\n")) == []


def test_of_very_many_levels_the_innermost_and_the_outermost_are_named(host: Hierarchies) -> None:
    mount = host.mount("cgroup", "cgroup2", "rw,nsdelegate")
    few, many = "/d" * 20, "/d" * 900
    host.add(mount / many.lstrip("/"))
    assert len(controller_directories(b"0::" + few.encode(), "pids")) == 21
    levels = controller_directories(b"0::" + many.encode(), "pids")
    assert len(levels) == 32
    assert levels[:2] == (f"{mount}{many}", f"{mount}{many[:-2]}")
    assert levels[-2:] == (f"{mount}/d", f"{mount}")
