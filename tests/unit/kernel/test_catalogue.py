"""tests/kernels.toml, and what scripts/kernel-matrix and the Vagrantfile make of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.require import require, require_program

_ROOT = Path(__file__).parents[3]
_MATRIX = _ROOT / "scripts" / "kernel-matrix"


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Any]:
    return tomllib.loads((_ROOT / "tests" / "kernels.toml").read_text())


@pytest.fixture(scope="module")
def matrix() -> Iterator[None]:
    """The package behind scripts/kernel-matrix, importable."""
    sys.path.insert(0, str(_ROOT / "scripts"))
    yield
    sys.path.remove(str(_ROOT / "scripts"))


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The system's own Python, as users run it: no .venv.
    return subprocess.run(
        ["/usr/bin/python3", _MATRIX, *arguments],
        env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_kernel_test_runs_in_some_guest(catalogue: dict[str, Any]) -> None:
    listed = {test for guest in catalogue["guest"] for test in guest["tests"]}
    there = {f"tests/kernel/{path.name}" for path in (_ROOT / "tests/kernel").glob("test_*.py")}
    assert there <= listed
    assert all((_ROOT / test.partition("::")[0]).exists() for test in listed)


def test_guests_name_kernels_that_there_are(catalogue: dict[str, Any]) -> None:
    names = [kernel["name"] for kernel in catalogue["kernel"]]
    assert len(set(names)) == len(names)
    for guest in catalogue["guest"]:
        kernels = guest.get("kernels", "all")
        assert kernels in ("all", "oldest", "newest") or set(kernels) <= set(names)


def test_list_names_every_kernel(catalogue: dict[str, Any]) -> None:
    done = _run("--list")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        kernel["name"] for kernel in catalogue["kernel"]
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["4.4"], "no kernel is called '4.4'"),
        (["--shell"], "--shell takes one kernel"),
        (["--shell", "6.1"], "--shell needs a terminal"),
        (["--guest", "nosuch"], "no guest called nosuch"),
        (["here", "6.1"], "'here' is the running kernel"),
    ],
)
def test_wrong_usage_is_status_2_and_one_line(arguments: list[str], said: str) -> None:
    done = _run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_machine_that_tests_itself_needs_no_qemu() -> None:
    assert "qemu-system-x86" in _run("--host-packages").stdout.split()
    here = _run("--host-packages", ZOMTRACE_KERNELS="here").stdout.split()
    assert "runc" in here
    assert "qemu-system-x86" not in here


@pytest.mark.usefixtures("matrix")
def test_a_guest_that_dies_is_tried_once_more_and_a_failed_test_never(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from matrix.errors import GuestError
    from matrix.guest import Machine, Outcome
    from matrix.schedule import Job, run_job

    class FakeGuests:
        def __init__(self, *outcomes: Outcome | GuestError) -> None:
            self.left = list(outcomes)

        def run(self, *_args: object, **_options: object) -> Outcome:
            one = self.left.pop(0)
            if isinstance(one, GuestError):
                raise one
            return one

    kernel: Any = None
    guests_that: Any = FakeGuests
    job = Job("6.1 main", kernel, Machine(), ("true",), 1.0)
    passed, failed = (Outcome(status, 1.0, 1.0, "6.1", ()) for status in (0, 1))

    twice = run_job(guests_that(GuestError("it panicked"), passed), job)
    assert (twice.outcome, twice.retried) == (passed, True)
    assert "it panicked" in capsys.readouterr().err

    dead = run_job(guests_that(GuestError("one"), GuestError("two")), job)
    assert dead.outcome is None
    assert str(dead.failure) == "two"

    guests = guests_that(failed, passed)
    assert run_job(guests, job).outcome == failed
    assert guests.left == [passed]


@pytest.mark.usefixtures("matrix")
def test_an_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    busybox = require_program("busybox", "busybox")
    from matrix.initrd import Archive

    archive = Archive()
    archive.directory("bin")
    archive.file("bin/hello", b"#!/bin/sh\necho hello\n", executable=True)
    archive.file("empty", b"")
    (tmp_path / "one.cpio").write_bytes(archive.finish())
    subprocess.run(
        [busybox, "cpio", "-i", "-F", "one.cpio"], cwd=tmp_path, check=True, capture_output=True
    )
    assert subprocess.check_output([tmp_path / "bin" / "hello"]) == b"hello\n"
    assert (tmp_path / "empty").read_bytes() == b""


@dataclass(frozen=True, slots=True)
class Vagrant:
    """The real one, with nothing of its user's and nothing from the network."""

    program: Path
    directory: Path

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        bare = {name: value for name, value in os.environ.items() if "VAGRANT" not in name}
        own = {
            "HOME": str(self.directory),
            "VAGRANT_HOME": str(self.directory / "home"),
            "VAGRANT_DOTFILE_PATH": str(self.directory / "dotfile"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
        }
        return subprocess.run(
            [self.program, *arguments],
            cwd=_ROOT / "vagrant", env=bare | own | environment,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def vagrant(tmp_path_factory: pytest.TempPathFactory) -> Vagrant:
    program = require_program("vagrant", "vagrant")
    return Vagrant(program, tmp_path_factory.mktemp("vagrant"))


@pytest.mark.parametrize("emulate", ["", "1"], ids=["accelerated", "emulated"])
def test_the_vagrantfile_is_valid_for_libvirt(vagrant: Vagrant, emulate: str) -> None:
    plugins = vagrant("plugin", "list").stdout
    require("vagrant", "vagrant-libvirt" in plugins, "it has no plugin vagrant-libvirt")
    done = vagrant("validate", VAGRANT_DEFAULT_PROVIDER="libvirt", ZOMTRACE_VAGRANT_EMULATE=emulate)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_vagrantfile_is_valid_for_virtualbox(vagrant: Vagrant, tmp_path: Path) -> None:
    # All that Vagrant asks of VirtualBox before it validates is its version.
    manage = tmp_path / "VBoxManage"
    manage.write_text("#!/bin/sh\necho 7.0.10r158379\n")
    manage.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = vagrant("validate", VAGRANT_DEFAULT_PROVIDER="virtualbox", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_vagrantfile_has_a_machine_for_each_release(vagrant: Vagrant) -> None:
    done = vagrant("status", "--machine-readable", VAGRANT_DEFAULT_PROVIDER="libvirt")
    machines = {
        words[1] for line in done.stdout.splitlines() if (words := line.split(","))[2] == "metadata"
    }
    assert machines == {"bookworm", "trixie", "forky"}, done.stdout + done.stderr
