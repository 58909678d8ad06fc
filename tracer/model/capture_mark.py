"""What distinguishes a capture from any other file."""

from __future__ import annotations

HEADER_KEY = b"zomtrace.capture"
"""The entry of the schema's metadata that holds a capture's header."""


def is_capture(begin: bytes) -> bool:
    """Whether a file that begins so is a capture, or was one before it was damaged."""
    return begin.startswith(b"\xff\xff\xff\xff") and HEADER_KEY in begin
