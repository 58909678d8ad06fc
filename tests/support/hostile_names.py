"""Names of processes made to break terminals, lines and encodings."""

from __future__ import annotations

HOSTILE_NAMES = (
    "\x1b[2J\x1b[1;31mroot",
    "a\nERROR ZT999",
    "\u202egnp.exe",
    "\udcff\udcfe",
    "zero\u200bwidth",
    "tab\tbell\x07\x9b31m",
    "日本語プロセス",
    "\u0301mark",
    "naïve-ß",
)
