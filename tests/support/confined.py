"""zomtrace with exactly some capabilities: as another user, as a lesser root, in a container."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.dockerd import remove_cgroups
from tests.support.zomtrace_process import zomtrace_command

SOMEBODY = 4321
"""A user this machine does not know."""
_CHECKOUT = Path(__file__).parents[2]


def with_capabilities(*names: str, uid: int = SOMEBODY) -> list[str]:
    """The argv prefix that leaves a user exactly these capabilities, root too."""
    only = "".join(f",+{name}" for name in names)
    lesser = [f"--bounding-set=-all{only}", f"--inh-caps=-all{only if uid else ''}"]
    if uid == 0:
        return ["setpriv", *lesser, "--"]
    user = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups", f"--ambient-caps=-all{only}"]
    return ["setpriv", *lesser, *user, "--"]


@contextmanager
def container(
    runc: Path,
    *capabilities: str,
    namespaces: Sequence[str] = ("ipc", "uts", "mount", "network"),
    uid: int = SOMEBODY,
    without: Sequence[str] = (),
    seccomp: Mapping[str, Any] | None = None,
    is_read_only: bool = False,
) -> Iterator[list[str | Path]]:
    """Give the argv prefix that runs zomtrace in a container of its own.

    Args:
        runc: The runtime.
        capabilities: All that it has, as ``CAP_BPF``.
        namespaces: Its own; no ``pid`` among them is ``--pid=host``.
        uid: Who it runs as.
        without: Directories that are not mounted into it.
        seccomp: The filter of its system calls, as the OCI has it.
        is_read_only: No file can be written, /tmp's neither.
    """
    held = list(capabilities)
    # What the program is made of, wherever this checkout and its Python are.
    directories = dict.fromkeys(
        str(path.resolve()) for path in (Path("/usr"), Path("/etc"), _CHECKOUT, Path(sys.prefix))
    )
    links = {name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")}
    read_only = ["rbind", "ro", "nosuid", "nodev"]
    mounts: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
        {
            "destination": "/tmp",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["mode=1777", *(["ro"] if is_read_only else [])],
        },
        {"destination": "/sys", "type": "bind", "source": "/sys", "options": read_only},
        *(
            {"destination": path, "type": "bind", "source": path, "options": read_only}
            for path in directories
        ),
    ]
    with tempfile.TemporaryDirectory(prefix="zt-confined-") as work:
        bundle = Path(work)
        rootfs = bundle / "rootfs"
        rootfs.mkdir()
        for name, target in links.items():
            (rootfs / name).symlink_to(target)
        config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": uid, "gid": uid},
                "args": ["/bin/false"],
                "env": ["PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8"],
                "cwd": "/",
                "noNewPrivileges": True,
                "capabilities": dict.fromkeys(
                    ("bounding", "effective", "permitted", "inheritable", "ambient"), held
                ),
            },
            "root": {"path": str(rootfs), "readonly": is_read_only},
            "hostname": "zt",
            "mounts": [mount for mount in mounts if mount["destination"] not in without],
            "linux": {
                "cgroupsPath": f"/{bundle.name}/one",
                "namespaces": [{"type": kind} for kind in namespaces],
                **({"seccomp": seccomp} if seccomp else {}),
            },
        }
        # runc takes its command from the bundle alone.
        script = (
            "import json, pathlib, subprocess, sys\n"
            "runc, bundle, *args = sys.argv[1:]\n"
            "file = pathlib.Path(bundle) / 'config.json'\n"
            "config = json.loads(file.read_text())\n"
            "config['process']['args'] = args\n"
            "file.write_text(json.dumps(config))\n"
            "name = pathlib.Path(bundle).name\n"
            "sys.exit(subprocess.run([runc, 'run', '--bundle', bundle, name]).returncode)\n"
        )
        (bundle / "config.json").write_text(json.dumps(config))
        try:
            yield [sys.executable, "-c", script, runc, bundle, *zomtrace_command()]
        finally:
            subprocess.run(
                [runc, "delete", "--force", bundle.name], capture_output=True, check=False
            )
            remove_cgroups(bundle.name)
