"""Times and durations as people and programs read them."""

from __future__ import annotations

import time
from functools import lru_cache

SECOND_NS = 1_000_000_000
_MILLI_NS = 1_000_000
_MICRO_NS = 1_000


def format_rfc3339(utc_ns: int) -> str:
    """Write an instant as RFC 3339 in UTC, to the ns.

    Args:
        utc_ns: Nanoseconds since the Unix epoch.

    >>> format_rfc3339(1_000_000_007)
    '1970-01-01T00:00:01.000000007Z'
    """
    seconds, ns = divmod(utc_ns, SECOND_NS)
    return f"{format_second(seconds)}.{ns:09d}Z"


@lru_cache(256)
def format_second(seconds: int) -> str:
    """Write a whole second since the Unix epoch, in UTC: ``1970-01-01T00:00:01``."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def format_clock(utc_ns: int, *, utc: bool) -> str:
    """Write the time of day to the millisecond: ``10:46:48.123``."""
    seconds, ns = divmod(utc_ns, SECOND_NS)
    broken = time.gmtime(seconds) if utc else time.localtime(seconds)
    return f"{time.strftime('%H:%M:%S', broken)}.{ns // _MILLI_NS:03d}"


def format_date(utc_ns: int, *, utc: bool) -> str:
    """Write the day: ``2026-11-22``."""
    seconds = utc_ns // SECOND_NS
    return time.strftime("%Y-%m-%d", time.gmtime(seconds) if utc else time.localtime(seconds))


def format_zone(utc_ns: int, *, utc: bool) -> str:
    """Name the zone :func:`format_clock` tells: ``UTC``, or ``UTC+01:00``."""
    offset = 0 if utc else time.localtime(utc_ns // SECOND_NS).tm_gmtoff
    if not offset:
        return "UTC"
    hours, rest = divmod(abs(offset), 3600)
    return f"UTC{'+' if offset > 0 else '-'}{hours:02d}:{rest // 60:02d}"


def format_duration(duration_ns: int) -> str:
    """Write a length of time with as many digits as matter.

    >>> [format_duration(n) for n in (850, 1_200_000, 10_000_000_000, 7_500_000_000_000)]
    ['850 ns', '1.2 ms', '10.0 s', '2 h 05 min']
    """
    if duration_ns < 0:
        return f"-{format_duration(-duration_ns)}"
    if duration_ns < _MICRO_NS:
        return f"{duration_ns} ns"
    for unit_ns, unit, limit in ((_MICRO_NS, "us", 1000), (_MILLI_NS, "ms", 1000)):
        value = duration_ns / unit_ns
        digits = 1 if round(value, 1) < 100 else 0
        if round(value, digits) < limit:
            return f"{value:.{digits}f} {unit}"
    if round(duration_ns / SECOND_NS, 1) < 60:
        return f"{duration_ns / SECOND_NS:.1f} s"
    seconds = round(duration_ns / SECOND_NS)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    minutes = round(duration_ns / SECOND_NS / 60)
    if minutes < 1440:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(duration_ns / SECOND_NS / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def format_relative(delta_ns: int) -> str:
    """Write a signed distance in seconds to the ms: ``+10.004 s``, ``-0.250 s``."""
    milli = round(delta_ns / _MILLI_NS)
    return f"{'-' if milli < 0 else '+'}{abs(milli) / 1000:.3f} s"
