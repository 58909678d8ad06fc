"""No privilege, no BPF, or less of it: one clear line, or a trace that says what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.containers_at_work import counts
from tests.support.patched import CONFIG, ILLEGAL, Patched, patched_copy
from tests.support.workloads import workload
from tests.support.zomtrace_process import Result, Zomtrace, run_zomtrace, zomtrace_command


@pytest.fixture
def copy(tmp_path: Path) -> Patched:
    """A copy of zomtrace to break."""
    return patched_copy(tmp_path / "copy")


def refused(result: Result) -> str:
    """The one line it refused with."""
    assert result.stdout == b""
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 2, result.stderr
    assert lines[0].startswith("zomtrace: ")
    assert lines[1].startswith("  ")
    return result.stderr


def as_user(*setpriv: str) -> list[str | Path]:
    return ["setpriv", *setpriv, *zomtrace_command()]


@pytest.mark.parametrize(
    ("who", "args"),
    [
        ("nobody", ("--all",)),
        ("nobody", ("run", "--", "true")),
        # uid 0 that may do nothing but read all files: a container's root.
        ("powerless root", ("--all",)),
        ("powerless root", ("run", "--", "true")),
        ("no BPF", ("--all",)),
    ],
)
def test_missing_privilege_is_status_77(who: str, args: tuple[str, ...]) -> None:
    reads_all = "+dac_override,+dac_read_search"
    setpriv = {
        "nobody": [
            "--reuid=65534", "--regid=65534", "--clear-groups", f"--inh-caps=-all,{reads_all}",
            f"--ambient-caps=-all,{reads_all}", f"--bounding-set=-all,{reads_all}",
        ],
        "powerless root": [f"--bounding-set=-all,{reads_all}", "--inh-caps=-all"],
        "no BPF": ["--bounding-set=-bpf,-sys_admin,-perfmon", "--inh-caps=-all"],
    }[who]  # fmt: skip
    said = refused(run_zomtrace(*args, command=as_user(*setpriv), status=77))
    assert "root" in said


def test_no_sys_admin_is_enough_without_a_namespace_to_make() -> None:
    # CAP_BPF and CAP_PERFMON are what BPF takes; SYS_ADMIN stands for them only on old kernels.
    with Zomtrace(
        "--all", "-d", "0.3",
        command=as_user("--bounding-set=-sys_admin", "--inh-caps=-all"),
    ) as trace:  # fmt: skip
        result = trace.finish(status=None)
    assert result.status == 0, result.stderr
    assert result.lines[0]["kind"] == "attached"


def test_a_required_program_the_verifier_refuses(copy: Patched) -> None:
    copy.replace("bpf/exit.c", CONFIG, CONFIG + ILLEGAL)
    said = refused(run_zomtrace("run", "--", "true", status=69, **copy.options()))
    assert "zt_exit" in said
    assert "sched_process_exit" in said
    assert "rejected it" in said


def test_an_optional_program_the_verifier_refuses(copy: Patched) -> None:
    copy.replace(
        "bpf/deliver.c", "\tstruct zt_event *e;\n\n", "\tstruct zt_event *e;\n\n" + ILLEGAL
    )
    with Zomtrace(
        "run", "--grace", "9", "--", workload("family"), "2", "3", "exit", **copy.options()
    ) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing()
    hooks = {hook["name"]: hook for hook in result.report["hooks"]}
    assert hooks["deliver"]["source"] is None
    assert hooks["deliver"]["degrades"]
    assert result.of_kind("deliver") == []
    assert counts(result.stop) == {"members": 5, "sigkilled": 3, "already_zombie": 2}


def test_a_program_that_does_not_compile(copy: Patched) -> None:
    copy.replace("bpf/exit.c", CONFIG, CONFIG + "\tint wrong = no_such_thing;\n")
    said = refused(run_zomtrace("run", "--", "true", status=69, **copy.options()))
    assert "no_such_thing" in said
    assert "exit.c" in said


def test_missing_bpf_sources(copy: Patched) -> None:
    (copy.root / "bpf/exit.c").unlink()
    result = run_zomtrace("run", "--", "true", status=None, **copy.options())
    assert result.status in (69, 70)
    assert "Traceback" not in result.stderr
    assert "exit.c" in result.stderr


def test_no_bpf_sources_at_all(copy: Patched) -> None:
    (copy.root / "bpf").rename(copy.root / "elsewhere")
    result = run_zomtrace("run", "--", "true", status=70, **copy.options())
    assert "install zomtrace again" in refused(result)


def test_missing_libbpf(copy: Patched) -> None:
    copy.replace("tracer/kernel/btf.py", '"libbpf.so.1"', '"libbpf-is-not-here.so.1"')
    said = refused(run_zomtrace("run", "--", "true", status=69, **copy.options()))
    assert "libbpf" in said
    assert "install" in said


def test_missing_bcc(copy: Patched) -> None:
    # The child imports it from Python's own places alone, where it is.
    missing = "    raise ImportError('No module named bcc')\n"
    copy.replace("tracer/kernel/load_child.py", "    from bcc import BPF\n", missing)
    said = refused(run_zomtrace("run", "--", "true", status=69, **copy.options()))
    assert "python3-bpfcc" in said


def test_kernel_without_btf(copy: Patched) -> None:
    # In a mount namespace of its own, with nothing where the kernel's BTF is.
    hidden = 'mount -t tmpfs tmpfs /sys/kernel/btf && exec "$@"'
    said = refused(
        run_zomtrace(
            "run", "--", "true", status=69,
            command=["unshare", "--mount", "--propagation", "private", "sh", "-c", hidden, "sh",
                     *zomtrace_command()],
        )
    )  # fmt: skip
    assert "BTF" in said


@pytest.mark.parametrize("strict", [True, False])
def test_a_ring_too_small_is_said(copy: Patched, strict: bool) -> None:
    copy.replace(
        "tracer/kernel/source.py", "TARGET_RING_BYTES = 8 << 20", "TARGET_RING_BYTES = 4096"
    )
    with Zomtrace(
        "run", *(["--strict"] if strict else []), "--grace", "9", "--",
        workload("family"), "211", "7", "exit", **copy.options(),
    ) as trace:  # fmt: skip
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing(status=1 if strict else 0)
    report = result.report
    assert report["complete"] is False
    assert sum(report["lost"].values()) > 0
    told: dict[str, int] = {}
    for line in result.of_kind("loss"):
        for kind, number in line["lost"].items():
            told[kind] = told.get(kind, 0) + number
    assert told == report["lost"]
    assert result.finding("ZT901")
    assert not any(stop["complete"] for stop in report["stops"])
    assert ("--strict" in result.stderr) == strict
