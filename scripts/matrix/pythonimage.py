"""The project's Python dependencies, as a disk the guests mount.

They are wheels for the root image's Python, chosen by pip as for the project
itself, so that a guest runs what the project asks for whatever the host has.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path

from matrix.cache import cached, source_hash
from matrix.catalogue import CHECKOUT, Catalogue
from matrix.debian import run
from matrix.rootimage import make_ext4

PYTHON_VERSION = (3, 11)
"""Of the root image's suite."""
_DOTTED = ".".join(map(str, PYTHON_VERSION))
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")


def _distribution(requirement: str) -> str:
    named = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", named.group() if named else requirement).lower()


def guest_requirements(catalogue: Catalogue, checkout: Path = CHECKOUT) -> list[str]:
    """List what a guest installs: the project's own dependencies and pytest.

    A distribution may be named twice, by pyproject.toml and by the catalogue:
    pip then satisfies both.
    """
    data = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        text
        for text in data["project"]["dependencies"]
        if _distribution(text) not in catalogue.left_out
    ]
    return sorted([*wanted, *catalogue.requirements])


def guest_constraints(catalogue: Catalogue, checkout: Path = CHECKOUT) -> str:
    """The project's pinned versions, without those the catalogue bounds itself."""
    bounded = {
        _distribution(text) for text in catalogue.requirements if _distribution(text) != text
    }
    pinned = (checkout / "scripts" / "constraints.txt").read_text(encoding="utf-8")
    return "".join(
        f"{line}\n"
        for line in pinned.splitlines()
        if line.startswith("#") or _distribution(line) not in bounded
    )


def python_image(catalogue: Catalogue) -> Path:
    """Return the image of the dependencies, building it if they changed."""
    requirements = guest_requirements(catalogue)
    constraints = guest_constraints(catalogue)

    def build(work: Path) -> None:
        tree = work / "tree"
        tree.mkdir()
        pinned = work / "constraints.txt"
        pinned.write_text(constraints, encoding="utf-8")
        platforms = [option for name in _PLATFORMS for option in ("--platform", name)]
        run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile",
             "--only-binary=:all:", "--implementation=cp",
             f"--python-version={_DOTTED}", *platforms,
             f"--constraint={pinned}", f"--target={tree}", *requirements]
        )  # fmt: skip
        for path in [*tree.rglob("tests"), *tree.rglob("*.pyi")]:
            if path.is_dir():
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        if sys.version_info[:2] == PYTHON_VERSION:
            # Compiling takes emulated guests seconds, and this Python writes
            # the very files theirs reads.
            run([sys.executable, "-m", "compileall", "-q",
                 "--invalidation-mode=unchecked-hash", tree])  # fmt: skip
        used = sum(path.lstat().st_size for path in tree.rglob("*"))
        files = sum(1 for _ in tree.rglob("*"))
        make_ext4(tree, work / "python.ext4", (used + files * 4096) // 2**20 + 24)
        shutil.rmtree(tree)

    definition: dict[str, object] = {
        "requirements": requirements,
        "constraints": constraints,
        "python": _DOTTED,
        "builder": source_hash(Path(__file__)),
    }
    return cached("python", definition, build) / "python.ext4"
