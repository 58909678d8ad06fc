"""A busybox root file system, as a directory and as a tar stream."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var")


def build_rootfs(where: Path, busybox: Path, files: Mapping[str, Path] | None = None) -> Path:
    """Make a root file system holding busybox and its applets.

    Args:
        where: The directory to fill; made if need be.
        busybox: A statically linked busybox.
        files: More static binaries: path inside -> file outside.

    Returns:
        ``where``.
    """
    for name in _DIRECTORIES:
        (where / name).mkdir(parents=True, exist_ok=True)
    shutil.copy2(busybox, where / "bin/busybox")
    listing = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    for applet in listing.stdout.split():
        link = where / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    (where / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:\n")
    (where / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    for inside, outside in (files or {}).items():
        target = where / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(outside, target)
        target.chmod(0o755)
    return where


def tar_rootfs(rootfs: Path) -> bytes:
    """Pack a root file system, every file owned by root."""

    def owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        return member

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(rootfs, arcname=".", filter=owned_by_root)
    return stream.getvalue()
