"""Checkouts for the tests of scripts/."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.checkout import Checkout

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout that nothing has set up yet."""
    root = tmp_path / "checkout"
    (root / "scripts").mkdir(parents=True)
    for name in ("setup", "programs.sh", "test", "demo", "constraints.txt"):
        shutil.copy(_ROOT / "scripts" / name, root / "scripts")
    shutil.copy(_ROOT / "pyproject.toml", root)
    copy = Checkout(root=root, stand_ins=tmp_path / "bin", calls=tmp_path / "calls")
    # No test may ask the real one for anything.
    sudo = copy.stand_ins / "sudo"
    sudo.parent.mkdir()
    sudo.write_text('#!/bin/sh\n[ "$1" = -v ] && exit\n[ "$1" = -- ] && shift\nexec "$@"\n')
    sudo.chmod(0o755)
    return copy


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout that is set up, as far as its scripts can tell."""
    checkout.stand_in(checkout.root / "scripts/setup")
    checkout.stand_in(checkout.root / "scripts/kernel-matrix")
    for name in ("ruff", "mypy", "lint-imports", "clang-format", "shellcheck", "python"):
        checkout.tool(name)
    checkout.tool("zomtrace", prints="traced")
    return checkout
