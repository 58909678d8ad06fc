"""scripts/test --mutants: are the tests such that a changed line makes one of them fail?"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutants import stage
from mutants.tally import difference, is_survivor, status_of

DEFAULT_PATHS = (Path("tracer/correlate"), Path("tracer/diagnose"), Path("tracer/wire"))
MOST_SURVIVORS = 0.10
_AT_ONCE = 1_000
"""Names on one command line of mutmut."""


def main(arguments: list[str] | None = None) -> int:
    """Test mutants and list those that survive.

    Returns:
        0; 1 if more than a tenth survived, 2 for wrong usage, 69 if mutmut could not run.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    named = [(Path.cwd() / path).resolve() for path in options.paths]
    for path in named:
        if not path.exists() or not path.is_relative_to(stage.ROOT):
            parser.error(f"not a file or directory of the project: {path}")
    paths = [path.relative_to(stage.ROOT) for path in named] or list(DEFAULT_PATHS)
    stage.refresh()
    os.chdir(stage.STAGE)
    stage.make_mutants(options.jobs)
    chosen = stage.mutants_below(paths)
    if not chosen:
        print(f"mutants: nothing to mutate in {', '.join(map(str, paths))}", file=sys.stderr)
        return 2
    if options.sample is not None:
        order = random.Random(options.seed)
        chosen = order.sample(chosen, min(options.sample, len(chosen)))
    left = [
        mutant.name
        for mutant in chosen
        if mutant.exit_code is None or (options.again and is_survivor(mutant))
    ]
    print(f"mutants: {len(chosen)} chosen, {len(chosen) - len(left)} of them tested before")
    for first in range(0, len(left), _AT_ONCE):
        some = left[first : first + _AT_ONCE]
        command = [str(stage.ROOT / ".venv/bin/mutmut"), "run", "--max-children", str(options.jobs)]
        done = subprocess.run([*command, *some], env=stage.environment(), check=False)
        if done.returncode != 0:
            print("mutants: mutmut failed: the tests must pass unchanged first", file=sys.stderr)
            return 69
    names = {mutant.name for mutant in chosen}
    return report([one for one in stage.mutants_below(paths) if one.name in names], options.output)


def report(mutants: list[stage.Mutant], output: Path) -> int:
    """Print how many survived, and write which.

    Returns:
        The exit status.
    """
    tested = [mutant for mutant in mutants if mutant.exit_code is not None]
    survivors = [mutant for mutant in tested if is_survivor(mutant)]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(f"{difference(mutant)}\n" for mutant in survivors), encoding="utf-8")
    counts = Counter(status_of(mutant) for mutant in tested)
    for status, number in sorted(counts.items()):
        print(f"{number:6} {status}")
    share = len(survivors) / len(tested) if tested else 1.0
    print(f"mutants: {len(survivors)} of {len(tested)} survived ({share:.1%}): {output}")
    if len(tested) < len(mutants):
        print(f"mutants: {len(mutants) - len(tested)} are untested: run it again to go on")
    return 1 if share > MOST_SURVIVORS or len(tested) < len(mutants) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/test --mutants",
        description="Change the code line by line, and list the changes that no test notices.",
        epilog="Exit: 0 at most a tenth survived, 1 more did or some are untested.",
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH",
        help=f"files or directories to mutate (default: {' '.join(map(str, DEFAULT_PATHS))})",
    )  # fmt: skip
    parser.add_argument(
        "--sample", type=int, metavar="N", help="test only N mutants, the same each time"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="draw another sample")
    parser.add_argument(
        "--again", action="store_true", help="test those that survived before once more"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
        help="how many mutants to test at once (default: one for each processor)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, default=stage.ROOT / "build/mutants/survivors.diff", metavar="FILE",
        help="where the list of survivors goes (default: build/mutants/survivors.diff)",
    )  # fmt: skip
    return parser
