"""scripts/mutants: which mutants are tested, and how many survivors are a failure."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from mutants import cli, stage

KILLED, SURVIVED, NO_TESTS, TIMEOUT, INTERRUPTED = 1, 0, 33, 36, 2


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage with two files, and no mutmut."""
    monkeypatch.setattr(stage, "STAGE", tmp_path)
    monkeypatch.setattr(cli, "difference", lambda mutant: mutant.name)
    for name in ("a", "b"):
        path = tmp_path / f"tracer/wire/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def made(staged: Path, name: str, *codes: int | None) -> list[stage.Mutant]:
    """Mutants of a file, as mutmut leaves their results."""
    meta = staged / f"mutants/tracer/wire/{name}.py.meta"
    meta.parent.mkdir(parents=True, exist_ok=True)
    by_key = {f"tracer.wire.{name}.x_f__mutmut_{n}": code for n, code in enumerate(codes)}
    meta.write_text(json.dumps({"exit_code_by_key": by_key}))
    return stage.mutants_below([Path(f"tracer/wire/{name}.py")])


def test_mutants_are_those_of_the_paths_named(staged: Path) -> None:
    made(staged, "a", SURVIVED, None)
    (one,) = made(staged, "b", KILLED)
    assert (one.name, one.path) == ("tracer.wire.b.x_f__mutmut_0", Path("tracer/wire/b.py"))
    whole = stage.mutants_below([Path("tracer/wire")])
    assert [mutant.exit_code for mutant in whole] == [SURVIVED, None, KILLED]
    assert stage.mutants_below([Path("tracer/wire/c.py")]) == []


def test_what_was_interrupted_is_untested(staged: Path) -> None:
    assert [one.exit_code for one in made(staged, "a", INTERRUPTED, KILLED)] == [None, KILLED]


@pytest.mark.parametrize(
    ("codes", "status", "words"),
    [
        ([KILLED] * 9 + [SURVIVED], 0, "1 of 10 survived (10.0%)"),
        ([KILLED] * 8 + [SURVIVED], 1, "1 of 9 survived (11.1%)"),
        # Code that no test reaches is no better tested.
        ([KILLED] * 8 + [NO_TESTS], 1, "1 of 9 survived"),
        ([KILLED] * 8 + [TIMEOUT, -11], 0, "0 of 10 survived"),
        ([KILLED] * 10 + [None], 1, "1 are untested"),
        ([None], 1, "0 of 0 survived"),
    ],
)
def test_more_than_a_tenth_of_survivors_is_a_failure(
    staged: Path,
    capsys: pytest.CaptureFixture[str],
    codes: list[int | None],
    status: int,
    words: str,
) -> None:
    output = staged / "build/survivors.diff"
    mutants = made(staged, "a", *codes)
    assert cli.report(mutants, output) == status
    assert words in capsys.readouterr().out
    wanted = [one.name for one in mutants if one.exit_code in (SURVIVED, NO_TESTS)]
    assert output.read_text().split() == wanted


@pytest.mark.parametrize("path", ["/etc", "tracer/wire/no-such-file.py"])
def test_a_path_that_is_none_of_the_projects_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], path: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([path])
    assert ended.value.code == 2
    assert f"not a file or directory of the project: {Path(path).resolve()}" in (
        capsys.readouterr().err
    )


def test_the_tests_that_mutants_run_are_there() -> None:
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    selected = settings["mutmut"]["pytest_add_cli_args_test_selection"]
    assert len(selected) > 10
    assert [path for path in selected if not (root / path).exists()] == []
