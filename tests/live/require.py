"""Skips that say why, and that CI turns into failures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require(capability: str, available: bool, reason: str) -> None:
    """Skip the test unless ``available``; fail where the capability is demanded.

    Args:
        capability: What ``ZOMTRACE_REQUIRE`` (comma list, or ``all``) may name.
        available: Whether this machine has it.
        reason: Why not, as the skip will say it.
    """
    if available:
        return
    demanded = os.environ.get("ZOMTRACE_REQUIRE", "").split(",")
    if capability in demanded or "all" in demanded:
        pytest.fail(f"ZOMTRACE_REQUIRE names {capability}, but {reason}")
    pytest.skip(reason)


def require_program(capability: str, *names: str) -> Path:
    """Find the first of some programs, or skip. Looks in sbin as well."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    require(capability, False, f"no {' or '.join(names)} on this machine")
    raise AssertionError("require() does not return here")


def require_root() -> None:
    """Skip unless we are root."""
    require("root", os.geteuid() == 0, "needs root")
