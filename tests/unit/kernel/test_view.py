"""The C view of the kernel: what is rendered, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.require import require
from tracer.errors import BpfUnavailableError
from tracer.kernel.btf import BTF_PATH, KernelBtf, MemberLayout
from tracer.kernel.view import read_features, render_view
from tracer.wire.header import bpf_directory


class FakeBtf:
    """Any member asked for is there, eight bytes after the one before."""

    def __init__(
        self,
        missing: frozenset[str] = frozenset(),
        sizes: dict[str, int] | None = None,
        params: dict[str, tuple[str, ...]] | None = None,
        enums: dict[str, int] | None = None,
        typedefs: frozenset[str] = frozenset(),
    ) -> None:
        self.missing = missing
        self.sizes = sizes or {}
        self.params = params or {}
        self.enums = enums or {}
        self.typedefs = typedefs
        self.offset = 0

    def member(self, struct: str, path: str) -> MemberLayout | None:
        if f"{struct}.{path}" in self.missing:
            return None
        self.offset += 8
        return MemberLayout(self.offset, self.sizes.get(f"{struct}.{path}", 8))

    def struct_size(self, name: str) -> int | None:
        return 32

    def enum_value(self, enum: str, item: str) -> int | None:
        return self.enums.get(item)

    def tracepoint_params(self, name: str) -> tuple[str, ...] | None:
        return self.params.get(name)

    def has_typedef(self, name: str) -> bool:
        return name in self.typedefs

    def has_function(self, name: str) -> bool:
        return True


@pytest.fixture(scope="module")
def btf() -> Iterator[KernelBtf]:
    require("btf", Path(BTF_PATH).exists(), "this kernel has no BTF")
    with KernelBtf() as opened:
        yield opened


@pytest.fixture
def fake(btf: KernelBtf) -> Callable[..., KernelBtf]:
    """A fake whose members have the sizes of the running kernel's."""
    view = render_view(btf, read_features(btf), machine="x86_64", cgroup_v1=True)
    sizes = {
        name: int(size)
        for size, name in re.findall(r'_Static_assert\(sizeof\([^)]*\) == (\d+), "([^"]+)"', view)
    }

    def make(**kwargs: Any) -> KernelBtf:
        return cast("KernelBtf", FakeBtf(sizes={**sizes, **kwargs.pop("sizes", {})}, **kwargs))

    return make


def test_every_accessor_a_hook_uses_is_rendered(btf: KernelBtf) -> None:
    view = render_view(btf, read_features(btf), machine="x86_64", cgroup_v1=True)
    sources = "\n".join(
        path.read_text() for path in bpf_directory().iterdir() if path.suffix in {".c", ".h"}
    )
    structs = {"task_struct", "signal_struct", "pid", "upid", "pid_namespace", "cgroup", "css_set"}
    used = {
        name
        for name in re.findall(r"\b([a-z_]+__[a-z_]+)\(", sources)
        if name.split("__")[0] in structs
    }
    assert used
    optional = {"signal_struct__group_exit_task", "signal_struct__group_exec_task"}
    assert {name for name in used - optional if f" {name}(const void *base)" not in view} == set()


def test_offsets_are_the_kernels(btf: KernelBtf) -> None:
    size = btf.struct_size("task_struct")
    pid, tgid = btf.member("task_struct", "pid"), btf.member("task_struct", "tgid")
    assert size is not None
    assert pid is not None
    assert tgid is not None
    assert (pid.size, tgid.size, tgid.offset - pid.offset) == (4, 4, 4)
    assert tgid.offset < size
    # The union of siginfo begins at 16 on 64-bit machines: part of the ABI.
    assert btf.member("kernel_siginfo", "si_code") == MemberLayout(8, 4)
    assert btf.member("kernel_siginfo", "_sifields._kill._pid") == MemberLayout(16, 4)
    assert btf.member("sighand_struct", "action") is not None
    assert btf.struct_size("k_sigaction") == 32


def test_what_is_not_there_is_none(btf: KernelBtf) -> None:
    assert btf.member("task_struct", "no_such_member") is None
    assert btf.member("no_such_struct", "pid") is None
    assert btf.member("task_struct", "pid.inner") is None
    assert btf.struct_size("no_such_struct") is None
    assert btf.enum_value("no_such_enum", "A") is None
    assert btf.tracepoint_params("no_such_tracepoint") is None
    assert not btf.has_function("no_such_function")


def test_tracepoint_parameters_are_spelled(btf: KernelBtf) -> None:
    params = btf.tracepoint_params("signal_generate")
    assert params is not None
    assert params[:3] == ("int", "kernel_siginfo *", "task_struct *")
    assert len(params) == 5


@pytest.mark.parametrize(
    ("exit_params", "oom_params", "group_dead", "mark_victim"),
    [
        (("task_struct *",), ("int",), False, "pid"),
        (("task_struct *", "_Bool"), ("task_struct *", "uid_t"), True, "task"),
        (("task_struct *", "_Bool"), None, True, None),
    ],
)
def test_features_come_from_prototypes(
    exit_params: tuple[str, ...],
    oom_params: tuple[str, ...] | None,
    group_dead: bool,
    mark_victim: str | None,
    fake: Callable[..., KernelBtf],
) -> None:
    params = {"sched_process_exit": exit_params}
    if oom_params:
        params["mark_victim"] = oom_params
    features = read_features(fake(params=params))
    assert (features.exit_has_group_dead, features.mark_victim) == (group_dead, mark_victim)


def test_an_optional_member_may_be_missing(fake: Callable[..., KernelBtf]) -> None:
    btf = fake(missing=frozenset({"cgroup.ancestors", "task_struct.thread_info.status"}))
    view = render_view(btf, read_features(btf), machine="x86_64")
    assert "#define ZT_HAS_cgroup__ancestors 0" in view
    assert "#define ZT_HAS_task_struct__thread_info_status 0" in view
    assert "#define ZT_HAS_cgroup__ancestor_ids 1" in view


def test_a_required_member_may_not(fake: Callable[..., KernelBtf]) -> None:
    btf = fake(missing=frozenset({"signal_struct.live.counter"}))
    with pytest.raises(BpfUnavailableError, match=r"signal_struct .* no member live\.counter"):
        render_view(btf, read_features(btf), machine="x86_64")


def test_a_member_of_another_size_is_refused(fake: Callable[..., KernelBtf]) -> None:
    btf = fake(sizes={"task_struct.tgid": 8})
    with pytest.raises(BpfUnavailableError, match=r"task_struct\.tgid has 8 bytes"):
        render_view(btf, read_features(btf), machine="x86_64")


def test_an_unknown_architecture_is_refused(fake: Callable[..., KernelBtf]) -> None:
    btf = fake()
    with pytest.raises(BpfUnavailableError, match="riscv64"):
        render_view(btf, read_features(btf), machine="riscv64")


def test_cgroup_v1_needs_the_pids_controller(fake: Callable[..., KernelBtf]) -> None:
    btf = fake()
    with pytest.raises(BpfUnavailableError, match="pids controller"):
        render_view(btf, read_features(btf), machine="x86_64", cgroup_v1=True)
    btf = fake(enums={"pids_cgrp_id": 11})
    view = render_view(btf, read_features(btf), machine="x86_64", cgroup_v1=True)
    assert "#define ZT_CGROUP_V1_SUBSYS 11" in view


def test_the_registers_of_arm64_are_others(fake: Callable[..., KernelBtf]) -> None:
    btf = fake()
    view = render_view(btf, read_features(btf), machine="aarch64")
    assert "#define ZT_COMPAT_IN_FLAGS 1" in view
    assert "#define ZT_PT_REGS_BELOW_STACK_TOP 0" in view


@pytest.mark.parametrize("guarded", [True, False])
def test_tracepoints_can_be_preempted_where_their_guard_lets_them(
    guarded: bool, fake: Callable[..., KernelBtf]
) -> None:
    typedefs = frozenset({"class_srcu_fast_notrace_t"} if guarded else ())
    features = read_features(fake(typedefs=typedefs))
    assert features.tracepoints_preempt is guarded
