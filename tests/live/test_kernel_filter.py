"""What BpfSource lets pass: a PID namespace and those below it, a cgroup, nothing else."""

from __future__ import annotations

import pytest

from tests.support.bpf_source import CHILDREN, PRIME, has, in_pidns, pairs, tracing, waited_statuses
from tests.support.cgroups import a_cgroup, cgroup_root
from tests.support.noise import storm
from tests.support.pidns_script import PidnsScript
from tests.support.require import require
from tracer.model.target import KernelFilter

pytestmark = pytest.mark.root

NESTED = """
import subprocess
say("ready")
hear()
inner = subprocess.Popen(["unshare", "--pid", "--fork", "sh", "-c", "true; true; exit 7"])
say(inner.wait())
hear()
"""


def test_a_nested_namespace_passes_and_is_named_by_its_own_number() -> None:
    with PidnsScript(NESTED) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "7"
            exits = trace.wait(2, "exit")
            inner = exits[exits["pidns_inum"] != script.pidns_inum]
            assert inner["ns_pid"].tolist() == [1]
            assert inner["pidns_level"].tolist() == [2]
            assert inner["parent_pidns_inum"].tolist() == [script.pidns_inum]
            assert inner["exit_code"].tolist() == [7 << 8]
            assert has(inner, "INIT") == [True]
            assert inner["init_start_boot_ns"].tolist() == inner["start_boot_ns"].tolist()


def test_a_process_of_another_namespace_does_not_pass() -> None:
    with PidnsScript(CHILDREN) as traced, PidnsScript(CHILDREN) as other:
        traced.listen()
        other.listen()
        with tracing(in_pidns(traced)) as trace:
            other.tell()
            waited_statuses(other)
            traced.tell()
            waited_statuses(traced)
            trace.wait(PRIME, "free")
            assert set(trace.records["pidns_inum"].tolist()) == {traced.pidns_inum}


@pytest.mark.parametrize("hierarchy", [None, "pids"], ids=["v2", "v1"])
def test_a_cgroup_passes_with_its_descendants_and_nothing_else(hierarchy: str | None) -> None:
    root = cgroup_root(hierarchy)
    require("cgroup-v1" if hierarchy else "cgroup-v2", root is not None, "it is not mounted here")
    assert root is not None
    with a_cgroup(root) as cgroup, PidnsScript(CHILDREN, pidns=False) as script, storm(2):
        script.listen()
        (cgroup / "inner" / "cgroup.procs").write_text(str(script.outer_pid))
        wanted = KernelFilter(cgroup_ids=frozenset({cgroup.stat().st_ino}))
        with tracing(wanted, cgroup_v1=hierarchy is not None) as trace:
            script.tell()
            truth = waited_statuses(script)
            trace.wait(PRIME, "free")
            exits = trace.of("exit")
            assert dict(pairs(exits, "host_pid", "exit_code")) == truth
            assert set(trace.records["cgroup_id"].tolist()) == {(cgroup / "inner").stat().st_ino}


def test_the_filter_can_be_changed_while_tracing() -> None:
    with PidnsScript(CHILDREN) as first, PidnsScript(CHILDREN) as second:
        first.listen()
        second.listen()
        with tracing(in_pidns(first)) as trace:
            trace.source.set_filter(in_pidns(second))
            first.tell()
            waited_statuses(first)
            second.tell()
            waited_statuses(second)
            trace.wait(PRIME, "free")
            assert set(trace.records["pidns_inum"].tolist()) == {second.pidns_inum}
