"""What is said when the kernel, the compiler or the installation refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patched import patched_copy
from tests.support.require import require_program, require_root
from tracer.errors import BpfUnavailableError, PrivilegeError
from tracer.kernel import loader, rights
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.wire.header import bpf_directory

SUBMIT = "zt_events.ringbuf_submit("
BEYOND = "((u64 *)e)[1000] = 1; "
EMIT = "zt_emit(ZT_KIND_FORK, child);"
BEYOND_CONFIG = "if (((volatile u64 *)config)[1000]) return 0; "
CHECKOUT = Path(__file__).parents[2]
ATTEMPT = """
import json
from tracer.errors import ZomtraceError
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
try:
    with BpfSource(everything=True) as source:
        source.set_filter(KernelFilter(everything=True))
        source.attach()
    print(json.dumps(None))
except ZomtraceError as error:
    print(json.dumps([type(error).__name__, error.exit_code, error.message, error.hint]))
"""


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


def attempt(
    *prefix: str, env: dict[str, str] | None = None, checkout: Path = CHECKOUT
) -> list[str | int]:
    """Try it in another process; the error that came of it."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", ATTEMPT],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, **(env or {})},
    )
    answer: list[str | int] | None = json.loads(done.stdout)
    assert answer is not None, "it was let through"
    return answer


def test_without_capabilities_it_is_a_matter_of_privilege() -> None:
    setpriv = str(require_program("setpriv", "setpriv"))
    name, code, message, hint = attempt(setpriv, "--bounding-set=-all", "--inh-caps=-all")
    assert (name, code) == ("PrivilegeError", 77)
    assert message == "loading BPF programs is not permitted: CAP_BPF and CAP_PERFMON missing"
    assert "root" in str(hint)


def with_another_bcc(where: Path, source: str) -> Path:
    """A copy of zomtrace whose compiling process finds this module in place of BCC."""
    copy = patched_copy(where)
    (where / "other").mkdir()
    (where / "other/bcc.py").write_text(source)
    copy.replace(
        "tracer/kernel/load_child.py",
        "    from bcc import BPF\n",
        f"    sys.path.insert(0, {str(where / 'other')!r})\n    from bcc import BPF\n",
    )
    return copy.root


def test_without_bcc_the_package_is_named(tmp_path: Path) -> None:
    checkout = with_another_bcc(tmp_path, "raise ImportError('no module of that name')\n")
    name, code, message, hint = attempt(env={"ZOMTRACE_CACHE": ""}, checkout=checkout)
    assert (name, code) == ("BpfUnavailableError", 69)
    assert message == "BCC cannot be imported: no module of that name"
    assert "python3-bpfcc" in str(hint)


def test_a_bcc_that_is_something_else_is_reported(tmp_path: Path) -> None:
    checkout = with_another_bcc(tmp_path, "CUBIC_LATTICE = 1\n")
    name, code, message, hint = attempt(env={"ZOMTRACE_CACHE": ""}, checkout=checkout)
    assert (name, code) == ("BpfUnavailableError", 69)
    assert "BCC cannot be imported" in str(message)
    assert "PyPI" in str(hint)


def test_a_kernel_without_btf_is_reported() -> None:
    unshare = str(require_program("unshare", "unshare"))
    name, code, message, hint = attempt(
        unshare, "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"
    )
    assert (name, code) == ("BpfUnavailableError", 69)
    assert "/sys/kernel/btf/vmlinux" in str(message)
    assert "CONFIG_DEBUG_INFO_BTF" in str(hint)


def source_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: str, after: str
) -> BpfSource:
    """A source whose BPF sources differ in one place."""
    directory = tmp_path / "bpf"
    shutil.copytree(bpf_directory(), directory)
    text = (directory / name).read_text()
    assert before in text
    (directory / name).write_text(text.replace(before, after))
    monkeypatch.setattr(loader, "bpf_directory", lambda: directory)
    return BpfSource(everything=True, allow_kprobes=False)


def test_what_the_verifier_refuses_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = source_with(tmp_path, monkeypatch, "fork.c", EMIT, BEYOND_CONFIG + EMIT)
    with broken as source:
        source.set_filter(KernelFilter(everything=True))
        with pytest.raises(BpfUnavailableError) as caught:
            source.attach()
    assert "zt_fork (raw_tp:sched_wakeup_new)" in caught.value.message
    assert "outside of the allowed memory range" in caught.value.message
    assert "\n" not in caught.value.message
    assert "-v" in str(caught.value.hint)
    assert "processed" in "".join(caught.value.__notes__)


def test_the_verifiers_whole_log_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = source_with(tmp_path, monkeypatch, "fork.c", EMIT, BEYOND_CONFIG + EMIT)
    with broken as source:
        source.set_filter(KernelFilter(everything=True))
        assert "processed" in source.log


def test_a_hook_one_can_do_without_is_only_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = source_with(tmp_path, monkeypatch, "deliver.c", SUBMIT, BEYOND + SUBMIT)
    with broken as source:
        source.set_filter(KernelFilter(everything=True))
        states = {state.name: state for state in source.attach()}
        assert states["deliver"].source is None
        assert states["deliver"].degrades is not None
        (outcome,) = (o for o in source.outcomes if o.state.name == "deliver")
        assert "outside of the allowed memory range" in outcome.rejected[0].reason


def test_what_does_not_compile_is_reported_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = source_with(tmp_path, monkeypatch, "exit.c", "int zt_exit(", "int zt_exit(wrong ")
    with broken as source, pytest.raises(BpfUnavailableError) as caught:
        source.set_filter(KernelFilter(everything=True))
    assert "exit.c:" in caught.value.message
    assert "error:" in caught.value.message
    assert "error generated" in "".join(caught.value.__notes__)


def test_a_compiling_process_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with BpfSource(everything=True, fresh=True) as source:
        source.start()
        assert source._job is not None
        assert source._job._child is not None
        source._job._child._child.kill()
        with pytest.raises(BpfUnavailableError, match="was killed by SIGKILL"):
            source.set_filter(KernelFilter(everything=True))


def test_a_source_that_was_started_can_be_closed_at_once() -> None:
    source = BpfSource(everything=True, fresh=True)
    source.start()
    assert source._job is not None
    assert source._job._child is not None
    child = source._job._child._child
    source.close()
    assert child.returncode is not None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("none integrity [confidentiality]\n", BpfUnavailableError),
        ("none [integrity] confidentiality\n", PrivilegeError),
    ],
)
def test_lockdown_is_distinguished_from_missing_privilege(
    text: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lockdown").write_text(text)
    monkeypatch.setattr(rights, "LOCKDOWN", tmp_path / "lockdown")
    with pytest.raises(error):
        rights.refuse_by_errno(1, "loading BPF programs")
