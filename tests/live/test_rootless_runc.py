"""A rootless container as a user's own runc runs it: found by root, by its user, and stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.require import require_program
from tests.support.rootfs import build_rootfs
from tests.support.strangers import MALLORY, PrivateHost

pytestmark = pytest.mark.root
_BUNDLE = """
import json
with open("config.json") as file:
    config = json.load(file)
config["process"].update(terminal=False, args=["sleep", "1000"])
config["mounts"] = [one for one in config["mounts"] if one["destination"] in ("/proc", "/dev")]
config["linux"]["namespaces"] = [
    one for one in config["linux"]["namespaces"] if one["type"] != "cgroup"
]
# The user has no cgroup to put it in.
config["linux"].pop("resources", None)
with open("config.json", "w") as file:
    json.dump(config, file)
"""


@pytest.fixture
def host(busybox: Path) -> Iterator[PrivateHost]:
    runc = require_program("runc", "runc")
    with PrivateHost() as host:
        home = host.add_user()
        build_rootfs(host.path(home / "bundle/rootfs"), busybox)
        host.as_root("chown", "-R", f"{MALLORY}:{MALLORY}", home / "bundle")
        host.path("/run/bundle.py").write_text(_BUNDLE)
        host.as_user(
            f"cd bundle && {runc} spec --rootless && /usr/bin/python3 /run/bundle.py"
            f" && {runc} --root {home}/runc run --detach web </dev/null >out 2>&1"
        )
        yield host
        host.as_user(f"{runc} --root {home}/runc delete --force web")


def test_root_and_its_user_find_it(host: PrivateHost) -> None:
    assert f"web (runc, user {MALLORY}'s)" in host.find("web").stderr
    assert host.find("web", uid=MALLORY).stderr == ""


def test_root_stops_it_and_leaves_nothing_of_roots_behind(host: PrivateHost) -> None:
    result = host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "10")
    stop = result.stop
    assert stop["container_name"] == f"web (user {MALLORY}'s)"
    assert (stop["outcome"], stop["init_term_signal"]) == ("stopped", "SIGKILL")
    owners = {path.lstat().st_uid for path in host.path(f"/run/user/{MALLORY}").rglob("*")}
    assert owners == {MALLORY}
