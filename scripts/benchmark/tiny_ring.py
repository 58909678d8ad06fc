"""zomtrace with a ring of a few pages: one that has to lose. Its command line after it."""

from __future__ import annotations

import tracer.kernel.source as kernel_source
from tracer.cli.main import main

TINY_RING_BYTES = 1 << 15

if __name__ == "__main__":
    kernel_source.TARGET_RING_BYTES = TINY_RING_BYTES
    kernel_source.HOST_RING_BYTES = TINY_RING_BYTES
    main()
