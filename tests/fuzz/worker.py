"""Looks at one case after the other, in bounded memory.

``python -m tests.fuzz.worker MODULE`` reads a JSON value a line from stdin and has
``MODULE.look(value)`` do with it what zomtrace would. What came of it is a line of JSON
on stdout: ``read``, ``refused`` or how it broke, and the processor and wall time it took.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
import traceback
from pathlib import Path

from tracer.errors import ZomtraceError

MORE_BYTES = 150_000_000
"""What a case may take, beside what the imports took."""
LONGEST_MESSAGE = 1_500


def is_one_line(error: ZomtraceError) -> bool:
    """Whether it can be shown as it is: one line of sane length, and one hint."""
    return all("\n" not in text and len(text) < LONGEST_MESSAGE for text in _texts(error))


def _texts(error: ZomtraceError) -> list[str]:
    return [error.message, error.hint or ""]


def main(module: str) -> None:
    """Serve until stdin ends."""
    look = importlib.import_module(module).look
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MORE_BYTES, size + MORE_BYTES))
    for line in sys.stdin:
        case = json.loads(line)
        began, began_wall = time.process_time(), time.monotonic()
        try:
            look(case)
            outcome = "read"
        except ZomtraceError as error:
            outcome = "refused" if is_one_line(error) else f"no one line: {_texts(error)!r}"
        except Exception:  # noqa: BLE001  whatever it is, it is what we are after
            outcome = traceback.format_exc(limit=-8)
        took = (time.process_time() - began, time.monotonic() - began_wall)
        print(json.dumps([outcome, *took]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
