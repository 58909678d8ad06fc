"""What each command may do with exactly the capabilities it needs, and says without one.

Judged by what the kernel allows, never by the user's number.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.confined import container, with_capabilities
from tests.support.require import require_program, require_root
from tests.support.runc import Runc, RuncContainer
from tests.support.zomtrace_process import Result, run_zomtrace, zomtrace_command
from tracer.kernel.attach import tracepoint_id

BPF = ("bpf", "perfmon")
COMMANDS = {
    "--all": ("--all", "-d", "0.2"),
    "--pidns": ("--pidns", "INUM", "-d", "0.2"),
    "-c": ("-c", "ID", "-d", "0.2"),
    "run": ("run", "--", "true"),
    "demo": ("demo", "zombie-leader"),
    "stop": ("stop", "-c", "ID", "--grace", "1"),
}
NEEDED = {
    "--all": BPF,
    "--pidns": (*BPF, "sys_ptrace"),
    "-c": (*BPF, "sys_ptrace", "dac_read_search"),
    "run": (*BPF, "sys_admin"),
    "demo": (*BPF, "sys_admin"),
    "stop": (*BPF, "sys_ptrace", "dac_read_search", "kill"),
}
LACKING = [
    (name, one, uid)
    for name, needed in NEEDED.items()
    for one in needed
    for uid in (4321, 0)
    # CAP_SYS_ADMIN stands for both of BPF's; and uid 0 needs no capability for
    # directories and processes of its own.
    if not (one in BPF and "sys_admin" in needed)
    and not (one in ("dac_read_search", "kill") and uid == 0)
]


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root()
    require_program("setpriv", "setpriv")
    monkeypatch.setenv("ZOMTRACE_CACHE", "")


@cache
def programs_of(uid: int) -> str:
    """Where a user's compiled programs are kept: loading them takes the same rights."""
    directory = tempfile.mkdtemp(prefix="zt-rights-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.chown(directory, uid, uid)
    return directory


@pytest.fixture
def target(runc: Runc) -> RuncContainer:
    """root's container, with root's rights in it."""
    return runc.run(["sleep", "1000"])


def attempt(name: str, target: RuncContainer, *capabilities: str, uid: int = 4321) -> Result:
    values = {"ID": target.id, "INUM": str(os.stat(f"/proc/{target.pid}/ns/pid").st_ino)}
    return run_zomtrace(
        *(values.get(word, word) for word in COMMANDS[name]),
        command=[*with_capabilities(*capabilities, uid=uid), *zomtrace_command()],
        env=os.environ | {"ZOMTRACE_CACHE": programs_of(uid)},
        json_lines=False,
        status=None,
    )


def named(capability: str) -> str:
    return f"CAP_{capability.upper()}"


@pytest.mark.parametrize("uid", [4321, 0])
@pytest.mark.parametrize("name", COMMANDS)
def test_exactly_what_is_needed_is_enough(name: str, uid: int, target: RuncContainer) -> None:
    result = attempt(name, target, *NEEDED[name], uid=uid)
    assert result.status == 0, result.stderr


@pytest.mark.parametrize(("name", "lacking", "uid"), LACKING)
def test_each_that_is_missing_is_named_with_77(
    name: str, lacking: str, uid: int, target: RuncContainer
) -> None:
    held = [one for one in NEEDED[name] if one != lacking]
    result = attempt(name, target, *held, uid=uid)
    assert result.status == 77, result.stderr
    first, *_ = result.stderr.splitlines()
    assert named(lacking) in first, result.stderr
    # And no other one.
    assert [one for one in held if named(one) in first] == []


def test_sys_admin_stands_for_bpf_and_perfmon(target: RuncContainer) -> None:
    assert attempt("--all", target, "sys_admin").status == 0


def test_what_is_not_seen_for_want_of_ptrace_is_said_before(target: RuncContainer) -> None:
    assert "CAP_SYS_PTRACE is missing" in attempt("--all", target, *BPF).stderr
    assert "CAP_SYS_PTRACE" not in attempt("--all", target, *BPF, "sys_ptrace").stderr


def doctor(*prefix: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    done = subprocess.run(
        [*prefix, *zomtrace_command(), "doctor", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, {each["name"]: each for each in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("uid", [4321, 0])
@pytest.mark.parametrize(
    ("held", "usable"),
    [((), False), (("bpf",), False), (("perfmon",), False), (BPF, True), (("sys_admin",), True),
     (("dac_override", "sys_ptrace", "kill"), False)],
)  # fmt: skip
def test_doctor_says_what_the_loader_will(
    held: tuple[str, ...], usable: bool, uid: int, target: RuncContainer
) -> None:
    status, checks = doctor(*with_capabilities(*held, uid=uid))
    assert attempt("--all", target, *held, uid=uid).status == (0 if usable else 77)
    assert status == (0 if usable else 69)
    assert checks["BPF rights"]["state"] == checks["BPF"]["state"] == ("ok" if usable else "fail")
    for one in BPF:
        if not usable:
            assert (named(one) in checks["BPF rights"]["detail"]) == (one not in held)


def test_doctor_says_of_each_right_which_capability_and_what_is_lost(
    target: RuncContainer,  # its state is what one may not read
) -> None:
    _, checks = doctor(*with_capabilities(*BPF))
    rows = {
        "other processes": ("CAP_SYS_PTRACE", "--pidns"),
        "runtime files": ("CAP_DAC_READ_SEARCH", "/run/runc"),
        "new namespaces": ("CAP_SYS_ADMIN", "zomtrace run"),
        "signals": ("CAP_KILL", "zomtrace stop"),
    }
    for row, (capability, loss) in rows.items():
        assert checks[row]["state"] == "warn"
        assert capability in checks[row]["detail"]
        assert loss in checks[row]["detail"]
        assert capability in checks[row]["advice"]
    _, checks = doctor(
        *with_capabilities(*BPF, "sys_ptrace", "dac_override", "sys_admin", "kill")
    )  # fmt: skip
    assert {checks[row]["state"] for row in rows} == {"ok"}


def test_capabilities_of_a_user_namespace_count_for_nothing() -> None:
    prefix = ["unshare", "--user", "--map-root-user"]
    result = run_zomtrace(
        "--all", command=[*prefix, *zomtrace_command()], json_lines=False, status=77
    )
    assert "user namespace" in result.stderr.splitlines()[0]
    status, checks = doctor(*prefix)
    assert status == 69
    assert checks["place"]["state"] == checks["BPF rights"]["state"] == "fail"
    assert "user namespace" in checks["place"]["detail"]


@pytest.fixture
def runc_program() -> Path:
    return require_program("runc", "runc")


def test_a_container_with_just_these_capabilities_traces_the_host(runc_program: Path) -> None:
    with container(runc_program, "CAP_BPF", "CAP_PERFMON") as prefix:
        result = run_zomtrace("--all", "-d", "0.3", command=prefix)
        assert result.lines[0]["kind"] == "attached"
    with container(runc_program, "CAP_BPF", "CAP_PERFMON") as prefix:
        told = run_zomtrace("doctor", "--json", command=prefix, json_lines=False)
    checks = {each["name"]: each for each in json.loads(told.stdout)["checks"]}
    assert checks["place"]["detail"].startswith("in a container")
    assert checks["BPF"]["state"] == "ok"
    assert checks["runtimes"]["state"] == "warn"
    assert "/run/docker.sock" in checks["runtimes"]["advice"]


@pytest.mark.parametrize(
    ("held", "lacking"), [("CAP_BPF", "CAP_PERFMON"), ("CAP_PERFMON", "CAP_BPF")]
)
def test_a_container_with_one_of_them_says_which_is_missing(
    runc_program: Path, held: str, lacking: str
) -> None:
    with container(runc_program, held, uid=0) as prefix:
        result = run_zomtrace("--all", command=prefix, json_lines=False, status=77)
    assert f"{lacking} missing" in result.stderr.splitlines()[0]


def test_a_container_of_its_own_pids_is_refused_as_doctor_says(runc_program: Path) -> None:
    namespaces = ("pid", "ipc", "uts", "mount", "network", "cgroup")
    for args in (("--all",), ("run", "--", "true"), ("doctor",)):
        with container(runc_program, "CAP_SYS_ADMIN", namespaces=namespaces, uid=0) as prefix:
            result = run_zomtrace(*args, command=prefix, json_lines=False, status=69)
        assert "--pid=host" in result.stderr + result.stdout.decode()


def test_doctor_says_which_mounts_a_container_lacks(runc_program: Path) -> None:
    with container(runc_program, "CAP_BPF", "CAP_PERFMON", without=("/sys",)) as prefix:
        told = run_zomtrace("doctor", "--json", command=prefix, json_lines=False, status=69)
    checks = {each["name"]: each for each in json.loads(told.stdout)["checks"]}
    assert checks["BTF"]["state"] == "fail"
    assert "-v /sys/kernel/btf" in checks["BTF"]["advice"]
    assert checks["cgroups"]["state"] == "warn"
    assert "-v /sys/fs/cgroup" in checks["cgroups"]["advice"]


def test_a_seccomp_filter_is_distinguished_from_a_missing_capability(runc_program: Path) -> None:
    seccomp = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    }
    held = ("CAP_BPF", "CAP_PERFMON")
    with container(runc_program, *held, seccomp=seccomp) as prefix:
        result = run_zomtrace("--all", command=prefix, json_lines=False, status=77)
    first = result.stderr.splitlines()[0]
    assert "seccomp" in first
    assert "missing" not in first


@pytest.mark.parametrize("limit", [12, 20, 28])
def test_too_few_descriptors_are_said_with_how_many_it_takes(limit: int) -> None:
    prefix = ["prlimit", f"--nofile={limit}"]
    status, checks = doctor(*prefix)
    assert status == 69
    assert checks["open files"]["state"] == "fail"
    assert "64" in checks["open files"]["detail"]
    result = run_zomtrace(
        "--all", command=[*prefix, *zomtrace_command()], json_lines=False, status=69
    )  # fmt: skip
    first, hint = result.stderr.splitlines()
    assert "open files" in first
    assert "64" in hint


def test_64_descriptors_are_enough(target: RuncContainer) -> None:
    prefix = ["prlimit", "--nofile=64"]
    for args in (("--all", "-d", "0.2"), ("run", "--", "true"), ("-c", target.id, "-d", "0.2")):
        run_zomtrace(*args, command=[*prefix, *zomtrace_command()], json_lines=False)
    assert doctor(*prefix)[0] == 0


def test_a_tracepoints_number_can_be_read_from_what_is_mounted() -> None:
    number = tracepoint_id("sched/sched_process_exit")
    program = (
        "from tracer.kernel.attach import tracepoint_id\n"
        "try: print(tracepoint_id('sched/sched_process_exit'))\n"
        "except PermissionError as error: print(error.strerror)\n"
    )
    mounting = [
        "unshare", "--mount", "--propagation", "private",
        "sh", "-c", 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"', "sh",
    ]  # fmt: skip

    def seen(*prefix: str) -> str:
        return subprocess.run(
            [*prefix, sys.executable, "-c", program],
            check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        ).stdout.strip()  # fmt: skip

    assert seen(*mounting, *with_capabilities("dac_read_search")) == str(number)
    assert "CAP_SYS_ADMIN" in seen(*with_capabilities())
