"""Masks a command line in every way there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tracer.masking.masking import mask_text, mask_words, show_command

MOST_CPU_S = 0.02
"""5 ms are promised of a command line, whatever it is; a machine that tests is busy."""
_TRIES = 5
_SHOWN = 5_000


def look(case: dict[str, Any]) -> None:
    """Mask it, in time, and see that no secret of it is left."""
    words = [word * case["longer"] for word in case["words"]] * case["more"]
    joined = " ".join(words)
    acts: tuple[Callable[[], str], ...] = (
        lambda: show_command(words),
        lambda: " ".join(mask_words(words)),
        lambda: mask_text(joined),
        lambda: show_command(["sh", "-c", joined]),
    )
    for act in acts:
        took_s = []
        for _ in range(_TRIES):
            began = time.process_time()
            shown = act()
            took_s.append(time.process_time() - began)
            if took_s[-1] < MOST_CPU_S:
                break
        assert min(took_s) < MOST_CPU_S, took_s
        assert len(shown) < _SHOWN
    for shown in (show_command(words), " ".join(mask_words(words))):
        assert not [secret for secret in case["secrets"] if secret in shown], shown
