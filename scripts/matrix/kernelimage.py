"""A kernel to boot: vmlinuz and initrd out of Debian's packages."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from matrix.cache import cached, source_hash
from matrix.catalogue import Catalogue, Kernel
from matrix.debian import Suite, run
from matrix.errors import BuildError
from matrix.initrd import build_initrd

_KERNEL_PACKAGE = re.compile(r"linux-(image|binary|modules|base)-\d")


@dataclass(frozen=True, slots=True)
class BootableKernel:
    """A kernel that is ready to boot.

    Args:
        kernel: Its entry in the catalogue.
        release: As uname -r prints it.
        version: The Debian package's version.
        vmlinuz: The kernel.
        initrd: The initrd, to which a run's own part is appended.
    """

    kernel: Kernel
    release: str
    version: str
    vmlinuz: Path
    initrd: Path


def _image_packages(suite: Suite, metapackage: str) -> tuple[str, list[str]]:
    """Follow a metapackage to the packages that hold files of the kernel.

    Up to 6.x that is linux-image-RELEASE; from 7.x it is empty, and
    linux-binary-RELEASE and linux-modules-RELEASE hold them, with the list of
    what is built in under linux-base-RELEASE.
    """
    names: list[str] = []
    version = ""
    todo = [metapackage]
    while todo:
        package = suite.package(todo.pop())
        version = version or package.version
        for name in package.depends:
            if _KERNEL_PACKAGE.match(name) and name not in names:
                names.append(name)
                todo.append(name)
    if not names:
        raise BuildError(f"{metapackage} of {suite.name} depends on no kernel")
    return version, names


def bootable_kernel(catalogue: Catalogue, kernel: Kernel) -> BootableKernel:
    """Return a kernel, fetching it if its definition changed."""

    def build(work: Path) -> None:
        suite = Suite(kernel.suite, work / "apt")
        version, names = _image_packages(suite, kernel.package)
        tree = work / "tree"
        tree.mkdir()
        suite.extract(names, tree)
        if not (tree / "lib").exists():
            (tree / "lib").symlink_to("usr/lib")
        releases = [path.name for path in (tree / "lib/modules").iterdir()]
        if len(releases) != 1:
            raise BuildError(f"{', '.join(names)} hold modules of {releases}, not of one kernel")
        release = releases[0]
        candidates = [
            tree / f"boot/vmlinuz-{release}",
            tree / f"lib/modules/{release}/vmlinuz",
        ]
        found = [path for path in candidates if path.is_file()]
        if not found:
            raise BuildError(f"{', '.join(names)} hold no vmlinuz of {release}")
        run(["depmod", "-b", tree, release])
        (work / "initrd").write_bytes(build_initrd(tree, release, catalogue.initrd_modules))
        shutil.copy(found[0], work / "vmlinuz")
        (work / "release").write_text(release + "\n", encoding="utf-8")
        (work / "version").write_text(version + "\n", encoding="utf-8")
        shutil.rmtree(tree)
        shutil.rmtree(work / "apt")

    here = Path(__file__).resolve()
    definition: dict[str, object] = {
        "suite": kernel.suite,
        "package": kernel.package,
        "modules": list(catalogue.initrd_modules),
        "builder": source_hash(here, here.with_name("initrd.py")),
    }
    entry = cached(f"kernel-{kernel.name}", definition, build)
    return BootableKernel(
        kernel,
        (entry / "release").read_text(encoding="utf-8").strip(),
        (entry / "version").read_text(encoding="utf-8").strip(),
        entry / "vmlinuz",
        entry / "initrd",
    )
