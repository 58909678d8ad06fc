"""The root file system every guest boots from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from matrix.cache import cached, source_hash
from matrix.catalogue import Catalogue
from matrix.debian import mirror, run
from matrix.errors import BuildError

_LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
)


def make_ext4(tree: Path, image: Path, size_mib: int) -> None:
    """Write a directory as an ext4 image, without mounting anything.

    Journal and checksums are for disks that outlive a crash; a guest's writes
    are thrown away with it.
    """
    run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum,^64bit",
         "-m", "0", "-d", tree, image, f"{size_mib}M"]
    )  # fmt: skip


def root_image(catalogue: Catalogue) -> Path:
    """Return the root image, building it if its definition changed."""

    def build(work: Path) -> None:
        if os.geteuid() != 0:
            raise BuildError(
                "the root image can only be built by root",
                hint="run once with sudo; XDG_CACHE_HOME says where it is kept",
            )
        tree = work / "tree"
        run(
            ["mmdebstrap", "--variant=apt", "--mode=root", "--quiet",
             '--aptopt=APT::Install-Recommends "false"',
             '--aptopt=Acquire::Check-Valid-Until "false"',
             *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
             f"--include={','.join(catalogue.root_packages)}",
             catalogue.root_suite, tree, mirror()]
        )  # fmt: skip
        shutil.rmtree(tree / "var/lib/apt/lists")
        for mount_point in ("zomtrace", "opt/python"):
            (tree / mount_point).mkdir(parents=True, exist_ok=True)
        (tree / "etc/hostname").write_text("zomtrace-guest\n", encoding="utf-8")
        make_ext4(tree, work / "root.ext4", catalogue.root_size_mib)
        shutil.rmtree(tree)

    definition: dict[str, object] = {
        "suite": catalogue.root_suite,
        "packages": sorted(catalogue.root_packages),
        "size_mib": catalogue.root_size_mib,
        "builder": source_hash(Path(__file__)),
    }
    return cached("root", definition, build) / "root.ext4"
