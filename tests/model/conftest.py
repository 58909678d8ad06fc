"""How many histories: ZOMTRACE_MODEL_HISTORIES=N for another number."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def histories() -> int:
    """So many histories of each sort."""
    return int(os.environ.get("ZOMTRACE_MODEL_HISTORIES", "700"))
