"""The view of the kernel that the hooks are compiled against, made from BTF.

For each member a hook reads there is an accessor ``struct__member(address)``
which reads it with ``bpf_probe_read_kernel`` at this kernel's offset, and a
``ZT_HAS_struct__member``. Nothing is left to BCC's rewriter, which sees only
some kernel pointers, and no kernel header is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracer.errors import BpfUnavailableError
from tracer.kernel.btf import KernelBtf

_POINTER = "const void *"


@dataclass(frozen=True, slots=True)
class _Read:
    struct: str
    path: str
    c_type: str
    optional: bool = False

    @property
    def c_name(self) -> str:
        return f"{self.struct}__{self.path.replace('.', '_')}"


_READS = (
    _Read("task_struct", "pid", "u32"),
    _Read("task_struct", "tgid", "u32"),
    _Read("task_struct", "flags", "u32"),
    _Read("task_struct", "ptrace", "u32"),
    _Read("task_struct", "exit_state", "u32"),
    _Read("task_struct", "exit_code", "s32"),
    _Read("task_struct", "exit_signal", "s32"),
    _Read("task_struct", "pdeath_signal", "s32"),
    _Read("task_struct", "start_boottime", "u64"),
    _Read("task_struct", "self_exec_id", "u64"),
    _Read("task_struct", "real_parent", _POINTER),
    _Read("task_struct", "parent", _POINTER),
    _Read("task_struct", "group_leader", _POINTER),
    _Read("task_struct", "thread_pid", _POINTER),
    _Read("task_struct", "signal", _POINTER),
    _Read("task_struct", "sighand", _POINTER),
    _Read("task_struct", "cgroups", _POINTER),
    _Read("task_struct", "stack", _POINTER),
    _Read("task_struct", "cred", _POINTER),
    _Read("cred", "uid.val", "u32"),
    _Read("task_struct", "blocked.sig", "u64"),
    _Read("task_struct", "real_blocked.sig", "u64"),
    _Read("task_struct", "thread_info.status", "u32", optional=True),
    _Read("task_struct", "thread_info.flags", "u64", optional=True),
    _Read("signal_struct", "live.counter", "s32"),
    _Read("signal_struct", "flags", "u32"),
    _Read("signal_struct", "group_exit_code", "s32"),
    _Read("signal_struct", "cputimer.cputime_atomic.utime.counter", "u64"),
    _Read("signal_struct", "cputimer.cputime_atomic.stime.counter", "u64"),
    _Read("signal_struct", "group_exec_task", _POINTER, optional=True),
    _Read("signal_struct", "group_exit_task", _POINTER, optional=True),
    _Read("k_sigaction", "sa.sa_handler", "u64"),
    _Read("k_sigaction", "sa.sa_flags", "u64"),
    _Read("kernel_siginfo", "si_code", "s32"),
    _Read("kernel_siginfo", "_sifields._kill._pid", "u32"),
    _Read("pid", "level", "u32"),
    _Read("upid", "nr", "u32"),
    _Read("upid", "ns", "u64"),
    _Read("pid_namespace", "ns.inum", "u32"),
    _Read("pid_namespace", "child_reaper", _POINTER),
    _Read("css_set", "dfl_cgrp", _POINTER),
    _Read("cgroup_subsys_state", "cgroup", _POINTER),
    _Read("cgroup", "level", "u32"),
    _Read("cgroup", "kn", _POINTER),
    _Read("kernfs_node", "id", "u64"),
)

_OFFSETS = (
    ("task_struct", "comm", False),
    ("task_struct", "children", False),
    ("task_struct", "sibling", False),
    ("signal_struct", "rlim", False),
    ("sighand_struct", "action", False),
    ("pid", "numbers", False),
    ("css_set", "subsys", False),
    ("cgroup", "ancestors", True),
    ("cgroup", "ancestor_ids", True),
)

_SIZES = ("k_sigaction", "upid", "pt_regs")

_C_SIZES = {"u32": 4, "s32": 4, "u64": 8, _POINTER: 8}


@dataclass(frozen=True, slots=True)
class _Registers:
    """Where an architecture keeps what the hooks read.

    Args:
        syscall, first_argument, return_value: Members of struct pt_regs.
        thread_size: Bytes of a kernel stack with the registers at its top; None
            where they are not to be found without the kernel's help.
        compat_in_flags: A 32-bit task is known by thread_info.flags (TIF_32BIT),
            not by thread_info.status (TS_COMPAT).
    """

    syscall: str
    first_argument: str
    return_value: str
    thread_size: int | None
    compat_in_flags: bool


_REGISTERS = {
    "x86_64": _Registers("orig_ax", "di", "ax", 16384, compat_in_flags=False),
    # Written after the kernel's sources, never run.
    "aarch64": _Registers("syscallno", "regs", "regs", None, compat_in_flags=True),
}


@dataclass(frozen=True, slots=True)
class KernelFeatures:
    """What this kernel's BTF says of the hooks; decides which programs exist.

    Args:
        exit_has_group_dead: sched_process_exit has a second argument.
        mark_victim: ``task``, ``pid`` or None where the tracepoint is absent.
        task_pt_regs: The helper bpf_task_pt_regs exists.
        maps_grow: Hash maps may allocate inside a tracing program; where they
            may not, they are allocated beforehand.
        tracepoints_preempt: Another task may run in the midst of a tracepoint.
        functions: Which of the functions that may be probed exist.
    """

    exit_has_group_dead: bool
    mark_victim: str | None
    task_pt_regs: bool
    maps_grow: bool
    tracepoints_preempt: bool
    functions: frozenset[str]


PROBED_FUNCTIONS = (
    "do_exit",
    "release_task",
    "zap_pid_ns_processes",
    "kernel_clone",
    "__oom_kill_process",
)


def read_features(btf: KernelBtf) -> KernelFeatures:
    """Ask BTF for what the choice of programs depends on."""
    exit_params = btf.tracepoint_params("sched_process_exit") or ()
    oom_params = btf.tracepoint_params("mark_victim")
    mark_victim = None
    if oom_params:
        mark_victim = "task" if oom_params[0] == "task_struct *" else "pid"
    return KernelFeatures(
        exit_has_group_dead=len(exit_params) > 1,
        mark_victim=mark_victim,
        task_pt_regs=btf.enum_value("bpf_func_id", "BPF_FUNC_task_pt_regs") is not None,
        # struct bpf_mem_alloc came with allocation that is safe in any context;
        # before it such a map in a tracing program makes the kernel WARN.
        maps_grow=btf.member("bpf_htab", "ma") is not None,
        # The guard that tracepoints are called under since 7.0, in place of one
        # against preemption; nothing else takes it.
        tracepoints_preempt=btf.has_typedef("class_srcu_fast_notrace_t"),
        functions=frozenset(name for name in PROBED_FUNCTIONS if btf.has_function(name)),
    )


def render_view(
    btf: KernelBtf,
    features: KernelFeatures,
    *,
    machine: str,
    cgroup_v1: bool = False,
    preallocate: bool = False,
) -> str:
    """Write the C text that comes in front of the hooks.

    Args:
        btf: The running kernel's types.
        features: From :func:`read_features`.
        machine: As uname prints it: x86_64 or aarch64.
        cgroup_v1: Tell containers apart by the pids controller's v1 hierarchy.
        preallocate: Spend 14 MB of the kernel's memory on maps that are full at once
            rather than grow: what ends costs half the time.

    Raises:
        BpfUnavailableError: A member that no hook can do without is missing, or
            the architecture is not known.
    """
    registers = _REGISTERS.get(machine)
    if registers is None:
        raise BpfUnavailableError(
            f"the registers of the architecture {machine} are unknown",
            hint="x86_64 and aarch64 are supported",
        )
    lines = ["#include <linux/types.h>"]
    lines += _render_features(btf, features, registers, cgroup_v1=cgroup_v1)
    # BPF_F_NO_PREALLOC
    lines.append(f"#define ZT_NO_PREALLOC {int(features.maps_grow and not preallocate)}")
    for read in _READS:
        lines += _render_read(btf, read)
    for struct, path, optional in _OFFSETS:
        lines += _render_offset(btf, struct, path, optional=optional)
    for struct in _SIZES:
        lines.append(f"#define ZT_SIZE_{struct} {btf.struct_size(struct) or 0}")
    return "\n".join(lines) + "\n"


def _render_features(
    btf: KernelBtf, features: KernelFeatures, registers: _Registers, *, cgroup_v1: bool
) -> Iterator[str]:
    def offset(member: str) -> int:
        layout = btf.member("pt_regs", member)
        if layout is None:
            raise _missing("pt_regs", member)
        return layout.offset

    yield f"#define ZT_EXIT_HAS_GROUP_DEAD {int(features.exit_has_group_dead)}"
    yield f"#define ZT_HAS_TASK_PT_REGS {int(features.task_pt_regs)}"
    yield f"#define ZT_PT_REGS_BELOW_STACK_TOP {int(registers.thread_size is not None)}"
    yield f"#define ZT_THREAD_SIZE {registers.thread_size or 0}"
    yield f"#define ZT_COMPAT_IN_FLAGS {int(registers.compat_in_flags)}"
    yield f"#define ZT_OFF_SYSCALL {offset(registers.syscall)}"
    yield f"#define ZT_OFF_ARG1 {offset(registers.first_argument)}"
    yield f"#define ZT_OFF_RETURN {offset(registers.return_value)}"
    yield f"#define ZT_CGROUP_V1 {int(cgroup_v1)}"
    if cgroup_v1:
        number = btf.enum_value("cgroup_subsys_id", "pids_cgrp_id")
        if number is None:
            raise BpfUnavailableError(
                "this kernel has no pids controller to tell containers apart",
                hint="boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
            )
        yield f"#define ZT_CGROUP_V1_SUBSYS {number}"


def _render_read(btf: KernelBtf, read: _Read) -> Iterator[str]:
    layout = btf.member(read.struct, read.path)
    if layout is None:
        if not read.optional:
            raise _missing(read.struct, read.path)
        yield f"#define ZT_HAS_{read.c_name} 0"
        return
    if layout.size != _C_SIZES[read.c_type]:
        raise BpfUnavailableError(
            f"struct {read.struct}.{read.path} has {layout.size} bytes on this kernel,"
            f" {_C_SIZES[read.c_type]} were expected",
            hint="report this kernel to zomtrace",
        )
    yield f"#define ZT_HAS_{read.c_name} 1"
    yield (
        f"static __always_inline {read.c_type} {read.c_name}(const void *base)"
        f" {{ {read.c_type} value = 0; "
        f"bpf_probe_read_kernel(&value, {layout.size}, base + {layout.offset}); return value; }}"
    )
    yield (f'_Static_assert(sizeof({read.c_type}) == {layout.size}, "{read.struct}.{read.path}");')


def _render_offset(btf: KernelBtf, struct: str, path: str, *, optional: bool) -> Iterator[str]:
    layout = btf.member(struct, path)
    if layout is None and not optional:
        raise _missing(struct, path)
    yield f"#define ZT_HAS_{struct}__{path} {int(layout is not None)}"
    if layout is not None:
        yield f"#define ZT_OFF_{struct}__{path} {layout.offset}"


def _missing(struct: str, path: str) -> BpfUnavailableError:
    return BpfUnavailableError(
        f"struct {struct} of this kernel has no member {path}",
        hint="report this kernel to zomtrace",
    )
