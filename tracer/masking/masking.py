"""Command lines fit to be shown: cut, and without the secrets people put there."""

from __future__ import annotations

from collections.abc import Sequence

from tracer.masking.command_walk import CommandWalk, mask_script
from tracer.masking.secret_text import MASK

MOST_CHARACTERS = 2048
"""So much of a command line is looked at; what is behind it is not shown."""
_MOST_SHOWN = 200
_MOST_WORD_CHARACTERS = 1024
_MOST_WORDS = 256
_MORE = "..."


def show_command(words: Sequence[str]) -> str:
    """Write a command line as one text, cut, its secrets as ``***``.

    What looks like a secret is masked although it may be none. A bare word that
    looks like any other passes.

    >>> show_command(["mysql", "-uroot", "-phunter2", "--ssl"])
    'mysql -uroot -p*** --ssl'
    >>> show_command(["sh", "-c", "curl -u me:pw https://me:pw@host/x?api_key=1&y=2"])
    'sh -c curl -u me:*** https://***@host/x?api_key=***&y=2'
    """
    return _shorten(" ".join(_masked(words, _MOST_SHOWN)))


def mask_text(text: str) -> str:
    """Mask the secrets of a command that is one string, as engines report it.

    >>> mask_text("sh -c mysql -uroot -phunter2 shop")
    'sh -c mysql -uroot -p*** shop'
    """
    is_cut = len(text) > _MOST_WORD_CHARACTERS
    masked = mask_script(text[:_MOST_WORD_CHARACTERS], CommandWalk(), is_cut=is_cut)
    return _shorten(masked + _MORE if is_cut else masked)


def mask_words(words: Sequence[str]) -> tuple[str, ...]:
    """Mask the secrets of a command line, word by word; see :func:`show_command`.

    Of a long one only the beginning is returned, the last word of it with ``...``
    at its end.
    """
    return tuple(_masked(words, MOST_CHARACTERS))


def _masked(words: Sequence[str], most_shown: int) -> list[str]:
    walk = CommandWalk()
    shown: list[str] = []
    room = MOST_CHARACTERS
    for word in words:
        if room <= 0 or len(shown) == _MOST_WORDS or most_shown <= 0:
            shown.append(_MORE)
            break
        most = min(room, _MOST_WORD_CHARACTERS)
        is_cut = len(word) > most
        room -= min(len(word), most) + 1
        masked = walk.step(word[:most], is_cut=is_cut)
        shown.append(masked + _MORE if is_cut and not masked.endswith(MASK) else masked)
        most_shown -= len(masked) + 1
    return shown


def _shorten(text: str) -> str:
    if len(text) <= _MOST_SHOWN:
        return text
    return f"{text[: _MOST_SHOWN - len(_MORE)]}{_MORE}"
