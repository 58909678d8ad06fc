"""The names of a host's captures in a directory, and which of them go first.

A name is ``zomtrace-HOST-YYYYMMDDTHHMMSSZ-TRACE-NNNNNN.arrows``: no two traces can
mean one file. Earlier versions left TRACE out.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from tracer.capture.lock import is_being_written
from tracer.files.place import open_directory

SUFFIX = ".arrows"
_TRACE_DIGITS = 12
_MOST_ENTRIES = 10_000
"""How many entries of a directory are looked at besides the known captures."""


def capture_name(hostname: str, created_unix_ns: int, trace_id: str, sequence: int) -> str:
    """Name one file of a trace.

    >>> capture_name("web", 1_800_000_000_000_000_000, "0123456789abcdef", 7)
    'zomtrace-web-20270115T080000Z-0123456789ab-000007.arrows'
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(created_unix_ns // 1_000_000_000))
    return f"{_begin(hostname)}{stamp}-{trace_id[:_TRACE_DIGITS]}-{sequence:06d}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    sequence: int
    mtime_ns: int


class CaptureDirectory:
    """A directory of which one recorder keeps the newest captures of its host.

    Captures of other hosts, files of other users and what another recorder writes at
    the moment are left alone.

    Args:
        path: Where it is; it is there.
        hostname: Whose captures are counted.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path, hostname: str) -> None:
        self._path = path
        self._pattern = re.compile(
            re.escape(_begin(hostname))
            + rf"\d{{8}}T\d{{6}}Z(?:-[0-9a-f]{{{_TRACE_DIGITS}}})?-(\d{{6,9}}){re.escape(SUFFIX)}",
            re.ASCII,
        )
        with open_directory(path) as fd:
            self._before = {each.name: each.mtime_ns for each in self._find(fd)}

    def remove_oldest(self, keep: int, written: Sequence[str]) -> None:
        """Remove captures until this many are left.

        Args:
            keep: How many; what is being written counts, and stays.
            written: Names this recorder wrote, in order, the last one being written.

        Raises:
            OSError: The directory cannot be read, or a file not be removed.
        """
        with open_directory(self._path) as fd:
            recent = written[-(keep + _MOST_ENTRIES) :]
            found = self._in_order(self._find(fd, (*self._before, *recent)), written)
            surplus = len(found) - keep
            for each in found:
                if surplus <= 0:
                    return
                if each.name == written[-1] or is_being_written(each.name, fd):
                    continue
                # Another recorder may have removed it meanwhile.
                with suppress(FileNotFoundError):
                    os.unlink(each.name, dir_fd=fd)
                surplus -= 1

    def _find(self, fd: int, known: Iterable[str] = ()) -> list[_Found]:
        """Look for captures among the known names and a bounded number of others.

        Where others can make files as they like, to look at all of them would hold the
        trace up at each new file.
        """
        found = []
        with os.scandir(fd) as entries:
            listed = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
        for name in dict.fromkeys((*known, *listed)):
            match = self._pattern.fullmatch(name)
            if match is None:
                continue
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                # Another recorder removed it.
                continue
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                found.append(_Found(name, int(match[1]), status.st_mtime_ns))
        return found

    def _in_order(self, found: list[_Found], written: Sequence[str]) -> list[_Found]:
        """Put the oldest first, whatever the clock did.

        What was there when this recorder began is older than all it wrote, and of what
        it wrote each file is older than the next. Besides these two facts the times of
        change decide.
        """
        times = {each.name: each.mtime_ns for each in found}
        latest = 0
        for name in written:
            latest = max(latest, times.get(name, 0))
            times[name] = latest
        place = {name: number for number, name in enumerate(written)}

        def key(each: _Found) -> tuple[bool, int, int]:
            is_newer = self._before.get(each.name) != each.mtime_ns
            return is_newer, times[each.name], place.get(each.name, each.sequence)

        return sorted(found, key=key)


def _begin(hostname: str) -> str:
    # Quoted, so that no two hosts' names become one.
    return f"zomtrace-{quote(hostname, safe='') or 'host'}-"
