"""Lines of ordinary lifetimes, made by whole columns.

Each is what :func:`tracer.report.jsonlines.render_line` writes of the same lifetime, to the
byte. A busy host has so many of them that making an event of each takes longer than
all else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tracer.model.events import Precision
from tracer.model.identity import PidnsKey
from tracer.model.target import Container
from tracer.model.verdicts import ReapKind
from tracer.report.escape import safe_text
from tracer.report.jsonobject import dump_string
from tracer.wire.layout import CONSTANTS
from tracer.wire.members import decode_comm, decode_status
from tracer.wording.times import SECOND_NS, format_second

Records = npt.NDArray[np.void]
ContainerOf = Callable[[PidnsKey], Container | None]

_EXACT = CONSTANTS["ZT_F_EXACT"]
_NULL = "null"
_LINE = (
    '{"kind":"exit","time":"%s.%09dZ","boot_ns":%d,"host_pid":%d,"ns_pid":%s,'
    '"start_boot_ns":%d,"comm":%s,"parent_host_pid":%d,"pidns_inum":%s,"cgroup_id":%s,'
    "%s,%s,"
    '"cause":null,"forked_boot_ns":%d,"exit_boot_ns":%d,"executed":%s,"zombie_ns":%d,'
    f'"reap_kind":"{ReapKind.PARENT}","reaper_host_pid":%d,"reaper_comm":%s,"precision":%s}}'
)


def render_lifetimes(
    lifetimes: Records, clock_offset_ns: int, container_of: ContainerOf
) -> list[str]:
    """Write each lifetime as one line of JSON, without the line's end.

    Args:
        lifetimes: LIFETIME records of those that
            :func:`tracer.correlate.passing.pass_lifetimes` has counted.
        clock_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME, ns.
        container_of: What a namespace is to its runtime.
    """
    boot_ns = lifetimes["boot_ns"]
    utc_ns = boot_ns.astype(np.int64) + clock_offset_ns
    parents = lifetimes["parent_host_pid"].tolist()
    rows = zip(
        map(format_second, (utc_ns // SECOND_NS).tolist()),
        (utc_ns % SECOND_NS).tolist(),
        boot_ns.tolist(),
        lifetimes["host_pid"].tolist(),
        _numbers(lifetimes["ns_pid"]),
        lifetimes["start_boot_ns"].tolist(),
        map(_name, lifetimes["comm"].tolist()),
        parents,
        _numbers(lifetimes["pidns_inum"]),
        _numbers(lifetimes["cgroup_id"]),
        _containers(lifetimes, container_of),
        map(_ending, lifetimes["exit_code"].tolist()),
        lifetimes["forked_ns"].tolist(),
        lifetimes["exit_ns"].tolist(),
        map(_name_or_null, lifetimes["chain_comm"][:, 0].tolist()),
        (boot_ns - lifetimes["notified_ns"]).tolist(),
        parents,
        map(_name_or_null, lifetimes["parent_comm"].tolist()),
        map(_PRECISIONS.__getitem__, ((lifetimes["flags"] & _EXACT) != 0).tolist()),
        strict=True,
    )
    return [_LINE % row for row in rows]


_PRECISIONS = {
    True: dump_string(Precision.EXACT),
    False: dump_string(Precision.UPPER_BOUND),
}


def _numbers(values: npt.NDArray[np.uint64]) -> list[int | str]:
    return [value or _NULL for value in values.tolist()]


@lru_cache(maxsize=4096)
def _name(raw: bytes) -> str:
    return dump_string(safe_text(decode_comm(raw)))


def _name_or_null(raw: bytes) -> str:
    return _name(raw) if raw else _NULL


@lru_cache(maxsize=1024)
def _ending(raw: int) -> str:
    status = decode_status(raw)
    name = _NULL if status.signal_name is None else dump_string(status.signal_name)
    code = _NULL if status.exit_code is None else str(status.exit_code)
    dumped = "true" if status.core_dumped else "false"
    return f'"exit_code":{code},"term_signal":{name},"core_dumped":{dumped}'


def _containers(lifetimes: Records, container_of: ContainerOf) -> list[str]:
    printed: dict[tuple[int, int], str] = {}
    which = list(
        zip(lifetimes["pidns_inum"].tolist(), lifetimes["init_start_boot_ns"].tolist(), strict=True)
    )
    for key in set(which):
        printed[key] = _container(container_of(PidnsKey(*key)))
    return [printed[key] for key in which]


def _container(container: Container | None) -> str:
    names = (None, None) if container is None else (container.id, container.shown_name)
    id_text, name_text = (_NULL if one is None else dump_string(safe_text(one)) for one in names)
    return f'"container_id":{id_text},"container_name":{name_text}'
