"""scripts/test, with stand-ins for the linters, pytest and the other kernels."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.checkout import Checkout

WITHOUT_ROOT = "tests/unit tests/repo tests/replay tests/model tests/fuzz"
IN_PARALLEL = f"python -m pytest -n auto --dist loadfile {WITHOUT_ROOT}"
LIVE = [
    "python -m pytest -n 0 --dist loadfile -m not alone tests/live tests/bench",
    "python -m pytest -m alone tests/live tests/bench",
]


def test_all_lints_and_the_tests_run_though_the_first_lint_fails(ready: Checkout) -> None:
    ready.tool("ruff", status=1, prints="x.py:1:1 F401 unused import")
    done = ready.run("test", "-x")
    assert done.returncode == 1
    calls = ready.called()
    assert [call.split()[0] for call in calls] == [
        "setup", "ruff", "ruff", "mypy", "lint-imports", "clang-format", "shellcheck", "python",
    ]  # fmt: skip
    assert calls[0] == "setup --test"
    assert calls[-1] == f"python -m pytest {WITHOUT_ROOT} tests/live tests/bench -x"
    assert "lint: ruff check ... FAILED\nx.py:1:1 F401 unused import" in done.stdout
    assert "lint: mypy --strict ... ok" in done.stdout
    assert done.stderr.splitlines()[-1] == "test: failed: ruff check, ruff format"


def test_what_pytest_and_the_other_kernels_said_stands_at_the_end(ready: Checkout) -> None:
    ready.tool("python", prints="==== 3 passed in 0.1s ====")
    ready.stand_in(ready.root / "scripts/kernel-matrix", prints="6.1 ok")
    done = ready.run("test", "--unit", "--kernel")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-3:] == ["==== 3 passed in 0.1s ====", "6.1 ok", "test: passed"]
    assert done.stderr == ""


def test_a_kernel_that_fails_fails_the_whole(ready: Checkout) -> None:
    ready.stand_in(ready.root / "scripts/kernel-matrix", status=1, prints="5.10 FAILED")
    done = ready.run("test", "--unit", "--kernel")
    assert done.returncode == 1
    assert "5.10 FAILED" in done.stdout
    assert done.stderr == "test: failed: kernel matrix\n"


def test_failing_tests_fail_the_whole(ready: Checkout) -> None:
    ready.tool("python", status=1)
    done = ready.run("test")
    assert done.returncode == 1
    assert done.stderr == "test: failed: unit tests, live tests, live tests that run alone\n"


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        (["--unit"],
         ["setup --test", IN_PARALLEL]),
        (["--live", "-k", "oom"],
         ["setup --test", "python -m pytest tests/live tests/bench -k oom"]),
        (["--kernel"], ["setup --test --kernel", "kernel-matrix "]),
        (["--programs"],
         ["setup --test --programs", "python -m pytest tests/live/test_real_programs_web.py"]),
        (["--programs", "-k", "nginx"],
         ["setup --test --programs",
          "python -m pytest tests/live/test_real_programs_web.py -k nginx"]),
        (["--live", "--programs"],
         ["setup --test --programs", *LIVE]),
        (["--unit", "--live"],
         ["setup --test", IN_PARALLEL, *LIVE]),
        (["tests/unit/test_a.py::test_b"],
         ["setup --test", "python -m pytest tests/unit/test_a.py::test_b"]),
    ],
)  # fmt: skip
def test_parts_and_paths_run_alone(ready: Checkout, arguments: list[str], calls: list[str]) -> None:
    (ready.root / "tests/unit").mkdir(parents=True)
    (ready.root / "tests/unit/test_a.py").touch()
    (ready.root / "tests/live").mkdir()
    (ready.root / "tests/live/test_real_programs_web.py").touch()
    done = ready.run("test", *arguments)
    assert done.returncode == 0
    # The non-root way to the live tests adds arguments at the end.
    assert [call.removesuffix(" -p no:cacheprovider") for call in ready.called()] == calls


def test_a_path_beside_a_part_is_wrong_usage(ready: Checkout) -> None:
    assert ready.run("test", "--unit", "scripts/test").returncode == 2
    assert ready.called() == []


def test_a_set_up_that_fails_ends_the_whole(ready: Checkout) -> None:
    ready.stand_in(ready.root / "scripts/setup", status=69)
    done = ready.run("test")
    assert done.returncode == 69
    assert ready.called() == ["setup --test --kernel"]


def test_naming_nothing_runs_everything_and_the_other_kernels_last(ready: Checkout) -> None:
    done = ready.run("test")
    assert done.returncode == 0
    assert {call.split()[0] for call in ready.called()} == {
        "setup", "ruff", "mypy", "lint-imports", "clang-format", "shellcheck", "python",
        "kernel-matrix",
    }  # fmt: skip
    assert ready.called()[0] == "setup --test --kernel"
    assert ready.called()[-1].split()[0] == "kernel-matrix"


@pytest.mark.parametrize(
    ("arguments", "given", "expected"),
    [
        (["--live"], None, "root,bpf,docker,runc"),
        (["--live"], "", ""),
        (["--live"], "kprobes", "kprobes"),
        (["--unit"], None, ""),
    ],
)
def test_live_tests_may_not_skip_unless_allowed(
    ready: Checkout,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    given: str | None,
    expected: str,
) -> None:
    tool = ready.root / ".venv/bin/python"
    tool.write_text('#!/bin/sh\necho "require=$ZOMTRACE_REQUIRE"\n')
    if given is None:
        monkeypatch.delenv("ZOMTRACE_REQUIRE", raising=False)
    else:
        monkeypatch.setenv("ZOMTRACE_REQUIRE", given)
    *required, verdict = ready.run("test", *arguments).stdout.splitlines()
    assert set(required) == {f"require={expected}"}
    assert verdict == "test: passed"


PYTHON = """#!/bin/sh
echo "python $*" >>{calls}
case "$*" in
*json*) exec {python} "$@" ;;
*tests/unit/test_a.py::*) exit {again} ;;
*tests/unit*)
    mkdir -p .pytest_cache/v/cache
    printf '%s' '{failed}' >.pytest_cache/v/cache/lastfailed
    exit 1 ;;
esac
"""


def failing(ready: Checkout, number: int, *, again: int) -> None:
    """Have so many unit tests fail, and what they end with when they are run once more."""
    failed = {f"tests/unit/test_a.py::test_{n}": True for n in range(number)}
    path = ready.root / ".venv/bin/python"
    path.write_text(
        PYTHON.format(
            calls=ready.calls, python=sys.executable, again=again, failed=json.dumps(failed)
        )
    )


@pytest.mark.parametrize(
    ("number", "again", "status"), [(1, 0, 0), (3, 0, 0), (1, 1, 1), (4, 0, 1)]
)
def test_a_few_that_failed_are_run_once_more_and_named(
    ready: Checkout, number: int, again: int, status: int
) -> None:
    failing(ready, number, again=again)
    done = ready.run("test")
    assert done.returncode == status
    assert ("test: failed: unit tests" in done.stderr) is (status == 1)
    named = [line for line in done.stderr.splitlines() if line.startswith("test: failed once")]
    assert len(named) == (0 if status else number)


def test_whoever_names_a_part_and_a_pattern_sees_the_first_failure(ready: Checkout) -> None:
    failing(ready, 1, again=0)
    assert ready.run("test", "--unit", "-k", "a").returncode == 1
