"""scripts/setup, with stand-ins for the package managers that it calls."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.checkout import Checkout

_ROOT = Path(__file__).parents[2]
_FEDORA = 'ID=fedora\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\n'
_MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"\n'
_SUSE = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nPRETTY_NAME="openSUSE Leap 15.6"\n'


def test_an_unsupported_system_is_named_and_left_alone(checkout: Checkout) -> None:
    done = checkout.run("setup", ZOMTRACE_OS_RELEASE=checkout.os_release(_SUSE))
    assert done.returncode == 69
    assert "not supported: openSUSE Leap 15.6" in done.stderr
    assert "Debian, Ubuntu and Fedora" in done.stderr
    assert sorted(path.name for path in checkout.root.iterdir()) == ["pyproject.toml", "scripts"]


def test_a_system_without_os_release_is_an_error(checkout: Checkout) -> None:
    done = checkout.run("setup", ZOMTRACE_OS_RELEASE=str(checkout.root / "none"))
    assert done.returncode == 69
    assert f"no {checkout.root}/none" in done.stderr


def test_an_unknown_option_is_wrong_usage(checkout: Checkout) -> None:
    done = checkout.run("setup", "--everything")
    assert done.returncode == 2
    assert "no such option: --everything" in done.stderr


def _without_packages(checkout: Checkout, names: Sequence[str]) -> str:
    """Make the copy a Fedora that has none of these packages and cannot get them."""
    checkout.program("rpm", prints="\n".join(f"package {name} is not installed" for name in names))
    checkout.program("dnf", status=1, prints="Error: no mirror answers")
    return checkout.os_release(_FEDORA)


def test_fedora_gets_its_own_package_names(checkout: Checkout) -> None:
    release = _without_packages(checkout, ["python3-bcc", "tini"])
    checkout.run("setup", "--test", ZOMTRACE_OS_RELEASE=release)
    assert checkout.called()[-1] == (
        "dnf -y --setopt=install_weak_deps=False install busybox containerd crun docker-cli gcc"
        " glibc-devel glibc-static moby-engine podman python3 python3-bcc python3-pip runc tini"
        " util-linux"
    )


def test_real_programs_are_for_debian_alone(checkout: Checkout) -> None:
    release = checkout.os_release(_FEDORA)
    done = checkout.run("setup", "--programs", ZOMTRACE_OS_RELEASE=release)
    assert done.returncode == 69
    assert "--programs installs packages of Debian" in done.stderr
    assert checkout.called() == []


def test_real_programs_are_installed_beside_what_the_machine_has(checkout: Checkout) -> None:
    checkout.program("dpkg-query", prints="installed python3")
    checkout.program("apt-get", status=100, prints="E: Unable to locate package")
    for name in ("tee", "chmod", "rm"):
        checkout.program(name)
    for name in ("node", "npm", "javac"):
        checkout.program(name)
    release = checkout.os_release(_MINT)
    done = checkout.run("setup", "--programs", ZOMTRACE_OS_RELEASE=release)
    assert done.returncode == 69
    (installed,) = {call for call in checkout.called() if " install " in call}
    assert {"nginx", "haproxy", "s6"} <= set(installed.split())
    assert not {"nodejs", "npm", "default-jdk-headless"} & set(installed.split())


def test_dockers_own_packages_are_not_replaced(checkout: Checkout) -> None:
    checkout.program("rpm", prints="docker-ce")
    checkout.program("dnf", status=1, prints="Error: no mirror answers")
    checkout.run("setup", "--test", ZOMTRACE_OS_RELEASE=checkout.os_release(_FEDORA))
    installed = checkout.called()[-1].split()
    assert "podman" in installed
    assert not {"moby-engine", "docker-cli", "containerd", "runc"} & set(installed)


def test_a_derivative_is_taken_for_what_it_derives_from(checkout: Checkout) -> None:
    checkout.program("dpkg-query", prints="installed python3")
    checkout.program("apt-get", status=100, prints="E: Unable to locate package")
    # Its service policy would go to the real /usr/sbin.
    for name in ("tee", "chmod", "rm"):
        checkout.program(name)
    done = checkout.run("setup", ZOMTRACE_OS_RELEASE=checkout.os_release(_MINT))
    assert done.returncode == 69
    assert any(
        call.endswith("install --no-install-recommends python3-bpfcc python3-venv util-linux")
        for call in checkout.called()
    )


@pytest.mark.parametrize(
    ("offered", "environment", "wanted"),
    [(True, {}, True), (False, {}, False), (True, {"ZOMTRACE_KERNELS": "here"}, False)],
    ids=["offered", "not offered", "in a machine Vagrant made"],
)
def test_vagrant_is_installed_where_it_can_be_and_is_of_use(
    checkout: Checkout, offered: bool, environment: dict[str, str], wanted: bool
) -> None:
    checkout.program("dpkg-query", prints="installed python3")
    checkout.program("apt-get", status=100, prints="E: Unable to locate package")
    checkout.program("apt-cache", status=0 if offered else 100)
    for name in ("tee", "chmod", "rm"):
        checkout.program(name)
    # The system's programs, but for its Vagrant.
    for program in Path("/usr/bin").iterdir():
        if program.name != "vagrant" and not (checkout.stand_ins / program.name).exists():
            (checkout.stand_ins / program.name).symlink_to(program)
    release = checkout.os_release(_MINT)
    path = str(checkout.stand_ins)
    checkout.run("setup", "--test", ZOMTRACE_OS_RELEASE=release, **{"PATH": path, **environment})
    installs = [call for call in checkout.called() if " install " in call]
    assert installs
    assert all(call.endswith(" vagrant vagrant-libvirt") == wanted for call in installs)


def test_what_failed_is_shown_with_the_end_of_the_log(checkout: Checkout) -> None:
    release = _without_packages(checkout, ["python3-bcc"])
    done = checkout.run("setup", ZOMTRACE_OS_RELEASE=release)
    log = checkout.root / "build/setup.log"
    assert done.returncode == 69
    assert done.stdout == ""
    assert "    Error: no mirror answers\n" in done.stderr
    assert "could not set up: OS packages (" in done.stderr
    assert f"the whole output is in {log}" in done.stderr
    assert "Error: no mirror answers" in log.read_text()


def test_other_kernels_are_refused_where_they_cannot_be_built(checkout: Checkout) -> None:
    release = checkout.os_release(_FEDORA)
    done = checkout.run("setup", "--kernel", ZOMTRACE_OS_RELEASE=release)
    assert done.returncode == 69
    assert "--kernel" in done.stderr


def test_a_checkout_that_cannot_be_written_is_named(checkout: Checkout) -> None:
    release = _without_packages(checkout, ["python3-bcc"])
    # A file in its place stops root as well as anybody.
    (checkout.root / "build").touch()
    done = checkout.run("setup", ZOMTRACE_OS_RELEASE=release)
    assert done.returncode == 69
    assert f"cannot write {checkout.root}/build/setup.log" in done.stderr


def test_an_index_that_does_not_answer_is_an_error(checkout: Checkout) -> None:
    done = checkout.run(
        "setup",
        PIP_INDEX_URL="http://127.0.0.1:1/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
    )
    assert done.returncode == 69
    assert "could not set up: Python packages" in done.stderr
    assert "is pip's package index reachable?" in done.stderr
    assert not (checkout.root / ".venv/setup-core.sha256").exists()


def test_a_second_set_up_waits_for_the_first(checkout: Checkout) -> None:
    release = _without_packages(checkout, ["python3-bcc"])
    lock = os.open(checkout.root, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            [checkout.root / "scripts/setup"],
            env=checkout.environment(ZOMTRACE_OS_RELEASE=release),
            stderr=subprocess.PIPE,
            text=True,
        ) as second:
            assert second.stderr is not None
            assert second.stderr.readline() == (
                f"setup: waiting for another set-up of {checkout.root}\n"
            )
            assert checkout.called() == []
            fcntl.flock(lock, fcntl.LOCK_UN)
            second.stderr.read()
            assert second.wait() == 69
    finally:
        os.close(lock)
    assert checkout.called()


@pytest.fixture(scope="module")
def set_up() -> None:
    """This very checkout, set up: at once where scripts/test runs the tests."""
    subprocess.run([_ROOT / "scripts/setup", "--test"], stderr=subprocess.PIPE, check=True)


def children_cpu_s() -> float:
    """What every process this one has waited for has used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.usefixtures("set_up")
@pytest.mark.parametrize("arguments", [(), ("--test",)], ids=["core", "test"])
def test_nothing_to_do_is_quick(arguments: tuple[str, ...]) -> None:
    used_s = children_cpu_s()
    done = subprocess.run(
        [_ROOT / "scripts/setup", *arguments], capture_output=True, text=True, check=True
    )
    # Of processor time: how long it waits for a processor is not its doing.
    assert children_cpu_s() - used_s < 2
    assert done.stderr == (
        "setup: OS packages ... ok (nothing to do)\nsetup: Python packages ... ok (nothing to do)\n"
    )


@pytest.mark.usefixtures("set_up")
def test_another_pythons_environment_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('the wrong Python')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path)}
    subprocess.run([_ROOT / "scripts/setup"], env=environment, stderr=subprocess.PIPE, check=True)


def test_every_direct_requirement_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    pins = {
        canonicalize_name(name): version
        for line in (_ROOT / "scripts/constraints.txt").read_text().splitlines()
        if not line.startswith("#")
        for name, _, version in [line.partition("==")]
    }
    requirements = project["dependencies"] + project["optional-dependencies"]["test"]
    for requirement in map(Requirement, requirements):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} has no line in scripts/constraints.txt"
        assert requirement.specifier.contains(pin), f"{requirement}, pinned to {pin}"
