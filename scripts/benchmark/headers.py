"""The kernel tree BCC's tools are compiled against: no kernel headers needed.

zomtrace's own (``bpf/kernel-tree``) describes no structure. The tools of
bpfcc-tools name members of ``task_struct`` and ``pt_regs``: those come from the
running kernel's BTF.
"""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

from tracer.kernel.btf import KernelBtf
from tracer.wire.header import bpf_directory

_TASK = (
    ("pid", "int"),
    ("tgid", "int"),
    ("exit_code", "int"),
    ("start_time", "unsigned long long"),
    ("real_parent", "struct task_struct *"),
)
_REGISTERS = {
    "x86_64": ("di", "si", "dx", "r10", "r8", "cx", "r9", "ax", "sp", "ip", "bp", "orig_ax"),
    "aarch64": (),
}


def _view(btf: KernelBtf, struct: str, members: tuple[tuple[str, str], ...]) -> str:
    lines = [f"struct {struct} {{ union {{"]
    for name, c_type in members:
        layout = btf.member(struct, name)
        if layout is not None:
            lines.append(
                f"struct {{ char before_{name}[{layout.offset}]; {c_type} {name}; }}"
                " __attribute__((packed));"
            )
    return "\n".join((*lines, "}; };\n"))


def make_kernel_tree(directory: Path) -> Path:
    """Write the tree; returns what BCC_KERNEL_SOURCE shall be."""
    tree = directory / "kernel-tree"
    shutil.copytree(bpf_directory() / "kernel-tree", tree)
    include = tree / "include"
    major, minor, patch = [*map(int, re.findall(r"\d+", platform.release())), 0, 0, 0][:3]
    version = (major << 16) + (minor << 8) + min(patch, 255)
    with (include / "linux/version.h").open("a") as file:
        # BCC's tools cannot be given a -D.
        file.write(f"\n#ifndef LINUX_VERSION_CODE\n#define LINUX_VERSION_CODE {version}\n#endif\n")
    with (include / "linux/kconfig.h").open("a") as file:
        file.write("\n#include <linux/version.h>\n")
    with KernelBtf() as btf:
        task = _view(btf, "task_struct", _TASK)
        registers = _view(
            btf,
            "pt_regs",
            tuple((name, "unsigned long") for name in _REGISTERS.get(platform.machine(), ())),
        )
    (include / "linux/sched.h").write_text(
        f"#pragma once\n#include <linux/types.h>\n#define TASK_COMM_LEN 16\n{task}"
    )
    (include / "uapi/linux/ptrace.h").write_text(
        f"#pragma once\n#include <linux/types.h>\n{registers}"
    )
    return tree
