"""One command line, word by word: which program it is of, and which words are secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tracer.masking.secret_names import (
    LINKS,
    Secrecy,
    is_compound_secret,
    secrecy_of,
    takes_secret_next,
)
from tracer.masking.secret_options import Program, is_lettered
from tracer.masking.secret_programs import (
    PROGRAMS,
    READS_STDIN,
    SEARCHERS,
    is_given_secrets,
    stem_of,
)
from tracer.masking.secret_text import (
    MASK,
    is_harmless,
    is_scheme,
    looks_chosen,
    mask_login,
    mask_pair,
    mask_phrases,
    mask_slashed,
    mask_word,
    names_what_follows,
)
from tracer.masking.shell_words import Token, TokenKind, split_script

_MOST_DEPTH = 2
"""A script in a script is the last one that is looked into."""
_MOST_SCRIPTS = 12
_NOTHING = Program()
_BARE_WORD = re.compile(r"""[^\s'"`();&|$=]+""")


class _Next(Enum):
    """What the next word is."""

    ANYTHING = auto()
    PROGRAM = auto()
    SECRET = auto()
    KEY = auto()
    LOGIN = auto()
    PAIR = auto()
    SCRIPT = auto()
    VALUE = auto()
    DOUBTFUL = auto()
    NAMED = auto()


_NEXT_OF = {
    Secrecy.NONE: _Next.ANYTHING,
    Secrecy.KEY: _Next.KEY,
    Secrecy.SECRET: _Next.SECRET,
}


@dataclass(slots=True)
class _Scripts:
    """How many scripts of one command line are still looked into; the rest is not shown."""

    left: int = _MOST_SCRIPTS


class CommandWalk:
    """Goes through the words of one command line, which may run another.

    Args:
        depth: In how many scripts it is.
        scripts: Those of the whole command line.
    """

    def __init__(self, depth: int = 0, scripts: _Scripts | None = None) -> None:
        self._depth = depth
        self._scripts = scripts or _Scripts()
        self._command()
        self._is_searcher = False

    def _command(self) -> None:
        self._next = _Next.PROGRAM
        self._program: Program | None = None
        self._skip = 0
        self._plain = 0
        self._secret_places: list[tuple[int, int]] = []

    def step(self, word: str, *, is_cut: bool = False) -> str:
        """Mask the next word."""
        expected, self._next = self._next, _Next.ANYTHING
        if expected is _Next.PROGRAM:
            return self._begin(word, is_cut=is_cut)
        if expected is _Next.SCRIPT and word[:1] == "-":
            self._next = expected
            return self._text(word, is_cut=is_cut)
        if expected is not _Next.ANYTHING and not self._is_option(word, expected):
            return self._value(word, expected, is_cut=is_cut)
        if word.startswith("-") and len(word) > 1:
            return self._option(word, is_cut=is_cut)
        return self._plain_word(word, is_cut=is_cut)

    def _is_option(self, word: str, expected: _Next) -> bool:
        """Whether a word is the next option and not the value of the one before."""
        if expected in (_Next.SCRIPT, _Next.VALUE, _Next.PAIR) or word[:1] != "-":
            return False
        name = word.partition("=")[0]
        if len(word) <= 2 or self._kind_of(name) is not _Next.ANYTHING:
            return True
        # A password may begin with a dash as well.
        return word.startswith("--") and name[2:].replace("-", "").isalpha() and name.islower()

    def enter_script(self) -> CommandWalk | None:
        """Begin with the script in a word; None where it is one too many."""
        if self._depth >= _MOST_DEPTH or not self._scripts.left:
            return None
        self._scripts.left -= 1
        return CommandWalk(self._depth + 1, self._scripts)

    def end_command(self) -> None:
        """Begin another command, behind an operator of the shell."""
        self._command()

    def _begin(self, word: str, *, is_cut: bool) -> str:
        name, is_assigned, _ = word.partition("=")
        if is_assigned and name.isidentifier():
            if secrecy_of(name) is not Secrecy.NONE:
                masked = mask_word(word, is_cut=is_cut)
            else:
                masked = self._text(word, is_cut=is_cut)
            self._next = _Next.PROGRAM
            return masked
        if word.startswith("-") and self._program is not None:
            self._next = _Next.PROGRAM
            return self._option(word, is_cut=is_cut)
        if " " in word or "\n" in word:
            return self._script(word, is_cut=is_cut)
        stem = stem_of(word)
        self._take(PROGRAMS.get(stem))
        self._is_searcher = stem in SEARCHERS
        return mask_word(word, is_cut=is_cut)

    def _take(self, program: Program | None) -> None:
        self._program = program
        self._plain = 0
        self._secret_places = []
        if program is not None:
            self._skip = program.runs or 0
            if program.places is not None:
                self._secret_places.append(program.places)

    def _value(self, word: str, expected: _Next, *, is_cut: bool) -> str:
        """Mask the value of the option before."""
        if expected in (_Next.SECRET, _Next.KEY):
            if is_scheme(word):
                self._next = expected
                return word
            secrecy = Secrecy.KEY if expected is _Next.KEY else Secrecy.SECRET
            return word if is_harmless(word, secrecy) else MASK
        if expected is _Next.LOGIN:
            return mask_login(word)
        if expected is _Next.PAIR:
            return mask_pair(word)
        if expected is _Next.SCRIPT:
            return self._script(word, is_cut=is_cut)
        if expected is _Next.DOUBTFUL:
            return MASK if looks_chosen(word) else self._text(word, is_cut=is_cut)
        if expected is _Next.NAMED:
            if word.lower() in LINKS:
                self._next = expected
                return word
            if not word.startswith(("/", ".", "~")):
                return MASK
            return self._plain_word(word, is_cut=is_cut)
        return self._text(word, is_cut=is_cut)

    def _option(self, word: str, *, is_cut: bool) -> str:
        program = self._program or _NOTHING
        if word == "--":
            if program.runs is not None:
                self._next = _Next.PROGRAM
            return word
        name, equals, value = word.partition("=")
        if name in program.commands:
            self._next = _Next.PROGRAM
            return word
        kind = self._kind_of(name)
        if kind is not _Next.ANYTHING:
            if not equals:
                self._next = kind
                return word
            return f"{name}={self._value(value, kind, is_cut=is_cut)}"
        if is_lettered(word) and not program.is_long:
            glued = self._glued(word, is_cut=is_cut)
            if glued is not None:
                return glued
        if name in program.plain:
            if not equals and (name in program.takes or program.flags):
                self._next = _Next.VALUE
            return word if not equals else f"{name}={mask_word(value, is_cut=is_cut)}"
        for place in program.after:
            if word == place:
                self._place_behind(program.after[place])
        if not equals and (next_secrecy := takes_secret_next(name)) is not Secrecy.NONE:
            self._next = _NEXT_OF[next_secrecy]
            return mask_word(word, is_cut=is_cut)
        if not equals:
            self._expect_value(name, program)
        return self._text(word, is_cut=is_cut)

    def _kind_of(self, name: str) -> _Next:
        program = self._program or _NOTHING
        if name in program.plain:
            return _Next.ANYTHING
        if name in program.secret:
            return _Next.SECRET
        if name in program.login:
            return _Next.LOGIN
        if name in program.pairs:
            return _Next.PAIR
        if name in program.script:
            return _Next.SCRIPT
        if program.script and is_lettered(name) and name.endswith("c") and "-c" in program.script:
            return _Next.SCRIPT
        return _Next.ANYTHING

    def _glued(self, word: str, *, is_cut: bool) -> str | None:
        """Mask ``-psecret``, also behind letters that take no value: ``-sSuuser:secret``."""
        program = self._program or _NOTHING
        for option in program.glued:
            if word.startswith(option) and len(word) > len(option):
                return option + MASK
        for at, letter in enumerate(word[1:], start=1):
            kind = self._kind_of(f"-{letter}")
            if kind in (_Next.SECRET, _Next.LOGIN):
                rest = word[at + 1 :]
                if not rest:
                    self._next = kind
                    return word
                return word[: at + 1] + self._value(rest, kind, is_cut=is_cut)
            if not program.letters or letter in program.letters:
                break
        if self._program is None and word[1] in "pPw" and looks_chosen(word[2:].lstrip("=")):
            return word[:2] + MASK
        if self._program is None and word[1] in "uU" and ":" in word[2:]:
            return word[:2] + mask_login(word[2:])
        return None

    def _expect_value(self, name: str, program: Program) -> None:
        """Know what an option that is written without a value takes for one."""
        if name in program.takes or (program.flags and name not in program.flags):
            self._next = _Next.VALUE
        elif self._program is None and name in ("-p", "-P", "-w"):
            self._next = _Next.DOUBTFUL
        elif name in ("-u", "-U", "--user", "--proxy-user") and name not in program.plain:
            self._next = _Next.LOGIN

    def _plain_word(self, word: str, *, is_cut: bool) -> str:
        program = self._program or _NOTHING
        for option in program.glued:
            if not option.startswith("-") and word.startswith(option):
                return option + MASK
        self._plain += 1
        if any(first <= self._plain <= last for first, last in self._secret_places):
            return word if is_harmless(word, Secrecy.SECRET) else MASK
        if program.runs is not None:
            if self._skip <= 0:
                return self._begin(word, is_cut=is_cut)
            self._skip -= 1
        if self._program is None and is_given_secrets(stem_of(word)):
            # Some program that is not known runs one that is.
            self._take(PROGRAMS[stem_of(word)])
        elif word in program.sub:
            self._take(program.sub[word])
        elif word.lower() in program.after:
            self._place_behind(program.after[word.lower()])
        elif program.all_pairs and "=" in word:
            return mask_pair(word)
        elif program.is_slashed and "/" in word.strip("/"):
            return mask_slashed(word)
        elif not self._is_searcher:
            is_named = word.lower() in ("password", "passphrase", "requirepass")
            if is_named or is_compound_secret(word):
                self._next = _Next.NAMED
            elif word.lower() == "bearer":
                self._next = _Next.SECRET
        return self._text(word, is_cut=is_cut)

    def _place_behind(self, places: tuple[int, int]) -> None:
        first, last = places
        self._secret_places.append((self._plain + first, self._plain + last))

    def _text(self, word: str, *, is_cut: bool) -> str:
        secrecy = names_what_follows(word)
        if secrecy is not Secrecy.NONE:
            self._next = _NEXT_OF[secrecy]
        if (" " in word or "\n" in word) and _has_program(word):
            walk = self.enter_script()
            if walk is None:
                return MASK
            word = mask_script(word, walk, is_cut=is_cut)
        return mask_word(word, is_cut=is_cut)

    def _script(self, word: str, *, is_cut: bool) -> str:
        """Mask a script; what follows it are arguments of its last command."""
        walk = self.enter_script()
        if walk is None:
            return MASK
        masked = mask_script(word, walk, is_cut=is_cut)
        self._next = walk._next
        self._program = walk._program
        self._skip = walk._skip
        self._plain, self._secret_places = walk._plain, walk._secret_places
        if self._next is _Next.PROGRAM:
            self._next = _Next.ANYTHING
        return masked


def mask_script(text: str, walk: CommandWalk, *, is_cut: bool) -> str:
    """Mask the words of a script and leave the rest of it as it is written.

    Args:
        text: Of bounded length.
        walk: New; afterwards it is where the script's last command ends.
        is_cut: The script's end is missing.
    """
    pem = text.find("-----BEGIN")
    if pem >= 0:
        text = text[:pem] + MASK
    tokens = list(split_script(text))
    echoed = _echoed_secrets(tokens)
    out: list[str] = []
    done = 0
    is_hidden = is_here = False
    for number, token in enumerate(tokens):
        masked: str | None = None
        if token.kind is TokenKind.WORD:
            shown = walk.step(token.value, is_cut=is_cut and token.end == len(text))
            if is_here or number in echoed:
                shown = MASK
            masked = shown if shown != token.value else None
        elif token.kind is not TokenKind.REDIRECT:
            walk.end_command()
        is_here = token.is_here_string
        is_glued = token.start == done and bool(out)
        is_last = text[token.end : token.end + 1] in ("", " ", "\t", "\n")
        if is_hidden and is_glued and not (is_last and token.kind is not TokenKind.WORD):
            # hun;ter2, whose quotes were removed: the rest of it.
            done = token.end
            continue
        out.append(text[done : token.start])
        out.append(_quoted_alike(text[token.start : token.end], masked))
        done = token.end
        is_hidden = masked is not None and masked.endswith(MASK)
    out.append(text[done:])
    # Last: where a quote ends is known by then.
    return mask_phrases("".join(out))


def _quoted_alike(raw: str, masked: str | None) -> str:
    if masked is None:
        return raw
    quote = raw[0]
    return f"{quote}{masked}{quote}" if quote in "'\"" and raw[-1] == quote else masked


def _echoed_secrets(tokens: Sequence[Token]) -> set[int]:
    """Find the words that ``echo`` or ``printf`` hands to a command which reads a secret."""
    found: set[int] = set()
    words: list[int] = []
    piped: list[int] = []
    for number, token in enumerate(tokens):
        if token.kind is TokenKind.WORD:
            words.append(number)
            if piped and (token.value in READS_STDIN or stem_of(token.value) in READS_STDIN):
                found.update(piped)
                piped = []
        elif token.kind is not TokenKind.REDIRECT:
            piped = _echoed(tokens, words) if token.kind is TokenKind.PIPE else []
            words = []
    return {number for number in found if not tokens[number].value.startswith("-")}


def _echoed(tokens: Sequence[Token], words: Sequence[int]) -> list[int]:
    for place, number in enumerate(words):
        if stem_of(tokens[number].value) in ("echo", "printf"):
            return list(words[place + 1 :])
    return []


def _has_program(text: str) -> bool:
    """Whether some word of a text is a program whose arguments may be secrets."""
    return any(is_given_secrets(stem_of(match[0])) for match in _BARE_WORD.finditer(text))
