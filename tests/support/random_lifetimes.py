"""Made-up ordinary lifetimes, some of them in a container, as records of the ring."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from tests.support.captures import MIN_ZOMBIE_NS
from tests.support.folded import FoldedHost
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.model.events import ContainerEvent
from tracer.model.identity import PidnsKey
from tracer.model.target import Container
from tracer.wire.decode import Decoder
from tracer.wire.layout import CONSTANTS, RECORD

ATTACHED = FoldedHost(short_lived=97, killed=1, leaked=1, containers=1).attached
BEGIN_NS = 10_000_000_000_000
INUM, INIT_NS = 4_026_532_000, 77
COMMS = [
    b"sh",
    b"python3",
    b'quo"te',
    b"back\\slash",
    b"\x1b[2J",
    b"\xff\xfe",
    b"a\nb",
    b"\xc3\xa4",
]


def made_lives(
    seed: int, number: int, *, contained: float = 0.5, most_code: int = 128
) -> list[dict[str, Any]]:
    """Draw lifetimes; their parents are three, who hardly ever change their names."""
    draw = Random(seed)
    parents = [draw.choice(COMMS) for _ in range(3)]
    return [
        {
            "comm": draw.choice([*COMMS, draw.randbytes(15).rstrip(b"\0")]),
            "parent_comm": parents[parent - 1] if draw.random() < 0.99 else draw.choice(COMMS),
            "executed": draw.choice([b"", *COMMS]),
            "exit_code": draw.randint(0, most_code),
            "lasts": [draw.randint(0, 400_000_000) for _ in range(3)],
            "parent": parent,
            "ns_pid": draw.choice([0, draw.randint(1, 1 << 22)]),
            "cgroup_id": draw.choice([0, draw.randint(1, (1 << 63) - 1)]),
            "flags": draw.choice(["", "EXACT", "FOUND"]),
            "is_contained": draw.random() < contained,
        }
        for parent in (draw.randint(1, 3) for _ in range(number))
    ]


def records_of(lifetimes: list[dict[str, Any]]) -> Any:
    """A LIFETIME record of each, a second apart."""
    records = np.zeros(len(lifetimes), RECORD)
    for number, (record, lifetime) in enumerate(zip(records, lifetimes, strict=True)):
        forked_ns = BEGIN_NS + number * 1_000_000_000
        record["kind"] = CONSTANTS["ZT_KIND_LIFETIME"]
        record["flags"] = CONSTANTS["ZT_F_RELEASED"] | CONSTANTS["ZT_F_GROUP_DEAD"]
        if lifetime["flags"]:
            record["flags"] |= CONSTANTS[f"ZT_F_{lifetime['flags']}"]
        record["host_pid"], record["start_boot_ns"] = 100_000 + number, forked_ns - 5
        record["ns_pid"], record["cgroup_id"] = lifetime["ns_pid"], lifetime["cgroup_id"]
        record["parent_host_pid"] = lifetime["parent"]
        record["parent_start_boot_ns"] = 40 + lifetime["parent"]
        record["parent_comm"], record["comm"] = lifetime["parent_comm"], lifetime["comm"]
        record["chain_comm"][0], record["chain_comm"][1] = lifetime["executed"], b"fork"
        record["exit_code"] = lifetime["exit_code"] << 8
        record["pidns_inum"], record["init_start_boot_ns"] = 4_026_531_836, 1
        if lifetime["is_contained"]:
            record["pidns_inum"], record["init_start_boot_ns"] = INUM, INIT_NS
            record["pidns_level"] = 1
        steps = np.cumsum([forked_ns, *lifetime["lasts"]])
        for name, at_ns in zip(
            ("forked_ns", "exit_ns", "notified_ns", "boot_ns"), steps.tolist(), strict=True
        ):
            record[name] = at_ns
        record["exec_ns"] = forked_ns + 1 if lifetime["executed"] else 0
        record["action"] = record["parent_sigchld"] = CONSTANTS["ZT_ACTION_DEFAULT"]
        record["sig"], record["si_pid"] = 17, lifetime["ns_pid"]
    return records


def correlator(*, keep_uneventful: bool = False, detail: int | None = None) -> Correlator:
    """One that knows the container and its init."""
    one = Correlator(
        CorrelatorOptions(
            min_zombie_ns=MIN_ZOMBIE_NS, keep_uneventful=keep_uneventful, detail=detail
        )
    )
    one.feed(ATTACHED)
    container = Container(
        id="c0ffee" * 8,
        name='we"b',
        runtime="runc",
        init_host_pid=50_000,
        init_start_boot_ns=INIT_NS,
        pidns_inum=INUM,
        has_own_pidns=True,
        cgroup_path=None,
        cgroup_id=None,
    )
    one.feed(ContainerEvent(BEGIN_NS - 10, container))
    init = np.zeros(1, RECORD)
    init["kind"], init["boot_ns"] = CONSTANTS["ZT_KIND_PROCESS"], BEGIN_NS - 5
    init["host_pid"], init["ns_pid"], init["start_boot_ns"] = 50_000, 1, INIT_NS
    init["pidns_inum"], init["init_start_boot_ns"], init["pidns_level"] = INUM, INIT_NS, 1
    init["flags"], init["live_threads"], init["comm"] = CONSTANTS["ZT_F_INIT"], 1, b"init"
    for event in Decoder("x86_64").decode_batch(init):
        one.feed(event)
    assert one.scopes.container_in(PidnsKey(INUM, INIT_NS)) is container
    return one
