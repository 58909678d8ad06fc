"""Points in time as a user writes them: a clock time, or a distance from one."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tracer.cli.value_types import Seconds
from tracer.errors import UsageError

if TYPE_CHECKING:
    from tracer.capture.schema import CaptureHeader

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?", re.ASCII)
_FRACTION = re.compile(r"\.(\d+)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str, header: CaptureHeader, *, utc: bool) -> int:
    """Read an instant as CLOCK_BOOTTIME of the host traced, ns.

    Args:
        text: ``10:46[:48[.123]]`` on the day the trace began, RFC 3339 with or
            without a zone, ``+5s`` after its begin, ``-1m`` before now.
        header: Of the capture.
        utc: A time without a zone is UTC, not local.

    Raises:
        UsageError: It is none of these.
    """
    begin_ns = header.attached.boot_ns + header.utc_offset_ns
    written = text.strip()
    if written[:1] in ("+", "-"):
        distance_ns = int(Seconds().convert(written[1:], None, None) * 1e9)
        unix_ns = begin_ns + distance_ns if written[0] == "+" else time.time_ns() - distance_ns
        return unix_ns - header.utc_offset_ns
    try:
        moment, ns = _parse_wall_clock(written, begin_ns, utc=utc)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time",
            hint="write 10:46:48, 2026-11-22T10:46:48Z, +5s (after the start) or -1m (before now)",
        ) from error
    unix_ns = (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + ns
    return unix_ns - header.utc_offset_ns


def _parse_wall_clock(text: str, begin_ns: int, *, utc: bool) -> tuple[datetime, int]:
    match = _TIME_OF_DAY.fullmatch(text)
    if match is not None:
        begin = datetime.fromtimestamp(begin_ns // 1_000_000_000, UTC)
        day = begin if utc else begin.astimezone()
        moment = day.replace(
            hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=0
        )
        return moment.astimezone(UTC), int((match[4] or "0").ljust(9, "0"))
    fraction = _FRACTION.search(text)
    ns = int(fraction[1][:9].ljust(9, "0")) if fraction else 0
    moment = datetime.fromisoformat(_FRACTION.sub("", text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if utc else moment.astimezone()
    return moment.astimezone(UTC), ns
