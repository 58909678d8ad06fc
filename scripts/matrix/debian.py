"""Debian packages, fetched without touching the machine's own sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matrix.errors import BuildError

HOST_PACKAGES = (
    "busybox-static",
    "e2fsprogs",
    "gcc",
    "kmod",
    "libc6-dev",
    "mmdebstrap",
    "python3-pip",
    "qemu-system-x86",
    "util-linux",
    "zstd",
)
"""What the host needs, by Debian's names."""

_NEEDED_COMMANDS = (
    "apt-get",
    "depmod",
    "dpkg-deb",
    "gcc",
    "mke2fs",
    "mmdebstrap",
    "modprobe",
    "qemu-system-x86_64",
    "setpriv",
)

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

ENVIRONMENT = {
    **os.environ,
    "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
"""For every command: an ordinary user's PATH lacks sbin."""


def run(command: Sequence[str | Path], *, cwd: Path | None = None) -> str:
    """Run a command that must succeed and return its standard output.

    Raises:
        BuildError: It failed; the message ends with what it said.
    """
    try:
        done = subprocess.run(
            ["nice", "-n", "10", *map(str, command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            cwd=cwd,
            check=False,
        )
    except OSError as error:
        raise BuildError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-8:]
        raise BuildError(
            f"{' '.join(map(str, command[:3]))} ... exited with {done.returncode}: "
            + "\n    ".join(said)
        )
    return done.stdout


def require_host() -> None:
    """Check that the host has what the builders and QEMU need.

    Raises:
        BuildError: A command is not there.
    """
    path = ENVIRONMENT["PATH"]
    missing = [name for name in _NEEDED_COMMANDS if shutil.which(name, path=path) is None]
    if not Path("/bin/busybox").exists():
        missing.append("busybox")
    if missing:
        raise BuildError(
            f"not installed: {', '.join(missing)}",
            hint=f"apt-get install --no-install-recommends {' '.join(HOST_PACKAGES)}",
        )


def mirror() -> str:
    """Say which Debian mirror this machine uses.

    Raises:
        BuildError: It uses none, and ZOMTRACE_DEBIAN_MIRROR names none.
    """
    named = os.environ.get("ZOMTRACE_DEBIAN_MIRROR")
    if named:
        return named
    listed = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(RELEASE)",
         "Created-By: Packages"]
    )  # fmt: skip
    for line in listed.splitlines():
        uri, origin, release = (*line.split(), "", "")[:3]
        if origin == "Debian" and "-" not in release:
            return uri
    raise BuildError(
        "the machine's package sources name no Debian mirror",
        hint="run 'apt-get update', or set ZOMTRACE_DEBIAN_MIRROR to a mirror's address",
    )


@dataclass(frozen=True, slots=True)
class Package:
    """A package as a suite lists it."""

    name: str
    version: str
    depends: tuple[str, ...]


class Suite:
    """One Debian suite, with apt state of its own.

    Args:
        name: The suite.
        work: A directory for the state, made if it is not there.
    """

    def __init__(self, name: str, work: Path) -> None:
        self.name = name
        self._work = work
        for part in ("state/lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True, exist_ok=True)
        sources = work / "sources.list"
        sources.write_text(
            f"deb [arch=amd64 signed-by={KEYRING}] {mirror()} {name} main\n", encoding="utf-8"
        )
        (work / "status").touch()
        self._options: list[str] = []
        for key, value in (
            ("Dir::Etc::SourceList", str(sources)),
            ("Dir::Etc::SourceParts", "-"),
            ("Dir::State", str(work / "state")),
            ("Dir::State::status", str(work / "status")),
            ("Dir::Cache", str(work / "cache")),
            ("APT::Architecture", "amd64"),
            ("APT::Architectures", "amd64"),
            ("APT::Sandbox::User", "root"),
            ("Acquire::Check-Valid-Until", "false"),
            ("Acquire::Languages", "none"),
            ("APT::Update::Post-Invoke-Success::", "true"),
        ):
            self._options += ["-o", f"{key}={value}"]
        self._run("apt-get", "update", "-q")

    def _run(self, tool: str, *arguments: str) -> str:
        return run([tool, *self._options, *arguments], cwd=self._work)

    def package(self, name: str) -> Package:
        """Look a package up.

        Raises:
            BuildError: The suite has no such package.
        """
        shown = self._run("apt-cache", "show", "--no-all-versions", name)
        fields = dict(re.findall(r"^(Package|Version|Depends): (.*)$", shown, re.MULTILINE))
        if fields.get("Package") != name:
            raise BuildError(f"{self.name} has no package {name}")
        depends = tuple(
            entry.split()[0].partition(":")[0]
            for entry in fields.get("Depends", "").split(",")
            if entry.strip()
        )
        return Package(name, fields["Version"], depends)

    def extract(self, names: Sequence[str], tree: Path) -> None:
        """Download packages and unpack them into ``tree``."""
        self._run("apt-get", "download", "-q", *names)
        for archive in sorted(self._work.glob("*.deb")):
            run(["dpkg-deb", "-x", archive, tree])
            archive.unlink()
