"""A dockerd of the test session's own, on its own containerd, socket and roots."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tests.support.rootfs import build_rootfs, tar_rootfs
from tests.support.waiting import wait_for

IMAGE = "zt-busybox"
"""The image every test may run: busybox and nothing else."""

_ETC_DOCKER = Path("/etc/docker")
_CONTAINERD_CONFIG = """\
version = 2
root = "{root}/containerd-root"
state = "{root}/containerd"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{root}/containerd.sock"
"""

_HIDE_AND_EXEC = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/docker && exec "$@"'


class Dockerd:
    """A private Docker engine; everything it made goes when it is closed.

    Attributes:
        root: Holds all its state (mode 0700).
        socket: The API socket.
        url: The same as ``DOCKER_HOST`` wants it.
        containerd_socket: Its containerd, for ``ctr --address``.
        containerd_state: Where containerd keeps its tasks.
        exec_root: Where dockerd has runc keep its state.
        cgroup_parent: The cgroup all its containers are in.
    """

    def __init__(self, *, dockerd: Path, containerd: Path, docker: Path, busybox: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="zt-docker-"))
        self.socket = self.root / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.containerd_socket = self.root / "containerd.sock"
        self.containerd_state = self.root / "containerd"
        self.exec_root = self.root / "exec"
        self.cgroup_parent = f"/{self.root.name}"
        self._docker = docker
        self._dockerd = dockerd
        self._containerd = containerd
        self._busybox = busybox
        self._processes: list[subprocess.Popen[bytes]] = []
        self._made_etc_docker = not _ETC_DOCKER.exists()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which ``docker`` and zomtrace find this engine."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        return env | {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.root / "client")}

    def start(self) -> None:
        """Start containerd and dockerd, wait until they answer, import the image."""
        _ETC_DOCKER.mkdir(exist_ok=True)
        config = self.root / "containerd.toml"
        config.write_text(_CONTAINERD_CONFIG.format(root=self.root))
        # In a mount namespace of their own: what both leave in /run and /etc/docker
        # (shim sockets, keys), and every container's mounts, end with them.
        self._spawn(
            "containerd",
            ["unshare", "--mount", "--propagation", "private",
             "sh", "-c", _HIDE_AND_EXEC, "sh", self._containerd, "--config", config],
        )  # fmt: skip
        self._wait_for_socket("containerd", self.containerd_socket)
        # One of our own, or the machine's /etc/docker/daemon.json is read.
        (self.root / "daemon.json").write_text('{"live-restore": true}')
        self._start_dockerd()
        self.import_image(IMAGE)

    def cli(self, *args: str | Path, check: bool = True, within_s: float = 100) -> str:
        """Run ``docker ARGS`` against this engine and return its stripped stdout."""
        done = subprocess.run(
            [self._docker, *args],
            env=self.env, capture_output=True, text=True, timeout=within_s, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done.stdout.strip()

    def popen(self, *args: str | Path) -> subprocess.Popen[str]:
        """Start ``docker ARGS`` and do not wait."""
        return subprocess.Popen(
            [self._docker, *args],
            env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *args: str | Path) -> str:
        """``docker run -d --network none ARGS``: the full id of the container."""
        return self.cli("run", "-d", "--network", "none", *args)

    def restart(self) -> None:
        """End dockerd and start it anew; containers live on."""
        _end(self._processes.pop())
        self._start_dockerd()

    def _start_dockerd(self) -> None:
        self._spawn(
            "dockerd",
            [
                "nsenter", f"--mount=/proc/{self._processes[0].pid}/ns/mnt",
                self._dockerd,
                "--config-file", self.root / "daemon.json",
                "--host", self.url,
                "--group", "root",
                "--data-root", self.root / "data",
                "--exec-root", self.exec_root,
                "--pidfile", self.root / "dockerd.pid",
                "--containerd", self.containerd_socket,
                "--cgroup-parent", self.cgroup_parent,
                "--bridge=none", "--iptables=false", "--ip6tables=false",
            ],
        )  # fmt: skip
        self._wait_for_socket("dockerd", self.socket)
        wait_for(lambda: self._alive("dockerd") and self._pings(), "dockerd answers", within_s=60)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have dockerd hang: it listens, and does nothing."""
        self._processes[-1].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes[-1].send_signal(signal.SIGCONT)

    def pid(self, container: str) -> int:
        """The host pid of a container's init; 0 when it does not run."""
        return int(self.cli("inspect", "--format", "{{.State.Pid}}", container))

    def ctr(self, *args: str | Path) -> str:
        """Run ``ctr ARGS`` against its containerd, in whose mount namespace it must be."""
        done = subprocess.run(
            ["nsenter", f"--mount=/proc/{self._processes[0].pid}/ns/mnt",
             "ctr", "--address", self.containerd_socket, *args],
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"ctr {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done.stdout.strip()

    def import_image(
        self,
        tag: str,
        files: Mapping[str, Path] | None = None,
        changes: Sequence[str] = (),
    ) -> str:
        """Make an image of busybox plus some static binaries.

        Args:
            tag: What to call it.
            files: Path inside -> file outside.
            changes: Dockerfile instructions, ``STOPSIGNAL SIGQUIT`` and the like.
        """
        rootfs = Path(tempfile.mkdtemp(dir=self.root, prefix="rootfs-"))
        build_rootfs(rootfs, self._busybox, files)
        options = [word for change in changes for word in ("--change", change)]
        subprocess.run(
            [self._docker, "import", *options, "-", tag],
            env=self.env, input=tar_rootfs(rootfs), check=True, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(rootfs)
        return tag

    def containers(self) -> list[str]:
        """The full ids of all containers, stopped ones too."""
        return self.cli("ps", "-aq", "--no-trunc").split()

    def remove(self, containers: Sequence[str]) -> None:
        """Kill and remove containers."""
        if containers:
            self.cli("rm", "-f", *containers)

    def close(self) -> None:
        """End every process and remove every mount, cgroup and file of this engine."""
        try:
            if self._pings():
                self.remove(self.containers())
        finally:
            for process in reversed(self._processes):
                _end(process)
            self._end_strays()
            remove_cgroups(self.root.name)
            shutil.rmtree(self.root)
            if self._made_etc_docker:
                # Another session's engine may be about to use it.
                with suppress(OSError):
                    _ETC_DOCKER.rmdir()

    def _spawn(self, name: str, command: Sequence[str | Path]) -> None:
        # pdeathsig: a test session that is killed must not leave an engine.
        with (self.root / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
            )  # fmt: skip
        self._processes.append(process)

    def _alive(self, name: str) -> bool:
        if self._processes[-1].poll() is None:
            return True
        log = (self.root / f"{name}.log").read_text(errors="replace")
        raise AssertionError(f"{name} ended:\n{log[-3000:]}")

    def _wait_for_socket(self, name: str, path: Path) -> None:
        wait_for(
            lambda: self._alive(name) and path.exists() and _connects(path),
            f"{name} listens on {path}",
            within_s=60,
        )

    def _pings(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            try:
                client.connect(str(self.socket))
                client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in client.recv(64)
            except OSError:
                return False

    def _end_strays(self) -> None:
        # Shims live on without their engine; their command line has our root in it.
        needle = os.fsencode(str(self.root))
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if needle in command and b"containerd-shim" in command:
                os.kill(int(entry.name), signal.SIGKILL)
                wait_for(partial(_is_gone, entry), f"shim {entry.name} is gone")


def _is_gone(process: Path) -> bool:
    try:
        stat = (process / "stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def remove_cgroups(name: str) -> None:
    """Remove a top-level cgroup and all below it, in every hierarchy."""
    base = Path("/sys/fs/cgroup")
    for top in [base / name, *base.glob(f"*/{name}")]:
        if not top.is_dir():
            continue
        for directory, _, _ in os.walk(top, topdown=False):
            # The last member's release may lag behind its engine's answer.
            wait_for(partial(_removes, Path(directory)), f"cgroup {directory} is empty")


def _removes(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
