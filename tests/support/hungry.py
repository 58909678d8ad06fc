"""A container about to use up its memory limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.adopted import AdoptedContainer, adopted
from tests.support.runc import Runc
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Zomtrace

LIMIT = 32 << 20


@contextmanager
def hungry(
    runc: Runc, mode: str, limit: int | None = LIMIT
) -> Iterator[tuple[AdoptedContainer, Zomtrace]]:
    """A container about to eat, and zomtrace on it, attached."""
    runc.add_files(workload_files("oom"))
    resources = {} if limit is None else {"memory": {"limit": limit, "swap": limit}}
    with adopted(runc, ["oom", mode], resources=resources) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id) as trace:
            yield container, trace.wait_attached()
