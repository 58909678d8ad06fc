"""The initial RAM disk: a static busybox, an init and a few modules.

Written here in the "newc" format of cpio (kernel documentation,
driver-api/early-userspace/buffer-format), so that no cpio program is needed
and a job can be appended as an archive of its own.
"""

from __future__ import annotations

import lzma
import stat
from collections.abc import Iterable
from pathlib import Path

from matrix.debian import run
from matrix.errors import BuildError

GUEST_FILES = Path(__file__).resolve().parent / "guest"
_HEADER = "070701"
_TRAILER = "TRAILER!!!"


class Archive:
    """A cpio archive being written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def _entry(self, name: str, mode: int, data: bytes = b"", links: int = 1) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        head = _HEADER.encode() + b"".join(b"%08x" % field for field in fields) + encoded
        self._parts.append(head + b"\0" * (-len(head) % 4))
        self._parts.append(data + b"\0" * (-len(data) % 4))

    def directory(self, name: str) -> None:
        """Add a directory."""
        self._entry(name, stat.S_IFDIR | 0o755, links=2)

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """Add a file."""
        self._entry(name, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def finish(self) -> bytes:
        """Close the archive and return it, padded to 512 bytes."""
        self._entry(_TRAILER, 0)
        whole = b"".join(self._parts)
        return whole + b"\0" * (-len(whole) % 512)


def _decompressed(module: Path) -> bytes:
    if module.suffix == ".xz":
        return lzma.decompress(module.read_bytes())
    if module.suffix == ".zst":
        plain = module.with_suffix("")
        run(["zstd", "-q", "-d", "-f", "-k", module, "-o", plain])
        return plain.read_bytes()
    return module.read_bytes()


def _module_files(base: Path, release: str, names: Iterable[str]) -> list[Path]:
    files: list[Path] = []
    for name in names:
        shown = run(["modprobe", "-S", release, "-d", base, "--show-depends", name])
        for line in shown.splitlines():
            word, _, path = line.partition(" ")
            if word == "builtin":
                continue
            if word != "insmod":
                raise BuildError(f"modprobe said {line!r} about {name} of {release}")
            file = Path(path.strip())
            if file not in files:
                files.append(file)
    return files


def build_initrd(base: Path, release: str, modules: Iterable[str]) -> bytes:
    """Build the part of the initrd that depends on the kernel alone.

    Args:
        base: A tree with the kernel's lib/modules.
        release: The kernel's release, as uname -r prints it.
        modules: What to load, by name; dependencies come along.
    """
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "run", "root", "modules"):
        archive.directory(name)
    archive.file("bin/busybox", Path("/bin/busybox").read_bytes(), executable=True)
    order = []
    for file in _module_files(base, release, modules):
        name = file.name.removesuffix(".xz").removesuffix(".zst")
        archive.file(f"modules/{name}", _decompressed(file))
        order.append(name)
    archive.file("modules/order", "".join(f"{name}\n" for name in order).encode())
    return archive.finish()


def job_archive(script: str, programs: Iterable[Path] = ()) -> bytes:
    """Build the part that differs from run to run: the inits and the job.

    Args:
        script: What to run.
        programs: Compiled programs for the guest's store.
    """
    archive = Archive()
    archive.file("init", (GUEST_FILES / "init").read_bytes(), executable=True)
    archive.directory("job")
    archive.file("job/pid1", (GUEST_FILES / "pid1").read_bytes(), executable=True)
    archive.file("job/run", script.encode(), executable=True)
    archive.directory("job/programs")
    for program in programs:
        archive.file(f"job/programs/{program.name}", program.read_bytes())
    return archive.finish()
