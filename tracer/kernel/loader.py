"""Gets the BPF programs into the kernel: compiled earlier, or now in another process."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracer.errors import BpfUnavailableError, ZomtraceError
from tracer.kernel.maps import BpfMap, map_shape
from tracer.kernel.rights import is_locked_down, refuse_by_errno, too_few_descriptors
from tracer.kernel.store import StoredSet, digest_of, users_store
from tracer.kernel.view import KernelFeatures
from tracer.trust.programs import clean_environment
from tracer.wire.header import CONSTANTS, bpf_directory

TRACKED_MAX = 131072
"""How many dead, unreaped processes of the target can be followed."""

HOST_LIFETIMES_MAX = 32768
TARGET_LIFETIMES_MAX = 16_384
"""How many lifetimes may be folded at a time; beyond that each event has a record of its own."""

_ANSWER_TIMEOUT_S = 120.0
"""Compiling takes 0.3 s; half a minute in an emulated guest under load."""

_LOADING = "loading BPF programs"
_MAX_ANSWER_BYTES = 1 << 16
_MAX_LOG_BYTES = 16 << 20
_MAX_FDS = 64
_MAP_SIZES = {
    "zt_config": (4, 40, 1),
    "zt_pidns": (4, 4, 1024),
    "zt_cgroups": (8, 4, 1024),
    "zt_tracked": (16, 32, TRACKED_MAX),
    "zt_numbers": (4, 8, 6),
    "zt_drops": (4, 8, CONSTANTS["ZT_KIND_COUNT"]),
}
_RUN_CHILD = """\
import sys
sys.path.insert(0, sys.argv.pop())
import tracer
del sys.path[0]
from tracer.kernel.load_child import main
main()
"""
"""Imports this package from where we have it, all else from Python's own places."""
_VERIFIER_NOISE = re.compile(
    r"^(processed \d+ insns|verification time|stack depth|$|HINT:|bpf: Failed|from \d+ to|\d+: )"
)


@dataclass(slots=True)
class LoadedPrograms:
    """Maps and programs that were handed over. Closing gives them back.

    Args:
        features: What the kernel's BTF said.
        programs: C function to descriptor, for those the kernel accepted.
        refused: C function to one line of why, for the others.
        maps: By name.
        log: All that clang and the verifier had to say.
        seconds: What took how long.
    """

    features: KernelFeatures
    programs: dict[str, int]
    refused: dict[str, str]
    maps: dict[str, BpfMap]
    log: str
    seconds: dict[str, float]
    _fds: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close every descriptor; may be called twice."""
        for one in self.maps.values():
            one.unmap()
        while self._fds:
            os.close(self._fds.pop())


class LoadJob:
    """The programs on their way into the kernel.

    What was compiled before, for this kernel, from these sources, is loaded at
    once. Else BCC compiles it, in a separate process that runs in parallel.

    Args:
        ring_bytes: Size of the ring; a power of two, pages at least.
        cgroup_v1: Tell containers apart by cgroup v1's pids controller.
        kprobes_refused: Why no kprobe shall be loaded, or None.
        preallocate: Give the maps their memory at once.
        fresh: Compile in any case, and keep nothing.
    """

    def __init__(
        self,
        *,
        ring_bytes: int,
        cgroup_v1: bool,
        kprobes_refused: str | None,
        preallocate: bool = False,
        fresh: bool = False,
    ) -> None:
        began = time.monotonic()
        self._ring_bytes = ring_bytes
        self._options: dict[str, Any] = {
            "ring_pages": ring_bytes // os.sysconf("SC_PAGESIZE"),
            "tracked_max": TRACKED_MAX,
            "lifetimes_max": HOST_LIFETIMES_MAX if preallocate else TARGET_LIFETIMES_MAX,
            "cgroup_v1": cgroup_v1,
            "preallocate": preallocate,
            "kprobes": kprobes_refused is None,
        }
        self._kprobes_refused = kprobes_refused
        self._child: _CompilingProcess | None = None
        store = None if fresh else users_store()
        digest = None if store is None else digest_of(bpf_directory(), self._options)
        self._store_options = {
            "store": None if store is None or digest is None else str(store.directory),
            "digest": digest,
        }
        self._stored = store.find(digest) if store is not None and digest is not None else None
        self._find_s = time.monotonic() - began
        if self._stored is None:
            self._start_compiling()

    def _start_compiling(self) -> None:
        options = {
            **self._options,
            **self._store_options,
            "bpf_directory": str(bpf_directory()),
            "kprobes_refused": self._kprobes_refused,
        }
        self._child = _CompilingProcess(options)

    def close(self) -> None:
        """End the process if it still runs; may be called twice."""
        if self._child is not None:
            self._child.close()

    def result(self) -> LoadedPrograms:
        """Wait for the programs.

        Raises:
            PrivilegeError: The kernel does not let us load any.
            BpfUnavailableError: BCC is missing, or the programs do not compile;
                the whole of what was said is the exception's note.
        """
        if self._stored is not None:
            try:
                return self._load_stored(self._stored)
            except OSError as error:
                if is_locked_down() or error.errno == errno.EMFILE:
                    refuse_by_errno(error.errno or errno.EPERM, _LOADING)
                # Compiling shows what is wrong.
                self._start_compiling()
        assert self._child is not None  # noqa: S101
        return self._child.result(self._ring_bytes)

    def _load_stored(self, stored: StoredSet) -> LoadedPrograms:
        began = time.monotonic()
        programs, map_fds = stored.image.load()
        return LoadedPrograms(
            features=_features(stored.features),
            programs=programs,
            refused={},
            maps=_maps(map_fds, self._ring_bytes),
            log="",
            seconds={"find": self._find_s, "load": time.monotonic() - began},
            _fds=[*programs.values(), *map_fds.values()],
        )


class _CompilingProcess:
    """One run of :mod:`tracer.kernel.load_child`, from its start to its answer."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._log_fd = os.memfd_create("zomtrace-bpf-log")
        self._socket, theirs = socket.socketpair()
        with theirs:
            # -I and a clean environment: what it imports (BCC), and what BCC reads, is
            # not for our caller, or for another writer of our directory, to choose.
            # A process group of its own: Ctrl-C is for us to deal with.
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-c",
                    _RUN_CHILD,
                    str(theirs.fileno()),
                    json.dumps(options),
                    str(Path(__file__).parents[2]),
                ],
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log_fd,
                pass_fds=(theirs.fileno(),),
                process_group=0,
                # clang wants a directory that is there; ours may have been removed.
                cwd="/",
            )

    def close(self) -> None:
        """End the process if it still runs; may be called twice."""
        self._socket.close()
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        if self._log_fd >= 0:
            os.close(self._log_fd)
            self._log_fd = -1

    def result(self, ring_bytes: int) -> LoadedPrograms:
        """Wait for the answer; raises as :meth:`LoadJob.result`."""
        self._socket.settimeout(_ANSWER_TIMEOUT_S)
        try:
            payload, fds, flags, _ = socket.recv_fds(
                self._socket, _MAX_ANSWER_BYTES, _MAX_FDS, socket.MSG_CMSG_CLOEXEC
            )
            chunks = [payload]
            while payload:
                payload = self._socket.recv(_MAX_ANSWER_BYTES)
                chunks.append(payload)
        except TimeoutError:
            self.close()
            raise BpfUnavailableError(
                f"compiling the BPF programs took longer than {_ANSWER_TIMEOUT_S:.0f} s",
                hint="is the machine overloaded?",
            ) from None
        self._child.wait()
        log = self._read_log()
        self.close()
        try:
            if flags & socket.MSG_CTRUNC:
                raise too_few_descriptors(_LOADING)
            return self._take_over(b"".join(chunks), fds, log, ring_bytes)
        except BaseException as error:
            error.add_note(log.decode(errors="replace"))
            for fd in fds:
                os.close(fd)
            raise

    def _read_log(self) -> bytes:
        """Take what the process wrote to stderr, without another descriptor for it."""
        size = min(os.fstat(self._log_fd).st_size, _MAX_LOG_BYTES)
        return os.pread(self._log_fd, size, 0)

    def _take_over(
        self, payload: bytes, fds: list[int], log: bytes, ring_bytes: int
    ) -> LoadedPrograms:
        text = log.decode(errors="replace")
        if not payload:
            raise BpfUnavailableError(
                f"the process that compiles the BPF programs {_end(self._child.returncode)}:"
                f" {_last_line(text) or 'no message'}",
                hint="run with -v to see its whole output",
            )
        try:
            return _loaded(json.loads(payload), fds, log, text, ring_bytes)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ZomtraceError(
                "the process that compiles the BPF programs gave an invalid answer",
                hint="run with -v to see its whole output, and please report it",
            ) from error


def _loaded(
    answer: dict[str, Any], fds: list[int], log: bytes, text: str, ring_bytes: int
) -> LoadedPrograms:
    _raise_failure(answer, text)
    refused = {
        name: _refusal(reason, log[slice(*answer["logs"][name])].decode(errors="replace"))
        for name, reason in answer["refused"].items()
    }
    return LoadedPrograms(
        features=_features(answer["features"]),
        programs={name: fds[index] for name, index in answer["programs"].items()},
        refused=refused,
        maps=_maps({name: fds[index] for name, index in answer["maps"].items()}, ring_bytes),
        log=text,
        seconds=answer["seconds"],
        _fds=list(fds),
    )


def _end(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with status {returncode}"
    why = " (out of memory?)" if returncode == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-returncode).name}{why}"


def _features(named: dict[str, Any]) -> KernelFeatures:
    return KernelFeatures(**{**named, "functions": frozenset(named["functions"])})


def _maps(fds: dict[str, int], ring_bytes: int) -> dict[str, BpfMap]:
    # Of these the size is the record's, which only those know who have numpy.
    shapes = {name: map_shape(fds[name]) for name in ("zt_lifetimes", "zt_repeats")}
    sizes = {
        **_MAP_SIZES,
        "zt_events": (0, 0, ring_bytes),
        "zt_uneventful": (0, 0, ring_bytes),
        **{name: (it.key_size, it.value_size, it.max_entries) for name, it in shapes.items()},
    }
    return {name: BpfMap(name, fds[name], *size) for name, size in sizes.items()}


def _raise_failure(answer: dict[str, Any], log: str) -> None:
    """Turn what the child could not do into the error the user sees."""
    if "error" in answer:
        raise BpfUnavailableError(answer["error"], hint=answer["hint"])
    if "missing" in answer:
        raise BpfUnavailableError(
            f"BCC cannot be imported: {answer['missing']}",
            hint="install python3-bpfcc (Debian, Ubuntu) or python3-bcc (Fedora) for"
            f" {sys.executable}; PyPI's bcc is another project",
        )
    if "failed" in answer:
        refuse_by_errno(answer["errno"], _LOADING)
        raise BpfUnavailableError(
            f"the BPF programs do not compile: {_first_error(log) or answer['failed']}",
            hint="run with -v to see the compiler's whole output",
        )
    refused = answer["refused"].values()
    if os.strerror(errno.EMFILE) in refused:
        raise too_few_descriptors(_LOADING)
    # A kernel that is locked down calls the helpers unknown: "Invalid argument".
    if (refused and is_locked_down()) or (
        not answer["programs"] and os.strerror(errno.EPERM) in refused
    ):
        refuse_by_errno(errno.EPERM, _LOADING)


def _refusal(reason: str, log: str) -> str:
    line = _last_line(log)
    detail = f"{line} ({reason})" if line else reason
    return f"the kernel rejected it: {detail}"


def _last_line(log: str) -> str:
    """The last line that says something: the verifier ends with statistics."""
    for line in reversed(log.splitlines()):
        if not _VERIFIER_NOISE.match(line.strip()):
            return line.strip()[:300]
    return ""


def _first_error(log: str) -> str:
    for line in log.splitlines():
        if "error:" in line:
            return line.strip()[:300]
    return _last_line(log)
