"""What became of mutants."""

from __future__ import annotations

from mutants.stage import Mutant

_STATUS = {
    0: "survived",
    1: "killed",
    3: "killed",
    5: "no tests",
    33: "no tests",
    24: "timeout",
    -24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
}
"""By mutmut's exit codes; any other is a crash, which is noticed as well."""
_SURVIVED = frozenset({"survived", "no tests"})


def status_of(mutant: Mutant) -> str:
    """What became of a mutant that was tested: killed, survived, no tests, timeout, crashed."""
    assert mutant.exit_code is not None
    return _STATUS.get(mutant.exit_code, "crashed")


def is_survivor(mutant: Mutant) -> bool:
    """Whether no test noticed it, or there is none for the function at all."""
    return mutant.exit_code is not None and status_of(mutant) in _SURVIVED


def difference(mutant: Mutant) -> str:
    """What it changes, as a diff."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    heading = f"# {mutant.name}: {status_of(mutant)}"
    return f"{heading}\n{get_diff_for_mutant(mutant.name, path=mutant.path)}"
