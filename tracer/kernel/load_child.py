"""Compiles and loads the BPF programs in a process of its own, and ends.

BCC brings a whole compiler into memory (124 MB resident). It stays here: the
descriptors of the maps and programs go to the parent over a socket, and with
them everything that keeps them alive.

Its arguments are a descriptor and the options; the environment is a clean one
(:mod:`tracer.kernel.loader` starts it). stderr is a file of the parent's, for what
clang and the verifier say.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import re
import socket
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tracer.errors import ZomtraceError
from tracer.kernel import image, plan, view
from tracer.kernel.btf import KernelBtf
from tracer.kernel.maps import map_shape
from tracer.kernel.store import ProgramStore, StoredSet

_HEADERS = (
    "zt_event.h",
    "zt_maps.h",
    "zt_task.h",
    "zt_tracked.h",
    "zt_filter.h",
    "zt_record.h",
    "zt_stops.h",
    "zt_lifetimes.h",
    "zt_repeats.h",
    "zt_emit.h",
    "zt_probe.h",
)
_MAPS = (
    "zt_events",
    "zt_uneventful",
    "zt_config",
    "zt_pidns",
    "zt_cgroups",
    "zt_tracked",
    "zt_lifetimes",
    "zt_numbers",
    "zt_repeats",
    "zt_drops",
)
_INNER_MAPS = (
    "zt_tracked_starts",
    "zt_seen_before",
    "zt_scratch",
    "zt_newborn",
    "zt_stops",
    "zt_no_repeat",
)
"""Which the programs alone use."""

# enum bpf_prog_type
_PROGRAM_TYPES = {
    plan.Attach.KPROBE: 2,
    plan.Attach.KRETPROBE: 2,
    plan.Attach.TRACEPOINT: 5,
    plan.Attach.RAW_TRACEPOINT: 17,
    plan.Attach.ITERATOR: 26,
}


def _version_code() -> int:
    """The version that BCC asks for; none of our code uses it."""
    numbers = [int(digits) for digits in re.findall(r"\d+", platform.release())]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return (major << 16) + (minor << 8) + min(patch, 255)


def _source_text(directory: Path, view_text: str, files: Iterable[str]) -> str:
    """Put the view, the headers and the hooks into the one file BCC compiles.

    BCC makes programs of functions in its main file only; ``#line`` keeps
    clang's messages pointing at the real ones.
    """
    parts = (
        f'#line 1 "{name}"\n{(directory / name).read_text()}'
        for name in (*_HEADERS, *dict.fromkeys(files))
    )
    return "\n".join((view_text, *parts))


def load(options: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """Compile and load everything this kernel can use.

    Args:
        options: ``bpf_directory``, ``ring_pages``, ``tracked_max``, ``lifetimes_max``,
            ``cgroup_v1``, ``preallocate``, ``kprobes_refused``; with ``store`` (a directory)
            and ``digest`` what was compiled is kept there.

    Returns:
        The answer for the parent, and the descriptors it refers to by index.
    """
    began = time.monotonic()
    with KernelBtf() as btf:
        features = view.read_features(btf)
        view_text = view.render_view(
            btf,
            features,
            machine=platform.machine(),
            cgroup_v1=options["cgroup_v1"],
            preallocate=options["preallocate"],
        )
    viewed = time.monotonic()
    candidates = [
        candidate
        for _, candidate, reason in plan.usable_candidates(
            features, kprobes_refused=options["kprobes_refused"]
        )
        if reason is None
    ]
    directory = Path(options["bpf_directory"])
    os.environ["BCC_KERNEL_SOURCE"] = str(directory / "kernel-tree")
    from bcc import BPF
    from bcc.libbcc import lib as libbcc

    imported = time.monotonic()
    module = BPF(
        text=_source_text(directory, view_text, [c.source_file for c in candidates]),
        cflags=[
            f"-I{directory}",
            "-Wno-unused-function",
            # BCC optimises once more itself; debug information is for its own
            # listings. Both together are a third of the time.
            "-Xclang",
            "-disable-llvm-passes",
            "-g0",
            f"-DPAGE_SIZE={os.sysconf('SC_PAGESIZE')}",
            f"-DLINUX_VERSION_CODE={_version_code()}",
            f"-DZT_RING_PAGES={options['ring_pages']}",
            f"-DZT_TRACKED_MAX={options['tracked_max']}",
            f"-DZT_LIFETIMES_MAX={options['lifetimes_max']}",
        ],
    )
    compiled = time.monotonic()
    fds: list[int] = []
    programs: dict[str, int] = {}
    refused: dict[str, str] = {}
    logs: dict[str, list[int]] = {}
    for candidate in candidates:
        log_start = os.lseek(2, 0, os.SEEK_CUR)
        try:
            function = module.load_func(candidate.program, _PROGRAM_TYPES[candidate.attach])
        except Exception as error:  # noqa: BLE001  BCC raises nothing narrower
            code = ctypes.get_errno()
            refused[candidate.program] = os.strerror(code) or str(error)
            logs[candidate.program] = [log_start, os.lseek(2, 0, os.SEEK_CUR)]
            if code == errno.EMFILE:
                # Nor is there room for another, and BCC tries each for a second.
                break
            continue
        programs[candidate.program] = len(fds)
        fds.append(function.fd)
    maps = {}
    for name in _MAPS:
        maps[name] = len(fds)
        fds.append(libbcc.bpf_table_fd(module.module, name.encode()))
    loaded = time.monotonic()
    named_features = {**asdict(features), "functions": sorted(features.functions)}
    if options["store"] is not None and not refused:
        _keep(options, module, candidates, named_features)
    answer = {
        "features": named_features,
        "programs": programs,
        "refused": refused,
        "logs": logs,
        "maps": maps,
        "seconds": {
            "view": viewed - began,
            "import": imported - viewed,
            "compile": compiled - imported,
            "load": loaded - compiled,
        },
    }
    return answer, fds


def _keep(
    options: dict[str, Any],
    module: Any,
    candidates: Iterable[plan.Candidate],
    features: dict[str, Any],
) -> None:
    """Keep what was compiled for the next time; what went wrong goes to the log."""
    from bcc.libbcc import lib as libbcc

    try:
        tables = {
            libbcc.bpf_table_fd(module.module, name.encode()): name
            for name in (*_MAPS, *_INNER_MAPS)
        }
        programs = {}
        for candidate in candidates:
            code = image.take_code(
                _PROGRAM_TYPES[candidate.attach], module.dump_func(candidate.program), tables
            )
            if candidate.attach is plan.Attach.ITERATOR:
                code = replace(code, attach_btf_id=image.iterator_btf_id(candidate.point))
            programs[candidate.program] = code
        maps = {name: map_shape(fd) for fd, name in tables.items()}
        ProgramStore(Path(options["store"])).keep(
            options["digest"], StoredSet(features, image.ProgramImage(maps, programs))
        )
    except (OSError, LookupError) as error:
        sys.stderr.write(f"the compiled programs could not be stored: {error}\n")


def main() -> None:
    """Load, hand over, end without BCC's cleaning up."""
    parent = socket.socket(fileno=int(sys.argv[1]))
    options = json.loads(sys.argv[2])
    fds: list[int] = []
    try:
        answer, fds = load(options)
    except ZomtraceError as error:
        answer = {"error": error.message, "hint": error.hint}
    except ImportError as error:
        answer = {"missing": str(error)}
    except OSError as error:
        answer = {"failed": str(error), "errno": error.errno or 0}
        traceback.print_exc()
    except (Exception, SystemExit) as error:  # noqa: BLE001  BCC raises nothing narrower, and exits
        answer = {"failed": f"{type(error).__name__}: {error}", "errno": ctypes.get_errno()}
        traceback.print_exc()
    sys.stderr.flush()
    try:
        socket.send_fds(parent, [json.dumps(answer).encode()], fds)
    except BrokenPipeError:
        os._exit(1)
    os._exit(0)
