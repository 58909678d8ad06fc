"""Whatever another user leaves where a runtime keeps its state, nothing waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.require import require
from tests.support.strangers import MALLORY, PrivateHost

pytestmark = pytest.mark.root
HOME = Path(f"/run/user/{MALLORY}")
PLANTS = {
    "nothing": ":",
    "a loop of links": "ln -s runc runc",
    "a chain of links": "for i in $(seq 50); do ln -s $((i+1)) $i; done; ln -s 1 runc",
    "a link to root's state": "ln -s /run/runc crun",
    "a link for a file": "mkdir -p crun/x; ln -s /etc/shadow crun/x/status",
    "labels that are a number":
        """mkdir -p runc/x
        echo '{"init_process_pid":1,"config":{"labels":5}}' > runc/x/state.json""",
    "a bundle with NUL": r"""mkdir -p crun/x
        echo '{"pid":1,"bundle":"/a\u0000b"}' > crun/x/status""",
    "a bundle with a surrogate":
        r"""mkdir -p crun/x; echo '{"pid":1,"bundle":"/a\ud800b"}' > crun/x/status""",
    "a bundle of root's": """mkdir -p crun/x; echo '{"pid":1,"bundle":"/etc"}' > crun/x/status""",
    "a bundle without end":
        """mkdir -p crun/x
        printf '{"pid":1,"bundle":"/%s"}' $(yes ../ | head -20000 | tr -d '\\n')"""
        " > crun/x/status",
    "names that are a number":
        """mkdir -p s/overlay-containers/x/userdata crun/x
        echo '[{"id":"x","names":5}]' > s/overlay-containers/containers.json
        echo '{"pid":1,"bundle":"'$PWD'/s/overlay-containers/x/userdata"}' > crun/x/status
        echo '{"annotations":{"io.container.manager":"libpod"}}' > crun/x/config.json""",
    "a huge pid": """mkdir -p crun/x; echo '{"pid":99999999999999999999999}' > crun/x/status""",
    "a start in the future":
        """mkdir -p crun/x; echo '{"pid":1,"process-start-time":1e300}' > crun/x/status""",
    "deep JSON": """mkdir -p crun/x; python3 -c 'print("["*500000)' > crun/x/status""",
    "wide JSON": """mkdir -p crun/x; python3 -c 'print("["+"[],"*300000+"[]]")' > crun/x/status""",
    "pipes": "mkdir -p crun/x; mkfifo crun/x/status runc docker.sock",
    "a name that is no UTF-8":
        r"""d=$(printf 'crun/\xff\xfe'); mkdir -p $d; echo '{"pid":1}' > $d/status""",
    "a name that moves the cursor":
        r"""d=$(printf 'crun/\033[2J\033]0;owned\007'); mkdir -p "$d"
        echo '{"pid":1}' > "$d/status" """,
    "3000 states of 1 MB":
        """mkdir crun; head -c 1000000 /dev/zero > big
        python3 -c 'import os
for i in range(3000): os.mkdir(f"crun/{i}"); os.link("big", f"crun/{i}/status")'""",
    "3000 states to parse":
        """mkdir crun; python3 -c 'print("["+"[],"*9000+"[]]")' > big
        python3 -c 'import os
for i in range(3000): os.mkdir(f"crun/{i}"); os.link("big", f"crun/{i}/status")'""",
    "20000 empty directories":
        """mkdir crun; python3 -c 'import os
for i in range(20000): os.mkdir(f"crun/{i}")'""",
}  # fmt: skip


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


@pytest.mark.parametrize("plant", PLANTS.values(), ids=list(PLANTS))
def test_it_hides_no_container_of_roots_and_holds_nothing_up(host: PrivateHost, plant: str) -> None:
    host.root_knows("web", host.container_of_root())
    host.as_user(plant)
    host.find("web")
    began = time.monotonic()
    result = host.find("other", status=69)
    # A second is promised; five are for a machine that does other things as well.
    assert time.monotonic() - began < 5
    error, hint = result.stderr.splitlines()
    assert error == "zomtrace: no container matches 'other'"
    assert hint.startswith("  running: web (runc)")
    assert hint.isprintable()
    assert len(hint) < 300


def test_a_file_system_that_a_user_serves_is_not_entered(host: PrivateHost) -> None:
    require("fuse", Path("/dev/fuse").exists(), "there is no /dev/fuse here")
    host.root_knows("web", host.container_of_root())
    for place in ("crun", "elsewhere"):
        host.as_user(f"mkdir {place}")
        host.mount_silent_fuse(HOME / place)
    host.write_as_user(HOME / "runc/x/state.json", {"init_process_pid": 1, "config": {
        "labels": ["io.container.manager=libpod", f"bundle={HOME}/elsewhere/a/b/c"]}})  # fmt: skip
    host.find("web")
    assert "running: web (runc)" in host.find("other", status=69).stderr


def test_no_link_of_a_users_leads_into_a_file_system_that_they_serve(host: PrivateHost) -> None:
    # stat(2) there waits for the user, and no SIGTERM ends that.
    require("fuse", Path("/dev/fuse").exists(), "there is no /dev/fuse here")
    host.as_user(
        "mkdir served && for name in crun runc docker.sock; do ln -s served/a/b $name; done"
    )
    host.mount_silent_fuse(HOME / "served")
    host.find("other", status=69)
    host.zomtrace("doctor", status=None, json_lines=False)


def test_a_users_own_container_is_found_beside_what_is_broken(host: PrivateHost) -> None:
    theirs = host.container_of()
    host.as_user("mkdir -p crun/x runc/y; mkfifo crun/x/status; ln -s / runc/y/state.json")
    host.user_knows("web", theirs)
    host.find("web")


def test_state_that_anyone_can_write_is_no_ones_word(host: PrivateHost) -> None:
    host.root_knows("web", host.container_of_root())
    host.as_root("chmod", "777", "/run/runc/web")
    assert "no container matches 'web'" in host.find("web", status=69).stderr
