"""What root loads and runs is not for the caller's environment to choose."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.require import require_root
from tests.support.zomtrace_process import zomtrace_command
from tracer.errors import BpfUnavailableError, UsageError
from tracer.kernel import loader, store
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.trust.programs import find_program

MALLORY = 4321


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory of another user's."""
    directory = tmp_path / "theirs"
    directory.mkdir()
    os.chown(directory, MALLORY, MALLORY)
    return directory


def attach() -> tuple[str, set[str]]:
    """Load and attach the programs: what was said, and what took time."""
    with BpfSource(everything=True) as source:
        source.set_filter(KernelFilter(everything=True))
        source.attach()
        return source.log, set(source.load_seconds)


def test_pythonpath_chooses_no_compiler(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = tmp_path / "loaded"
    for name in ("bcc", "sitecustomize", "json"):
        (theirs / f"{name}.py").write_text(f"open({str(loaded)!r}, 'a').write('{name}')\n")
    kernel_tree = theirs / "kernel-tree"
    for name, value in {
        "PYTHONPATH": str(theirs),
        "PYTHONHOME": str(theirs),
        "BCC_KERNEL_SOURCE": str(kernel_tree),
        "BCC_LINUX_VERSION_CODE": "1",
        "LD_LIBRARY_PATH": str(theirs),
        "LD_PRELOAD": str(theirs / "evil.so"),
        store.DIRECTORY_VARIABLE: "",
    }.items():
        monkeypatch.setenv(name, value)
    log, steps = attach()
    assert "compile" in steps
    assert "evil.so" not in log
    assert not loaded.exists()


def test_the_compiling_process_has_nothing_of_the_callers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANYTHING", "at all")
    monkeypatch.setenv(store.DIRECTORY_VARIABLE, "")
    monkeypatch.setattr(
        loader, "_RUN_CHILD", "import os, sys; sys.stderr.write(repr(sorted(os.environ)))"
    )
    with pytest.raises(BpfUnavailableError, match=r"'HOME', 'LANG', 'PATH'") as said:
        attach()
    assert "ANYTHING" not in str(said.value)


def test_the_command_that_setup_installs_is_isolated(theirs: Path, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    for name in ("sitecustomize", "tracer", "click"):
        (theirs / f"{name}.py").write_text(f"open({str(loaded)!r}, 'a').write('{name}')\n")
    env = {**os.environ, "PYTHONPATH": str(theirs), "PYTHONHOME": str(theirs)}
    done = subprocess.run(
        [*zomtrace_command(), "--version"], env=env, cwd=theirs, capture_output=True, check=False
    )
    assert (done.returncode, loaded.exists()) == (0, False), done.stderr


def test_programs_are_kept_and_found_in_no_place_of_another_users(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(theirs)
    os.lchown(tmp_path / "link", MALLORY, MALLORY)
    (theirs / "roots").mkdir()
    for place in (theirs, theirs / "deep/er", theirs / "roots", tmp_path / "link", Path("cache")):
        monkeypatch.setenv(store.DIRECTORY_VARIABLE, str(place))
        with pytest.raises(UsageError, match="ZOMTRACE_CACHE names"):
            store.users_store()
    monkeypatch.setenv(store.DIRECTORY_VARIABLE, str(tmp_path / "mine"))
    assert store.users_store() is not None


def test_a_users_cache_home_is_not_roots(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(store.DIRECTORY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(theirs))
    monkeypatch.setenv("HOME", str(theirs))
    found = store.users_store()
    assert found is None or found.directory == Path("/var/cache/zomtrace/programs")


def test_a_program_is_not_looked_for_where_path_says(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sh", "zt-no-such-program"):
        (theirs / name).write_text("#!/bin/sh\n")
        (theirs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{theirs}:.:")
    monkeypatch.chdir(theirs)
    assert find_program("sh") in {"/usr/bin/sh", "/bin/sh"}
    assert find_program("zt-no-such-program") is None


def test_no_shell_that_path_names_is_run_for_a_completion_script(
    theirs: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    (theirs / "bash").write_text(f"#!/bin/sh\necho 5.2.0; : >{ran}\n")
    (theirs / "bash").chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{theirs}:{os.environ['PATH']}",
        "_ZOMTRACE_COMPLETE": "bash_source",
    }
    done = subprocess.run(
        [*zomtrace_command(), "--version"], env=env, capture_output=True, text=True, check=False
    )
    assert not ran.exists()
    assert done.stdout.startswith("zomtrace")
