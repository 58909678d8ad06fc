"""Command lines fit to be shown: cut, and without the secrets people put there."""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"
_MOST_CHARACTERS = 200

_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credentials?|auth|bearer|cookie|session[-_]?id)[\w-]*"
)
_ASSIGNED = re.compile(rf"(?P<name>{_NAME}\s*(?:=|:\s*))(?P<value>[^&\s].*)", re.IGNORECASE)
_IN_QUERY = re.compile(rf"(?P<name>[?&]{_NAME}=)[^&#]*", re.IGNORECASE)
_OPTION = re.compile(rf"-{{1,2}}{_NAME}", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>\w[\w+.-]*://)[^/@\s]*@")
_USER_OPTIONS = frozenset({"-u", "--user", "--proxy-user", "-U"})
_PASSWORD_LETTER = frozenset({"mysql", "mariadb", "mysqldump", "mysqladmin", "sshpass"})
_KNOWN = re.compile(
    r"(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|gh[a-z]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|sk-[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"
)
_LONG = re.compile(r"(?<![\w/+.-])[A-Za-z0-9+_-]{32,}={0,2}(?![\w/+.-])")


def show_command(words: Sequence[str]) -> str:
    """Write a command line as one text, cut, its secrets as ``***``.

    What looks like a secret is masked although it may be none: values of names
    like password, token or key, credentials in URLs, cloud keys, long tokens of
    mixed letters and digits. A bare word that looks like any other passes.

    >>> show_command(["mysql", "-uroot", "-phunter2", "--ssl"])
    'mysql -uroot -p*** --ssl'
    >>> show_command(["curl", "--token", "abc", "https://me:pw@host/x?api_key=1&y=2"])
    'curl --token *** https://***@host/x?api_key=***&y=2'
    """
    text = " ".join(mask_words(words))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def mask_words(words: Sequence[str]) -> tuple[str, ...]:
    """Mask the secrets of a command line, word by word; see :func:`show_command`."""
    shown: list[str] = []
    program = words[0].rsplit("/", 1)[-1] if words else ""
    is_value = False
    previous = ""
    for number, word in enumerate(words):
        if is_value and not word.startswith("-"):
            shown.append(MASK)
            is_value = False
        else:
            is_value = number > 0 and _OPTION.fullmatch(word) is not None
            shown.append(_mask(word, previous, program))
        previous = word
    return tuple(shown)


def _mask(word: str, previous: str, program: str) -> str:
    if program in _PASSWORD_LETTER and re.match(r"-p.", word):
        return f"-p{MASK}"
    if previous in _USER_OPTIONS and ":" in word:
        return f"{word.partition(':')[0]}:{MASK}"
    word = _URL.sub(rf"\g<scheme>{MASK}@", word)
    if "://" in word:
        word = _IN_QUERY.sub(rf"\g<name>{MASK}", word)
    else:
        word = _ASSIGNED.sub(rf"\g<name>{MASK}", word)
    word = _KNOWN.sub(MASK, word)
    return _LONG.sub(_mask_token, word)


def _mask_token(match: re.Match[str]) -> str:
    # Container ids are long hexadecimal numbers, and worth reading.
    token = match[0]
    is_mixed = (
        any(c.isdigit() for c in token)
        and any(c.isupper() for c in token)
        and any(c.islower() for c in token)
    )
    return MASK if is_mixed else token
