"""Skips that name the capability they miss: tests/conftest.py may forbid them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require(capability: str, available: bool, reason: str) -> None:
    """Skip the test unless ``available``.

    Args:
        capability: What ``ZOMTRACE_REQUIRE`` may name.
        available: Whether this machine has it.
        reason: Why not, as the skip will say it.
    """
    if not available:
        pytest.skip(f"needs {capability}: {reason}")


def require_program(capability: str, *names: str) -> Path:
    """Find the first of some programs, or skip. Looks in sbin as well."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    require(capability, False, f"there is no {' or '.join(names)} here")
    raise AssertionError("require() does not return here")


def require_root() -> None:
    """Skip unless we are root."""
    require("root", os.geteuid() == 0, "this is another user")
